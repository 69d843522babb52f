"""Questions in Redis; needs the package only when a backend is made."""

from graflow.local.redis_inbox import RedisFeedbackBackend

__all__ = ["RedisFeedbackBackend"]
