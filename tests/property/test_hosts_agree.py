"""The same programs through both hosts: in this process, and by the operator in a fake cluster.

A program is drawn with the operators of the SDK. Here it runs in threads; there it is compiled to a
Workflow, which the operator's actor reads, and runners that claim and report do its tasks.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from hypothesis import event, given, note, settings
from hypothesis import strategies as st

from graflow.compile.spec import Rest, workflow_of, written
from graflow.dsl.failures import documented
from graflow.dsl.flow import ParallelGroup
from graflow.dsl.program import Program
from graflow.dsl.retry import RetryPolicy
from graflow.dsl.task import TaskWrapper
from graflow.dsl.workflow import WorkflowContext
from graflow.exceptions import (
    GraflowRuntimeError,
    MaxStepsExceededError,
    ParallelGroupError,
    RetryLimitExceededError,
)
from graflow.local import LocalHost
from graflow.machine import reasons
from graflow.machine.check import infer_start
from graflow.machine.graph import scope_graph
from graflow.machine.plan import Custom, GroupPlan, Plan, Retry, Strict, TaskPlan
from graflow.machine.state import Error
from graflow_operator.verdicts import Failed
from property.strategies import plans
from support.world import World, returned


@dataclass(frozen=True)
class Piece:
    """What a task builds: new tasks, perhaps a group of them, perhaps an edge to the flow."""

    tasks: tuple[str, ...]
    edges: tuple[tuple[str, str], ...]
    grouped: bool
    """Whether the first two are a group."""

    exit: str | None
    """The task of the flow that the last one leads to."""

    goto: bool

    @property
    def first(self) -> str:
        return "D" if self.grouped else self.tasks[0]

    @property
    def last(self) -> str:
        return self.edges[-1][1] if self.edges else self.first


@dataclass(frozen=True)
class Case:
    """A program and how its tasks behave."""

    plan: Plan
    failing: Mapping[str, int]
    """Attempts that fail in every activation of a task, by task."""

    jumps: Mapping[str, str]
    """Where the first pass of a task jumps to. No two to one: the order would matter."""

    pieces: Mapping[str, Piece]
    """What the first pass of a task builds and hands over."""

    passes: Mapping[str, int]
    """How many more passes a task asks for."""

    def fails(self, task: str, failures: int) -> bool:
        return failures < self.failing.get(task, 0)

    def decides(self, task: str, iteration: int, groups: tuple[str, ...]) -> list[Any]:
        """Return what a pass of a task asks for, in the order of its calls."""
        asked: list[Any] = []
        if iteration == 1 and task in self.pieces:
            asked.append(self.pieces[task])
        if iteration == 1 and self.jumps.get(task, task) not in (task, *groups):
            asked.append(self.jumps[task])
        if iteration <= self.passes.get(task, 0):
            asked.append(iteration)
        return asked


@dataclass(frozen=True)
class Ended:
    """What can be told of a run, whatever it ran on."""

    phase: str
    reason: str
    value: Any
    ran: Counter[str]
    """How often the function of each task was called."""
    steps: int | None


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Any program; in one without loops some task fails, for once or for good.

    With a loop as well, it would depend on who is faster whether the run fails by the task or by
    its bound on steps.
    """
    plan = draw(plans())
    nodes = tuple(
        replace(node, retry=Retry(node.retry.max_attempts)) if isinstance(node, TaskPlan) else node
        for node in plan.nodes
    )
    nodes = tuple(_simple(node) if isinstance(node, GroupPlan) else node for node in nodes)
    plan = Plan(nodes, plan.edges, plan.start, plan.max_steps)
    tasks = [node.id for node in nodes if isinstance(node, TaskPlan)]
    if draw(st.booleans()):
        jumpers = draw(st.permutations(tasks))
        targets = draw(st.lists(st.sampled_from(list(plan.by_id)), max_size=2, unique=True))
        return Case(
            plan,
            {},
            dict(zip(jumpers, targets, strict=False)),
            draw(st.dictionaries(st.sampled_from(tasks), pieces(plan), max_size=2)),
            draw(st.dictionaries(st.sampled_from(tasks), st.integers(1, 2), max_size=1)),
        )
    if loops(plan) or draw(st.booleans()):
        return Case(plan, {}, {}, {}, {})
    return Case(plan, {draw(st.sampled_from(tasks)): draw(st.integers(1, 2))}, {}, {}, {})


