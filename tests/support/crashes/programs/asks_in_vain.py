"""Two tasks ask, and nobody answers one of them in time: then nobody is to answer the other."""

from graflow import task, workflow


@task
def prepare():
    return "a plan"


@task(inject_context=True)
def boss(context, prepare):
    return context.request_approval(f"May we have {prepare}?", timeout=60.0)


@task(inject_context=True)
def staff(context, prepare):
    return context.request_text_input(f"Who makes {prepare}?", timeout=None)


with workflow("asks-in-vain") as wf:
    prepare >> boss
    prepare >> staff

if __name__ == "__main__":
    print(wf.execute())
