"""Questions of runs on this machine, and their answers: Graflow's `FeedbackManager`."""

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from graflow.dsl.answers import RESPONSE
from graflow.dsl.channel import Channel
from graflow.dsl.feedback import (
    FeedbackHandler,
    FeedbackRequest,
    FeedbackResponse,
    FeedbackType,
    new_feedback_id,
)
from graflow.exceptions import AnswerRefusedError, ConfigError, FeedbackTimeoutError
from graflow.local.folder import FOLDER, FilesystemFeedbackBackend
from graflow.local.inbox import FeedbackBackend

LOG: Final = logging.getLogger("graflow.feedback")
POLL_S: Final = 0.5
"""Between looks for an answer of another process; one of this process is seen at once."""

_LAPSED: Final = "timeout"
_OPEN: Final = ("pending", _LAPSED)
_WITHDRAWN: Final = "cancelled"
_mutex = threading.Lock()
_waiting: dict[str, set[threading.Event]] = {}
"""By id of the question: who waits for its answer in this process."""


class FeedbackManager:
    """Asks, waits, and takes answers.

    Args:
        backend: `filesystem`, `redis`, or a backend.
        backend_config: Of a named one: `data_dir`, or `redis_client`, `host`, `port`, `db`,
            `expiration_days`.
        channel_manager: A channel that answers given here are written to, where a question says so;
            a running task writes its own anyway.

    Raises:
        ConfigError: If there is no backend of that name.
        MissingPackageError: If it needs a package that is not installed.
    """

    def __init__(
        self,
        backend: str | FeedbackBackend = "filesystem",
        backend_config: Mapping[str, Any] | None = None,
        channel_manager: Channel | None = None,
    ) -> None:
        self.channel_manager = channel_manager
        self._backend = _backend(backend, backend_config or {})

    def request_feedback(  # noqa: PLR0913, PLR0917 - Graflow's own signature
        self,
        task_id: str,
        session_id: str,
        feedback_type: FeedbackType,
        prompt: str,
        options: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        timeout: float | None = 180.0,
        channel_key: str | None = None,
        write_to_channel: bool = False,  # noqa: FBT001, FBT002 - Graflow's own signature
        feedback_id: str | None = None,
        handler: FeedbackHandler | None = None,
    ) -> FeedbackResponse:
        """Ask, and wait for the answer; tasks call `ctx.request_feedback`, which checks more.

        With the `feedback_id` of a question that was asked before it goes on waiting for that.

        Raises:
            FeedbackTimeoutError: If nobody has answered in time.
        """
        request = FeedbackRequest(
            feedback_id=feedback_id or new_feedback_id(),
            task_id=task_id,
            session_id=session_id,
            feedback_type=feedback_type,
            prompt=prompt,
            options=options,
            metadata=metadata or {},
            timeout=timeout,
            channel_key=channel_key,
            write_to_channel=write_to_channel,
        )
        return self.answer_to(request, handler)

    def answer_to(
        self, request: FeedbackRequest, handler: FeedbackHandler | None = None
    ) -> FeedbackResponse:
        """Ask, or go on waiting for what was asked before, and return the answer.

        Raises:
            FeedbackTimeoutError: If nobody has answered in time.
        """
        response = self._backend.get_response(request.feedback_id)
        if response is None:
            before = self._backend.get_request(request.feedback_id)
            request.created_at = before.created_at if before else request.created_at
            request.status = "pending"
            self._backend.store_request(request)
            _log_wait(request)
            tell(handler, "on_request_created", request)
            response = self._waited_for(request)
        if response is None:
            tell(handler, "on_request_timeout", request)
            why = "it was withdrawn" if request.status == _WITHDRAWN else ""
            raise FeedbackTimeoutError(request.feedback_id, request.timeout, why)
        tell(handler, "on_response_received", request, response)
        return response

    def provide_feedback(self, feedback_id: str, response: FeedbackResponse) -> bool:
        """Answer a question; return whether the answer counts. If not, the log says why."""
        try:
            self.answer(feedback_id, response)
        except AnswerRefusedError as error:
            LOG.warning("%s", error)
            return False
        return True

    def answer(self, feedback_id: str, response: FeedbackResponse) -> None:
        """Answer a question, if nobody has.

        Raises:
            AnswerRefusedError: If it is not there, or is not open any more, or that is no answer to
                it; says who has answered, or what would be one.
        """
        with self._backend.deciding(feedback_id):
            request = self._must_be_open(feedback_id)
            check_fits(request, response)
            self._backend.store_response(response)
            request.status = "completed"
            self._backend.store_request(request)
        self._write(request, response)
        self._wake(feedback_id)

    def withdraw(self, feedback_id: str) -> None:
        """Take back a question; an answer counts no more, and nobody waits for one."""
        self._end(feedback_id, _WITHDRAWN)
        self._wake(feedback_id)

    def list_pending_requests(self, session_id: str | None = None) -> list[FeedbackRequest]:
        """Return the questions that wait for an answer, of one run or of all."""
        return self._backend.list_pending_requests(session_id)

    def list_requests(
        self, session_id: str | None = None, n_recent: int = 100
    ) -> list[FeedbackRequest]:
        """Return the latest questions, the newest first, of one run or of all."""
        return self._backend.list_requests(session_id, n_recent)

    def get_request(self, feedback_id: str) -> FeedbackRequest | None:
        """Return a question; None: there is none of that id."""
        return self._backend.get_request(feedback_id)

    def get_response(self, feedback_id: str) -> FeedbackResponse | None:
        """Return the answer to a question; None: there is none yet."""
        return self._backend.get_response(feedback_id)

    def store_request(self, request: FeedbackRequest) -> None:
        """Keep a question, or what has become of it."""
        self._backend.store_request(request)

    def store_response(self, response: FeedbackResponse) -> None:
        """Keep an answer; `provide_feedback` looks whether it counts."""
        self._backend.store_response(response)

    def close(self) -> None:
        """Let go of connections."""
        self._backend.close()

    def _must_be_open(self, feedback_id: str) -> FeedbackRequest:
        request = self._backend.get_request(feedback_id)
        if request is None:
            raise AnswerRefusedError(
                f"there is no question {feedback_id!r}; list_pending_requests() has those that are"
                " open"
            )
        given = self._backend.get_response(feedback_id)
        if given is not None:
            raise AnswerRefusedError(
                f"question {feedback_id!r} was answered by {given.responded_by or 'somebody'} at"
                f" {given.responded_at}; the first answer counts"
            )
        if request.status not in _OPEN:
            raise AnswerRefusedError(
                f"question {feedback_id!r} is {request.status}, and nobody waits for its answer"
            )
        return request

    def _waited_for(self, request: FeedbackRequest) -> FeedbackResponse | None:
        """Return the answer once there is one; None: there was none in time, which is noted.

        Or the question was withdrawn, which its status then says.
        """
        feedback_id, timeout = request.feedback_id, request.timeout
        ends = None if timeout is None else time.monotonic() + timeout
        with self._told(feedback_id) as event:
            while True:
                found = self._backend.get_response(feedback_id)
                if found is not None:
                    return found
                kept = self._backend.get_request(feedback_id)
                if kept is not None and kept.status == _WITHDRAWN:
                    request.status = _WITHDRAWN
                    return None
                left = POLL_S if ends is None else ends - time.monotonic()
                if left <= 0:
                    found = self._end(feedback_id, _LAPSED)
                    request.status = request.status if found else _LAPSED
                    return found
                event.wait(min(POLL_S, left))
                event.clear()

    def _end(self, feedback_id: str, status: str) -> FeedbackResponse | None:
        """Note what has become of a question, unless it has an answer: then return that."""
        with self._backend.deciding(feedback_id):
            found = self._backend.get_response(feedback_id)
            request = self._backend.get_request(feedback_id)
            known = (status, _WITHDRAWN)
            if found is None and request is not None and request.status not in known:
                request.status = status
                self._backend.store_request(request)
        return found

    def _wake(self, feedback_id: str) -> None:
        """Have those who wait look again, in other processes too."""
        self._backend.publish(feedback_id)
        with _mutex:
            for event in _waiting.get(feedback_id, ()):
                event.set()

    @contextmanager
    def _told(self, feedback_id: str) -> Iterator[threading.Event]:
        event = threading.Event()
        with _mutex:
            _waiting.setdefault(feedback_id, set()).add(event)
        try:
            self._backend.start_listener(feedback_id, event)
            yield event
        finally:
            with _mutex:
                _waiting[feedback_id].discard(event)
                if not _waiting[feedback_id]:
                    del _waiting[feedback_id]

    def _write(self, request: FeedbackRequest, response: FeedbackResponse) -> None:
        if request.write_to_channel and request.channel_key and self.channel_manager:
            self.channel_manager.set(request.channel_key, response.value)
            self.channel_manager.set(request.channel_key + RESPONSE, response.to_dict())


