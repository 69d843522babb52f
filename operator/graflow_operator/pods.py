"""The manifest of a runner pod: a pure function of the task, the attempt and the settings."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from graflow.api import names
from graflow.api.placement import AMOUNTS, laid_over
from graflow.api.pod import ContainerSpec, EnvVar, PodSettings
from graflow.api.workflow import TaskSpec
from graflow_operator.refs import AttemptRef, RunRef, pod_name

Object = dict[str, Any]

RUNNER_USER = 65532
GRACE_S = 30
"""Time between SIGTERM and SIGKILL, in seconds."""

_DEFAULTS = PodSettings(
    termination_grace_period_seconds=GRACE_S,
    security_context={
        "runAsNonRoot": True,
        "runAsUser": RUNNER_USER,
        "runAsGroup": RUNNER_USER,
        "seccompProfile": {"type": "RuntimeDefault"},
    },
)
_OF_THE_CONTAINER = frozenset({"image_pull_policy", "resources", "env_from", "volume_mounts"})
_OF_THE_METADATA = frozenset({"labels", "annotations"})
_OF_THE_POD = (
    frozenset(PodSettings.model_fields)
    - _OF_THE_CONTAINER
    - _OF_THE_METADATA
    - {"image", "env", "init_containers"}
)
_WHOLE_INPUT = re.compile(r"^\$\(inputs\.(?P<name>[^()]+)\)$")


class UnknownInputError(Exception):
    """An argument asks for an input that the task does not have."""


@dataclass(frozen=True, slots=True)
class Runner:
    """What is the same for all pods of a run."""

    run: RunRef
    image: str
    api: str
    """URL of the operator."""

    secret: str
    """Name of the Secret with the run's key."""

    instance: str = ""
    ca: str = ""
    """Certificates that the operator is to be believed for, PEM; empty for plain HTTP."""

    resources: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Requests and limits of the resources of which a container's settings say nothing."""

    keep_logs: bool = False
    """Whether the kubelet tells the last lines of a container that says nothing else."""


def build(
    runner: Runner,
    task: TaskSpec,
    attempt: AttemptRef,
    below: PodSettings | None = None,
    inputs: Mapping[str, str] | None = None,
) -> Object:
    """Return the pod of one attempt.

    Args:
        runner: What all pods of the run share.
        task: The task as written.
        attempt: Which attempt of it.
        below: Pod settings of its profile and of the workflow, which its own go before.
        inputs: Texts by name, for a container task.

    Raises:
        UnknownInputError: If an argument of a container task names no input.
    """
    settings = laid_over(task.pod, below, _DEFAULTS)
    container = (
        _runner_container(runner, settings)
        if task.container is None
        else _user_container(task.container, settings, inputs or {})
    )
    container = _with_amounts(container, runner.resources)
    if runner.keep_logs:
        container["terminationMessagePolicy"] = "FallbackToLogsOnError"
    spec: Object = {
        "restartPolicy": "Never",
        "enableServiceLinks": False,
        "automountServiceAccountToken": settings.service_account_name is not None,
        **_said(settings, _OF_THE_POD),
        "containers": [container],
    }
    if settings.init_containers:
        spec["initContainers"] = [
            _with_amounts(_hardened(one), runner.resources) for one in settings.init_containers
        ]
    if task.timeout_seconds is not None:
        spec["activeDeadlineSeconds"] = max(1, math.ceil(task.timeout_seconds))
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": _metadata(runner, task, attempt, settings),
        "spec": spec,
    }


def _metadata(runner: Runner, task: TaskSpec, attempt: AttemptRef, settings: PodSettings) -> Object:
    run = runner.run
    ours = {
        names.LABEL_RUN: run.uid,
        names.LABEL_WORKFLOW: names.label_value(run.name),
        names.LABEL_TASK: names.dns_form(task.name),
        names.LABEL_ACTIVATION: str(attempt.activation),
        names.LABEL_ATTEMPT: str(attempt.attempt),
        names.LABEL_APP_NAME: names.RUNNER_APP,
        names.LABEL_MANAGED_BY: names.MANAGED_BY,
    }
    if runner.instance:
        ours[names.LABEL_INSTANCE] = runner.instance
    metadata: Object = {
        "name": pod_name(run, task.name, attempt),
        "namespace": run.namespace,
        "labels": {**(settings.labels or {}), **ours},
        "annotations": {
            names.ANNOTATION_SAFE_TO_EVICT: "false",
            **(settings.annotations or {}),
            names.ANNOTATION_DEFAULT_CONTAINER: names.TASK_CONTAINER,
            names.ANNOTATION_TASK: task.name,
        },
        "ownerReferences": [run.owner],
    }
    if task.container is not None:
        # The pod's status is the only record of how it ended.
        metadata["finalizers"] = [names.OUTCOME_FINALIZER]
    return metadata


