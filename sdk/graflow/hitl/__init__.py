"""Graflow's own module paths for questions to people; see `types`."""
