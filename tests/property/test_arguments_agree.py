"""A1, A2 on both hosts: any functions, and whatever may fill their parameters."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import event, given, note, settings
from hypothesis import strategies as st

from graflow.compile.spec import Rest, workflow_of, written
from graflow.dsl.call import run_call
from graflow.dsl.context import TaskExecutionContext, TaskFacts
from graflow.dsl.lone import LoneBackend
from graflow.dsl.program import Program
from graflow.dsl.task import TaskWrapper
from graflow.dsl.workflow import WorkflowContext
from graflow.exceptions import ArgumentError
from graflow.local import LocalHost
from graflow.machine import reasons
from graflow.machine.state import Error
from graflow_operator.verdicts import Failed
from graflow_runner.environment import Settings
from graflow_runner.work import Work
from support.world import World, returned

KINDS = ("", ": int", ": str", ": dict", ": dict[str, int]", ": int | None")
KEYS = {"k": 1, "t0": "a key of a task's name", "k.__result__": 2}
VALUES: tuple[Any, ...] = (None, 3, "text", {"k": 1, "x": 2}, {"x": {"x": 5}}, {"t0": 1, "t1": "a"})


@dataclass(frozen=True)
class Function:
    """A task: what it takes, in source, what is bound to it, and what it returns."""

    source: str
    bound: Mapping[str, Any]
    value: Any
    resolves: bool


@dataclass(frozen=True)
class Case:
    """Tasks t0, t1 and so on, and edges that lead to later ones."""

    tasks: tuple[Function, ...]
    edges: frozenset[tuple[int, int]]

    def related(self, task: int) -> list[int]:
        """Tasks whose results, or lack of them, do not depend on who is faster."""
        before, after = {task}, {task}
        for left, right in sorted(self.edges, key=lambda edge: edge[::-1], reverse=True):
            before |= {left} if right in before else set()
        for left, right in sorted(self.edges):
            after |= {right} if left in after else set()
        return sorted((before | after) - {task})


@st.composite
def cases(draw: st.DrawFn) -> Case:
    count = draw(st.integers(1, 5))
    every = [(n, m) for m in range(count) for n in range(m)]
    edges = draw(st.frozensets(st.sampled_from(every))) if every else frozenset()
    # Tasks without an edge do not start by themselves: the first leads to all that are left.
    edges |= {(0, n) for n in range(1, count) if not any(n in edge for edge in edges)}
    case = Case((), edges)
    return Case(tuple(draw(functions(case.related(n))) for n in range(count)), edges)


@st.composite
def functions(draw: st.DrawFn, related: list[int]) -> Function:
    names = [*(f"t{n}" for n in related), "k", "x", "y"]
    taken = draw(st.lists(st.sampled_from(names), unique=True, max_size=3))
    defaults = draw(st.sets(st.sampled_from(names)))
    bound = [name for name in taken if draw(st.integers(0, 4)) == 0]
    parameters = [
        f"{name}{draw(st.sampled_from(KINDS))}{' = 0' if name in defaults else ''}"
        for name in taken
    ]
    return Function(
        f"task({', '.join(['*', *parameters] if parameters else [])})",
        {name: f"bound {name}" for name in bound},
        draw(st.sampled_from(VALUES)),
        draw(st.integers(0, 5)) > 0,
    )


def drawn(case: Case, given_here: dict[str, Any]) -> Program:
    made = []
    with WorkflowContext("arguments-agree") as workflow:
        for number, function in enumerate(case.tasks):
            task = f"t{number}"
            scope: dict[str, Any] = {"given": given_here, "value": function.value}
            exec(f"def {function.source}:\n    given[{task!r}] = locals()\n    return value", scope)
            options = {"resolve_keyword_args": function.resolves, "bound": function.bound}
            made.append(TaskWrapper(task, scope["task"], **options))
        for before, after in sorted(case.edges):
            made[before] >> made[after]
    return workflow.program(None, 100)


def run_here(case: Case) -> tuple[Program, str, dict[str, Any]]:
    seen: dict[str, Any] = {}
    program = drawn(case, seen)
    try:
        LocalHost().execute(program, initial_channel=KEYS)
    except ArgumentError:
        return program, reasons.ARGUMENTS_MISSING, dict(seen)
    return program, "", dict(seen)


class Unasked:
    """An operator that only gives orders: what they do not say is not there."""

    def results(self, names: list[str], *, source: str) -> dict[str, Any]:
        del source
        return dict.fromkeys(names)

    def visible(self) -> dict[str, Any]:
        return {}

    def address(self, sha256: str) -> str:
        raise AssertionError(f"{sha256} is in the order")


SETTINGS = Settings(api="", pod_name="", pod_uid="", namespace="", run="")


async def run_there(case: Case, program: Program) -> tuple[str, dict[str, Any]]:
    bundle = {"name": "code-0", "sha256": "0" * 64}
    rest = Rest(input=KEYS)
    spec = workflow_of("arguments-agree", program, written(program), rest, bundle=bundle)["spec"]
    del spec["bundle"]
    for task in spec["tasks"]:
        del task["function"]  # the world has no Python behind it: `work` is what the tasks do
        task["script"] = "return 1"
    seen: dict[str, Any] = {}
    program = drawn(case, seen)

    def work(task: str, order: Any) -> Any:
        callee = program.tasks[task].callee
        runner = Work(order, Unasked(), SETTINGS, float)  # type: ignore[arg-type]
        context = TaskExecutionContext(TaskFacts(task_id=task), LoneBackend())
        try:
            value = run_call(callee, context, sent=runner._sent(), names=runner._names(callee))
        except ArgumentError as error:
            return Failed(Error(reasons.ARGUMENTS_MISSING, str(error), retryable=False))
        return returned(value)

    async with World(spec, store=False, work=work) as world:
        world.start()
        status = await world.end()
    return status.get("reason", ""), seen


@given(case=cases())
@settings(deadline=None, max_examples=60)
def test_a1_and_a2_parameters_are_given_the_same_on_both_hosts(case: Case) -> None:
    program, reason, here = run_here(case)
    reason_there, there = asyncio.run(run_there(case, program))
    note(f"here: {reason} {here}\nthere: {reason_there} {there}")
    event(reason or "all were given what they need")
    assert reason_there == reason
    # After a failure others may have run, or not; what they were given is the same.
    both = here.keys() & there.keys() if reason else here.keys() | there.keys()
    assert {task: there.get(task) for task in both} == {task: here.get(task) for task in both}
