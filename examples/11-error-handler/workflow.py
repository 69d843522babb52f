"""A way around what goes wrong: a task that no edge leads to, and that others go to when needed.

`repair` is part of the program without being part of its flow. `convert` goes there instead of to
its successor, and `repair` comes back into the flow.
"""

from graflow import task, workflow

ROWS = ["3.50", "12,25", "n/a", "7.25"]


@task
def fetch():
    return ROWS


@task(inject_context=True)
def convert(context, fetch):
    bad = [row for row in fetch if not row.replace(".", "", 1).isdigit()]
    if bad:
        context.next_task(repair, goto=True, reason=f"{len(bad)} rows are no numbers")
        return {"rows": fetch, "bad": bad}
    return [float(row) for row in fetch]


@task(inject_context=True)
def repair(context, convert):
    rows = [row.replace(",", ".") for row in convert["rows"]]
    context.next_task(total)
    return [float(row) for row in rows if row != "n/a"]


@task
def total(rows):
    return f"{len(rows)} rows, {sum(rows):.2f} in all"


with workflow("error-handler") as wf:
    fetch >> convert >> total

if __name__ == "__main__":
    print(wf.execute())
