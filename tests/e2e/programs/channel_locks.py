"""A lock keeps two pods apart, and ends with its holder when somebody kills that."""

import time

from graflow import parallel, task, workflow

TIMES = 15


@task(inject_context=True)
def careful(ctx, n):
    channel = ctx.get_channel()
    for _ in range(TIMES):
        with channel.lock("turn", timeout=120):
            seen = channel.get("seen", 0)
            time.sleep(0.02)
            channel.set("seen", seen + 1)
    return n


@task(inject_context=True)
def holder(ctx):
    channel = ctx.get_channel()
    if channel.exists("held"):
        return "second attempt"
    with channel.lock("door"):
        channel.set("held", 1)
        print("held", flush=True)
        time.sleep(600)
    return "nobody killed it"


@task(inject_context=True)
def waiter(ctx):
    channel = ctx.get_channel()
    while not channel.exists("held"):
        time.sleep(0.1)
    with channel.lock("door", timeout=120):
        return "in"


@task(inject_context=True)
def told(ctx, all_):
    return [ctx.get_channel().get("seen"), all_["waiter"], all_["holder"]]


if __name__ == "__main__":
    with workflow("channel-locks") as wf:
        members = [careful(task_id=f"c{n}", n=n) for n in range(2)]
        group = parallel(*members, holder, waiter).set_group_name("all_")
        _ = group >> told
        print(wf.execute())
