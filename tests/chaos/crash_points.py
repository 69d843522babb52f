"""Stop the operator at every point, in memory; write what came of it to docs/concepts.

With a case and points it plays that one run: what a failure prints is what repeats it.
"""

import argparse
import gc
import json
import os
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing.util import Finalize
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.crashes import cases, page, scene, script, timeline
from support.crashes.points import Sample, Tally, Trial
from support.crashes.process import Point
from support.crashes.scene import Scene
from support.crashes.script import Script

PART_S = 20.0
"""Of processor time, about: so long takes a part of the work that one process does at a time."""

SHOWN, WORDS = 5, 1000
"""Violations of one program that are printed, and letters of each."""


def main():
    _fix_hashes()
    given = _parser().parse_args()
    scene.quiet()
    if given.at:
        return _one(given)
    wanted = given.cases or cases.names()
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="graflow-crash-") as folder,
        ProcessPoolExecutor(given.jobs, initializer=_begin, initargs=(folder,)) as pool,
    ):
        tally, lengths = _tried_all(pool, wanted, given)
    runs, took_s = tally.runs.total(), time.monotonic() - began
    print(f"{runs} runs in {took_s:.0f} s, seed {given.seed}: {len(tally.broken)} violations")
    if given.page:
        page.write(tally, lengths, seed=given.seed, most=given.most)
    return 1 if tally.broken else 0


def _fix_hashes():
    """Begin again with a fixed order of sets, so that a command goes the same way each time."""
    if os.environ.get("PYTHONHASHSEED") != "0":
        os.execve(
            sys.executable, [sys.executable, *sys.argv], {**os.environ, "PYTHONHASHSEED": "0"}
        )


def _parser():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", help="programs; all of them when none is given")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--at", action="append", default=[], help="before:NUMBER or after:NUMBER")
    parser.add_argument("--deed", choices=script.DEEDS, default=script.KILL, help="what is done")
    parser.add_argument("--long", action="store_true", help="away for longer than runners try")
    parser.add_argument("--most", type=int, help="runs of each kind and program; all by default")
    parser.add_argument("--first", action="store_true", help="one broken promise is enough")
    parser.add_argument("--jobs", type=int, default=2, help="processes at work")
    parser.add_argument("--dry", action="store_true", help="only say how long it would take")
    parser.add_argument("--page", action="store_true", help="write the table of the docs")
    parser.add_argument("--log", action="store_true", help="show what the operator logs")
    return parser


def _one(given):
    points = tuple(_point(text) for text in given.at)
    done = Script(given.seed, points, deed=given.deed, long=given.long)
    if given.log:
        scene.loud()
    [name] = given.cases
    played = Scene(cases.case(name), done)
    seen = timeline.run(played.play(), str(played))
    for number, effects in enumerate(seen.effects, 1):
        told = ", ".join(f"{n} {kind}" for n, kind in enumerate(effects, 1))
        print(f"operator {number}: {told}")
    print(json.dumps(seen.outcome, indent=1))
    for promise, words in seen.violations:
        print(f"{promise}: {words}")
    return 1 if seen.violations else 0


def _point(text):
    when, _, number = text.partition(":")
    return Point(int(number), after=when == "after")


@dataclass(frozen=True)
class Length:
    """What is to be done for one program."""

    name: str
    tasks: int
    effects: int
    run_s: float
    """Of processor time, for a run."""

    runs: int
    sample: Sample

    @property
    def cost_s(self):
        return self.runs * self.run_s

    @property
    def parts(self):
        return 1 + int(self.cost_s / PART_S)


def _tried_all(pool, wanted, given):
    """Try all programs, the longest first; return what came of it, and how long each is."""
    how = (given.seed, given.most, given.first)
    lengths = list(pool.map(_measured, wanted, *([each] * len(wanted) for each in how)))
    lengths.sort(key=lambda length: -length.cost_s)
    _say_what_is_to_be_done(lengths, given.jobs)
    if given.dry:
        return Tally(), lengths
    jobs = {}
    for length in lengths:
        for part in range(length.parts):
            job = pool.submit(_tried, length.name, (part, length.parts), *how)
            jobs[job] = length
    whole, tallies, left = Tally(), {n.name: Tally() for n in lengths}, Counter(jobs.values())
    for job in as_completed(jobs):
        length = jobs[job]
        tallies[length.name].add(job.result())
        left[length] -= 1
        if not left[length]:
            _report(length.name, tallies[length.name])
            whole.add(tallies[length.name])
    return whole, lengths


def _say_what_is_to_be_done(lengths, jobs):
    for length in lengths:
        print(
            f"{length.name}: {length.tasks} tasks, {length.effects} effects,"
            f" {length.runs} runs of {length.run_s:.2f} s"
        )
    cost_s = sum(length.cost_s for length in lengths)
    runs = sum(length.runs for length in lengths)
    print(f"about {runs} runs, {cost_s:.0f} s of processor time, {cost_s / jobs:.0f} s in all")
    sys.stdout.flush()


def _report(name, found):
    print(f"{name}: {found.runs.total()} runs, {len(found.broken)} violations")
    for promise, words, command in found.broken[:SHOWN]:
        print(f"  {promise}: {words[:WORDS]}\n    {command}")
    sys.stdout.flush()


# -- in the processes at work ---------------------------------------------------------------------


def _begin(folder):
    tempfile.tempdir = folder
    scene.quiet()
    # Before the queues go, or else this process waits for the one that plays tasks.
    Finalize(None, _leave, exitpriority=100)


def _leave():
    while _at_hand:
        _at_hand.pop().player.close()


def _measured(name, seed, most, hasty):
    """Return how long a program is: it is run twice, and the second time is what counts."""
    case = _case(name)
    trial = _trial(case, seed, most)
    began = time.process_time()
    _trial(case, seed, most)
    took_s = time.process_time() - began
    tasks = len(case.workflow["spec"].get("tasks", ()))
    return Length(name, tasks, len(trial.effects), took_s, trial.how_many(), trial.sample)


def _tried(name, part, seed, most, hasty):
    """Try a part of the points of one program."""
    return _trial(_case(name), seed, most, hasty=hasty, part=part).all()


def _trial(case, seed, most, **more):
    sample = Sample.of(most) if most else None
    return Trial(case, seed, sample=sample, **more)


_at_hand = []


def _case(name):
    """Return a program; what the one before has running is ended."""
    found = cases.case(name)
    if not any(one is found for one in _at_hand):
        _leave()
        _at_hand.append(found)
        gc.collect()
        gc.freeze()  # none of it will ever go
    return found


if __name__ == "__main__":
    sys.exit(main())
