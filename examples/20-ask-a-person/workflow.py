"""An agent that asks before it acts: for a yes, for a choice, and for words.

A no leads to a smaller plan, until it is so small that nobody has to be asked. Nobody has to be
there either: each question has a deadline, and says what counts when that has passed.
"""

import secrets

from graflow import task, workflow
from graflow.hitl.types import AnswerWith

PATIENCE = 0.5
"""Seconds that people have. Give them hours: on a cluster nothing runs while a question waits."""

HARMLESS = 10
REGIONS = ["north", "south"]
SAYING = "We are making things better."


def open_ticket():
    return secrets.token_hex(4)


@task
def plan():
    return 40


@task(inject_context=True)
def approve(context, percent):
    if percent > HARMLESS:
        # With its answer the task begins anew. A second ticket would make it another question.
        ticket = context.step("ticket", open_ticket)
        answer = context.request_feedback(
            "approval",
            f"Ticket {ticket}: roll out to {percent} % of the users?",
            key="approve",
            timeout=PATIENCE,
            on_timeout=AnswerWith(value=False),
        )
        if not answer.approved:
            context.next_task(smaller, goto=True, reason=answer.reason or "nobody says yes")
    return percent


@task(inject_context=True)
def smaller(context, percent):
    context.next_task(approve)
    return percent // 2


@task(inject_context=True)
def where(context):
    return context.request_selection(
        "Where first?", REGIONS, key="where", timeout=PATIENCE, on_timeout=AnswerWith("north")
    )


@task(inject_context=True)
def words(context):
    return context.request_text_input(
        "What do users read?", key="words", timeout=PATIENCE, on_timeout=AnswerWith(SAYING)
    )


@task
def roll_out(approve, where, words):
    return f"{approve} % of the users, {where} first: {words}"


with workflow("ask-a-person") as wf:
    plan >> approve >> (where | words) >> roll_out

if __name__ == "__main__":
    print(wf.execute())
