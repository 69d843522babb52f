"""What is asked, and what is answered."""

from graflow.questions import FeedbackType

__all__ = ["FeedbackType"]
