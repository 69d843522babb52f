"""Why a run does not go on, or how it ended: derived from its Workflow, for people and programs."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from graflow.api import names
from graflow.api.entries import MOST_TASKS
from graflow.api.workflow_status import FailureStatus, TaskStatus, Waiting, WorkflowStatus
from graflow.cluster.errors import NotFoundError
from graflow.cluster.failures import explanation, is_over, refusal
from graflow.machine import faults, reasons
from graflow.machine.check import hint
from graflow.machine.plan import GroupPlan, Plan, TaskPlan

PATIENCE_S = 5.0
"""After which it is strange that no operator has taken a Workflow, in seconds."""

LOOK = f"kubectl get pods -A -l {names.LABEL_APP_NAME}={names.OPERATOR_APP}"
RUNNING, WAITING, NOT_YET, ENDED = "Running", "Waiting", "NotYet", "Ended"

Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TaskWhy:
    """What a task does or waits for."""

    task: str
    state: str
    """Running, Waiting, NotYet (nothing has led to it yet) or Ended."""

    reason: str = ""
    message: str = ""
    since: str | None = None
    until: str | None = None
    advice: str = ""
    iteration: int | None = None
    attempt: int | None = None
    pod: str | None = None
    node: str | None = None
    after: tuple[str, ...] = ()
    """Of one that nothing has led to: the tasks and groups before it that have not ended."""


@dataclass(frozen=True, slots=True)
class Why:
    """Why a run is as it is."""

    name: str
    namespace: str
    phase: str
    sentence: str
    """One sentence on the run as a whole."""

    since: str | None = None
    """When it began, or ended."""

    until: str | None = None
    """When its deadline ends it."""

    waits: tuple[TaskWhy, ...] = ()
    """What the run as a whole waits for; of these `task` is empty."""

    tasks: tuple[TaskWhy, ...] = ()
    more: int = 0
    """Tasks that wait and of which the status has no room to tell."""

    failure: FailureStatus | None = None

    def manifest(self) -> dict[str, Any]:
        """Return it as JSON, without what is not known."""
        found = {name: value for name, value in asdict(self).items() if value}
        for name in ("waits", "tasks"):
            if name in found:
                found[name] = [{k: v for k, v in one.items() if v} for one in found[name]]
        if self.failure is not None:
            fault = faults.of(self.failure.reason)
            more = {"class": fault.kind.value, "meaning": fault.meaning, "advice": fault.advice}
            found["failure"] = self.failure.manifest() | more
        return found


@dataclass(frozen=True)
class Seen:
    """A Workflow as it is now."""

    workflow: Object
    plan: Plan | None
    """None where it cannot be had."""

    now: datetime
    status: WorkflowStatus = field(init=False)

    def __post_init__(self) -> None:
        """Read the status."""
        status = WorkflowStatus.model_validate(self.workflow.get("status") or {})
        object.__setattr__(self, "status", status)

    @property
    def metadata(self) -> Object:
        """The Workflow's metadata."""
        found: Object = self.workflow["metadata"]
        return found

    @property
    def spec(self) -> Object:
        """The Workflow's spec."""
        found: Object = self.workflow.get("spec") or {}
        return found


def why(seen: Seen, task: str | None = None) -> Why:
    """Return why a run is as it is, or what one task of it waits for.

    Raises:
        NotFoundError: If it has no such task; names the nearest.
    """
    status = seen.status
    over = is_over(status)
    phase = status.phase or "Pending"
    if refusal(status) is not None:
        phase = "Refused"
    waits = () if over else tuple(_of_the_run(seen))
    tasks = tuple(_named(seen, task)) if task else () if over else tuple(_all(seen))
    told = {one.task for one in status.waiting if one.task}
    return Why(
        name=seen.metadata["name"],
        namespace=seen.metadata.get("namespace", ""),
        phase=phase,
        sentence=_sentence(seen, phase),
        since=status.completion_time or status.start_time,
        until=None if over else _deadline(seen),
        waits=waits,
        tasks=tasks,
        more=max(0, (status.waiting_count or 0) - len(status.waiting)) if not over and told else 0,
        failure=None if task and status.failure and status.failure.task != task else status.failure,
    )


