"""Two tasks side by side and one that needs both: the smallest run with a group."""

from graflow import task, workflow


@task
def left():
    return 2


@task
def right():
    return 3


@task
def total(left, right):
    return left + right


if __name__ == "__main__":
    with workflow("three") as wf:
        (left | right).set_group_name("sides") >> total
        print(wf.execute())
