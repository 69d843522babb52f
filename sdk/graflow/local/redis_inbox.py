"""Questions and answers in Redis, for programs on several machines that share one."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from graflow.dsl.feedback import FeedbackRequest, FeedbackResponse
from graflow.exceptions import MissingPackageError
from graflow.local.inbox import FeedbackBackend, newest

_DAY_S: Final = 24 * 3600
_LOCK_S: Final = 10.0


class RedisFeedbackBackend(FeedbackBackend):
    """`feedback:request:<id>` and `feedback:response:<id>`, as JSON.

    Args:
        redis_client: A client; None: one is made of the rest.
        host: Of the server.
        port: Of the server.
        db: Number of the database.
        expiration_days: After how long Redis forgets.

    Raises:
        MissingPackageError: If redis is not installed.
    """

    def __init__(
        self,
        redis_client: Any = None,  # noqa: ANN401 - a redis.Redis
        host: str = "localhost",
        port: int = 6379,
        db: int = 0,
        expiration_days: int = 7,
    ) -> None:
        if redis_client is None:
            try:
                import redis  # noqa: PLC0415 - optional
            except ImportError as error:
                raise MissingPackageError("redis", "the backend 'redis' of questions") from error
            redis_client = redis.Redis(host=host, port=port, db=db, decode_responses=True)
        self._redis = redis_client
        self._expires_s = expiration_days * _DAY_S

    def store_request(self, request: FeedbackRequest) -> None:
        """Keep a question, or what has become of it."""
        key = f"feedback:request:{request.feedback_id}"
        self._redis.set(key, json.dumps(request.to_dict()), ex=self._expires_s)

    def get_request(self, feedback_id: str) -> FeedbackRequest | None:
        """Return a question; None: there is none of that id."""
        found = self._redis.get(f"feedback:request:{feedback_id}")
        return None if found is None else FeedbackRequest.from_dict(json.loads(found))

    def store_response(self, response: FeedbackResponse) -> None:
        """Keep an answer, unless there is one.

        Raises:
            FileExistsError: If there is one.
        """
        key = f"feedback:response:{response.feedback_id}"
        data = json.dumps(response.to_dict())
        if not self._redis.set(key, data, ex=self._expires_s, nx=True):
            raise FileExistsError(f"question {response.feedback_id!r} has an answer")

    def get_response(self, feedback_id: str) -> FeedbackResponse | None:
        """Return the answer to a question; None: there is none yet."""
        found = self._redis.get(f"feedback:response:{feedback_id}")
        return None if found is None else FeedbackResponse.from_dict(json.loads(found))

    def list_pending_requests(self, session_id: str | None = None) -> list[FeedbackRequest]:
        """Return the questions that wait for an answer, of one run or of all."""
        return [one for one in newest(self._all(), session_id) if one.status == "pending"]

    def list_requests(
        self, session_id: str | None = None, n_recent: int = 100
    ) -> list[FeedbackRequest]:
        """Return the latest questions, the newest first, of one run or of all."""
        return newest(self._all(), session_id, n_recent)

    @contextmanager
    def deciding(self, feedback_id: str) -> Iterator[None]:
        """Keep everybody else who has this Redis from deciding the question meanwhile."""
        with self._redis.lock(f"feedback:lock:{feedback_id}", timeout=_LOCK_S):
            yield

    def publish(self, feedback_id: str) -> None:
        """Tell those who listen, as programs of Graflow's own do."""
        self._redis.publish(f"feedback:{feedback_id}", "completed")

    def close(self) -> None:
        """Let go of connections."""
        self._redis.close()

    def _all(self) -> list[FeedbackRequest]:
        prefix = "feedback:request:"
        names = (
            key.decode() if isinstance(key, bytes) else key
            for key in self._redis.scan_iter(f"{prefix}*")
        )
        found = (self.get_request(name.removeprefix(prefix)) for name in names)
        return [one for one in found if one is not None]
