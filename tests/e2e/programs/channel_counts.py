"""Five pods that count up together, and say how long an operation took them."""

import json
import time

from graflow import parallel, task, workflow

TIMES = 100


@task(inject_context=True)
def alone(ctx):
    return measured(ctx.get_channel(), "alone")


@task(inject_context=True)
def count(ctx, n):
    return measured(ctx.get_channel(), "total")


def measured(channel, key):
    began = time.perf_counter()
    for _ in range(TIMES):
        channel.atomic_add(key)
    adding = (time.perf_counter() - began) / TIMES * 1000
    began = time.perf_counter()
    for _ in range(TIMES):
        channel.get(key)
    return {"add_ms": adding, "get_ms": (time.perf_counter() - began) / TIMES * 1000}


@task
def timings(alone, counters):
    return {"alone": alone, **counters}


if __name__ == "__main__":
    with workflow("channel-counts") as wf:
        group = parallel(*(count(task_id=f"c{n}", n=n) for n in range(5)))
        _ = alone >> group.set_group_name("counters") >> timings
        value, context = wf.execute(ret_context=True)
        print(json.dumps(value))
        print(context.get_channel().get("total"), context.channel.keys())
