"""Handlers: code of the program's own that runs its tasks, on this machine."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graflow.exceptions import ConfigError

if TYPE_CHECKING:  # which makes runs, and those know handlers
    from graflow.dsl.execution import ExecutionContext
    from graflow.dsl.task import TaskWrapper

DIRECT = "direct"
"""Calls the task's function in this process; in a pod, in the pod."""

DOCKER = "docker"
"""In a container: on a cluster every task is."""


class TaskHandler(ABC):
    """Runs tasks that name it, `@task(handler="x")`, once an engine knows it by that name.

    Give it to the engine with `engine.register_handler("x", handler)`.
    """

    def get_name(self) -> str:
        """Return the handler's name for people."""
        return type(self).__name__

    @abstractmethod
    def execute_task(self, task: "TaskWrapper", context: "ExecutionContext") -> Any:  # noqa: ANN401 - any value
        """Run one attempt of a task.

        It must call `context.set_result(task.task_id, value)`: that is the task's value. What it
        raises fails the attempt.

        Args:
            task: `task.run()` calls the function with the arguments that were found for it;
                arguments given to it by name win over those.
            context: The run, while it goes on.
        """


class DirectTaskHandler(TaskHandler):
    """Calls the task's function."""

    def get_name(self) -> str:
        """Return `direct`."""
        return DIRECT

    def execute_task(self, task: "TaskWrapper", context: "ExecutionContext") -> Any:  # noqa: ANN401 - any value
        """Call the function and keep its value."""
        value = task.run()
        context.set_result(task.task_id, value)
        return value


class DockerTaskHandler(TaskHandler):
    """Refused: on a cluster every task has a container, and here none has."""

    def __init__(  # noqa: PLR0913, PLR0917 - Graflow's own signature
        self,
        image: str = "python:3.11-slim",
        auto_remove: bool = True,  # noqa: FBT001, FBT002
        environment: Mapping[str, str] | None = None,
        volumes: Mapping[str, Any] | None = None,
        device_requests: Sequence[Any] | None = None,
        auto_mount_graflow: bool = True,  # noqa: FBT001, FBT002
    ) -> None:
        """Say what to write instead.

        Raises:
            ConfigError: Always.
        """
        del auto_remove, volumes, auto_mount_graflow
        instead = [f"image={image!r}"]
        if environment:
            instead.append(f"env={dict(environment)!r}")
        if device_requests:
            instead.append("resources={'nvidia.com/gpu': '1'}")
        raise ConfigError(
            "DockerTaskHandler runs no containers here; give the task what its pod is to have, "
            f"@task({', '.join(instead)}), and send the program to a cluster (graflow submit)"
        )

    def execute_task(self, task: "TaskWrapper", context: "ExecutionContext") -> Any:  # noqa: ANN401 - any value
        """Never called: no such handler can be made."""
        raise NotImplementedError


@dataclass
class TaskResult:
    """How one branch of a group ended, for the group's policy."""

    task_id: str
    success: bool
    error: Exception | None = None
    error_message: str | None = None
    duration: float = 0.0
    """In seconds."""

    timestamp: float = 0.0
    """When it ended, in seconds since the epoch."""
