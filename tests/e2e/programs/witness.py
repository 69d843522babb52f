"""Tasks that meet with faults; those that wait for one leave marks of which attempt ran when."""

import ctypes
import os
import time
from pathlib import Path

from graflow import parallel, task, workflow


@task(inject_context=True)
def linger(context):
    """Stay for ever in the first attempt, for a moment in later ones.

    Returns the marks: the number of an attempt where it runs, the same below zero where it left.
    An attempt that sees another one's mark after its own puts its own once more, so that two that
    run at once are not overlooked.
    """
    channel, me = context.get_channel(), int(os.environ["ATTEMPT"])
    try:
        until = time.monotonic() + (2 if me > 1 else 3600)
        while time.monotonic() < until:
            if (channel.get("marks") or [0])[-1] != me:
                channel.append("marks", me)
                print("marked", flush=True)
            time.sleep(0.3)
        return channel.get("marks")
    finally:
        time.sleep(1)
        channel.append("marks", -me)


@task
def quick():
    return "done"


@task
def sleeps():
    time.sleep(3600)


@task
def raises():
    return 1 / 0


@task
def eats():
    return len(b"x" * 512 * 1024 * 1024)


@task
def spills():
    Path("/tmp/spilled").write_bytes(b"x" * 64 * 1024 * 1024)
    time.sleep(3600)


@task
def exits_with_0():
    os._exit(0)


@task
def exits_with_3():
    os._exit(3)


@task
def reads_nowhere():
    ctypes.string_at(0)


if __name__ == "__main__":
    with workflow("witness") as wf:
        parallel(
            *(linger, quick, sleeps, raises, eats),
            *(spills, exits_with_0, exits_with_3, reads_nowhere),
        )
        wf.execute()
