"""Graflow's own module paths; see `group_policy`."""
