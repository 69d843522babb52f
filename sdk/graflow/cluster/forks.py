"""Runs that go on from others: what they are made of, and which make no sense."""

import base64
import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from graflow.api.bundle import PLAN, BundleDamagedError, read_json
from graflow.api.errors import InvalidWorkflow
from graflow.api.resume import key_told, nearest
from graflow.api.runnable import needs_plan, runnable
from graflow.api.workflow_status import CheckpointStatus, WorkflowStatus
from graflow.cluster.code_changes import code_in, code_of, differences
from graflow.cluster.errors import NotFinishedError, NotFoundError, RefusedError
from graflow.cluster.failures import is_over, refusal
from graflow.cluster.workflows import Object
from graflow.compile.program import Compiled
from graflow.compile.spec import value_fields
from graflow.machine.state import RunPhase

RESUMED, FORK = "resumed", "fork"
"""What is added to the names of runs that go on from others."""

BASE_CHARS = 50  # room for what is added, within the 63 of a label
SHOWN_CHARS = 60

_ADDED = re.compile(rf"-({RESUMED}|{FORK})-[a-z0-9]+$")
_NOT_TAKEN = ("resumeFrom", "suspend", "cancel", "cancelReason", "submitter")
"""Fields that are not the new run's: whoever forks is not who submitted the source."""

