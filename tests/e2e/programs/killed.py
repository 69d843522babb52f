"""A task whose process is killed."""

import os
import signal

from graflow import task, workflow


@task
def die():
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    with workflow("killed") as wf:
        die  # noqa: B018
        wf.execute("die")
