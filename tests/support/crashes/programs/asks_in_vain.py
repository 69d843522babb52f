"""Two branches ask, and nobody answers one of them in time: the other one is not to be answered."""

from graflow import task, workflow


@task(inject_context=True)
def boss(context):
    return context.request_approval("May we?", timeout=60.0)


@task(inject_context=True)
def staff(context):
    return context.request_text_input("How?", timeout=None)


@task
def begin(boss, staff):
    return f"{staff}: {boss}"


with workflow("asks-in-vain") as wf:
    (boss | staff) >> begin

if __name__ == "__main__":
    print(wf.execute())
