"""Why the machine cannot take what a task decided, in the words that every host uses."""

from collections.abc import Iterable, Iterator

from graflow.machine.check import hint, problems
from graflow.machine.directives import Directive, Iterate, Jump, Spawn
from graflow.machine.plan import Exit, GroupPlan, Plan, TaskPlan
from graflow.machine.scopes import groups_around, node_of, outward
from graflow.machine.state import Activation, State


def objection(
    plan: Plan, state: State, activation: Activation, directives: Iterable[Directive]
) -> str | None:
    """Return why the directives of an attempt cannot be taken, or None when they can.

    Args:
        plan: Of the run.
        state: In which the activation is alive.
        activation: Whose attempt has succeeded.
        directives: What it decided.
    """
    node = node_of(plan, state, activation)
    if isinstance(node, GroupPlan):
        asked = next(iter(directives), None)
        return None if asked is None else f"the policy of group {node.id!r} cannot decide what runs"
    return next(
        (
            complaint
            for directive in directives
            for complaint in _complaints(plan, state, activation, directive)
        ),
        None,
    )


def _complaints(
    plan: Plan, state: State, activation: Activation, directive: Directive
) -> Iterator[str]:
    match directive:
        case Jump(target=target):
            yield from _unreachable(plan, state, activation, target)
        case Spawn(fragment=fragment):
            yield from _unfit(plan, state, activation, fragment)
        case Iterate():
            node = node_of(plan, state, activation)
            if isinstance(node, TaskPlan) and activation.iteration >= node.max_cycles:
                yield (
                    f"task {node.id!r} asks for another pass after {activation.iteration}; "
                    f"its max_cycles is {node.max_cycles}"
                )
        case _:
            pass


def _unreachable(plan: Plan, state: State, activation: Activation, target: str) -> Iterator[str]:
    known = known_nodes(plan, state, activation.scope)
    if target not in known:
        yield f"task {target!r} is not in the workflow; {hint(target, known)}"
    elif target in groups_around(state, activation.scope):
        yield f"task {activation.node!r} runs in group {target!r} and cannot jump to it"


def _unfit(plan: Plan, state: State, activation: Activation, fragment: Plan) -> Iterator[str]:
    for problem in problems(fragment):
        yield problem.message
    for node in fragment.nodes:
        if isinstance(node, Exit):
            yield from _unreachable(plan, state, activation, node.id)
        elif node.id in plan.placed:
            yield (
                f"task {node.id!r} cannot be made at run time, for the workflow has one of that id "
                "already; give it another"
            )


def known_nodes(plan: Plan, state: State, scope: int) -> dict[str, None]:
    """Return the nodes that a jump from a scope can lead to, the nearest ones first."""
    plans = [
        *(around.plan for around in outward(state, scope) if around.plan is not None),
        plan,
    ]
    return {n.id: None for found in plans for n in found.nodes if not isinstance(n, Exit)}
