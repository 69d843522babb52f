"""The Workflow resource of a program."""

import json
import math
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass

from graflow.api.convert import plan_of
from graflow.api.cut import is_kept
from graflow.api.errors import InvalidWorkflow
from graflow.api.names import API_VERSION, WORKFLOW_KIND
from graflow.api.parse import parse_large_workflow
from graflow.api.runnable import runnable
from graflow.compile.errors import UnsupportedError
from graflow.compile.written import Fields, plan_fields
from graflow.dsl.program import Program
from graflow.exceptions import GraphCompilationError
from graflow.machine.defaults import DEFAULT_MAX_STEPS
from graflow.machine.plan import Plan
from graflow.values import ValueNotSerializableError, encode, is_json

NO_BUNDLE = {"name": "none", "sha256": 64 * "0"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Rest:
    """What is said about a run besides the program's plan."""

    image: str | None = None
    """Image of all tasks that name none."""

    profile: str | None = None
    """RunnerProfile of all tasks that name none; the program's own when not given."""

    input: Mapping[str, object] | None = None
    """Channel keys to set before the start."""

    deadline_s: float | None = None
    """Longest time of the whole run, in seconds; the program's own when not given."""

    ttl_s: int | None = None
    """Seconds after its end at which the run is deleted."""

    checkpoint_every: int | None = None
    """Results after which a checkpoint is taken, each time."""


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
    spec |= value_fields(rest.input or {}, "input", "exactInput", said="initial_channel")
    if profile := rest.profile or program.profile:
        spec["profile"] = profile
    if rest.image:
        spec["pod"] = {"image": rest.image}
    deadline_s = program.deadline_s if rest.deadline_s is None else rest.deadline_s
    if deadline_s is not None:
        spec["activeDeadlineSeconds"] = math.ceil(deadline_s)
    if rest.ttl_s is not None:
        spec["ttlSecondsAfterFinished"] = rest.ttl_s
    if rest.checkpoint_every is not None:
        spec["checkpointEvery"] = rest.checkpoint_every
    if program.plan.max_steps != DEFAULT_MAX_STEPS:
        spec["maxSteps"] = program.plan.max_steps
    whole, lean = _resource(name, {**fields, **spec}), _resource(name, spec)
    try:
        runnable(whole)
    except InvalidWorkflow:
        try:
            runnable(lean, fields)
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


def value_fields(given: Mapping[str, object], plain: str, exact: str, *, said: str) -> Fields:
    """Return two fields of a spec that hold values, those that an API server would change apart.

    Args:
        given: The values.
        plain: Name of the field for those that are JSON and stay as they are.
        exact: Name of the field for the others.
        said: What the caller calls the values.

    Raises:
        UnsupportedError: If one cannot travel.
    """
    kept = {key: value for key, value in given.items() if is_json(value) and is_kept(value)}
    others = {
        key: _exact(f"{said}[{key!r}]", value) for key, value in given.items() if key not in kept
    }
    return {**({plain: kept} if kept else {}), **({exact: others} if others else {})}


def _exact(said: str, value: object) -> dict[str, str]:
    try:
        encoded = encode(value)
    except ValueNotSerializableError as error:
        raise UnsupportedError(f"{said} cannot go to a cluster: {error}") from error
    if encoded.encoding == "json":
        return {"exact": json.dumps(value)}  # ASCII: half a character is no UTF-8
    return {"pickle": b64encode(encoded.data).decode()}
