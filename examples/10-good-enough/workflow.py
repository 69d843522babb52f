"""Again until it is good enough: a task that iterates, and a successor that waits for it.

Each pass gets the draft of the one before and cuts what says the least, until the score will do.
"""

from graflow import task, workflow

DRAFT = "we are really very happy to basically announce that our new parser is actually fast"
FILLERS = ("basically", "actually", "really", "very", "that", "are", "to", "we", "is")
GOOD_ENOUGH = 0.75


def score(draft):
    words = draft.split()
    return sum(word not in FILLERS for word in words) / len(words)


@task(inject_context=True, max_cycles=20)
def revise(context, draft=DRAFT):
    filler = next(word for word in FILLERS if word in draft.split())
    better = " ".join(word for word in draft.split() if word != filler)
    if score(better) < GOOD_ENOUGH and context.can_iterate():
        context.next_iteration(better)
    return {"draft": better, "passes": context.cycle_count}


@task
def publish(revise):
    return f"{revise['draft']!r} scores {score(revise['draft']):.2f} in pass {revise['passes']}"


with workflow("good-enough") as wf:
    revise >> publish

if __name__ == "__main__":
    print(wf.execute())
