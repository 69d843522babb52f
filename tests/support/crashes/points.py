"""Every point at which something can be done to a run, tried one after the other."""

import random
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, replace

from support.crashes import script, timeline
from support.crashes.process import Point
from support.crashes.promises import ENDS
from support.crashes.scene import Scene, Seen
from support.crashes.script import Script

BEFORE, AFTER, PAIR, ASLEEP, AWAY = "killed before", "killed after", "twice", "asleep", "away long"
CUT, DELETED, FORCED, CANCELLED = "cut off", "pod deleted", "pod forced away", "run cancelled"
FAULTS = (BEFORE, AFTER, PAIR, CUT, ASLEEP, AWAY, DELETED, FORCED, CANCELLED)
SINGLE = {
    BEFORE: (script.KILL, (False,)),
    AFTER: (script.KILL, (True,)),
    CUT: (script.CUT, (False,)),
    ASLEEP: (script.SLEEP, (False, True)),
    AWAY: (script.KILL, (False, True)),
    DELETED: (script.DELETE, (False,)),
    FORCED: (script.FORCE, (False,)),
    CANCELLED: (script.CANCEL, (False,)),
}
"""What is done, and whether before or after an effect (after one is before the next one)."""

KILLS = (BEFORE, AFTER, CUT, PAIR)
"""Under one seed, since pairs are made of the others; each other fault has one of its own."""


@dataclass(frozen=True)
class Sample:
    """How many points of a program are tried; None: as many as there are."""

    kills: int | None = None
    """Of those killed before an effect, and of those killed after it."""

    pairs: int | None = None
    away: int | None = None
    others: int | None = None
    """Of each other fault."""

    @classmethod
    def of(cls, most):
        return cls(most, most, most, most)

    def size(self, fault):
        """Return how many points of a fault are tried."""
        sizes = {BEFORE: self.kills, AFTER: self.kills, PAIR: self.pairs, AWAY: self.away}
        return sizes.get(fault, self.others)


FEW_TASKS, MANY_EFFECTS = 3, 120
LONG = Sample(pairs=30, away=10, others=30)
SMALL = Sample(pairs=300, away=30)
OTHERS = Sample(pairs=100, away=20)
SAMPLES = (SMALL, OTHERS, LONG)


