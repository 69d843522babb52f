"""Questions in a folder."""

from graflow.local.folder import FilesystemFeedbackBackend

__all__ = ["FilesystemFeedbackBackend"]
