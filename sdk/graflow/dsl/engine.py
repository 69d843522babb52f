"""The engine of low-level programs."""

from typing import TYPE_CHECKING, Any

from graflow.dsl.checks import named
from graflow.dsl.execution import ExecutionContext
from graflow.dsl.graph import TaskGraph
from graflow.dsl.handler import TaskHandler
from graflow.dsl.task import Task
from graflow.exceptions import ConfigError

if TYPE_CHECKING:  # a package above this layer
    from graflow.trace.base import Tracer


class WorkflowEngine:
    """Runs contexts, with handlers of the program's own."""

    def __init__(self) -> None:
        self._handlers: dict[str, TaskHandler] = {}

    def register_handler(self, handler_type: str, handler: TaskHandler) -> None:
        """Let a handler run the tasks that ask for it: `@task(handler="…")`.

        Args:
            handler_type: What tasks call it; `direct` is for all tasks that ask for none.
            handler: Runs them, on this machine.

        Raises:
            ConfigError: If it is no handler.
        """
        if not callable(getattr(handler, "execute_task", None)):
            raise ConfigError(f"handler {handler_type!r} is {handler!r}; give a TaskHandler")
        self._handlers[named("a handler's name", handler_type)] = handler

    def execute(self, context: ExecutionContext, start_task_id: str | None = None) -> Any:  # noqa: ANN401 - the value of the run
        """Run a context and return its value; the context then shows what the run left.

        Args:
            context: What to run.
            start_task_id: Where to begin, instead of where the context says.

        Raises:
            GraphCompilationError: If the graph cannot run.
            ConfigError: If a task asks for a handler that nobody registered.
            GraflowRuntimeError: If the run fails.
        """
        if start_task_id is not None:
            context.start_node = start_task_id
        return context.run_with(self._handlers)

    def execute_with_cycles(self, graph: TaskGraph, start_node: str, max_steps: int = 10) -> None:
        """Run a graph from a node on, for what its tasks do.

        Raises:
            MaxStepsExceededError: If there are more activations than `max_steps`.
        """
        self.execute(ExecutionContext.create(graph, start_node, max_steps))


def create_execution_context(
    start_node: str = "ROOT", max_steps: int = 10, tracer: "Tracer | None" = None
) -> ExecutionContext:
    """Return a context for a new graph with one task, which does nothing."""
    graph = TaskGraph()
    graph.add_node(Task(start_node, register_to_context=False))
    return ExecutionContext.create(graph, start_node, max_steps, tracer=tracer)


def execute_with_cycles(graph: TaskGraph, start_node: str, max_steps: int = 10) -> None:
    """Run a graph; see `WorkflowEngine.execute_with_cycles`."""
    WorkflowEngine().execute_with_cycles(graph, start_node, max_steps)
