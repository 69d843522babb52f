"""Whether a plan can run, in the words that the SDK, admission and the operator all use."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from graflow.machine.graph import reached
from graflow.machine.plan import AtLeast, Critical, Exit, GroupPlan, NodePlan, Plan

MAX_NESTED = 100
"""Groups in groups, one in the other: a branch begins inside the one around it."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a plan."""

    field: str
    """Where: `tasks`, `groups`, `edges`, `start` or `maxSteps`."""

    message: str
    """What: the thing, the wrong value and the way out."""


def problems(plan: Plan) -> tuple[Problem, ...]:
    """Return everything that is wrong with a plan; nothing when it can run.

    Later checks rest on earlier ones: with unknown names about, those are all that is reported.
    """
    named = (*_duplicates(plan), *_unknown(plan))
    if named:
        return named
    return (*_groups(plan), *_edges_into_members(plan), *_exits(plan), *_limits(plan))


def infer_start(
    nodes: Sequence[NodePlan], edges: Iterable[tuple[str, str]]
) -> tuple[str, ...] | Problem:
    """Return the nodes that a run begins with when nobody says so (B7), or why there are none."""
    edges = tuple(edges)
    if not nodes:
        return Problem(
            "tasks",
            "the workflow has no tasks; connect some (a >> b), or define one in the `with`",
        )
    members = {m for node in nodes if isinstance(node, GroupPlan) for m in node.members}
    entered = {after for _, after in edges}
    drawn = {node for edge in edges for node in edge}
    flow = [n.id for n in nodes if (n.id in drawn or isinstance(n, GroupPlan))]
    flow = [node for node in flow if node not in members]
    if not flow:
        lone = [node.id for node in nodes if node.id not in members]
        if len(lone) == 1:
            return (lone[0],)
        return Problem(
            "start",
            f"no edge connects the tasks {_names(lone)}, so it is not clear where to begin; "
            "connect them, or pass start_node",
        )
    roots = tuple(node for node in flow if node not in entered)
    if not roots:
        return Problem(
            "start",
            f"every task has a predecessor, so it is not clear where to begin; pass start_node, "
            f"one of {_names(flow)}",
        )
    return roots


def named_start(nodes: Sequence[NodePlan], start: str) -> tuple[str, ...] | Problem:
    """Return what a run begins with when told to begin at `start`: a member starts its group."""
    group_of = {m: n.id for n in nodes if isinstance(n, GroupPlan) for m in n.members}
    known = [node.id for node in nodes]
    if start not in known:
        return Problem(
            "start", f"start node {start!r} is not in the workflow; {hint(start, known)}"
        )
    seen: set[str] = set()  # a group that is a member of itself is a problem of its own
    while start in group_of and start not in seen:
        seen.add(start)
        start = group_of[start]
    return (start,)


