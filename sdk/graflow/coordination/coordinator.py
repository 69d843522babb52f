"""How the branches of a group are run."""

from graflow.dsl.flow import CoordinationBackend

__all__ = ["CoordinationBackend"]
