"""The Workflow resource of a program."""

from collections.abc import Mapping
from dataclasses import dataclass

from graflow.api.convert import plan_of
from graflow.api.errors import InvalidWorkflow
from graflow.api.names import API_VERSION, WORKFLOW_KIND
from graflow.api.parse import parse_large_workflow, parse_workflow
from graflow.compile.errors import UnsupportedError
from graflow.compile.written import Fields, plan_fields
from graflow.dsl.program import Program
from graflow.exceptions import GraphCompilationError
from graflow.machine.defaults import DEFAULT_MAX_STEPS
from graflow.machine.plan import Plan
from graflow.values import is_json

NO_BUNDLE = {"name": "none", "sha256": 64 * "0"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Rest:
    """What is said about a run besides the program's plan."""

    image: str | None = None
    """Image of all tasks that name none."""

    input: Mapping[str, object] | None = None
    """Channel keys to set before the start."""


def written(program: Program) -> Fields:
    """Return a program's plan as a spec says it: tasks, groups, edges and start.

    Raises:
        UnsupportedError: If it asks for what is not there on a cluster.
        GraphCompilationError: If it cannot run.
    """
    plan = program.plan
    fields = plan_fields(plan, program.tasks)
    order = {node.id: number for number, node in enumerate(plan.nodes)}
    seen = _seen(fields)
    if list(seen.by_id) != list(order):
        for group in fields["groups"]:
            group["position"] = order[group["name"]]
        seen = _seen(fields)
    if seen.successors != plan.successors:
        fields["edges"] = [list(edge) for edge in plan.edges]
        seen = _seen(fields)
    if (seen.nodes, seen.successors, seen.start) != (plan.nodes, plan.successors, plan.start):
        raise GraphCompilationError("the Workflow would not mean what the program means")
    return fields


def workflow_of(
    name: str, program: Program, fields: Fields, rest: Rest, *, bundle: Mapping[str, str]
) -> Fields:
    """Return the Workflow resource of a program, without a namespace.

    A plan that is too large for a resource stays in the bundle.

    Args:
        name: Name of the resource.
        program: The program.
        fields: Its plan, as `written` and as it is in the bundle.
        rest: What else is to be said.
        bundle: Name and sha256 of the CodeBundle.

    Raises:
        UnsupportedError: If it asks for what is not there on a cluster.
        GraphCompilationError: If it cannot run.
    """
    spec: Fields = {"bundle": dict(bundle)}
    if rest.input:
        spec["input"] = _input(rest.input)
    if program.profile:
        spec["profile"] = program.profile
    if rest.image:
        spec["pod"] = {"image": rest.image}
    if program.plan.max_steps != DEFAULT_MAX_STEPS:
        spec["maxSteps"] = program.plan.max_steps
    whole, lean = _resource(name, {**fields, **spec}), _resource(name, spec)
    try:
        plan_of(parse_workflow(whole).spec)
    except InvalidWorkflow:
        try:
            plan_of(parse_large_workflow(lean, fields).spec)
        except InvalidWorkflow as error:
            raise GraphCompilationError(str(error)) from error
        return lean
    return whole


def _resource(name: str, spec: Fields) -> Fields:
    head: Fields = {"apiVersion": API_VERSION, "kind": WORKFLOW_KIND, "metadata": {"name": name}}
    return head | {"spec": spec}


def _seen(fields: Fields) -> Plan:
    """Return the plan that the operator will see in what is written."""
    try:
        resource = _resource("seen", {"bundle": NO_BUNDLE})
        return plan_of(parse_large_workflow(resource, fields).spec)
    except InvalidWorkflow as error:
        raise GraphCompilationError(str(error)) from error


def _input(given: Mapping[str, object]) -> Fields:
    for key, value in given.items():
        if not is_json(value):
            raise UnsupportedError(
                f"initial_channel[{key!r}] is {value!r}, which JSON does not keep as it is; on a "
                f"cluster, start with texts, numbers, lists and dicts with texts as keys"
            )
        if (number := _beyond_64_bits(value)) is not None:
            raise UnsupportedError(
                f"initial_channel[{key!r}] has the number {number}, which an API server would "
                f"round; it keeps whole numbers of 64 bits, so start with it as a text"
            )
    return dict(given)


def _beyond_64_bits(value: object) -> int | None:
    """Return the first whole number that does not fit into 64 bits."""
    if isinstance(value, int):
        return None if -(2**63) <= value < 2**63 else value
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return next((n for item in inner if (n := _beyond_64_bits(item)) is not None), None)
