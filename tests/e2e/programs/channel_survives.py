"""Tasks that write what they were answered, while the operator is killed."""

import time

from graflow import parallel, task, workflow

TIMES = 80


@task(inject_context=True)
def append(ctx, n):
    channel = ctx.get_channel()
    for item in range(TIMES):
        length = channel.append(f"l{n}", item)
        assert length == item + 1, f"item {item} made the list {length} long"
        channel.atomic_add("total")
        time.sleep(0.05)
    found = channel.get(f"l{n}")
    assert found == list(range(TIMES)), found
    return len(found)


@task(inject_context=True)
def total(ctx, writers):
    return [*writers.values(), ctx.get_channel().get("total")]


if __name__ == "__main__":
    with workflow("channel-survives") as wf:
        group = parallel(*(append(task_id=f"w{n}", n=n) for n in range(3)))
        _ = group.set_group_name("writers") >> total
        print(wf.execute())
