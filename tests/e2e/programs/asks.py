"""Tasks that ask people; the words behind the program's name say which program it is."""

import sys

from graflow import parallel, task, workflow
from graflow.exceptions import FeedbackTimeoutError
from graflow.hitl.types import AnswerWith, Escalate, GoTo


def deploy():
    print("prepared", flush=True)
    return "prepared"


@task(inject_context=True)
def approve(ctx):
    ctx.step("prepare", deploy)
    try:
        agreed = ctx.request_approval("Shall we?", timeout=None, hold=0)
    except Exception as error:  # noqa: BLE001 - what waits is none
        return f"swallowed {error!r}"
    return "done" if agreed else "rejected"


@task
def after(approve):
    print("went on", flush=True)
    return approve


@task
def fails(approve):
    if approve == "done":
        raise ValueError("it does not work")
    return approve


def region(name):
    @task(id=name, inject_context=True)
    def choose(ctx):
        return ctx.request_selection(
            f"Where does {name} go?", [f"{name}-1", f"{name}-2"], key="to", hold=0
        )

    return choose


@task
def chosen(north, south):
    return [north, south]


@task(inject_context=True)
def late(ctx):
    try:
        return ctx.request_approval("In time?", timeout=1)
    except FeedbackTimeoutError:
        return "too late"


@task(inject_context=True)
def failing(ctx):
    return ctx.request_approval("In time?", timeout=1)


@task(inject_context=True)
def lenient(ctx):
    return ctx.request_text_input("A name?", timeout=1, on_timeout=AnswerWith("nobody"))


@task(inject_context=True)
def jumpy(ctx):
    ctx.request_approval("In time?", timeout=1, on_timeout=GoTo("elsewhere"))
    return "never"


@task
def elsewhere():
    return "elsewhere"


@task(inject_context=True)
def escalated(ctx):
    others = Escalate(users=ctx.get_channel().get("people"), seconds=3600)
    return ctx.request_approval("Who?", timeout=1, assignees=["nobody"], on_timeout=others)


@task(inject_context=True)
def several(ctx):
    people = ctx.get_channel().get("people")
    return ctx.request_approval("Two of you?", timeout=None, assignees=people, approvals=2, hold=0)


@task(inject_context=True)
def quick(ctx):
    print("began", flush=True)
    return ctx.request_text_input("What?", timeout=None, hold=120)


DRAWN = {
    "approve": lambda: approve >> after,
    "then-fails": lambda: approve >> fails,
    "regions": lambda: parallel(region("north"), region("south")) >> chosen,
}

if __name__ == "__main__":
    shape, *people = sys.argv[1:] or ["approve"]
    with workflow("asks") as wf:
        if shape in DRAWN:
            DRAWN[shape]()
        else:
            wf.add_node(shape, globals()[shape])
        if shape == "jumpy":
            wf.add_node("elsewhere", elsewhere)
        start = shape if shape == "jumpy" else None
        print(wf.execute(start, initial_channel={"people": people}))
