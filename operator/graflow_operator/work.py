"""What an attempt runs: a task of the Workflow, one that a task has made, or a group's policy."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from graflow.api.directives import code_at, function_at, task_at
from graflow.api.model import ValueRef
from graflow.api.workflow import TaskSpec
from graflow.machine.directives import Directive, Spawn
from graflow.machine.plan import Custom, Exit, GroupPlan, Plan, TaskPlan
from graflow.machine.scopes import plan_at
from graflow.machine.state import Activation, State
from graflow_operator.bundles import Bundle
from graflow_operator.program import Program


@dataclass(frozen=True, slots=True)
class Work:
    """What the attempts of one activation run."""

    node: TaskPlan | GroupPlan
    task: TaskSpec
    """As it was written; for a group's policy what its pod is made from."""

    code: ValueRef | None = None
    """Code that a running task has handed over; None: it is in the bundle, or needs none."""


def work_of(program: Program, state: State, activation: Activation) -> Work:
    """Return what the attempts of an activation run."""
    plan = plan_at(program.plan, state, activation.scope)
    node = plan.by_id[activation.node]
    code = code_at(plan, node.id)
    match node:
        case TaskPlan():
            return Work(node, task_at(plan, node.id) or program.tasks[node.id], code)
        case GroupPlan():
            function = function_at(plan, node.id) or program.policies.get(node.id)
            return Work(node, TaskSpec(name=node.id, function=function), code)
        case Exit():
            raise TypeError(f"{node.id!r} stands for a task outside and has no attempts")


def foreign(directives: Iterable[Directive], bundle: Bundle | None) -> str | None:
    """Return why tasks that were made cannot be run, for want of their code; None if they can."""
    known = bundle.functions if bundle else {}
    for directive in directives:
        for node_id, function in _without_code(directive):
            if function not in known:
                return (
                    f"task {node_id!r} was made at run time without its code, and its function"
                    f" {function!r} is not in the workflow's bundle"
                )
    return None


def _without_code(directive: Directive) -> Iterator[tuple[str, str]]:
    """Yield tasks and groups that need code of the bundle, with its id."""
    if not isinstance(directive, Spawn):
        return
    fragment: Plan = directive.fragment
    for node in fragment.nodes:
        needs = isinstance(node, TaskPlan) or (
            isinstance(node, GroupPlan) and isinstance(node.policy, Custom)
        )
        function = function_at(fragment, node.id)
        if needs and function is not None and code_at(fragment, node.id) is None:
            yield node.id, function