def sample_of(case, effects):
    """Return how much of a program is tried where as much as possible is asked for."""
    if effects > MANY_EFFECTS:
        return LONG
    return SMALL if len(case.workflow["spec"].get("tasks", ())) <= FEW_TASKS else OTHERS


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
    """Runs of one program under one seed.

    Args:
        case: The program.
        seed: Decides how long everything takes, and what a sample is made of.
        sample: How many points; None: as the program's length allows.
        hasty: Whether one broken promise is enough.
        part: (k, n): only each n-th of the points, from the k-th on.
    """

    def __init__(self, case, seed, *, sample=None, hasty=False, part=(0, 1)):
        self._hasty = hasty
        self._case = case
        self._seed = str(seed)
        self._part, self._parts = part
        self._bases = {}
        self.tally = Tally()
        self.effects = self._base(BEFORE).effects[0]
        self.sample = sample or sample_of(case, len(self.effects))

    def all(self):
        """Try everything; return the tally."""
        with suppress(FoundError):
            recoveries = []
            for fault in SINGLE:
                recoveries += self._singles(fault)
            self._pairs(recoveries)
        return self.tally

    def how_many(self):
        """Return about how many runs that is, of all parts."""
        found = self.sample.pairs or 0
        for fault, (_, whens) in SINGLE.items():
            points = len(whens) * len(self.effects)
            found += min(points, self.sample.size(fault) or points)
        return found

    def points(self, fault):
        """Return the points that are tried, all parts of them."""
        _, whens = SINGLE[fault]
        numbers = range(1, len(self._base(fault).effects[0]) + 1)
        points = [Point(number, after) for number in numbers for after in whens]
        size = self.sample.size(fault)
        if size is None or len(points) <= size:
            return points
        return random.Random(f"{self._case.name} {self._seed} {fault}").sample(points, size)

    def _singles(self, fault):
        """Do one thing at every point; return what can be done to the recoveries of the killed."""
        deed, _ = SINGLE[fault]
        recoveries = []
        for point in self.points(fault)[self._part :: self._parts]:
            seed = self._seed_of(fault)
            done = Script(seed, (point,), deed=deed, long=fault == AWAY)
            seen = self._try(fault, done)
            if fault in KILLS and len(seen.effects) > 1:
                numbers = range(1, len(seen.effects[1]) + 1)
                again = [Point(n, after) for n in numbers for after in (False, True)]
                recoveries += [replace(done, points=(point, second)) for second in again]
        return recoveries

    def _pairs(self, recoveries):
        """Kill the successor as well, at points of its recovery."""
        size = self.sample.size(PAIR)
        if size is not None:
            mine = range(size)[self._part :: self._parts]
            size = min(len(mine), len(recoveries))
            drawn = random.Random(f"{self._case.name} {self._seed} {PAIR} {self._part}")
            recoveries = drawn.sample(recoveries, size)
        for pair in recoveries:
            self._try(PAIR, pair)

    def _seed_of(self, fault):
        return self._seed if fault in KILLS else f"{self._seed}.{FAULTS.index(fault)}"

    def _base(self, fault):
        """Return the undisturbed run that has the same beginning."""
        seed = self._seed_of(fault)
        if seed not in self._bases:
            undisturbed = Script(seed)
            seen = self._bases[seed] = self._play(undisturbed)
            self._note(seen, undisturbed)
        return self._bases[seed]

    def _base_of(self, fault, answers):
        """Return the undisturbed run in which people have said the same."""
        base = self._base(fault)
        if base.answers == answers:
            return base
        said = repr(sorted(answers.items()))
        if said not in self._bases:
            self._bases[said] = self._play(Script(self._seed), answers)
        return self._bases[said]

    def _play(self, done, answers=None):
        scene = Scene(self._case, done, answers)
        try:
            return timeline.run(scene.play(), str(scene))
        except Exception as error:  # noqa: BLE001 - of the operator, or of this world
            return Seen({}, [(ENDS, f"it broke off: {error!r}")], [[]])

    def _try(self, fault, done):
        """Play a script, and return what was seen."""
        base, seen = self._base(fault), self._play(done)
        if seen.outcome:
            if not seen.reached:
                seen.violations.append((ENDS, "it went another way under the same seed"))
            if words := _storm(base, seen):
                seen.violations.append((ENDS, words))
            base = self._base_of(fault, seen.answers)
            same = self._case.ends or tuple(base.outcome)
            if words := _difference(base, seen, same, may_be_cancelled=fault == CANCELLED):
                seen.violations.append((ENDS, words))
        self._note(seen, done)
        if self._hasty and self.tally.broken:
            raise FoundError
        number = done.points[0].number
        kinds = next(found for found in (seen.effects[0], base.effects[0]) if len(found) >= number)
        self.tally.runs[kinds[number - 1] or base.effects[0][number - 1], fault] += 1
        return seen

    def _note(self, seen, done):
        self.tally.checked.update(seen.checked)
        self.tally.checked[ENDS] += 1
        command = f"{COMMAND} {self._case.name} {done}"
        self.tally.broken += [(promise, words, command) for promise, words in seen.violations]


def _storm(base, seen):
    """Return how much more the operators did than undisturbed; empty if that is in order."""
    most, did = STORM * (10 + len(base.effects[0])), sum(map(len, seen.effects))
    kinds = Counter(kind for effects in seen.effects for kind in effects)
    return f"it took {did} effects: {kinds.most_common(3)}" if did > most else ""


STORM = 5
"""So many times as many effects as undisturbed are too many."""


def _difference(base, seen, same, *, may_be_cancelled):
    """Return in what a run ended otherwise than undisturbed; empty if in nothing that counts.

    Args:
        base: The undisturbed run.
        seen: The run.
        same: What of its end counts.
        may_be_cancelled: Whether it may have been cancelled.
    """
    if may_be_cancelled and seen.outcome["phase"] == "Cancelled":
        return ""
    same = ("phase", "completed") if seen.told_twice else same
    if base.outcome and all(seen.outcome[name] == base.outcome[name] for name in same):
        return ""
    return f"it ended as {seen.outcome} and not as {base.outcome}"


COMMAND = ".venv/bin/python tests/chaos/crash_points.py"
