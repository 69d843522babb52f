"""Questions to people on a cluster: what is asked, and what people answer."""

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from pydantic import ValidationError

from graflow.api import answering
from graflow.api.feedback import FeedbackRequestSpec, People
from graflow.api.feedback_status import Content, FeedbackPhase, FeedbackRequestStatus
from graflow.api.model import SpecModel
from graflow.api.names import API_VERSION, FEEDBACK_REQUESTS
from graflow.cluster.apiserver import ApiServer
from graflow.cluster.errors import (
    ClusterError,
    ConflictError,
    NotFoundError,
    UnreachableError,
    ValueLostError,
)
from graflow.cluster.handout import Handout, UserApi
from graflow.cluster.values import Pickled, Values
from graflow.cluster.whoami import Ourselves
from graflow.cluster.workflows import PATIENCE_S, RETRY_S, WATCH_S, Object, request
from graflow.questions import FIELDS

PAGE = 500
"""Questions that the API server is asked for at one time."""

WORDS = "answers go through the operator"


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as it is now."""

    name: str
    namespace: str
    since: str
    """When it was asked, in UTC."""

    spec: FeedbackRequestSpec
    status: FeedbackRequestStatus
    version: str = ""
    """Changes with every change of it."""

    @classmethod
    def of(cls, found: Object) -> "Asked":
        """Return what an object of the API server says.

        Raises:
            ClusterError: If it cannot be read.
        """
        metadata = found["metadata"]
        try:
            return cls(
                name=metadata["name"],
                namespace=metadata["namespace"],
                since=metadata["creationTimestamp"],
                spec=FeedbackRequestSpec.model_validate(found["spec"]),
                status=FeedbackRequestStatus.model_validate(found.get("status") or {}),
                version=str(metadata.get("resourceVersion", "")),
            )
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise ClusterError(
                f"question {metadata['name']!r} cannot be read here: {where}: {first['msg']}; "
                f"a newer release of graflow may read it"
            ) from error

    @property
    def phase(self) -> FeedbackPhase:
        """Where it stands; one that no operator has looked at is pending."""
        return self.status.phase or FeedbackPhase.PENDING

    @property
    def people(self) -> People:
        """Who is asked now; nobody named: whoever has the right to respond."""
        return answering.asked_people(self.spec, self.status)

    @property
    def deadline(self) -> str | None:
        """Until when they may answer, in UTC; None: for ever."""
        return answering.deadline(self.spec, self.status)

    def closed(self, now: float) -> str | None:
        """Return why nobody can answer it any more, in a sentence; None while it is open.

        Args:
            now: Seconds since the epoch.
        """
        return answering.closed(self.spec, self.status, now)

    def waits_for(self, user: Ourselves) -> bool:
        """Whether it is among those who are asked that this user is, and has not answered yet."""
        return answering.may_answer(self.spec, self.status, user.name, user.groups) is None

    def manifest(self) -> dict[str, Any]:
        """Return it as JSON: what is asked, of whom, until when, and what came of it."""
        head = {"name": self.name, "namespace": self.namespace, "since": self.since}
        said = self.status.manifest() | {"phase": self.phase.value}
        asked = _plain(self.spec) | {"assignees": _plain(self.people)}
        return {**head, **asked, "deadline": self.deadline, "status": said}


def _plain(model: SpecModel) -> dict[str, Any]:
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)


@dataclass(frozen=True, slots=True)
class Questions:
    """The questions of one namespace, or of all."""

    server: ApiServer
    namespace: str | None
    """None: all."""

    def all(self, selector: str = "") -> list[Asked]:
        """Return the questions that there are, the oldest first.

        Args:
            selector: Labels that they have, as kubectl takes them; empty: any.

        Raises:
            ClusterError: If they cannot be had.
        """
        return self._listed(selector)[0]

    def get(self, name: str) -> Asked:
        """Return a question as it is now.

        Raises:
            NotFoundError: If there is none of that name.
        """
        try:
            return Asked.of(self._request("GET", self._path(name)))
        except NotFoundError as error:
            raise NotFoundError(
                f"there is no question {name!r} in namespace {self.namespace!r}; "
                f"`graflow inbox -n {self.namespace}` shows those that wait for an answer"
            ) from error

    def payload(self, asked: Asked) -> str:
        """Return what is to be read before answering, as text; empty: nothing.

        Of one that is in the store and cannot be had it is why.
        """
        payload = asked.spec.payload
        if payload is None or payload.blob is None:
            return (payload and (payload.text or payload.markdown)) or ""
        where = Handout(self.server, asked.namespace, asked.spec.workflow.name, asked.spec.operator)
        try:
            value = Values(where).open({"blob": _plain(payload.blob)}, unpickle=False)
        except ClusterError as error:
            return f"(what is to be read is not shown: {error})"
        if isinstance(value, str | Pickled):
            return str(value)
        return json.dumps(value, indent=2, ensure_ascii=False)

    def answer(self, asked: Asked, content: Content) -> dict[str, Any]:
        """Answer a question, and return how the operator has taken it; `message` says it.

        Args:
            asked: What was shown: the answer counts for that alone.
            content: What is said.

        Raises:
            ForbiddenError: If we may not, or are not asked.
            ConflictError: If it was decided before.
            RefusedError: If it is no answer to this question.
            ClusterError: If it cannot be sent.
        """
        said = _plain(content)
        body = {theirs: said[ours] for theirs, ours in FIELDS.items() if ours in said}
        return self._told(asked, "POST", "/respond", {**body, "sha256": asked.spec.sha256})

    def withdraw(self, asked: Asked) -> dict[str, Any]:
        """Have nobody answer a question any more, and return what the operator says.

        Raises:
            ConflictError: If it was decided before.
            ClusterError: If we may not, or it cannot be sent.
        """
        return self._told(asked, "DELETE")

    def changes(self, selector: str = "") -> Iterator[Asked]:
        """Yield all questions, the oldest first, and from then on each as often as it changes.

        Goes on when a watch breaks or the API server is away for a while.

        Args:
            selector: Labels that they have, as kubectl takes them; empty: any.

        Raises:
            UnreachableError: If the API server is away for more than ten minutes.
            ClusterError: If they cannot be had.
        """
        known: dict[tuple[str, str], str] = {}
        away_since: float | None = None
        while True:
            try:
                found, version = self._listed(selector)
                away_since = None
                yield from (one for one in found if known.get(_key(one)) != one.version)
                known = {_key(one): one.version for one in found}
                for one in self._watch(selector, version):
                    known[_key(one)] = one.version
                    yield one
            except UnreachableError:
                now = time.monotonic()
                away_since = away_since or now
                if not known or now - away_since > PATIENCE_S:
                    raise
                time.sleep(RETRY_S)

    def _listed(self, selector: str) -> tuple[list[Asked], str]:
        """Return all of them, asked for in pages, and the version that a watch goes on from."""
        query = {"limit": str(PAGE)} | ({"labelSelector": selector} if selector else {})
        asked: list[Asked] = []
        while True:
            try:
                found = self._request("GET", self._path(), query=query)
            except ConflictError:  # 410: the place has expired
                if "continue" not in query:
                    raise
                del query["continue"]
                asked.clear()
                continue
            asked += map(Asked.of, found["items"])
            metadata = found.get("metadata") or {}
            if not metadata.get("continue"):
                asked.sort(key=lambda one: (one.since, one.namespace, one.name))
                return asked, str(metadata.get("resourceVersion", ""))
            query["continue"] = metadata["continue"]

    def _watch(self, selector: str, version: str) -> Iterator[Asked]:
        query = {"watch": "true", "resourceVersion": version, "timeoutSeconds": str(WATCH_S)}
        query |= {"labelSelector": selector} if selector else {}
        with (
            contextlib.suppress(ConflictError),  # 410: too far behind; the next look catches up
            self.server.stream("GET", self._path(), query=query, timeout_s=WATCH_S + 15) as lines,
        ):
            for line in lines:
                event = json.loads(line)
                if event["type"] == "ERROR":  # 410 again
                    return
                if event["type"] in ("ADDED", "MODIFIED"):
                    yield Asked.of(event["object"])

    def _told(
        self, asked: Asked, method: str, what: str = "", body: object = None
    ) -> dict[str, Any]:
        """Have the operator do something to a question, and return what it says."""
        where = f"/namespaces/{quote(asked.namespace)}/api/feedback/{quote(asked.name)}{what}"
        data = None if body is None else json.dumps(body).encode()
        try:
            with UserApi(self.server, asked.spec.operator).stream(
                method, where, WORDS, body=data
            ) as reply:
                return dict(json.loads(reply.read()))
        except ValueLostError as error:
            raise UnreachableError(str(error)) from error
        except (ValueError, TypeError) as error:
            raise ClusterError(
                f"what the operator says cannot be read: {error}; `graflow answer NAME --show` "
                f"shows whether the answer was taken"
            ) from error

    def _request(self, method: str, path: str, **how: Any) -> Object:  # noqa: ANN401 - passed on
        return request(self.server, FEEDBACK_REQUESTS, method, path, **how)

    def _path(self, name: str = "") -> str:
        where = f"/namespaces/{quote(self.namespace, safe='')}" if self.namespace else ""
        path = f"/apis/{API_VERSION}{where}/{FEEDBACK_REQUESTS}"
        return f"{path}/{quote(name, safe='')}" if name else path


def _key(asked: Asked) -> tuple[str, str]:
    return asked.namespace, asked.name
