"""Two branches ask, each somebody else; one of them has kept something before."""

from graflow import task, workflow
from graflow.hitl.types import AnswerWith


@task(inject_context=True)
def name(context):
    return context.request_text_input("What is it called?", timeout=None)


@task(inject_context=True)
def price(context):
    costs = context.step("costs", lambda: 42)
    may = context.request_approval(
        f"May it cost {costs}?", timeout=150.0, on_timeout=AnswerWith(value=False)
    )
    return costs if may else 0


@task
def offer(name, price):
    return f"{name} for {price}"


with workflow("asks-in-parallel") as wf:
    (name | price) >> offer

if __name__ == "__main__":
    print(wf.execute())
