"""A task that prints 100 MB."""

from graflow import task, workflow

LINE = "x" * 1023

if __name__ == "__main__":
    with workflow("loud") as wf:

        @task
        def shout():
            for _ in range(100 * 1024):
                print(LINE)
            return "done"

        print(wf.execute())
