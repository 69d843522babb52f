"""Graphs built by hand."""

from graflow.dsl.graph import TaskGraph

__all__ = ["TaskGraph"]
