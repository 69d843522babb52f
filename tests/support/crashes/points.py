"""Every point at which an operator can be stopped, tried one after the other."""

import random
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, replace

from support.crashes import timeline
from support.crashes.observer import ENDS
from support.crashes.process import Point
from support.crashes.scene import Scene, Script

BEFORE, AFTER, PAIR, ASLEEP, AWAY = "killed before", "killed after", "twice", "asleep", "away long"
FAULTS = (BEFORE, AFTER, PAIR, ASLEEP, AWAY)


@dataclass
class Tally:
    """What was tried with one program, and what came of it."""

    runs: Counter = field(default_factory=Counter)
    """By kind of the effect, and fault."""

    checked: Counter = field(default_factory=Counter)
    """By promise."""

    broken: list = field(default_factory=list)
    """(promise, words, command)."""

    def add(self, other):
        self.runs.update(other.runs)
        self.checked.update(other.checked)
        self.broken += other.broken


class FoundError(Exception):
    """A promise is broken, and that is enough."""


class Trial:
    """All runs of one program under one seed.

    Args:
        case: The program.
        seed: Decides how long everything takes, and what a sample is made of.
        most: Runs of each kind; None: as many as there are.
        hasty: Whether one broken promise is enough.
    """

    def __init__(self, case, seed, *, most=None, hasty=False):
        self._most = most
        self._hasty = hasty
        self._case = case
        self._rng = random.Random(f"{case.name} {seed}")
        self._script = Script(seed)
        self.tally = Tally()
        self.base = self.play(self._script)
        self.effects = self.base.effects[0]

    def play(self, script):
        return timeline.run(Scene(self._case, script).play())

    def _expects(self, seen, script):
        """Note what is wrong with a run."""
        self.tally.checked.update(seen.checked)
        self.tally.checked[ENDS] += 1
        same = ("phase", "completed") if seen.told_twice else self.base.outcome
        if any(seen.outcome[name] != self.base.outcome[name] for name in same):
            words = f"it ended as {seen.outcome} and not as {self.base.outcome}"
            seen.violations.append((ENDS, words))
        command = f"{COMMAND} {self._case.name} {script}"
        self.tally.broken += [(promise, words, command) for promise, words in seen.violations]
        if self._hasty and self.tally.broken:
            raise FoundError

    def _try(self, fault, script):
        """Play a script, and return what was seen."""
        seen = self.play(script)
        self._expects(seen, script)
        first = script.points[0].number
        kind = seen.effects[0][first - 1] or self.effects[min(first, len(self.effects)) - 1]
        self.tally.runs[kind, fault] += 1
        return seen

    def points(self):
        """Return all points of the undisturbed run."""
        numbers = range(1, len(self.effects) + 1)
        return [Point(number, after) for number in numbers for after in (False, True)]

    def all(self):
        """Try everything; return the tally."""
        with suppress(FoundError):
            self._expects(self.base, self._script)
            recoveries = self._singles()
            self._asleep()
            self._pairs(recoveries)
            self._away()
        return self.tally

    def _singles(self):
        """Kill the operator at every point; return what can be done to each recovery."""
        recoveries = []
        for point in self._some(self.points(), self._most):
            script = replace(self._script, points=(point,))
            seen = self._try(AFTER if point.after else BEFORE, script)
            again = seen.effects[1] if len(seen.effects) > 1 else []
            numbers = range(1, len(again) + 1)
            recoveries += [(point, Point(n, after)) for n in numbers for after in (False, True)]
        return recoveries

    def _pairs(self, recoveries):
        """Kill the successor as well, at points of its recovery."""
        for pair in self._some(recoveries, self._most or PAIRS):
            self._try(PAIR, replace(self._script, points=pair))

    def _asleep(self):
        """Let the operator sleep at a point, and wake when another one has taken over."""
        for point in self._some(self.points(), self._most):
            self._try(ASLEEP, replace(self._script, points=(point,), sleeps=True))

    def _away(self):
        """Kill the operator, and let nobody be there for longer than runners try."""
        for point in self._some(self.points(), self._most or AWAYS):
            self._try(AWAY, replace(self._script, points=(point,), long=True))

    def _some(self, points, most):
        if most is None or len(points) <= most:
            return points
        return self._rng.sample(points, most)


PAIRS, AWAYS = 150, 30
"""Of one program, where as many as there are were asked for; there are thousands of pairs."""

COMMAND = ".venv/bin/python tests/chaos/crash_points.py"
