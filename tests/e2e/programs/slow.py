"""A task that has too little time, in all of its attempts."""

from graflow import task, workflow
from graflow.exceptions import RetryLimitExceededError


@task(timeout=3, max_retries=1)
def slow():
    while True:
        pass


if __name__ == "__main__":
    with workflow("slow") as wf:
        slow >> task("after")(lambda: 1)
        try:
            wf.execute()
        except RetryLimitExceededError as error:
            print(error.task_id, error.retry_count, error.max_retries)
            print(type(error.cause).__name__, error.cause is error.__cause__)
