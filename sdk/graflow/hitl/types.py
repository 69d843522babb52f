"""What is asked, what is answered, and what a deadline may do."""

from graflow.dsl.feedback import (
    AnswerWith,
    Escalate,
    FeedbackHandler,
    FeedbackRequest,
    FeedbackResponse,
    GoTo,
)
from graflow.exceptions import FeedbackTimeoutError
from graflow.questions import FeedbackType

__all__ = [
    "AnswerWith",
    "Escalate",
    "FeedbackHandler",
    "FeedbackRequest",
    "FeedbackResponse",
    "FeedbackTimeoutError",
    "FeedbackType",
    "GoTo",
]
