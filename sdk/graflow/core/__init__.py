"""Graflow's own module paths; everything in here is defined in `graflow.dsl`."""
