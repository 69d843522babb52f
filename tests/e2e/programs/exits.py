"""A task that calls sys.exit."""

import sys

from graflow import task, workflow

if __name__ == "__main__":
    with workflow("exits") as wf:

        @task
        def leave():
            sys.exit(3)

        wf.execute()
