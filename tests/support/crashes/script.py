"""What is done to a run: where, what, and under which seed."""

from dataclasses import dataclass

from support.crashes.process import Point

KILL, SLEEP, CUT = "kill", "sleep", "cut-off"
DELETE, FORCE, CANCEL = "delete-pod", "force-pod", "cancel"
DEEDS = (KILL, SLEEP, CUT, DELETE, FORCE, CANCEL)
"""The operator is killed; it is stopped as by SIGSTOP, and goes on when another has taken over; it
is killed, and one of the run's pods is forced away, whose runner lives on and reaches the store
alone. Or it lives, and somebody deletes a pod; by force, and its runner lives on, and may reach
nothing but the store; `spec.cancel` is set."""


@dataclass(frozen=True)
class Script:
    """What happens to a run.

    Everything up to the first point is drawn by lot under the seed, and so goes the same way in
    each run; from a point on, all that follows is drawn anew, for this run alone.
    """

    seed: int = 0
    points: tuple[Point, ...] = ()
    """Where it happens to the first process; where the second one is killed, and so on."""

    deed: str = KILL
    """What happens at the first point."""

    long: bool = False
    """Whether nobody is there, after a kill, for longer than runners try."""

    @property
    def sleeps(self):
        return self.deed == SLEEP

    @property
    def stops(self):
        """Whether the first point is the end of the first process, or seems to be."""
        return self.deed in (KILL, SLEEP, CUT)

    def seed_from(self, point):
        """Return the seed of what follows a point, counted from 1."""
        passed = " ".join(map(str, self.points[:point]))
        return f"{self.seed} {self.deed} {passed} {self.long}"

    def __str__(self):
        words = [f"--seed {self.seed}", *(f"--at {point}" for point in self.points)]
        if self.deed != KILL:
            words.append(f"--deed {self.deed}")
        if self.long:
            words.append("--long")
        return " ".join(words)
