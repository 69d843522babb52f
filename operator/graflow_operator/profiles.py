"""RunnerProfiles, read when a pod is to be made.

Asked for by name, not watched: only pods that are about to be made need one, so the API server's
answer of the moment is the simplest that is right, also for a replica that has just begun to lead.
Answers are kept for a few seconds, so that a thousand tasks of one profile ask once.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from graflow.api.errors import InvalidWorkflow
from graflow.api.pod import PodSettings
from graflow.api.runnable import usable
from graflow.machine import reasons
from graflow.machine.state import Error
from graflow_operator.cluster import PROFILES, Cluster
from graflow_operator.cluster_errors import NotFoundError

FRESH_S = 3.0
"""How long an answer holds, that there is none included."""


class ProfileUnusableError(Exception):
    """No pod can be made from this profile now; `error` says why, in the machine's words."""

    def __init__(self, error: Error) -> None:
        super().__init__(error.message)
        self.error = error


@dataclass
class _Answer:
    until: float = 0.0
    found: PodSettings | Error | None = None
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Of several who ask at once, one asks the API server."""


class Profiles:
    """The profiles of all namespaces."""

    def __init__(self, cluster: Cluster, clock: Callable[[], float]) -> None:
        self._cluster = cluster
        self._clock = clock
        self._answers: dict[tuple[str, str], _Answer] = {}

    async def get(self, namespace: str, name: str) -> PodSettings:
        """Return the settings in a profile.

        Raises:
            ProfileUnusableError: If there is none of that name, or it makes no sense.
            ClusterError: If the API server does not say.
        """
        self._forget()
        answer = self._answers.setdefault((namespace, name), _Answer())
        async with answer.turn:
            found = answer.found if answer.until > self._clock() else None
            if found is None:
                found = answer.found = await self._ask(namespace, name)
                answer.until = self._clock() + FRESH_S
        if isinstance(found, Error):
            raise ProfileUnusableError(found)
        return found

    async def _ask(self, namespace: str, name: str) -> PodSettings | Error:
        where = f"RunnerProfile {name!r} in namespace {namespace!r}"
        try:
            raw = await self._cluster.get(PROFILES, namespace, name)
            return usable(raw)
        except NotFoundError:
            words = f"there is no {where} yet; create it, and the task goes on"
            return Error(reasons.PROFILE_MISSING, words)
        except InvalidWorkflow as error:
            return Error(reasons.PROFILE_INVALID, f"{where}: {error}")

    def _forget(self) -> None:
        now = self._clock()
        for key, answer in tuple(self._answers.items()):
            if answer.until <= now and not answer.turn.locked():
                del self._answers[key]
