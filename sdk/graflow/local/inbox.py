"""Where questions of runs on this machine are kept, and who may decide one."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

from graflow.dsl.feedback import FeedbackRequest, FeedbackResponse

_deciding = threading.Lock()


class FeedbackBackend(ABC):
    """Keeps questions and answers. A program may have one of its own."""

    @abstractmethod
    def store_request(self, request: FeedbackRequest) -> None:
        """Keep a question, or what has become of it."""

    @abstractmethod
    def get_request(self, feedback_id: str) -> FeedbackRequest | None:
        """Return a question; None: there is none of that id."""

    @abstractmethod
    def store_response(self, response: FeedbackResponse) -> None:
        """Keep an answer."""

    @abstractmethod
    def get_response(self, feedback_id: str) -> FeedbackResponse | None:
        """Return the answer to a question; None: there is none yet."""

    @abstractmethod
    def list_pending_requests(self, session_id: str | None = None) -> list[FeedbackRequest]:
        """Return the questions that wait for an answer, of one run or of all."""

    @abstractmethod
    def list_requests(
        self, session_id: str | None = None, n_recent: int = 100
    ) -> list[FeedbackRequest]:
        """Return the latest questions, the newest first, of one run or of all."""

    @contextmanager
    def deciding(self, feedback_id: str) -> Iterator[None]:
        """Keep others from deciding the question meanwhile; by default those of this process."""
        del feedback_id
        with _deciding:
            yield

    def publish(self, feedback_id: str) -> None:
        """Tell those who listen that there is an answer."""
        del feedback_id

    def start_listener(
        self, feedback_id: str, notification_event: threading.Event
    ) -> threading.Thread | None:
        """Begin to set the event when there is an answer; None: nobody listens, look again."""
        del feedback_id, notification_event
        return None

    def close(self) -> None:
        """Let go of connections."""
        return


def newest(
    requests: list[FeedbackRequest], session_id: str | None, most: int | None = None
) -> list[FeedbackRequest]:
    """Return the questions of a run, or all, the newest first."""
    found = [one for one in requests if session_id in (None, one.session_id)]
    return sorted(found, key=lambda one: one.created_at, reverse=True)[:most]
