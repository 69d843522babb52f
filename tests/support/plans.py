"""Plans from a line of text, and a host of a few lines that drives them."""

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

from graflow.machine.check import infer_start, problems
from graflow.machine.due import due, next_start
from graflow.machine.events import AttemptClaimed, AttemptFailed, AttemptSucceeded, RunStarted
from graflow.machine.plan import GroupPlan, Plan, Retry, Strict, TaskPlan
from graflow.machine.reducer import reduce
from graflow.machine.state import Activation, Error, State

ONCE = Retry()


def plan_of(
    drawing: str,
    groups: Mapping[str, str] | None = None,
    *,
    start: Iterable[str] = (),
    policies: Mapping[str, Any] | None = None,
    retry: Retry = ONCE,
    **limits: int,
) -> Plan:
    """Read `a >> b >> c; b >> d` and groups `{"G": "x y"}` into a checked plan.

    Nodes are declared in the order in which the drawing, then the groups, name them.
    """
    edges: list[tuple[str, str]] = []
    names: dict[str, None] = {}
    for line in drawing.split(";"):
        chain = [name.strip() for name in line.split(">>")]
        names.update(dict.fromkeys(name for name in chain if name))
        edges.extend(pairwise(chain))
    members = {group: tuple(inner.split()) for group, inner in (groups or {}).items()}
    names.update(dict.fromkeys(m for inner in members.values() for m in inner))
    tasks = [TaskPlan(name, retry) for name in names if name not in members]
    nodes = (
        *tasks,
        *(GroupPlan(g, inner, (policies or {}).get(g, Strict())) for g, inner in members.items()),
    )
    starts = tuple(start) or infer_start(nodes, edges)
    assert isinstance(starts, tuple), starts
    plan = Plan(nodes, tuple(edges), starts, **limits)
    assert not problems(plan), problems(plan)
    return plan


class Host:
    """Runs attempts in the order in which they are due, or as the test says."""

    def __init__(self, plan: Plan, *, failing: Iterable[str] = ()) -> None:
        self.plan = plan
        self.failing = set(failing)
        self.ran: list[str] = []
        self.state = reduce(plan, State(), RunStarted(0.0))

    def find(self, node: str) -> Activation:
        """Return the oldest live activation of a node."""
        return next(a for a in self.state.activations.values() if a.node == node)

    def starting(self) -> list[str]:
        """Return the nodes whose attempts are due."""
        return [self.state.activations[number].node for number in self.state.starting]

    def end(self, node: str, value: Any = None) -> None:
        """Let the current attempt of a node begin and end."""
        activation = self.find(node)
        which = (activation.number, activation.attempt)
        self.ran.append(node)
        self.state = reduce(self.plan, self.state, AttemptClaimed(*which, "pod", 0.0))
        event = (
            AttemptFailed(*which, Error("TaskFailed", f"{node} broke"), 0.0)
            if node in self.failing
            else AttemptSucceeded(*which, value or f"{node}#{activation.iteration}", 0.0)
        )
        self.state = reduce(self.plan, self.state, event)

    def go(self) -> "Host":
        """Run all that is due, one after the other, until nothing is."""
        while start := next_start(self.state):
            self.end(self.state.activations[start.activation].node)
        return self

    def due(self) -> tuple[Any, ...]:
        return due(self.plan, self.state)