def hint(name: str, known: Iterable[str]) -> str:
    """Return the way out of an unknown name: the nearest known one, or all of them."""
    names = sorted(known)
    near = get_close_matches(name, names, n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"its tasks are {_names(names)}" if names else "it has no tasks"


def _names(names: Sequence[str], most: int = 10) -> str:
    shown = ", ".join(repr(name) for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def _duplicates(plan: Plan) -> Iterator[Problem]:
    seen: set[str] = set()
    for node in plan.nodes:
        if node.id in seen:
            yield Problem("tasks", f"two tasks are named {node.id!r}; give each a name of its own")
        seen.add(node.id)


def _unknown(plan: Plan) -> Iterator[Problem]:
    known = plan.by_id
    for before, after in plan.edges:
        if before not in known:
            yield Problem(
                "edges",
                f"task {after!r} runs after {before!r}, which is not in the workflow; "
                f"{hint(before, known)}",
            )
        if after not in known:
            yield Problem(
                "edges",
                f"task {before!r} runs before {after!r}, which is not in the workflow; "
                f"{hint(after, known)}",
            )
    for node in plan.nodes:
        for member in node.members if isinstance(node, GroupPlan) else ():
            if member not in known:
                yield Problem(
                    "groups",
                    f"group {node.id!r} has the member {member!r}, which is not in the workflow; "
                    f"{hint(member, known)}",
                )
    for start in plan.start:
        if start not in known:
            yield Problem(
                "start", f"start node {start!r} is not in the workflow; {hint(start, known)}"
            )


def _groups(plan: Plan) -> Iterator[Problem]:
    owner: dict[str, str] = {}
    for group in plan.nodes:
        if not isinstance(group, GroupPlan):
            continue
        if not group.members:
            yield Problem("groups", f"group {group.id!r} has no members; add some")
        for member in group.members:
            if member in owner:
                yield Problem(
                    "groups",
                    f"task {member!r} is a member of two groups, {owner[member]!r} and "
                    f"{group.id!r}; name the group once (g = a | b) and use that name",
                )
            owner[member] = group.id
        yield from _policy(group)
    yield from _nested_in_itself(owner)


def _policy(group: GroupPlan) -> Iterator[Problem]:
    match group.policy:
        case AtLeast(minimum=minimum) if minimum > len(group.members) or minimum < 0:
            yield Problem(
                "groups",
                f"group {group.id!r} asks for at least {minimum} of its {len(group.members)} "
                f"members; give a number from 0 to {len(group.members)}",
            )
        case Critical(members=members):
            for member in members:
                if member not in group.members:
                    yield Problem(
                        "groups",
                        f"group {group.id!r} calls {member!r} critical, which is not one of its "
                        f"members; {hint(member, group.members)}",
                    )
        case _:
            pass


def _nested_in_itself(owner: dict[str, str]) -> Iterator[Problem]:
    for member in owner:
        outer = owner.get(member)
        seen = {member}
        while outer is not None and outer not in seen:
            seen.add(outer)
            outer = owner.get(outer)
        if outer == member:
            yield Problem("groups", f"group {member!r} is a member of itself; take it out")
        elif outer is None and len(seen) - 1 > MAX_NESTED:
            yield Problem(
                "groups",
                f"{member!r} is inside of {len(seen) - 1} groups, one in the other, and may be in"
                f" {MAX_NESTED}; make the inner ones members of the outer ones",
            )
            return


def _edges_into_members(plan: Plan) -> Iterator[Problem]:
    for before, after in plan.edges:
        group = plan.group_of.get(after)
        # An edge back to the member from its own chain stays within the branch.
        if group is not None and before != after and before not in reached(plan, after):
            yield Problem(
                "edges",
                f"the edge from {before!r} leads into {after!r}, a member of group {group!r}; "
                f"draw it to the group: {before} >> {group}",
            )


def _exits(plan: Plan) -> Iterator[Problem]:
    """Find tasks with edges in the flow that stand before the end of a fragment (T8)."""
    for node in plan.nodes:
        if not isinstance(node, Exit):
            continue
        if plan.successors[node.id] or node.id in plan.group_of:
            yield Problem(
                "edges",
                f"task {node.id!r} has edges in the workflow and can only end what is built here; "
                f"make an instance of its own: {node.id}(task_id=…)",
            )
        if node.id in plan.start:
            yield Problem(
                "start",
                f"task {node.id!r} has edges in the workflow: going on with it is a jump, "
                f"next_task({node.id})",
            )


def _limits(plan: Plan) -> Iterator[Problem]:
    if plan.max_steps < 1:
        yield Problem("maxSteps", f"maxSteps is {plan.max_steps}; it must be at least 1")
    if not plan.start:
        yield Problem("start", "no start node is given; name one")
    for start in plan.start:
        if start in plan.group_of:
            yield Problem(
                "start",
                f"start node {start!r} is a member of group {plan.group_of[start]!r}; "
                "start the group",
            )
