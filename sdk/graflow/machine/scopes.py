"""Which plan names the nodes of a scope, and names that are the same on every host."""

from collections.abc import Iterator

from graflow.machine.plan import NodePlan, Plan
from graflow.machine.state import RUN_SCOPE, Activation, Scope, State


def plan_at(plan: Plan, state: State, scope: int) -> Plan:
    """Return the plan that names the nodes of a scope: the run's, or that of a fragment."""
    home = state.scopes[scope].home
    return plan if home == RUN_SCOPE else state.scopes[home].plan or plan


def node_of(plan: Plan, state: State, activation: Activation) -> NodePlan:
    """Return the node that an activation is of."""
    return plan_at(plan, state, activation.scope).by_id[activation.node]


def outward(state: State, scope: int) -> Iterator[Scope]:
    """Yield a scope and those around it, the run last."""
    while True:
        found = state.scopes[scope]
        yield found
        if scope == RUN_SCOPE:
            return
        scope = found.parent


def groups_around(state: State, scope: int) -> tuple[str, ...]:
    """Return the groups in whose branches a scope lies, the innermost first."""
    if scope == RUN_SCOPE:
        return ()
    return tuple(found.path[-1][0] for found in outward(state, scope) if found.path)


def identity(state: State, activation: Activation) -> str:
    """Return a text that names an activation alike on every host: where it stands, and its pass.

    >>> from graflow.machine.events import RunStarted
    >>> from graflow.machine.plan import TaskPlan
    >>> from graflow.machine.reducer import reduce
    >>> plan = Plan((TaskPlan("fetch"),), start=("fetch",))
    >>> state = reduce(plan, State(), RunStarted(0.0))
    >>> identity(state, state.activations[1])
    'fetch#1'
    """
    scope = activation.scope
    own = f"{activation.node}#{activation.iteration}"
    if scope == RUN_SCOPE:
        return own
    parts = [own]
    while scope != RUN_SCOPE:
        found = state.scopes[scope]
        owner = state.activations[found.owner]
        parts.append(f"{owner.node}#{owner.iteration}/{found.call}")
        scope = found.parent
    return "/".join(reversed(parts))
