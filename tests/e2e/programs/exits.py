"""A task that calls sys.exit."""

import sys

from graflow import task, workflow


@task
def leave():
    sys.exit(3)


if __name__ == "__main__":
    with workflow("exits") as wf:
        leave  # noqa: B018
        wf.execute("leave")
