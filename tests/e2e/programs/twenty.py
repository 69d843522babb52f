"""Twenty tasks that take a while, each saying once that it ran."""

import time

from graflow import parallel, task, workflow


@task
def member(n: int):
    print(f"ran {n}", flush=True)
    time.sleep(4)
    return n


@task
def total(members):
    return sum(members.values())


if __name__ == "__main__":
    with workflow("twenty") as wf:
        group = parallel(*(member(task_id=f"m{n}", n=n) for n in range(20)))
        group.set_group_name("members") >> total
        print(wf.execute())