def _sentence(seen: Seen, phase: str) -> str:
    status = seen.status
    if phase == "Refused":
        return f"It was not accepted: {explanation(status)}"
    progress = f"; {status.progress} tasks succeeded" if status.progress else ""
    match phase:
        case "Succeeded":
            how = f": {status.message}" if status.reason and status.message else ""
            return f"It succeeded{how}{progress}."
        case "Cancelled":
            return f"It was cancelled: {status.message or 'somebody asked for it'}{progress}."
        case "Failed":
            return f"It failed: {status.message or status.reason}"
        case "Pending":
            return "It has not begun."
        case _:
            counts = status.counts
            people = sum(one.reason == reasons.WAITING_FOR_PERSON for one in status.waiting)
            parts = [] if counts is None else [
                f"{number} {word}"
                for number, word in (
                    (counts.running, "running"),
                    (counts.starting + counts.pending, "waiting to run"),
                    (people, "waiting for people"),
                    (max(0, counts.waiting - people), "waiting for the next attempt"),
                    (counts.holding, "holding"),
                )
                if number
            ]  # fmt: skip
            return f"It goes on: {', '.join(parts) or 'nothing runs now'}{progress}."


def _of_the_run(seen: Seen) -> Iterator[TaskWhy]:
    status, metadata = seen.status, seen.metadata
    for one in status.waiting:
        if not one.task:
            yield _waiting(one, None)
    age_s = (seen.now - datetime.fromisoformat(metadata["creationTimestamp"])).total_seconds()
    if status.phase is None and age_s > PATIENCE_S:
        serves = seen.spec.get("operator") or ""
        who = f"no operator of instance {serves!r}" if serves else "no operator"
        yield TaskWhy(
            "",
            WAITING,
            reasons.NO_OPERATOR,
            f"{who} has taken it in {age_s:.0f} s; `{LOOK}` shows those that there are",
            metadata["creationTimestamp"],
            advice=faults.of(reasons.NO_OPERATOR).advice,
        )
    newest = metadata.get("generation", 0)
    if status.observed_generation is not None and status.observed_generation < newest:
        yield TaskWhy(
            "",
            WAITING,
            reasons.NO_OPERATOR,
            f"the status is about generation {status.observed_generation} of the spec, and it is"
            f" at {newest}: the operator has not taken over the last change yet",
            advice="If it stays so, see whether an operator runs.",
        )


def _deadline(seen: Seen) -> str | None:
    limit, began = seen.spec.get("activeDeadlineSeconds"), seen.status.start_time
    if not limit or began is None:
        return None
    ends = datetime.fromisoformat(began).timestamp() + limit
    return datetime.fromtimestamp(ends, seen.now.tzinfo).isoformat(timespec="seconds")


def _all(seen: Seen) -> Iterator[TaskWhy]:
    """Yield what each task does that has not ended: the live ones, then what comes after them."""
    yield from _live(seen)
    yield from _not_yet(seen)


def _live(seen: Seen) -> Iterator[TaskWhy]:
    waits = {one.activation: one for one in seen.status.waiting if one.task}
    live = [task for task in seen.status.tasks if not _has_ended(task)]
    by_number = {task.activation: task for task in live}
    for number, wait in waits.items():
        yield _waiting(wait, by_number.get(number))
    for task in live:
        if task.activation not in waits:
            yield _running(task)


def _waiting(wait: Waiting, task: TaskStatus | None) -> TaskWhy:
    fault = faults.of(wait.reason)
    return TaskWhy(
        wait.task or "",
        WAITING,
        wait.reason,
        wait.message or fault.meaning,
        wait.since,
        wait.until,
        wait.advice or fault.advice,
        task.iteration if task else None,
        task.attempt if task else None,
        task.pod if task else None,
        task.node if task else None,
    )


