"""As many tasks as there turn out to be parts: a fan-out that a running task builds.

What `split` builds runs first, each part in a pod of its own on a cluster; then `report`, the
successor that was there from the beginning.
"""

from collections import Counter

from graflow import parallel, task, workflow

TEXT = """
the quick brown fox jumps over the lazy dog

the dog sleeps and the fox runs

every dog has its day
"""


@task
def load():
    return TEXT


@task
def count(part):
    return Counter(part.split())


@task
def merge(counts):
    return sum((Counter(found) for found in counts.values()), Counter())


@task(inject_context=True)
def split(context, load):
    parts = [part for part in load.split("\n\n") if part.strip()]
    counts = parallel(*(count(task_id=f"count_{n}", part=part) for n, part in enumerate(parts)))
    context.next_task(counts.set_group_name("counts") >> merge(task_id="merged"))
    return len(parts)


@task
def report(split, merged):
    words = ", ".join(f"{word} {times}" for word, times in merged.most_common(2))
    return f"{split} parts: {words}"


with workflow("dynamic-fan-out") as wf:
    load >> split >> report

if __name__ == "__main__":
    print(wf.execute())
