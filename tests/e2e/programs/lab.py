"""A run whose second task fails until the channel, or other code, says otherwise."""

import sys

from graflow import task, workflow

FIXED = "fixed" in sys.argv[1:]


@task(inject_context=True)
def prepare(ctx):
    print("preparing")
    ctx.checkpoint(metadata={"rows": 3}, path="prepared")
    return list(range(100_000))  # too large for the status, and for a report


@task(inject_context=True)
def train(ctx, prepare):
    rate = ctx.get_channel().get("rate")
    if rate == 0 and not FIXED:
        raise ValueError("rate 0 trains nothing")
    return [len(prepare), rate, "fixed" if FIXED else "as it was"]


@task
def report(train):
    return train


if __name__ == "__main__":
    with workflow("lab") as wf:
        prepare >> train >> report
        print(wf.execute(initial_channel={"rate": 0}))
