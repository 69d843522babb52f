"""What people do to a question, written into its status: whoever is first wins, others are told.

Each write is guarded by the object's version. What is due by itself, as an expiry, is written
before anybody is told of it: what was said once stays true.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from graflow.api.moment import rfc3339
from graflow_operator import questions
from graflow_operator.cluster import FEEDBACK_REQUESTS, Object
from graflow_operator.cluster_errors import ConflictError, UnavailableError
from graflow_operator.parts import Parts

TRIES = 20
"""Others that may be first, one after the other; an answer is one write of a second at most."""


@dataclass(frozen=True, slots=True)
class Person:
    """Who somebody is, as the API server says."""

    name: str
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """What somebody says to a question."""

    person: Person
    how: str
    """CLI or API."""

    said: Mapping[str, Any]
    """Fields of the answer, as a status names them."""

    sha256: str = ""
    """Of what was shown; empty: it was the question as it is."""


async def respond(parts: Parts, namespace: str, name: str, reply: Reply) -> Object:
    """Write a response, and what it decides, if it does; return the request as it is then.

    Raises:
        NotOpenError: If it was decided before.
        NotAskedError: If that person is not to answer.
        NotTakenError: If it is no answer to this question.
        ClusterError: If the API server does not take it, or knows no such request.
    """

    def change(request: Object, now: float) -> Object:
        known = {"by": reply.person.name, "at": rfc3339(now), "how": reply.how}
        response = {**known, **reply.said, "sha256": reply.sha256 or request["spec"]["sha256"]}
        targets = parts.settings.notifications
        groups = reply.person.groups
        return questions.answered(request, response, now, groups=groups, targets=targets)

    return await _written(parts, namespace, name, change)


async def withdraw(parts: Parts, namespace: str, name: str, words: str) -> Object:
    """Have nobody answer any more; return the request as it is then.

    Raises:
        NotOpenError: If it was decided before.
        ClusterError: If the API server does not take it, or knows no such request.
    """
    return await _written(
        parts, namespace, name, lambda request, now: questions.withdrawn(request, now, words)
    )


async def _written(
    parts: Parts, namespace: str, name: str, change: Callable[[Object, float], Object]
) -> Object:
    for _ in range(TRIES):
        found = await parts.cluster.get(FEEDBACK_REQUESTS, namespace, name)
        now = parts.clock()
        due = questions.as_of(found, now, parts.settings.notifications)
        decides = questions.is_open(found) and not questions.is_open(due)
        status = due["status"] if decides else change(due, now)
        if status == found.get("status"):
            return found
        patch = {
            "metadata": {"resourceVersion": found["metadata"]["resourceVersion"]},
            "status": status,
        }
        try:
            after = await parts.cluster.patch_status(FEEDBACK_REQUESTS, namespace, name, patch)
        except ConflictError:
            continue
        if not decides:
            return after
    raise UnavailableError(f"question {namespace}/{name} changes all the time; try again")
