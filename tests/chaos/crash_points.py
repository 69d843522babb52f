"""Stop the operator at every point, in memory; write what came of it to docs/concepts.

With a case and points it plays that one run: what a failure prints is what repeats it.
"""

import argparse
import json
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.crashes import cases, page, scene, timeline
from support.crashes.points import Tally, Trial
from support.crashes.process import Point
from support.crashes.scene import Scene, Script


def main():
    given = _parser().parse_args()
    scene.quiet()
    if given.at:
        return _one(given)
    wanted = [given.case] if given.case else cases.names()
    tally, began = Tally(), time.monotonic()
    with ProcessPoolExecutor(given.jobs) as pool:
        jobs = [pool.submit(_tried, name, given.seed, given.most, given.first) for name in wanted]
        for name, job in zip(wanted, jobs, strict=True):
            found, took_s = job.result()
            runs = found.runs.total()
            print(f"{name}: {runs} runs, {runs / took_s:.1f}/s, {len(found.broken)} violations")
            for promise, words, command in found.broken[:SHOWN]:
                print(f"  {promise}: {words[:WORDS]}\n    {command}")
            sys.stdout.flush()
            tally.add(found)
    runs, took_s = tally.runs.total(), time.monotonic() - began
    print(f"{runs} runs in {took_s:.0f} s, seed {given.seed}: {len(tally.broken)} violations")
    if given.page:
        page.write(tally, seed=given.seed, programs=len(wanted), most=given.most)
    return 1 if tally.broken else 0


def _parser():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("case", nargs="?", help="a program; all of them when not given")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--at", action="append", default=[], help="before:NUMBER or after:NUMBER")
    parser.add_argument("--sleeps", action="store_true", help="the first operator is not killed")
    parser.add_argument("--long", action="store_true", help="away for longer than runners try")
    parser.add_argument("--most", type=int, help="runs of each kind and program; all by default")
    parser.add_argument("--first", action="store_true", help="one broken promise is enough")
    parser.add_argument("--jobs", type=int, default=2, help="programs at a time")
    parser.add_argument("--page", action="store_true", help="write the table of the docs")
    parser.add_argument("--log", action="store_true", help="show what the operator logs")
    return parser


def _one(given):
    points = tuple(_point(text) for text in given.at)
    script = Script(given.seed, points, sleeps=given.sleeps, long=given.long)
    if given.log:
        scene.loud()
    seen = timeline.run(Scene(cases.case(given.case), script).play())
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


def _tried(name, seed, most, hasty):
    """Try the points of one program; runs in a process of its own."""
    scene.quiet()
    began = time.monotonic()
    with closing(cases.case(name).player):
        tally = Trial(cases.case(name), seed, most=most, hasty=hasty).all()
    return tally, time.monotonic() - began


SHOWN, WORDS = 5, 1000
"""Violations of one program that are printed, and letters of each."""

if __name__ == "__main__":
    sys.exit(main())
