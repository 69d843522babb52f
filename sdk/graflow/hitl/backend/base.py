"""What a backend of a program's own has."""

from graflow.local.inbox import FeedbackBackend

__all__ = ["FeedbackBackend"]
