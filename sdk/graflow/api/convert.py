"""From a spec as users write it to the plan that the machine runs."""

from collections.abc import Iterator, Sequence
from itertools import islice

from graflow.api.errors import InvalidWorkflow
from graflow.api.fields import Edge, Fields, entries
from graflow.api.inputs import unknown_in
from graflow.api.shape import shape_problems
from graflow.api.workflow import (
    GroupPolicySpec,
    GroupSpec,
    PolicyType,
    RetrySpec,
    TaskSpec,
    WorkflowSpec,
)
from graflow.machine.check import Problem, infer_start, named_start, problems
from graflow.machine.plan import (
    AtLeast,
    BestEffort,
    Critical,
    Custom,
    GroupPlan,
    GroupPolicy,
    NodePlan,
    Plan,
    Retry,
    Strict,
    TaskPlan,
)

_MOST_UNKNOWN = 20
"""How many unknown names are reported: to find what was meant takes time for each."""

_MOST_PLACED = 50


def plan_of(spec: WorkflowSpec) -> Plan:
    """Return the plan of a spec.

    Raises:
        InvalidWorkflow: If it cannot run; with every problem found.
    """
    fields = Fields(spec)
    found = [*shape_problems(spec), *_repeated(spec, fields)]
    unknown = [*islice(_unknown(spec, fields), _MOST_UNKNOWN)]
    if found or unknown:
        # Checks of the whole would report the consequences of these once more.
        raise InvalidWorkflow([*found, *unknown])
    nodes = nodes_of(spec.tasks, spec.groups)
    edges = tuple((edge[0], edge[1]) for edge in spec.edges or fields.edges)
    start, whole = _start(spec, nodes, edges)
    plan = Plan(
        nodes=nodes,
        edges=edges,
        start=start,
        max_steps=spec.max_steps,
        params={task.name: task.params for task in spec.tasks if task.params or task.script},
    )
    whole += [p for p in problems(plan) if start or p.field != "start"]
    if whole:
        raise InvalidWorkflow(_placed(whole, fields))
    return plan


def _placed(found: list[Problem], fields: Fields) -> Iterator[Problem]:
    """Yield problems of a plan as those of the spec; to find the field takes time for each."""
    yield from (fields.place(problem) for problem in found[:_MOST_PLACED])
    if (more := len(found) - _MOST_PLACED) > 0:
        yield Problem("spec", f"and {more} more problems; mend these first")


def _repeated(spec: WorkflowSpec, fields: Fields) -> Iterator[Problem]:
    """Yield ids that are given, and edges that are drawn, more than once."""
    for field, node in entries(spec):
        if fields.nodes[node.name] != field:
            yield Problem(
                f"{field}.name",
                f"two tasks are named {node.name!r}, here and at {fields.nodes[node.name]};"
                " give each a name of its own",
            )
        seen: set[str] = set()
        for number, before in enumerate(node.after):
            if before in seen:
                yield Problem(f"{field}.after[{number}]", f"lists {before!r} twice; once will do")
            seen.add(before)
    if spec.edges is not None:
        yield from _order_of_edges(spec.edges, fields)


def _order_of_edges(edges: tuple[tuple[str, ...], ...], fields: Fields) -> Iterator[Problem]:
    """Yield where `spec.edges` is not just another order of the edges in the `after` lists."""
    seen: set[Edge] = set()
    for number, (before, after) in enumerate(edges):
        edge = (before, after)
        if edge not in fields.edges:
            yield Problem(
                f"spec.edges[{number}]",
                f"[{before}, {after}] is not in an after list; spec.edges only orders the edges"
                f" that are there: add {before!r} to the after list of {after!r}, or leave it out",
            )
        elif edge in seen:
            yield Problem(f"spec.edges[{number}]", f"lists [{before}, {after}] twice")
        seen.add(edge)
    for (before, after), field in fields.edges.items():
        if (before, after) not in seen:
            yield Problem(
                field, f"the edge [{before}, {after}] is missing in spec.edges, which has to list"
                " all edges if it is given"
            )  # fmt: skip


