"""What asks and takes answers on this machine."""

from graflow.local.manager import FeedbackManager

__all__ = ["FeedbackManager"]
