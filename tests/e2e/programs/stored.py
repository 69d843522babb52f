"""A run whose value, channel and history need the store."""

import hashlib

from graflow import task, workflow


@task
def large():
    return "x" * 400_000


@task(inject_context=True)
def counts(ctx, large):
    channel = ctx.get_channel()
    for n in range(5):
        channel.atomic_add("total")
        channel.set(f"text-{n}", "y" * 2_000)
    return {"total": channel.get("total"), "seen": len(large)}


@task(inject_context=True)
def judged(ctx, counts, large):
    texts = [ctx.get_channel().get(f"text-{n}") for n in range(5)]
    sha256 = hashlib.sha256((large + "".join(texts)).encode()).hexdigest()
    return {**counts, "sha256": sha256}


if __name__ == "__main__":
    with workflow("stored") as wf:
        large >> counts >> judged
        print(wf.execute())
