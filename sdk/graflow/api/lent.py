"""What the namespace of a run lends to a task: only admission may allow it, where it can see it.

Admission sees the Workflow and the RunnerProfiles. It never sees the tasks that a running one
makes, nor those whose plan is in a bundle: these may not ask for more than an image and a place.
"""

from collections.abc import Iterator

from graflow.api.pod import PodSettings
from graflow.api.workflow import TaskSpec
from graflow.machine.check import Problem

_LENDS_NOTHING = frozenset(
    {
        "image",
        "image_pull_policy",
        "resources",
        "node_selector",
        "tolerations",
        "affinity",
        "topology_spread_constraints",
        "env",
        "labels",
        "annotations",
        "termination_grace_period_seconds",
    }
)
"""Pod settings that lend a task nothing of its namespace."""

_WAY_OUT = "name it in spec.pod of the Workflow, or in a RunnerProfile that the task names"
MADE = f"cannot be given at run time, since nobody admits what a task makes; {_WAY_OUT}"
"""What is wrong with it in a task that a running one makes."""

BUNDLED = f"cannot be given in a bundle, since admission does not look into it; {_WAY_OUT}"
"""What is wrong with it in a task whose plan is in a bundle."""


def lent(task: TaskSpec, field: str, words: str) -> Iterator[Problem]:
    """Yield what a task asks of its namespace that nobody has admitted.

    Args:
        task: The task.
        field: Where it is written.
        words: What is wrong with that: `MADE` or `BUNDLED`.
    """
    for name, setting in PodSettings.model_fields.items():
        if name not in _LENDS_NOTHING and task.pod and getattr(task.pod, name) is not None:
            yield Problem(f"{field}.pod.{setting.alias}", words)
    for owner, env in (
        ("pod", task.pod.env if task.pod else None),
        ("container", task.container.env if task.container else None),
    ):
        for number, variable in enumerate(env or ()):
            if variable.value_from is not None:
                yield Problem(f"{field}.{owner}.env[{number}].valueFrom", words)
