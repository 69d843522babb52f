"""Each way in which a parameter gets its value, and what a task knows of itself."""

from __future__ import annotations

from typing import TypedDict

from graflow import task, workflow


class Row(TypedDict):
    a: int


@task
def send():
    return {"row": {"a": 1}, "other": 2}


@task
def take(row: Row):
    return row["a"]


@task
def by_name(take, limit, missing="default", *, bound):
    return [take, limit, missing, bound]


@task(inject_context=True, max_cycles=4, max_retries=2)
def knows(context, named):
    return {
        "task": context.task_id,
        "arguments": named,
        "one run": context.session_id == context.trace_id,
        "passes": [context.cycle_count, context.max_cycles, context.can_iterate()],
        "retries": [context.retry_count, context.max_retries],
        "results": [context.get_result("take"), context.get_result("nobody", "none")],
        "took": 0 <= context.elapsed_time() < 60,
        "began": context.start_time > 1_700_000_000,
    }


@task
async def awaited(knows):
    return knows


@task
def program_of_its_own(awaited):
    with workflow("inner") as inner:
        task("x")(lambda: 20) >> task("y")(lambda x: x + 1)
        return {**awaited, "inner": inner.execute()}


with workflow("arguments") as wf:
    send >> take >> by_name(task_id="named", bound="bound") >> knows >> awaited
    awaited >> program_of_its_own

if __name__ == "__main__":
    print(sorted(wf.execute(initial_channel={"limit": 3}).items()))
