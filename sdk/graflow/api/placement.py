"""Pod settings said at several levels, laid over each other. Pure.

The most specific level that says something wins: a task's own `pod`; its profile, which is that of
the task or else that of the workflow, never both; the workflow's `pod`; the operator's defaults.

* Maps (`nodeSelector`, `labels`, `annotations`, `affinity`, `securityContext`) are added to, key by
  key; what is below a key is replaced whole.
* `requests` and `limits` in `resources` are such maps, by the resource's name.
* `env` is added to by the variable's name. What comes from below stands first, so that a value may
  refer to it as `$(NAME)`.
* All other lists, and all texts, numbers and switches, are replaced. An empty list is something
  said: it takes away what a level below gives.
"""

from collections.abc import Mapping
from functools import reduce
from typing import Any

from graflow.api.pod import EnvVar, PodSettings
from graflow.api.workflow import TaskSpec, WorkflowSpec

AMOUNTS = ("requests", "limits")


def profile_of(task: TaskSpec, spec: WorkflowSpec) -> str | None:
    """Return the name of the profile that a task's pods are made from."""
    return task.profile or spec.profile


def laid_over(*levels: PodSettings | None) -> PodSettings:
    """Return what levels of pod settings say together, the most specific one given first."""
    given = [level for level in reversed(levels) if level is not None]
    return reduce(_over, given, PodSettings())


def _over(below: PodSettings, above: PodSettings) -> PodSettings:
    said: dict[str, Any] = {}
    for name in PodSettings.model_fields:
        low, high = getattr(below, name), getattr(above, name)
        if high is not None:
            said[name] = high if low is None else _both(name, low, high)
    return below.model_copy(update=said)


def _both(field: str, low: Any, high: Any) -> Any:  # noqa: ANN401 - the values of any field
    """Return what two levels say together that both say something."""
    match field:
        case "env":
            return _variables(low, high)
        case "resources":
            amounts = {
                kind: {**low[kind], **high[kind]}
                for kind in AMOUNTS
                if isinstance(low.get(kind), Mapping) and isinstance(high.get(kind), Mapping)
            }
            return {**low, **high, **amounts}
        case _:
            return {**low, **high} if isinstance(high, Mapping) else high


def _variables(low: tuple[EnvVar, ...], high: tuple[EnvVar, ...]) -> tuple[EnvVar, ...]:
    return tuple({variable.name: variable for variable in (*low, *high)}.values())
