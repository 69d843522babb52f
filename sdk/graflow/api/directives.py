"""What a runner reports that its task has decided: the wire form of directives, and its limits.

The models are not part of any resource. They are read with the same words for what is wrong, and
turned into what the machine folds.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field

from graflow.api.convert import nodes_of
from graflow.api.errors import InvalidWorkflow
from graflow.api.lent import MADE, lent
from graflow.api.model import AnyObject, Id, SpecModel, ValueRef
from graflow.api.parse import parse_part
from graflow.api.shape import group_problems, task_problems
from graflow.api.workflow import GroupSpec, TaskSpec
from graflow.machine import directives as machine
from graflow.machine.check import Problem
from graflow.machine.plan import Exit, Plan, TaskPlan

MAX_DIRECTIVES = 100
MAX_NODES = 1000
"""Tasks, groups and exits of one fragment, each."""

MAX_EDGES = 20_000

_Words = Annotated[str, Field(max_length=1024)]


class FragmentSpec(SpecModel):
    """Tasks that a running task has made, and how they are connected."""

    tasks: tuple[TaskSpec, ...] = Field(default=(), max_length=MAX_NODES)
    """The tasks."""

    groups: tuple[GroupSpec, ...] = Field(default=(), max_length=MAX_NODES)
    """Groups of them."""

    edges: tuple[Annotated[tuple[Id, ...], Field(min_length=2, max_length=2)], ...] = Field(
        default=(), max_length=MAX_EDGES
    )
    """All edges as [from, to], in the order in which they were drawn."""

    exits: tuple[Id, ...] = Field(default=(), max_length=MAX_NODES)
    """Ids that stand for tasks outside: to come to one is a jump there."""

    start: tuple[Id, ...] = Field(min_length=1, max_length=MAX_NODES)
    """What it begins with."""

    code: dict[str, AnyObject] = Field(default_factory=dict, max_length=2 * MAX_NODES)
    """Code of the tasks, and of the policies of the groups, by their ids; of tasks that are not
    here it is in the run's bundle."""


class _Directive(SpecModel):
    reason: _Words = ""
    """Why, in words of the task."""


class JumpSpec(_Directive):
    """Go to a task that exists."""

    kind: Literal["Jump"]
    """Which directive it is."""

    target: Id
    """Id of the task."""


class SpawnSpec(_Directive):
    """Run a fragment."""

    kind: Literal["Spawn"]
    """Which directive it is."""

    fragment: FragmentSpec
    """The fragment."""

    goto: bool = False
    """Whether own successors are skipped after it."""


class IterationSpec(_Directive):
    """Run the task again."""

    kind: Literal["Iteration"]
    """Which directive it is."""

    again: AnyObject | None = None
    """What the pass is given: {data: value} or {bound: value}; nothing: what the one before was."""


class _End(SpecModel):
    message: _Words = ""
    """Why, in words of the task."""


class TerminationSpec(_End):
    """End the run as Succeeded."""

    kind: Literal["Termination"]
    """Which directive it is."""


class CancellationSpec(_End):
    """End the run as Cancelled."""

    kind: Literal["Cancellation"]
    """Which directive it is."""


DirectiveSpec: TypeAlias = JumpSpec | SpawnSpec | IterationSpec | TerminationSpec | CancellationSpec

_KINDS: Mapping[str, type[DirectiveSpec]] = {
    "Jump": JumpSpec,
    "Spawn": SpawnSpec,
    "Iteration": IterationSpec,
    "Termination": TerminationSpec,
    "Cancellation": CancellationSpec,
}


def parse_directives(raw: object) -> tuple[DirectiveSpec, ...]:
    """Return the directives of a report, in the order in which the task asked.

    Raises:
        InvalidWorkflow: If they are none, or too many; with every problem found.
    """
    if not isinstance(raw, list):
        raise InvalidWorkflow([Problem("directives", "must be a list")])
    if len(raw) > MAX_DIRECTIVES:
        words = (
            f"a task may decide {MAX_DIRECTIVES} moves in one pass, and this one decided"
            f" {len(raw)}; hand over several tasks as one group"
        )
        raise InvalidWorkflow([Problem("directives", words)])
    found = tuple(_directive(one, f"directives[{number}]") for number, one in enumerate(raw))
    problems = [
        problem
        for number, one in enumerate(found)
        if isinstance(one, SpawnSpec)
        for problem in _of_fragment(one.fragment, f"directives[{number}].fragment")
    ]
    if problems:
        raise InvalidWorkflow(problems)
    return found


