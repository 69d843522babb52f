"""What tasks hand over travels: classes, closures, contexts, policies, tasks of the program."""

from dataclasses import dataclass

from graflow import RetryPolicy, parallel, task, workflow
from graflow.core.handlers.group_policy import GroupExecutionPolicy


class BusyError(Exception):
    """Ask again."""


@dataclass(frozen=True)
class Row:
    """A class of the program's own, made in one pod and read in others."""

    name: str
    tags: frozenset = frozenset()


class MostOf(GroupExecutionPolicy):
    """A policy that only a task that runs gives to a group."""

    def __init__(self, needed):
        self.needed = needed

    def on_group_finished(self, group_id, tasks, results, context):
        rows = [context.get_result(t.task_id) for t in tasks if results[t.task_id].success]
        if sum(isinstance(row, Row) for row in rows) < self.needed:
            raise ValueError(f"{group_id}: {rows}")


@task
def begin():
    return 1


@task(inject_context=True)
def note(ctx, row):
    """A task that no edge leads to: part of a fragment, with what was said of it here."""
    ctx.get_channel().append("notes", row.name)
    return row.name


@task(retry_policy=RetryPolicy(max_retries=2, initial_interval=0.1, retry_on=BusyError))
def fetch(name, *, fails=False):
    if fails:
        raise ValueError(f"{name} is gone")
    return Row(name, frozenset({name, "fetched"}))


@task(inject_context=True)
def plan(ctx, begin, names=("a", "b")):
    if ctx.cycle_count == 1:
        ctx.next_iteration(plan(names=("a", "b", "c")))
        return None
    graph = ctx.graph
    seen = (graph.has_node("note"), graph.successors("plan"), graph.has_node("nobody"))
    prefix = f"{begin}:"

    @task(inject_context=True)
    async def collect(inner, rows):
        found = sorted(prefix + row.name for row in rows.values() if row.tags)
        # The context of `plan` was captured, and still reads and writes.
        ctx.get_channel().set("said", [inner.task_id, ctx.get_result("begin")])
        return Row("+".join(found))

    rows = parallel(*(fetch(task_id=f"row_{name}", name=name, fails=name == "c") for name in names))
    rows.set_group_name("rows").with_execution(policy=MostOf(2))
    ctx.next_task(rows >> collect >> note, reason="three rows, one of them bad")
    return seen


@task(inject_context=True)
def deeper(ctx, note):
    @task(inject_context=True)
    def inner(ctx):
        @task(inject_context=True)
        def innermost(ctx):
            seen = sorted(name for name in ctx.graph.nodes if name.startswith("inner"))
            ctx.next_task(ctx.graph.get_node("finish"))
            return seen

        ctx.next_task(innermost)
        return "not the end"

    ctx.next_task(inner)
    return note


@task
def meanwhile(deeper):
    return f"after {deeper}"


@task(inject_context=True)
def finish(ctx):
    said = [ctx.get_channel().get(key) for key in ("notes", "said")]
    names = ("plan", "meanwhile", "innermost", "collect")
    return [*map(ctx.get_result, names), *said, ctx.get_result("rows")]


if __name__ == "__main__":
    with workflow("handovers") as wf:
        begin >> plan >> deeper >> meanwhile >> finish
    *said, rows = wf.execute()
    print(*said, sep="\n")
    print({name: (type(row) is Row, row.name, sorted(row.tags)) for name, row in rows.items()})