_PLAN = ("tasks", "groups", "edges", "start", "bundle")
_OF_THE_PROGRAM = ("profile", "activeDeadlineSeconds", "maxSteps")
"""Fields that new code may say something about; otherwise they stay as they were."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Changes:
    """What a fork is to have that its source has not."""

    at: int | None = None
    """Sequence number of the checkpoint to go on from; None: the latest that there is."""

    set: Mapping[str, object] = field(default_factory=dict)
    """Channel keys."""

    results: Mapping[str, object] = field(default_factory=dict)
    """Results by id of the task."""

    rerun: tuple[str, ...] = ()
    """Ids of tasks that are to run again."""

    code: Compiled | None = None
    """The program from now on."""


@dataclass(frozen=True, slots=True)
class Fork:
    """A run that goes on from another, ready to be created."""

    workflow: Object
    """The Workflow resource, without a name."""

    bundle: Object | None
    """The CodeBundle that it needs."""

    base: str
    """What its name begins with."""

    changes: tuple[str, ...]
    """What is different, in a sentence each."""


def resumed(found: Object, bundle: Object | None, status: WorkflowStatus) -> Fork:
    """Return the run that goes on where one has ended.

    Args:
        found: The Workflow that has ended.
        bundle: Its CodeBundle, if it has one.
        status: Its status.

    Raises:
        NotFinishedError: If it has not.
        RefusedError: If there is nothing to go on with.
    """
    name, where = found["metadata"]["name"], _where(found)
    if not is_over(status):
        if found["spec"].get("suspend"):
            way = f"it is suspended, and `graflow unsuspend {where}` lets it go on"
        else:
            way = f"it goes on by itself, and `graflow watch {where}` waits for its end"
        raise NotFinishedError(f"workflow {name!r} has not ended: {way}")
    _check_begun(name, status)
    if status.phase == RunPhase.SUCCEEDED:
        raise RefusedError(
            f"workflow {name!r} has succeeded, and nothing of it is left to run; `graflow result"
            f" {where}` prints its value, and `graflow fork {where} --rerun TASK` runs a task again"
        )
    return _made(found, bundle, RESUMED, Changes())


def forked(
    found: Object,
    bundle: Object | None,
    status: WorkflowStatus,
    changes: Changes,
    keys: Collection[str] | None = None,
) -> Fork:
    """Return a run that goes on from another, with changes.

    Args:
        found: The Workflow to go on from.
        bundle: Its CodeBundle, if it has one.
        status: Its status.
        changes: What is to be different.
        keys: Those of the channel that it goes on with; None: the operator alone knows.

    Raises:
        NotFinishedError: If it goes on and has no checkpoint yet.
        RefusedError: If it makes no sense.
        UnsupportedError: If a value cannot travel.
    """
    name, where = found["metadata"]["name"], _where(found)
    _check_begun(name, status)
    if changes.at is None and not is_over(status):
        if not status.checkpoints:
            raise NotFinishedError(
                f"workflow {name!r} has not ended and has no checkpoint yet; wait for one, or for"
                f" the end: `graflow watch {where}`. A task takes one with ctx.checkpoint(), and"
                " `graflow submit --checkpoint-every` has some taken"
            )
        changes = replace(changes, at=status.checkpoints[-1].seq)
    if changes.at is None and status.phase == RunPhase.SUCCEEDED and not changes.rerun:
        raise RefusedError(
            f"workflow {name!r} has succeeded, so nothing of its last state is left to run; name a"
            f" checkpoint with --at (`graflow checkpoints {where}` lists them), or tasks that are"
            " to run again with --rerun"
        )
    return _made(found, bundle, FORK, changes, keys)


def forked_after_deletion(name: str, uid: str, changes: Changes) -> Fork:
    """Return a run that goes on from one whose Workflow is deleted.

    Nobody has its code any more but who gives it; the operator says what is left in the store.

    Args:
        name: Its name.
        uid: Its uid.
        changes: What is to be different, the code with it.

    Raises:
        NotFoundError: If no code is given.
        RefusedError: If it makes no sense.
        UnsupportedError: If a value cannot travel.
    """
    if changes.code is None:
        raise NotFoundError(
            f"workflow {name!r} with uid {uid} is deleted, and its code with it; while its"
            f" checkpoints are in the store, `graflow fork {name} --uid {uid} --file PROGRAM` goes"
            " on from them"
        )
    metadata = {"name": name, "uid": uid}
    found = {**changes.code.workflow, "metadata": metadata}
    return _made(found, changes.code.bundle.resource(), FORK, replace(changes, code=None))


def checked_at(
    name: str,
    at: int,
    known: Iterable[CheckpointStatus],
    all_of: Callable[[], Iterable[CheckpointStatus]],
) -> None:
    """Look whether a run has a checkpoint.

    Args:
        name: Of the run.
        at: Sequence number of the checkpoint.
        known: Those that its status shows.
        all_of: Returns all of them; asked only if need be.

    Raises:
        NotFoundError: If it has none of that number.
    """
    if any(one.seq == at for one in known):
        return
    numbers = {one.seq for one in all_of()}
    if at not in numbers:
        hint = nearest(at, numbers) if numbers else "it has none"
        raise NotFoundError(f"workflow {name!r} has no checkpoint {at}; {hint}")


def _check_begun(name: str, status: WorkflowStatus) -> None:
    if (refused := refusal(status)) is not None:
        raise RefusedError(
            f"workflow {name!r} was never accepted, so there is nothing to go on with; mend what"
            f" was wrong and submit it again: {refused}"
        )


def _made(
    found: Object,
    bundle: Object | None,
    word: str,
    changes: Changes,
    keys: Collection[str] | None = None,
) -> Fork:
    metadata, source = found["metadata"], found["spec"]
    spec = {key: part for key, part in source.items() if key not in _NOT_TAKEN}
    if word == FORK:
        spec.pop("runId", None)  # it does other work than what that id was given to
    told: list[str] = []
    if changes.code is not None:
        told += _code_differences(source, bundle, changes.code)
        new = changes.code.workflow["spec"]
        spec = {key: part for key, part in spec.items() if key not in _PLAN}
        spec |= {key: new[key] for key in (*_PLAN, *_OF_THE_PROGRAM) if key in new}
        bundle = changes.code.bundle.resource()
    spec["resumeFrom"] = _resume_from(metadata, changes)
    workflow = {"apiVersion": found["apiVersion"], "kind": found["kind"], "spec": spec}
    _check(workflow, bundle)
    base = f"{_ADDED.sub('', metadata['name'])[:BASE_CHARS].rstrip('-.')}-{word}"
    kept = None if bundle is None else _bare(bundle)
    return Fork(workflow, kept, base, (*_sentences(changes, keys), *told))


def _resume_from(metadata: Mapping[str, Any], changes: Changes) -> Object:
    found: Object = {"name": metadata["name"], "uid": metadata["uid"]}
    if changes.at is not None:
        found["checkpoint"] = changes.at
    found |= value_fields(changes.set, "set", "exactSet", said="set")
    found |= value_fields(changes.results, "results", "exactResults", said="results")
    if changes.rerun:
        found["rerun"] = [*changes.rerun]
    return found


def _check(workflow: Object, bundle: Object | None) -> None:
    """Ask before anything is sent what the operator would refuse.

    Raises:
        RefusedError: If it would.
    """
    try:
        plan = None
        if needs_plan(workflow) and bundle is not None:
            plan = read_json(base64.b64decode(bundle["spec"]["zip"]), PLAN)
        runnable({**workflow, "metadata": {}}, plan)
    except (InvalidWorkflow, BundleDamagedError) as error:
        raise RefusedError(str(error)) from error


def _code_differences(
    source: Mapping[str, Any], bundle: Object | None, code: Compiled
) -> Iterable[str]:
    try:
        old = code_of(source) if bundle is None else code_in(_zip(bundle))
    except BundleDamagedError as error:
        return [f"the code is another; what it was cannot be told: {error}"]
    told = [*differences(old, code_in(code.bundle.data))]
    return told or ["the code is the same as before"]


def _zip(bundle: Object) -> bytes:
    return base64.b64decode(bundle["spec"]["zip"])


def _bare(bundle: Object) -> Object:
    """Return a CodeBundle as it was sent, without what the API server has added."""
    name = bundle["metadata"]["name"]
    return {
        "apiVersion": bundle["apiVersion"],
        "kind": bundle["kind"],
        "metadata": {"name": name},
        "spec": bundle["spec"],
    }


def _sentences(changes: Changes, keys: Collection[str] | None) -> Iterable[str]:
    where = "its latest state" if changes.at is None else f"checkpoint {changes.at}"
    yield f"it goes on from {where}"
    yield from (key_told(key, _shown(value), keys) for key, value in changes.set.items())
    for name, value in changes.results.items():
        yield f"the result of task {name!r} is {_shown(value)}"
    yield from (f"task {name!r} runs again" for name in changes.rerun)


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= SHOWN_CHARS else f"{text[: SHOWN_CHARS - 1]}…"


def _where(found: Object) -> str:
    return f"{found['metadata']['name']} -n {found['metadata']['namespace']}"