def _directive(raw: object, field: str) -> DirectiveSpec:
    kind = raw.get("kind") if isinstance(raw, Mapping) else None
    if not isinstance(kind, str) or kind not in _KINDS:
        words = f"{str(kind)[:60]!r} is not known; it is one of {', '.join(_KINDS)}"
        raise InvalidWorkflow([Problem(f"{field}.kind", words)])
    return parse_part(_KINDS[kind], raw, field)


def _of_fragment(fragment: FragmentSpec, field: str) -> Iterator[Problem]:
    """Yield what is wrong with parts of a fragment; how they connect is for the machine to say."""
    for number, task in enumerate(fragment.tasks):
        yield from _no_after(task, f"{field}.tasks[{number}]")
        yield from task_problems(task, f"{field}.tasks[{number}]")
        yield from lent(task, f"{field}.tasks[{number}]", MADE)
    for number, group in enumerate(fragment.groups):
        yield from _no_after(group, f"{field}.groups[{number}]")
        yield from group_problems(group, f"{field}.groups[{number}]")
    known = {one.name for one in fragment.tasks} | {one.name for one in fragment.groups}
    for node_id in fragment.code.keys() - known:
        yield Problem(f"{field}.code", f"{node_id!r} is no task and no group of the fragment")


def _no_after(node: TaskSpec | GroupSpec, field: str) -> Iterator[Problem]:
    if node.after:
        yield Problem(f"{field}.after", "is not used in a fragment; its edges are in edges")


def fragment_plan(fragment: FragmentSpec, code: Mapping[str, ValueRef]) -> Plan:
    """Return the plan of a fragment. Whether it can run is for the machine to say.

    Args:
        fragment: Its wire form.
        code: Code of its tasks and policies by id, as the run's state keeps it.
    """
    payload: dict[str, dict[str, Any]] = {
        task.name: {"task": task.manifest()} for task in fragment.tasks
    }
    for group in fragment.groups:
        if group.policy and group.policy.function is not None:
            payload[group.name] = {"function": group.policy.function}
    for node_id, ref in code.items():
        payload.setdefault(node_id, {})["code"] = ref
    nodes = nodes_of(fragment.tasks, fragment.groups)
    return Plan(
        nodes=(*nodes, *(Exit(node_id) for node_id in fragment.exits)),
        edges=tuple((edge[0], edge[1]) for edge in fragment.edges),
        start=fragment.start,
        params={task.name: task.params for task in fragment.tasks if task.params or task.script},
        payload=payload,
    )


def directive_of(
    spec: DirectiveSpec, *, again: ValueRef | None = None, fragment: Plan | None = None
) -> machine.Directive:
    """Return a directive as the machine folds it.

    Args:
        spec: Its wire form.
        again: For an iteration: what the pass is given, as the run's state keeps it.
        fragment: For a spawn: the fragment's plan.
    """
    match spec:
        case JumpSpec():
            return machine.Jump(spec.target, spec.reason)
        case SpawnSpec():
            if fragment is None:
                raise TypeError("a spawn needs the plan of its fragment")
            return machine.Spawn(fragment, spec.goto, spec.reason)
        case IterationSpec():
            return machine.Iterate(again, spec.reason)
        case TerminationSpec():
            return machine.Terminate(spec.message)
        case CancellationSpec():
            return machine.Cancel(spec.message)


def task_at(plan: Plan, node_id: str) -> TaskSpec | None:
    """Return a fragment's task as it was written; None for a node that is none of its tasks."""
    kept = plan.payload.get(node_id)
    if not isinstance(plan.by_id.get(node_id), TaskPlan) or kept is None:
        return None
    return TaskSpec.model_validate(kept["task"])


def function_at(plan: Plan, node_id: str) -> str | None:
    """Return the id of the function of a fragment's task or policy; None for any other node."""
    kept = plan.payload.get(node_id, {})
    found: str | None = kept.get("task", kept).get("function")
    return found


def code_at(plan: Plan, node_id: str) -> ValueRef | None:
    """Return the code of a fragment's task, or of its group's policy; None: it is in the bundle."""
    found: ValueRef | None = plan.payload.get(node_id, {}).get("code")
    return found