def _log_wait(request: FeedbackRequest) -> None:
    """Say what is waited for: else a program that waits looks like one that hangs."""
    LOG.warning(
        "task %r asks %r (%s) and waits %s; another process answers with "
        "FeedbackManager().provide_feedback",
        request.task_id,
        request.prompt,
        request.feedback_id,
        "for ever" if request.timeout is None else f"for {request.timeout:g} s",
    )


def tell(handler: FeedbackHandler | None, what: str, *about: object) -> None:
    """Tell a handler of a question; what it raises is logged, and changes nothing."""
    if handler is None:
        return
    try:
        getattr(handler, what)(*about)
    except Exception:
        LOG.exception("handler %s failed in %s", type(handler).__qualname__, what)


def _backend(given: object, config: Mapping[str, Any]) -> FeedbackBackend:
    if isinstance(given, FeedbackBackend):
        return given
    if given == "filesystem":
        return FilesystemFeedbackBackend(config.get("data_dir", FOLDER))
    if given == "redis":
        from graflow.local.redis_inbox import RedisFeedbackBackend  # noqa: PLC0415 - optional

        known = ("redis_client", "host", "port", "db", "expiration_days")
        return RedisFeedbackBackend(**{name: config[name] for name in known if name in config})
    raise ConfigError(
        f"the backend of a FeedbackManager is {given!r}; give 'filesystem', 'redis' or a "
        "FeedbackBackend"
    )


def check_fits(request: FeedbackRequest, response: FeedbackResponse) -> None:
    """Refuse what is no answer to a question.

    Raises:
        AnswerRefusedError: Names what is wrong, and what would be an answer.
    """
    if response.feedback_id != request.feedback_id:
        raise AnswerRefusedError(
            f"the answer is to question {response.feedback_id!r}, and it is given to"
            f" {request.feedback_id!r}; answer each by its own id"
        )
    if response.response_type is not request.feedback_type:
        raise AnswerRefusedError(
            f"response_type is {response.response_type.value}, and question"
            f" {request.feedback_id!r} wants {request.feedback_type.value}"
        )
    from graflow.local.rules import objection  # noqa: PLC0415 - models are large

    if complaint := objection(request, response):
        raise AnswerRefusedError(complaint)
