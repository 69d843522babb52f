"""Fifty branches side by side and one join: an estimate of pi from fifty independent samples.

`sample(task_id=…, seed=…)` makes another task of the same function with an argument bound.
"""

import random

from graflow import parallel, task, workflow

BRANCHES = 50
POINTS = 20_000


@task
def points():
    return POINTS


@task
def sample(points, seed):
    generator = random.Random(seed)  # noqa: S311 - no secret
    return sum(generator.random() ** 2 + generator.random() ** 2 <= 1 for _ in range(points))


@task
def estimate(points, samples):
    return round(4 * sum(samples.values()) / (points * len(samples)), 3)


with workflow("fan-out") as wf:
    samples = parallel(*(sample(task_id=f"sample_{n}", seed=n) for n in range(BRANCHES)))
    points >> samples.set_group_name("samples") >> estimate

if __name__ == "__main__":
    print(f"pi is about {wf.execute()}")
