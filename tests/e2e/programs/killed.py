"""A task that waits for somebody to kill its process."""

import time

from graflow import task, workflow

if __name__ == "__main__":
    with workflow("killed") as wf:

        @task
        def linger():
            time.sleep(600)

        wf.execute()
