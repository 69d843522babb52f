"""Graflow's own module paths; see `direct`, `docker` and `group_policy`."""