def _simple(group: GroupPlan) -> GroupPlan:
    """Return a group that waits for no clock, and that needs no code of its own to be judged."""
    policy = Strict() if isinstance(group.policy, Custom) else group.policy
    return replace(group, retry=Retry(group.retry.max_attempts), policy=policy)


@st.composite
def pieces(draw: st.DrawFn, plan: Plan) -> Piece:
    names = tuple(f"d{n}" for n in range(draw(st.integers(1, 3))))
    grouped = len(names) > 1 and draw(st.booleans())
    outer = ("D", *names[2:]) if grouped else names
    placed = [name for name in plan.by_id if name in plan.placed and name not in plan.start]
    leads = draw(st.sampled_from(placed)) if placed and draw(st.booleans()) else None
    return Piece(names, tuple(pairwise(outer)), grouped, leads, draw(st.booleans()))


def loops(plan: Plan) -> bool:
    members = [(group, member) for member, group in plan.group_of.items()]
    paths = ((), *(((group, member),) for group, member in members))
    weights = (
        weight
        for path in paths
        for edges in scope_graph(plan, path).after.values()
        for _, weight in edges
    )
    return any(weights)


def body(case: Case, task: str, ran: Counter[str]) -> Any:
    """Return the function of a task."""

    def run(context: Any, data: Any = None) -> str:
        del data
        ran[task] += 1
        if case.fails(task, context.retry_count):
            raise ValueError(f"{task} broke")
        for asked in case.decides(task, context.cycle_count, context.facts.inside):
            if isinstance(asked, Piece):
                context.next_task(built(case, asked, context, ran), goto=asked.goto)
            elif isinstance(asked, str):
                context.next_task(context.graph.get_node(asked))
            else:
                context.next_iteration(asked)
        return f"{task}#{context.cycle_count}"

    return run


def built(case: Case, piece: Piece, context: Any, ran: Counter[str]) -> Any:
    """Build in a running task what it hands over."""
    made: dict[str, Any] = {
        name: TaskWrapper(name, body(case, name, ran), inject_context=True) for name in piece.tasks
    }
    if piece.grouped:
        made["D"] = ParallelGroup([made[name] for name in piece.tasks[:2]], "D")
    for before, after in piece.edges:
        made[before] >> made[after]
    if piece.exit:
        made[piece.last] >> context.graph.get_node(piece.exit)
    return made[piece.first]


def drawn(case: Case, ran: Counter[str]) -> Program:
    """Draw the program as users do: tasks, groups of them, edges."""
    made: dict[str, Any] = {}
    with WorkflowContext("hosts-agree") as workflow:
        for node in case.plan.nodes:
            if isinstance(node, TaskPlan):
                policy = RetryPolicy(node.retry.max_attempts - 1, initial_interval=0.0)
                made[node.id] = TaskWrapper(
                    node.id, body(case, node.id, ran), inject_context=True, retry_policy=policy
                )
            elif isinstance(node, GroupPlan):
                members = [made[member] for member in node.members]
                made[node.id] = ParallelGroup(members, node.id).with_execution(
                    policy=node.policy, max_retries=node.retry.max_attempts - 1
                )
        for before, after in dict.fromkeys(case.plan.edges):
            made[before] >> made[after]
    inferred = infer_start(case.plan.nodes, case.plan.edges)
    start = None if inferred == case.plan.start else case.plan.start[0]
    return workflow.program(start, case.plan.max_steps)


def run_here(case: Case) -> tuple[Program, Ended]:
    ran: Counter[str] = Counter()
    program = drawn(case, ran)
    try:
        value, context = LocalHost().execute(program, ret_context=True)
    except GraflowRuntimeError as error:
        return program, Ended("Failed", reason_of(error), shown(error), ran, None)
    return program, Ended("Succeeded", "", value, ran, context.steps)