def _unknown(spec: WorkflowSpec, fields: Fields) -> Iterator[Problem]:
    """Yield names that no task or group has, in the words of the machine's own check."""
    known = fields.nodes
    nodes: tuple[NodePlan, ...] = tuple(TaskPlan(node) for node in known)
    for edge, field in fields.edges.items():
        if edge[0] not in known:
            yield from _said(field, Plan(nodes, edges=(edge,)))
    for number, group in enumerate(spec.groups):
        for at, member in enumerate(group.members):
            if member not in known:
                asked = GroupPlan(group.name, (member,))
                others = tuple(node for node in nodes if node.id != group.name)
                yield from _said(f"spec.groups[{number}].members[{at}]", Plan((*others, asked)))
    for number, start in enumerate(spec.start):
        if start not in known:
            yield from _said(f"spec.start[{number}]", Plan(nodes, start=(start,)))
    if spec.resume_from:
        yield from unknown_in(spec.resume_from, known)


def _said(field: str, plan: Plan) -> Iterator[Problem]:
    """Yield the problems of a plan that has only the one that belongs to this field."""
    return (Problem(field, problem.message) for problem in problems(plan))


def nodes_of(tasks: Sequence[TaskSpec], groups: Sequence[GroupSpec]) -> tuple[NodePlan, ...]:
    """Return tasks and groups in the order of declaration: groups where they say, or else last."""
    nodes: list[NodePlan] = [_task(task) for task in tasks]
    last = len(nodes) + len(groups)
    for group in sorted(groups, key=lambda g: last if g.position is None else g.position):
        nodes.insert(last if group.position is None else group.position, _group(group))
    return tuple(nodes)


def _task(task: TaskSpec) -> TaskPlan:
    return TaskPlan(
        id=task.name,
        retry=_retry(task.retry) if task.retry else Retry(),
        timeout_s=task.timeout_seconds,
        max_cycles=task.max_iterations,
    )


def _retry(retry: RetrySpec) -> Retry:
    return Retry(
        max_attempts=retry.max_attempts,
        initial_s=retry.initial_seconds,
        factor=retry.factor,
        max_s=retry.max_seconds,
        jitter=retry.jitter,
    )


def _group(group: GroupSpec) -> GroupPlan:
    retry = _retry(group.retry) if group.retry else Retry()
    return GroupPlan(group.name, group.members, _policy(group.policy), retry)


def _policy(policy: GroupPolicySpec | None) -> GroupPolicy:
    match policy:
        case GroupPolicySpec(type=PolicyType.BEST_EFFORT):
            return BestEffort()
        case GroupPolicySpec(type=PolicyType.AT_LEAST, minimum=int(minimum)):
            return AtLeast(minimum)
        case GroupPolicySpec(type=PolicyType.CRITICAL, members=tuple(members)):
            return Critical(members)
        case GroupPolicySpec(type=PolicyType.CUSTOM):
            return Custom()
        case _:
            return Strict()


def _start(
    spec: WorkflowSpec, nodes: tuple[NodePlan, ...], edges: tuple[Edge, ...]
) -> tuple[tuple[str, ...], list[Problem]]:
    """Return what the run begins with, and why it cannot begin; one of the two is empty."""
    if not spec.start:
        inferred = infer_start(nodes, edges)
        return ((), [inferred]) if isinstance(inferred, Problem) else (inferred, [])
    named = [named_start(nodes, start) for start in spec.start]
    wrong = [answer for answer in named if isinstance(answer, Problem)]
    right = [node for answer in named if isinstance(answer, tuple) for node in answer]
    order = {node.id: number for number, node in enumerate(nodes)}
    return ((), wrong) if wrong else (tuple(sorted(set(right), key=order.__getitem__)), [])
