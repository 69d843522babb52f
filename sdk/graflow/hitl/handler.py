"""What is told of questions, on the machine that runs the program."""

from graflow.dsl.feedback import FeedbackHandler
from graflow.local.notifying import SlackFeedbackHandler, WebhookFeedbackHandler

__all__ = ["FeedbackHandler", "SlackFeedbackHandler", "WebhookFeedbackHandler"]