def reason_of(error: GraflowRuntimeError) -> str:
    if isinstance(error, ParallelGroupError):
        return reasons.PARALLEL_GROUP_FAILED
    known = (reasons.ARGUMENTS_MISSING, reasons.MAX_STEPS_EXCEEDED)
    told = (reason for reason in known if type(documented(reason, "")) is type(error))
    return next(told, reasons.TASK_FAILED)


def shown(error: GraflowRuntimeError) -> Any:
    """What both hosts say of a failure."""
    if isinstance(error, ParallelGroupError):
        return error.message
    if isinstance(error, MaxStepsExceededError):
        return None  # which node it was may depend on who was faster
    cause = error.last_error if isinstance(error, RetryLimitExceededError) else error.cause
    return f"{type(cause).__name__}: {cause}"


async def run_there(case: Case, program: Program) -> Ended:
    bundle = {"name": "code-0", "sha256": "0" * 64}
    spec = workflow_of("hosts-agree", program, written(program), Rest(), bundle=bundle)["spec"]
    del spec["bundle"]
    for task in spec["tasks"]:
        del task["function"]  # the world has no Python behind it: `work` is what the tasks do
        task["script"] = "return 1"

    def work(task: str, order: Any) -> Any:
        if case.fails(task, order["task"]["failures"]):
            return Failed(Error(reasons.TASK_FAILED, f"ValueError: {task} broke"))
        iteration = order["task"]["iteration"]
        asked = case.decides(task, iteration, tuple(order["task"]["inside"]))
        return returned(f"{task}#{iteration}", *map(directive, asked))

    async with World(spec, store=False, work=work) as world:
        world.start()
        status = await world.end()
        ran = Counter(world.executed)
    if status["phase"] == "Failed":
        reason = status["reason"]
        message = None if reason == reasons.MAX_STEPS_EXCEEDED else status["message"]
        return Ended("Failed", reason, message, ran, None)
    value = opened(status.get("result"))
    return Ended(status["phase"], status.get("reason", ""), value, ran, status["counts"]["steps"])


def directive(asked: Any) -> dict[str, Any]:
    """Return what a runner would send."""
    if isinstance(asked, str):
        return {"kind": "Jump", "target": asked}
    if isinstance(asked, int):
        return {"kind": "Iteration", "again": {"data": {"json": asked}}}
    leads = [[asked.last, asked.exit]] if asked.exit else []
    fragment = {
        "tasks": [{"name": name, "function": name} for name in asked.tasks],
        "groups": [{"name": "D", "members": list(asked.tasks[:2])}] if asked.grouped else [],
        "edges": [*map(list, asked.edges), *leads],
        "exits": [asked.exit] if asked.exit else [],
        "start": [asked.first],
        "code": {name: {"pickle": "Y29kZQ=="} for name in asked.tasks},
    }
    return {"kind": "Spawn", "goto": asked.goto, "fragment": fragment}


def opened(ref: Any) -> Any:
    if ref is None:
        return None
    if "group" in ref:
        return {member: opened(value) for member, value in ref["group"].items()}
    return ref["json"]


@given(case=cases())
@settings(deadline=None, max_examples=30)
def test_a_program_runs_the_same_tasks_as_often_and_ends_the_same_on_both_hosts(
    case: Case,
) -> None:
    program, here = run_here(case)
    assert program.plan.nodes == case.plan.nodes
    there = asyncio.run(run_there(case, program))
    note(f"here: {here}\nthere: {there}")
    event(f"{here.phase} {here.reason}")
    assert (there.phase, there.reason) == (here.phase, here.reason)
    if here.phase == "Succeeded":
        assert there == here
        return
    if here.value is not None:
        assert here.value in there.value
    # What ran beside the task that failed depends on who was faster; not what the run failed by.
    for task in case.failing:
        assert there.ran[task] == here.ran[task]
