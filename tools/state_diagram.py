"""The diagrams of docs/concepts/state-machine.md: what phases follow which, seen in the machine.

Nothing of a diagram is written by hand. Small programs are run through `reduce` breadth first, with
every fact that a host may report at each state; whenever a phase changes, the pair of phases and
the fact are noted, and what was noted is drawn.

    python tools/state_diagram.py            writes the diagrams into the page
    python tools/state_diagram.py --check    fails when the page shows others
"""

import re
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from graflow.machine.directives import Cancel, Directive, Iterate, Jump, Spawn, Terminate
from graflow.machine.events import (
    AttemptClaimed,
    AttemptFailed,
    AttemptLost,
    AttemptSucceeded,
    CancelRequested,
    Event,
    RunFailed,
    RunStarted,
    TimerFired,
)
from graflow.machine.objections import objection
from graflow.machine.plan import BestEffort, Custom, GroupPlan, Plan, Retry, TaskPlan
from graflow.machine.reducer import reduce
from graflow.machine.scopes import node_of
from graflow.machine.state import Activation, Error, Phase, State

PAGE = Path(__file__).parents[1] / "docs" / "concepts" / "state-machine.md"
NOWHERE = "[*]"
MOST_STATES = 150
"""States looked at for each program. Four times as many show nothing more."""

DECISIONS: tuple[tuple[Directive, ...], ...] = (
    (),
    (Spawn(Plan((TaskPlan("d"),), (), ("d",))),),
    (Jump("b"),),
    (Iterate(),),
    (Terminate(""),),
    (Cancel(""),),
)
"""What tasks decide."""

Changes: TypeAlias = dict[tuple[str, str], dict[str, None]]
"""For each pair of phases the facts that led from one to the other, in the order first seen."""


def programs() -> Iterator[Plan]:
    """Yield small programs with everything that activations can meet."""
    at_once, later = Retry(2), Retry(2, initial_s=5.0)
    for retry in (at_once, later):
        a, b = TaskPlan("a", retry, max_losses=1), TaskPlan("b", max_losses=1)
        yield Plan((a, b), (("a", "b"),), ("a", "b"), max_steps=3)
        for group in (
            GroupPlan("G", ("a",), retry=retry),
            GroupPlan("G", ("a",), BestEffort()),
            GroupPlan("G", ("a",), Custom(), retry),
        ):
            yield Plan((a, group), (), ("G",), max_steps=2)
            yield Plan((a, b, group), (("G", "b"),), ("G",), max_steps=4)
            yield Plan((a, b, group), (("b", "G"),), ("G", "b"), max_steps=5)


def facts(plan: Plan, state: State) -> Iterator[tuple[Event, str]]:
    """Yield all that a host may report at a state, with what to call it."""
    yield RunStarted(0.0), "RunStarted"
    yield TimerFired(1e9), "TimerFired"
    yield CancelRequested("", 0.0), "CancelRequested"
    yield RunFailed(Error("Invalid", ""), 0.0), "RunFailed"
    for n, activation in state.activations.items():
        attempt = activation.attempt
        yield AttemptClaimed(n, attempt, "pod", 0.0), "AttemptClaimed"
        for retryable in (True, False):
            error = Error("TaskFailed", "", retryable=retryable)
            yield AttemptFailed(n, attempt, error, 0.0), "AttemptFailed"
        yield AttemptLost(n, attempt, Error("PodLost", ""), 0.0), "AttemptLost"
        for decided in DECISIONS:
            if objection(plan, state, activation, decided) is None:
                name = " with ".join(("AttemptSucceeded", *(type(d).__name__ for d in decided)))
                yield AttemptSucceeded(n, attempt, None, 0.0, decided), name


