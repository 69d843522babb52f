"""Plans from a line of text, and a host of a few lines that drives them."""

import json
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

from graflow.machine.check import infer_start, problems
from graflow.machine.codec import decode, encode
from graflow.machine.directives import Directive
from graflow.machine.due import due
from graflow.machine.events import (
    AttemptClaimed,
    AttemptFailed,
    AttemptLost,
    AttemptSucceeded,
    Event,
    RunStarted,
    TimerFired,
)
from graflow.machine.plan import Exit, GroupPlan, Plan, Retry, Strict, TaskPlan
from graflow.machine.reducer import reduce
from graflow.machine.state import Activation, Error, State

ONCE = Retry()


def plan_of(  # noqa: PLR0913  one keyword for each thing that tests vary
    drawing: str,
    groups: Mapping[str, str] | None = None,
    *,
    start: Iterable[str] = (),
    policies: Mapping[str, Any] | None = None,
    retry: Retry = ONCE,
    again: Mapping[str, Retry] | None = None,
    **limits: int,
) -> Plan:
    """Read `a >> b >> c; b >> d` and groups `{"G": "x y"}` into a checked plan.

    Nodes are declared in the order in which the drawing, then the groups, name them. `again` gives
    the retries of groups.
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
        *(
            GroupPlan(g, inner, (policies or {}).get(g, Strict()), (again or {}).get(g, ONCE))
            for g, inner in members.items()
        ),
    )
    starts = tuple(start) or infer_start(nodes, edges)
    assert isinstance(starts, tuple), starts
    plan = Plan(nodes, tuple(edges), starts, **limits)
    assert not problems(plan), problems(plan)
    return plan


def fragment(text: str, groups: dict[str, str] | None = None, exits: tuple[str, ...] = ()) -> Plan:
    """Return a piece of graph drawn as `a >> b; c`; it begins wherever no edge leads to."""
    names = [name.strip() for line in text.split(";") for name in line.split(">>")]
    drawn = plan_of(text, groups, start=names[:1])
    entered = {after for _, after in drawn.edges}
    roots = [n.id for n in drawn.nodes if n.id not in entered and n.id not in drawn.group_of]
    nodes = tuple(node for node in drawn.nodes if node.id not in exits)
    return Plan((*nodes, *(Exit(name) for name in exits)), drawn.edges, tuple(roots))


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

    def end(self, node: str, *decided: Directive, value: Any = None) -> None:
        """Let the current attempt of a node begin and end."""
        activation = self.find(node)
        if node in self.failing:
            self.ran.append(node)
            self.fail(node, f"{node} broke")
            return
        self.claim(node)
        self.ran.append(node)
        value = value or f"{node}#{activation.iteration}"
        self.hear(AttemptSucceeded(activation.number, activation.attempt, value, 0.0, decided))

    def hear(self, event: Event) -> None:
        """Fold a fact."""
        self.state = reduce(self.plan, self.state, event)

    def claim(self, node: str) -> None:
        """Let the current attempt of a node begin."""
        activation = self.find(node)
        self.hear(AttemptClaimed(activation.number, activation.attempt, "pod", 0.0))

    def fail(self, node: str, message: str = "boom") -> None:
        """Let the current attempt of a node begin and fail."""
        self.claim(node)
        self.hear_failure(node, message)

    def hear_failure(self, node: str, message: str = "boom", *, retryable: bool = True) -> None:
        """Let the current attempt of a node fail, claimed or not."""
        activation = self.find(node)
        error = Error("TaskFailed", message, retryable=retryable)
        self.hear(AttemptFailed(activation.number, activation.attempt, error, 0.0))

    def lose(self, node: str) -> None:
        """Let the current attempt of a node begin and be lost."""
        self.claim(node)
        activation = self.find(node)
        error = Error("PodLost", "gone")
        self.hear(AttemptLost(activation.number, activation.attempt, error, 0.0))

    def wake(self) -> None:
        """Let all the time pass that anything waits for."""
        self.hear(TimerFired(max(command.at for command in self.due() if hasattr(command, "at"))))

    def reload(self) -> None:
        """Forget everything that is not persisted."""
        self.state = decode(self.plan, json.loads(json.dumps(encode(self.state))))

    def go(self) -> "Host":
        """Run all that is due, one after the other, until nothing is."""
        while not self.state.phase.ended and (starting := self.starting()):
            self.end(starting[0])
        return self

    def due(self) -> tuple[Any, ...]:
        return due(self.plan, self.state)
