"""Limits of passes, by node."""

from graflow.dsl.limits import CycleController

__all__ = ["CycleController"]
