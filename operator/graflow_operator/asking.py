"""The FeedbackRequest that a question to a person is. Pure."""

from collections.abc import Mapping
from typing import Any

from graflow.api import names
from graflow.api.moment import rfc3339
from graflow.machine.scopes import outward
from graflow.machine.state import RUN_SCOPE, Activation, Question, State
from graflow_operator.cluster import Object
from graflow_operator.refs import RunRef, controllers

_AS_ASKED = (
    "type",
    "prompt",
    "options",
    "schema",
    "payload",
    "metadata",
    "assignees",
    "approvals",
    "submitterMayAnswer",
    "onDeadline",
    "remindEverySeconds",
    "timeoutSeconds",
)
"""Fields of the spec that are as the task has said them."""


def name_of(run: RunRef, activation: Activation, key: str) -> str:
    """Return the name of the object that a question is."""
    return names.feedback_name(
        run.name, activation.node, uid=run.uid, activation=activation.number, key=key
    )


MAX_PATH_CHARS = 1024
"""Of groups and members around a task, which are for people alone."""


_DECIDES = (
    "operator",
    "workflow",
    "activation",
    "key",
    "sha256",
    "submitter",
    "assignees",
    "approvals",
    "submitterMayAnswer",
    "onDeadline",
    "deadline",
)
"""Fields of the spec that say whose question it is, who may answer it, and what comes of it."""


def is_same(found: Mapping[str, Any], made: Mapping[str, Any]) -> bool:
    """Whether the object that has a question's name is that question, whoever made it.

    Args:
        found: What the API server has.
        made: The object of the question.
    """
    asked, ours = found["spec"], made["spec"]
    return controllers(found) == controllers(made) and all(
        asked.get(field) == ours.get(field) for field in _DECIDES
    )


def request(  # noqa: PLR0913, PLR0917 - all that a question is made of
    run: RunRef,
    instance: str,
    submitter: str | None,
    state: State,
    activation: Activation,
    question: Question,
    asked: Mapping[str, Any],
) -> Object:
    """Return the object of a question, which whoever makes it anew makes the same.

    Args:
        run: The run that asks.
        instance: Id of the installation.
        submitter: Who submitted the run, if the Workflow says so.
        state: Where the run stands.
        activation: Who asks, in that state.
        question: What is asked.
        asked: The question as the task has said it.
    """
    spec: dict[str, Any] = {
        "operator": instance,
        "workflow": {"name": run.name, "uid": run.uid},
        "task": activation.node,
        "iteration": activation.iteration,
        "activation": activation.number,
        "key": question.key,
        "sha256": question.digest,
        **{field: asked[field] for field in _AS_ASKED if field in asked},
    }
    if path := _path(state, activation.scope):
        spec["path"] = path[:MAX_PATH_CHARS]
    if submitter is not None:
        spec["submitter"] = submitter
    if timeout_s := asked.get("timeoutSeconds"):
        spec["deadline"] = rfc3339(question.at + timeout_s)
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.FEEDBACK_REQUEST_KIND,
        "metadata": {
            "name": question.name,
            "namespace": run.namespace,
            "labels": names.feedback_labels(run.name, uid=run.uid, instance=instance),
            "ownerReferences": [run.owner],
        },
        "spec": spec,
    }


def _path(state: State, scope: int) -> str:
    """Return the groups and members around a scope, the outermost first."""
    if scope == RUN_SCOPE:
        return ""
    pairs = [found.path[-1] for found in outward(state, scope) if found.path]
    return "/".join(f"{group}/{member}" for group, member in reversed(pairs))
