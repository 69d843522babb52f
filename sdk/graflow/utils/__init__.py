"""Graflow's own module paths; see `graph`."""