@dataclass
class Seen:
    """The changes of phases that were seen."""

    tasks: Changes = field(default_factory=dict)
    groups: Changes = field(default_factory=dict)
    runs: Changes = field(default_factory=dict)

    def note(self, plan: Plan, before: State, after: State, event: Event, name: str) -> None:
        """Note every phase that a fact has changed."""
        if before.phase is not after.phase:
            self.runs.setdefault((before.phase, after.phase), {})[name] = None
        about = getattr(event, "activation", None)
        for number in before.activations.keys() | after.activations.keys():
            old, new = before.activations.get(number), after.activations.get(number)
            pair = (_phase(old), _phase(new))
            if pair[0] == pair[1]:
                continue
            state, activation = (before, old) if old else (after, new)
            assert activation is not None
            group = isinstance(node_of(plan, state, activation), GroupPlan)
            told = name if about in {None, number} else "another's report"
            (self.groups if group else self.tasks).setdefault(pair, {})[told] = None


def _phase(activation: Activation | None) -> str:
    return NOWHERE if activation is None else str(activation.phase)


def explore(plan: Plan, seen: Seen) -> None:
    """Run a program breadth first with every fact, and note what is seen."""
    begun = State()
    known = {_shape(begun)}
    todo = deque([begun])
    while todo:
        state = todo.popleft()
        for event, name in facts(plan, state):
            after = reduce(plan, state, event)
            if after is state:
                continue
            seen.note(plan, state, after, event, name)
            shape = _shape(after)
            if shape not in known and not after.phase.ended and len(known) < MOST_STATES:
                known.add(shape)
                todo.append(after)


def _shape(state: State) -> object:
    """Return what a state is like: which nodes are in which phase, and where nothing more begins.

    States of one shape go on alike as far as phases are concerned, so one of them is enough.
    """
    return (
        state.steps,
        frozenset(
            (a.node, a.phase, a.failures, a.losses, bool(state.scopes[a.scope].failure))
            for a in state.activations.values()
        ),
        frozenset((bool(s.failure), s.ended, *s.tokens) for s in state.scopes.values()),
    )


def diagram(changes: Changes, phases: Iterable[str]) -> str:
    """Return changes as a mermaid state diagram, phases in their order of declaration."""
    order = {phase: n for n, phase in enumerate((NOWHERE, *phases))}
    lines = ["```mermaid", "stateDiagram-v2"]
    for (before, after), names in sorted(
        changes.items(), key=lambda item: (order[item[0][0]], order[item[0][1]])
    ):
        lines.append(f"    {before} --> {after}: {_label(names)}")
    return "\n".join((*lines, "```"))


def _label(names: Iterable[str]) -> str:
    """Return the facts of a change; what a task decided only where it makes the difference."""
    shown = sorted(names)
    return ", ".join(n for n in shown if n.split(" ")[0] == n or n.split(" ")[0] not in shown)


def page(text: str) -> str:
    """Return the page with the diagrams as they are now."""
    seen = Seen()
    for plan in programs():
        explore(plan, seen)
    phases = [str(phase) for phase in Phase]
    run_phases = [before for before, _ in seen.runs] + [after for _, after in seen.runs]
    for name, drawn in (
        ("task", diagram(seen.tasks, phases)),
        ("group", diagram(seen.groups, phases)),
        ("run", diagram(seen.runs, dict.fromkeys(run_phases))),
    ):
        begin, end = f"<!-- generated: {name} -->", "<!-- end -->"
        pattern = re.compile(f"({re.escape(begin)}\n).*?({re.escape(end)})", re.DOTALL)
        text, found = pattern.subn(lambda match, d=drawn: f"{match[1]}{d}\n{match[2]}", text)
        if found != 1:
            raise SystemExit(f"{PAGE} has {found} places {begin} … {end}; it must have one")
    return text


def main(*, check: bool) -> int:
    """Write the diagrams, or say whether they are up to date; return an exit code."""
    before = PAGE.read_text()
    after = page(before)
    if check:
        if after != before:
            print(f"{PAGE} is out of date; run python tools/state_diagram.py", file=sys.stderr)
        return int(after != before)
    PAGE.write_text(after)
    print(f"wrote {PAGE}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(check="--check" in sys.argv[1:]))
