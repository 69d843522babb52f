"""What a task asks of the pod that runs it, and the checks of a task's options."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypedDict

from graflow.dsl.checks import named, seconds, whole
from graflow.dsl.retry import RetryPolicy
from graflow.exceptions import ConfigError


class PodArguments(TypedDict, total=False):
    """The fields of `PodOptions` as keywords of `@task`."""

    profile: str | None
    image: str | None
    resources: Mapping[str, object]
    node_selector: Mapping[str, str]
    tolerations: Sequence[Mapping[str, object]]
    env: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class PodOptions:
    """What a task asks of its pod. The local host ignores all of it."""

    profile: str | None = None
    """Name of a RunnerProfile."""

    image: str | None = None
    """Image with a Graflow runner in it, instead of the standard one."""

    resources: Mapping[str, object] = field(default_factory=dict)
    """Requests and limits as in a pod, `{"requests": {"cpu": "1"}, "limits": {…}}`, or short,
    `{"cpu": "1", "memory": "2Gi"}`, which are requests and limits at once."""

    node_selector: Mapping[str, str] = field(default_factory=dict)
    """Labels that the node must have."""

    tolerations: Sequence[Mapping[str, object]] = ()
    """Taints that the pod puts up with, in the words of the Kubernetes API."""

    env: Mapping[str, str] = field(default_factory=dict)
    """Environment variables of user code."""

    def __post_init__(self) -> None:
        for name in ("profile", "image"):
            if getattr(self, name) is not None:
                named(name, getattr(self, name))
        for name in ("node_selector", "env"):
            _texts(name, getattr(self, name))
        if not isinstance(self.resources, Mapping):
            raise ConfigError(
                f"resources is {self.resources!r}; give a dict such as {{'cpu': '1'}}"
            )
        if isinstance(self.tolerations, str | Mapping) or not all(map(_is_dict, self.tolerations)):
            raise ConfigError(f"tolerations is {self.tolerations!r}; give a list of dicts")


def _is_dict(value: object) -> bool:
    return isinstance(value, Mapping)


def check_options(
    *,
    timeout: float | None,
    max_cycles: int | None,
    max_retries: int | None,
    retry_policy: RetryPolicy | None,
) -> None:
    """Refuse values that cannot work.

    Raises:
        ConfigError: Names the option and its value.
    """
    if timeout is not None:
        seconds("timeout", timeout)
    if max_cycles is not None:
        whole("max_cycles", max_cycles, least=1)
    if max_retries is not None:
        whole("max_retries", max_retries, least=0)
    if not isinstance(retry_policy, RetryPolicy | None):
        raise ConfigError(f"retry_policy is {retry_policy!r}; give a RetryPolicy")


def _dict(name: str, value: object) -> Mapping[object, object]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{name} is {value!r}; give a dict")
    return value


def _texts(name: str, value: object) -> None:
    for key, text in _dict(name, value).items():
        if not isinstance(key, str) or not isinstance(text, str):
            raise ConfigError(f"{name}[{key!r}] is {text!r}; names and values are texts")