def _said(settings: PodSettings, fields: frozenset[str]) -> Object:
    """Return those of the fields that say something, in Kubernetes' form."""
    said = settings.model_dump(mode="json", by_alias=True, exclude_none=True, include=set(fields))
    return {name: value for name, value in said.items() if value not in ([], {})}


def _container(image: str, settings: PodSettings) -> Object:
    container: Object = {
        "name": names.TASK_CONTAINER,
        "image": image,
        "terminationMessagePolicy": "File",
    }
    return _hardened(container | _said(settings, _OF_THE_CONTAINER))


def _hardened(container: Object) -> Object:
    """Return a container as namespaces that enforce restricted Pod Security want it."""
    usual = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    own = container.get("securityContext") or {}
    # What is no context at all is for the API server to refuse, in its own words.
    return {**container, "securityContext": {**usual, **own} if isinstance(own, Mapping) else own}


def _with_amounts(container: Object, usual: Mapping[str, Mapping[str, str]]) -> Object:
    """Return a container that requests something, as quotas want it.

    Of a resource of which anything is said, a request or a limit, nothing is added: a usual request
    may be more than the limit.
    """
    own = container.get("resources") or {}
    said = [own.get(kind) or {} for kind in AMOUNTS] if isinstance(own, Mapping) else [own]
    if not all(isinstance(amounts, Mapping) for amounts in said):
        return container  # for the API server to refuse, in its own words
    known = {name for amounts in said for name in amounts}
    resources = {**own}
    for kind in AMOUNTS:
        more = {name: n for name, n in usual.get(kind, {}).items() if name not in known}
        if more:
            resources[kind] = {**(own.get(kind) or {}), **more}
    return {**container, "resources": resources} if resources else container


def _runner_container(runner: Runner, settings: PodSettings) -> Object:
    container = _container(settings.image or runner.image, settings)
    fields = {
        names.ENV_POD_NAME: "metadata.name",
        names.ENV_POD_UID: "metadata.uid",
        names.ENV_NAMESPACE: "metadata.namespace",
        names.ENV_RUN: f"metadata.labels['{names.LABEL_RUN}']",
    }
    key = {"name": runner.secret, "key": names.SECRET_KEY}
    own: list[Object] = [
        {"name": names.ENV_API, "value": runner.api},
        *(_from_field(name, path) for name, path in fields.items()),
        {"name": names.ENV_KEY, "valueFrom": {"secretKeyRef": key}},
    ]
    if settings.termination_grace_period_seconds != GRACE_S:
        grace_s = str(settings.termination_grace_period_seconds)
        own.append({"name": names.ENV_GRACE, "value": grace_s})
    if runner.ca:
        own.append({"name": names.ENV_CA, "value": runner.ca})
    taken = {variable["name"] for variable in own}
    users = [variable for variable in _env(settings.env) if variable["name"] not in taken]
    container["env"] = [*users, *own]
    return container


def _user_container(
    spec: ContainerSpec, settings: PodSettings, inputs: Mapping[str, str]
) -> Object:
    container = _container(spec.image, settings)
    given = {names.input_env(name): text for name, text in inputs.items()}
    own = [{"name": name, "value": _literal(text)} for name, text in given.items()]
    variables = {
        variable["name"]: variable for variable in (*_env(settings.env), *_env(spec.env), *own)
    }
    container["env"] = list(variables.values())
    if spec.command is not None:
        container["command"] = [_argument(text, inputs) for text in spec.command]
    if spec.args is not None:
        container["args"] = [_argument(text, inputs) for text in spec.args]
    return container


def _argument(text: str, inputs: Mapping[str, str]) -> str:
    whole = _WHOLE_INPUT.match(text)
    if whole is None:
        return text
    if whole["name"] not in inputs:
        known = ", ".join(sorted(inputs)) or "none"
        raise UnknownInputError(
            f"argument {text!r} names an input that the task does not have; its inputs: {known}"
        )
    return _literal(inputs[whole["name"]])


def _literal(text: str) -> str:
    """Return the text so that the kubelet leaves `$(NAME)` in it alone."""
    return text.replace("$(", "$$(")


def _env(variables: tuple[EnvVar, ...] | None) -> list[Object]:
    return [variable.manifest() for variable in variables or ()]


def _from_field(name: str, path: str) -> Object:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}