def _running(task: TaskStatus) -> TaskWhy:
    fault = faults.of(task.reason) if task.reason else None
    return TaskWhy(
        task.name,
        WAITING if fault or task.phase != RUNNING else RUNNING,
        task.reason or "",
        task.message or (fault.meaning if fault else ""),
        task.start_time,
        advice=fault.advice if fault else "",
        iteration=task.iteration,
        attempt=task.attempt,
        pod=task.pod,
        node=task.node,
    )


def _not_yet(seen: Seen, only: str | None = None) -> Iterator[TaskWhy]:
    """Yield the tasks of the plan that nothing has led to yet, and what they come after."""
    plan, status = seen.plan, seen.status
    if plan is None:
        return
    known = {task.name: task for task in status.tasks}
    told = {one.task for one in status.waiting}
    if len(status.tasks) >= MOST_TASKS and only is None:
        return  # those that the status has no room for may have ended
    before = _before(plan)
    for node in plan.nodes:
        if only is not None and node.id != only:
            continue
        if not isinstance(node, TaskPlan) or node.id not in plan.placed:
            continue
        if node.id in known or node.id in told:
            continue
        open_ones = tuple(one for one in _open(plan, before, node.id) if not _succeeded(known, one))
        yield TaskWhy(
            node.id,
            NOT_YET,
            reasons.WAITING_FOR_TASKS,
            _comes_after(open_ones, known),
            advice=faults.of(reasons.WAITING_FOR_TASKS).advice if open_ones else "",
            after=open_ones,
        )


def _before(plan: Plan) -> Mapping[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for source, target in dict.fromkeys(plan.edges):
        found.setdefault(target, []).append(source)
    return {target: tuple(sources) for target, sources in found.items()}


def _open(plan: Plan, before: Mapping[str, tuple[str, ...]], node: str) -> tuple[str, ...]:
    """Return what comes right before a node; of a member without any, before its group."""
    while node not in before and node in plan.group_of:
        node = plan.group_of[node]
    return before.get(node, ())


def _succeeded(known: Mapping[str, TaskStatus], name: str) -> bool:
    return name in known and known[name].phase == "Succeeded"


def _comes_after(names: Iterable[str], known: Mapping[str, TaskStatus]) -> str:
    words = [f"{name!r} ({_standing(known.get(name))})" for name in names]
    if not words:
        return "nothing leads to it now; a task that runs may still jump to it"
    return f"comes after {', '.join(words)}"


def _standing(task: TaskStatus | None) -> str:
    if task is None:
        return "not ended"
    return "waits" if task.phase in ("Pending", "Waiting") else task.phase.lower()


def _named(seen: Seen, name: str) -> Iterator[TaskWhy]:
    """Yield what there is to say of one task."""
    status = seen.status
    found = [*(one for one in _live(seen) if one.task == name)]
    over = is_over(status)
    yield from () if over else found
    ended = [task for task in status.tasks if task.name == name and _has_ended(task)]
    if ended or (over and found):
        yield from (_ended(task) for task in ended)
        return
    if found:
        return
    pending = [*_not_yet(seen, name)]
    if pending and not over:
        yield from pending
        return
    known = [t.name for t in status.tasks]
    known += [node.id for node in seen.plan.nodes] if seen.plan else []
    if name not in known:
        near = hint(name, dict.fromkeys(known)) if known else "nothing is known of its tasks"
        raise NotFoundError(f"workflow {seen.metadata['name']!r} has no task {name!r}; {near}")
    group = seen.plan is not None and isinstance(seen.plan.by_id.get(name), GroupPlan)
    words = "a group: look at its members" if group else "it never began, or has ended long ago"
    yield TaskWhy(name, ENDED if over else NOT_YET, message=words)


def _ended(task: TaskStatus) -> TaskWhy:
    fault = faults.of(task.reason) if task.reason else None
    return TaskWhy(
        task.name,
        ENDED,
        task.reason or "",
        f"{task.phase}{f': {task.message}' if task.message else ''}",
        task.completion_time,
        advice=fault.advice if fault else "",
        iteration=task.iteration,
        attempt=task.attempt,
        pod=task.pod,
        node=task.node,
    )


def _has_ended(task: TaskStatus) -> bool:
    return task.phase in ("Succeeded", "Failed", "Cancelled")
