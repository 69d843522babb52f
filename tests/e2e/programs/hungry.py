"""A task that takes more memory than it may."""

from graflow import task, workflow

if __name__ == "__main__":
    with workflow("hungry") as wf:

        @task(resources={"memory": "64Mi"})
        def eat():
            return len(b"x" * 512 * 1024 * 1024)

        wf.execute()
