"""Fails at its third task until the channel's key `limit` is large enough; counts what ran."""

from graflow import task, workflow


def count(ctx) -> None:
    ctx.get_channel().atomic_add(f"ran:{ctx.task_id}")


@task(inject_context=True)
def extract(ctx):
    count(ctx)
    return ["x" * 3000] * 3


@task(inject_context=True)
def transform(ctx, extract):
    count(ctx)
    ctx.checkpoint({"rows": len(extract)}, path="transformed")
    return [len(row) for row in extract]


@task(inject_context=True)
def load(ctx, transform):
    count(ctx)
    limit = ctx.get_channel().get("limit")
    if len(transform) > limit:
        raise ValueError(f"{len(transform)} rows, and {limit} are allowed")
    return sum(transform)


@task(inject_context=True)
def report(ctx, load):
    count(ctx)
    channel = ctx.get_channel()
    names = ("extract", "transform", "load", "report")
    return {"sum": load, "ran": {name: channel.get(f"ran:{name}") for name in names}}


if __name__ == "__main__":
    with workflow("mended") as wf:
        extract >> transform >> load >> report
        print(wf.execute(initial_channel={"limit": 2}))
