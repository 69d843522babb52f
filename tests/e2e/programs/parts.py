"""Made tasks that take a while, each saying once that it ran, in two passes of their maker."""

import time

from graflow import parallel, task, workflow


@task
def slow(n):
    print(f"ran {n}", flush=True)
    time.sleep(3)
    return n


@task
def total(members):
    return sum(members.values())


@task(inject_context=True)
def make(ctx, first=0):
    print(f"made {first}", flush=True)
    group = parallel(*(slow(task_id=f"s{n}", n=n) for n in range(first, first + 6)))
    ctx.next_task(group.set_group_name(f"g{first}") >> total(task_id=f"t{first}"))
    if first == 0:
        ctx.next_iteration(6, reason="six more")
    return first


@task(inject_context=True)
def last(ctx):
    return ctx.get_result("t0") + ctx.get_result("t6")


if __name__ == "__main__":
    with workflow("parts") as wf:
        make >> last
        print(wf.execute())
