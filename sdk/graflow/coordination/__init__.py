"""Graflow's own module paths; see `coordinator`."""
