"""A task that raises, with a helper between it and the error."""

from graflow import task, workflow


def divide(a, b):
    return a / b


@task
def fine():
    return 0


@task
def broken(fine):
    return divide(1, fine)


if __name__ == "__main__":
    with workflow("raises") as wf:
        fine >> broken
        wf.execute()
