"""A parameter that finds nothing."""

from graflow import task, workflow


@task
def extract():
    return 1


@task("take", max_retries=3)
def take(extrct, limits):
    return extrct, limits


if __name__ == "__main__":
    with workflow("missing") as wf:
        extract >> take
        wf.execute(initial_channel={"limit": 3, "other": 4})
