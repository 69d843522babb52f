"""A training loop that stops early: each pass is one epoch, and hands its state to the next.

The next pass gets weights, the best loss so far, and how long ago that was. `evaluate` waits for
the last pass, and on a cluster each epoch may run on another node.
"""

from graflow import task, workflow

TRAIN = [(x / 10, 3 * x / 10 + 1 + (0.6 if x % 3 == 0 else 0.2)) for x in range(20)]
VALID = [(x / 10 + 0.05, 3 * (x / 10 + 0.05) + 1) for x in range(20)]
RATE, PATIENCE = 0.2, 2
START = {"slope": 0.0, "offset": 0.0, "best": float("inf"), "since": 0}


def loss(rows, slope, offset):
    return sum((slope * x + offset - y) ** 2 for x, y in rows) / len(rows)


@task(inject_context=True, max_cycles=30)
def epoch(context, state=None):
    state = dict(state or START)
    errors = [(state["slope"] * x + state["offset"] - y, x) for x, y in TRAIN]
    state["slope"] -= RATE * sum(error * x for error, x in errors) / len(errors)
    state["offset"] -= RATE * sum(error for error, _ in errors) / len(errors)
    now = round(loss(VALID, state["slope"], state["offset"]), 4)
    state["since"] = 0 if now < state["best"] else state["since"] + 1
    state["best"] = min(now, state["best"])
    if state["since"] < PATIENCE and context.can_iterate():
        context.next_iteration(state)
    return {**state, "epochs": context.cycle_count}


@task
def evaluate(epoch):
    line = f"y = {epoch['slope']:.2f} x + {epoch['offset']:.2f}"
    return f"{line} after {epoch['epochs']} epochs, best loss {epoch['best']}"


with workflow("early-stopping") as wf:
    epoch >> evaluate

if __name__ == "__main__":
    print(wf.execute())
