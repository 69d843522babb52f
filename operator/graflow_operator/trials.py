"""Pods that are tried before a run begins: whether the API server would take them.

The schema of a Workflow lets affinity, volumes and the like through as they are. Without a trial,
nonsense in them would be found when the task is started, hours later perhaps.
"""

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from graflow.api.placement import laid_over, profile_of
from graflow.api.pod import PodSettings
from graflow.api.workflow import TaskSpec
from graflow.machine import reasons
from graflow.machine.check import Problem
from graflow_operator import pods
from graflow_operator.cluster import PODS, Object
from graflow_operator.cluster_errors import ClusterError, ForbiddenError, InvalidError
from graflow_operator.denials import denial
from graflow_operator.parts import Parts
from graflow_operator.pods import Runner
from graflow_operator.profiles import ProfileUnusableError
from graflow_operator.program import Program
from graflow_operator.refs import AttemptRef

MOST = 10
"""Pods that are tried for one run: those that differ in what is said about them."""

MOST_TASKS = 2000
"""Tasks that are looked at for that."""

PATIENCE_S = 5.0
"""Longest time that a run's first task waits for the answers; what is not known then is let be.

An answer takes as long as that to the making of a pod: 13 ms, and seconds where all is slow.
"""

_NAME = "graflow-trial-"
_NO_TRIAL = "dry run"
"""In the words with which the API server says that an admission webhook knows no trials."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Candidate:
    task: TaskSpec
    field: str
    profile: str | None


async def problems(parts: Parts, runner: Runner, program: Program) -> list[Problem]:
    """Return why pods of a run would not be taken, whenever they were made.

    Tasks about whose pods nothing is said are not tried, so most runs ask nothing here. What may
    be otherwise later, as rights, quotas and missing profiles, is for the start of the task to say.
    """
    asked = [
        asyncio.create_task(_tried(parts, runner, program, one)) for one in _candidates(program)
    ]
    if not asked:
        return []
    try:
        done, late = await asyncio.wait(asked, timeout=PATIENCE_S)
    finally:
        for trial in asked:
            trial.cancel()
    if late:
        words = "%s: %d of %d pods were not tried: no answer in %.0f s"
        log.warning(words, runner.run, len(late), len(asked), PATIENCE_S)
    return [found for trial in asked if trial in done and (found := trial.result()) is not None]


def _candidates(program: Program) -> Iterator[_Candidate]:
    """Yield a task for each of the different things that are said about pods."""
    return islice(_different(program), MOST)


def _different(program: Program) -> Iterator[_Candidate]:
    seen: set[str] = set()
    for number, task in enumerate(program.spec.tasks[:MOST_TASKS]):
        profile = profile_of(task, program.spec)
        if not (task.pod or task.container or profile or program.spec.pod):
            continue
        container = task.container and task.container.model_copy(
            update={"command": None, "args": None}
        )
        said = (part.model_dump_json() if part else "" for part in (task.pod, container))
        key = "\n".join((*said, profile or ""))
        if key not in seen:
            seen.add(key)
            bare = task.model_copy(update={"container": container})
            yield _Candidate(bare, f"spec.tasks[{number}]", profile)


async def _tried(parts: Parts, runner: Runner, program: Program, one: _Candidate) -> Problem | None:
    run, name = runner.run, one.task.name
    try:
        profile = await _profile(parts, run.namespace, one.profile)
    except (ProfileUnusableError, ClusterError):
        return None
    below = laid_over(profile, program.spec.pod)
    try:
        await parts.cluster.try_create(PODS, run.namespace, _nameless(runner, one.task, below))
    except InvalidError as error:
        why = denial(error)
        if _NO_TRIAL in str(error) or why is None or why.reason != reasons.POD_INVALID:
            return None  # a policy of the cluster may say no today, and its maker yes tomorrow
        by = f", made from the profile {one.profile!r}," if one.profile else ""
        words = f"the API server finds the pod of task {name!r}{by} invalid: {error}"
        return Problem(f"{one.field}.pod", words)
    except ForbiddenError as error:
        words = f"the pod of task {name!r} would be refused if it were made now: {error}"
        parts.notes.post(run, "PodRefused", words, warning=True)
    except ClusterError as error:
        log.info("%s: the pod of task %r was not tried: %s", run, name, error)
    return None


async def _profile(parts: Parts, namespace: str, name: str | None) -> PodSettings | None:
    return await parts.profiles.get(namespace, name) if name else None


def _nameless(runner: Runner, task: TaskSpec, below: PodSettings) -> Object:
    """Return a task's pod under no name that a pod of the run could have."""
    body = pods.build(runner, task, AttemptRef(0, 0), below)
    metadata = {key: value for key, value in body["metadata"].items() if key != "name"}
    return {**body, "metadata": {**metadata, "generateName": _NAME}}
