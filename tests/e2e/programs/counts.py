"""Tasks that count in a global: in pods, and with `graflow run --isolated`, each in its own."""

from graflow import task, workflow

COUNTED = {"n": 0}


@task
def first():
    COUNTED["n"] += 1
    return COUNTED["n"]


@task
def second(first):
    COUNTED["n"] += 1
    return [first, COUNTED["n"]]


if __name__ == "__main__":
    with workflow("counts") as wf:
        first >> second
        print(wf.execute(), COUNTED)
