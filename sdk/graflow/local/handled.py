"""An attempt that a handler of the program's own makes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from graflow.dsl.checkpoints import CheckpointMetadata
from graflow.dsl.handler import DIRECT, DOCKER, TaskHandler
from graflow.dsl.missing import MISSING
from graflow.dsl.program import Program
from graflow.dsl.task import TaskWrapper
from graflow.exceptions import ConfigError, GraflowRuntimeError
from graflow.local.live import Live, RunningContext
from graflow.local.views import TaskView


class HandledTask(TaskWrapper):
    """A task as its handler gets it: `run()` calls the function with the arguments found for it."""

    def __init__(self, task: TaskWrapper, call: Callable[[Mapping[str, object]], Any]) -> None:
        """Take the task, and what calls its function with arguments given by name."""
        self.__dict__.update(task.__dict__)
        self._task = task
        self._call = call

    def run(self, *args: object, **kwargs: object) -> Any:  # noqa: ANN401 - whatever the function returns
        """Call the function; what is given by name wins over what was found."""
        if args:
            raise TypeError(
                f"a handler gives task {self.task_id!r} arguments by name: task.run(name=value)"
            )
        return self._call(kwargs)

    def __reduce__(self) -> tuple[object, ...]:
        return _itself, (self._task,)  # what goes to another process is the task


def _itself(task: TaskWrapper) -> TaskWrapper:
    return task


class HandlerContext(RunningContext):
    """The run as a handler gets it: it can keep the value of its task."""

    task_id: str
    kept: object = MISSING

    def set_result(self, task_id: str, result: object) -> None:
        """Keep the value of the task that the handler runs.

        Raises:
            GraflowRuntimeError: If it is another one.
        """
        if task_id != self.task_id:
            raise GraflowRuntimeError(
                f"a handler sets the result of the task that it runs, {self.task_id!r}, and not "
                f"that of {task_id!r}"
            )
        self.kept = result


class _Seen:
    """An `Outcome` of the run as one attempt sees it."""

    def __init__(self, live: Live, view: TaskView) -> None:
        self._live = live
        self.session_id = live.session_id
        self.channel = view.channel
        self.result = view.result

    @property
    def completed_tasks(self) -> Sequence[str]:
        """Ids of the tasks that have succeeded so far."""
        return self._live.completed_tasks

    @property
    def steps(self) -> int:
        """How many activations there were so far."""
        return self._live.steps

    @property
    def message(self) -> str:
        """Why the run ends, if a task has said so."""
        return self._live.message

    @property
    def last_checkpoint(self) -> tuple[str, CheckpointMetadata] | None:
        """Where the last checkpoint is that the run took, and what is known of it."""
        return self._live.last_checkpoint


def handler_context(live: Live, view: TaskView) -> HandlerContext:
    """Return what a handler is given of the run."""
    return HandlerContext.of_run(live.program, _Seen(live, view), live.provided)


def run_handled(handler: TaskHandler, task: HandledTask, context: HandlerContext) -> Any:  # noqa: ANN401 - any value
    """Let a handler make an attempt, and return the value that it kept.

    Raises:
        GraflowRuntimeError: If it kept none.
        BaseException: Whatever it raises.
    """
    context.task_id = context.current_task_id = task.task_id
    handler.execute_task(task, context)
    if context.kept is MISSING:
        raise GraflowRuntimeError(
            f"handler {handler.get_name()} kept no result of task {task.task_id!r}; "
            "its execute_task must call context.set_result(task.task_id, value)"
        )
    return context.kept


def check_handlers(program: Program) -> None:
    """Refuse a program whose tasks ask for a handler that this machine does not have.

    Raises:
        ConfigError: Names the task.
    """
    for key, task in program.tasks.items():
        if task.handler_type != DIRECT and task.handler_type not in program.services.handlers:
            raise ConfigError(missing_handler(key, task.handler_type))


def missing_handler(task: str, handler: str) -> str:
    """Return why a task cannot run here."""
    if handler == DOCKER:
        return (
            f"task {task!r} asks for the handler 'docker', and this machine runs tasks in its own "
            "process; send the program to a cluster (graflow submit), where every task has a "
            "container, with an image of its own by @task(image=…)"
        )
    return (
        f"task {task!r} asks for the handler {handler!r}, which nobody registered; register one "
        f"with WorkflowEngine().register_handler({handler!r}, handler)"
    )
