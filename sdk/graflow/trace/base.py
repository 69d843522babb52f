"""What a tracer is told about a run, and what it can tell afterwards."""

# ruff: noqa: B027 - a tracer may leave hooks alone that it has no use for

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from graflow.exceptions import ConfigError
from graflow.trace.record import Record

Facts: TypeAlias = Mapping[str, Any] | None

Context: TypeAlias = Any
"""A `graflow.core.context.ExecutionContext`. Tracers stand below what makes those."""

Task: TypeAlias = Any
"""A `graflow.core.task.Executable`."""


class Tracer(ABC):
    """Is told what happens in a run, call by call; never two calls at a time.

    A tracer of your own defines the `_output_…` methods and `clone`. The `on_…` methods are what
    the host calls; they become a trace, with a span for each attempt of a task in it.
    """

    def __init__(self, enable_runtime_graph: bool = True) -> None:  # noqa: FBT001, FBT002 - Graflow's own signature
        """Take whether what the run does is kept, for `export_runtime_graph`."""
        self.enable_runtime_graph = enable_runtime_graph
        self._record = Record()
        self._current_trace_id: str | None = None

    def trace_start(self, name: str, trace_id: str | None = None, metadata: Facts = None) -> None:
        """Begin a trace: one run."""
        self._current_trace_id = trace_id
        if self.enable_runtime_graph:
            facts = {"type": "trace", "trace_id": trace_id, **(metadata or {})}
            self._record.begin(name, facts)
        self._output_trace_start(name, trace_id, metadata)

    def trace_end(self, name: str, output: object = None, metadata: Facts = None) -> None:
        """End a trace; `metadata["error"]` says that the run failed."""
        if self.enable_runtime_graph:
            self._record.end(name, _with_output(output, metadata))
        self._output_trace_end(name, output, metadata)

    def span_start(self, name: str, parent_name: str | None = None, metadata: Facts = None) -> None:
        """Begin a span: one attempt of a task."""
        if self.enable_runtime_graph:
            self._record.begin(name, {"type": "span", **(metadata or {})}, parent_name)
        self._output_span_start(name, parent_name, metadata)

    def span_end(self, name: str, output: object = None, metadata: Facts = None) -> None:
        """End a span; `metadata["error"]` says that it failed."""
        if self.enable_runtime_graph:
            self._record.end(name, _with_output(output, metadata))
        self._output_span_end(name, output, metadata)

    def event(self, name: str, parent_span: str | None = None, metadata: Facts = None) -> None:
        """Note something that happens at one moment."""
        self._output_event(name, parent_span, metadata)

    @abstractmethod
    def _output_trace_start(self, name: str, trace_id: str | None, metadata: Facts) -> None:
        """Show that a trace begins."""

    @abstractmethod
    def _output_trace_end(self, name: str, output: object, metadata: Facts) -> None:
        """Show that a trace ends."""

    @abstractmethod
    def _output_span_start(self, name: str, parent_name: str | None, metadata: Facts) -> None:
        """Show that a span begins."""

    @abstractmethod
    def _output_span_end(self, name: str, output: object, metadata: Facts) -> None:
        """Show that a span ends."""

    @abstractmethod
    def _output_event(self, name: str, parent_span: str | None, metadata: Facts) -> None:
        """Show an event."""

    @abstractmethod
    def _output_attach_to_trace(self, trace_id: str, parent_span_id: str | None) -> None:
        """Show that what follows belongs to a trace that began elsewhere."""

    @abstractmethod
    def clone(self, trace_id: str) -> "Tracer":
        """Return a tracer with the same settings, for a branch of a group.

        Args:
            trace_id: Of the run.
        """

    def clone_for_branch(self, trace_id: str) -> "Tracer":
        """Return a clone that adds to the same runtime graph; for hosts."""
        made = self.clone(trace_id)
        made._record = self._record  # noqa: SLF001 - of the same class
        made.enable_runtime_graph = self.enable_runtime_graph
        return made

    def on_workflow_start(self, workflow_name: str, context: Context) -> None:
        """Note that a run begins."""
        facts = {
            "start_node": context.start_node,
            "max_steps": context.max_steps,
            "session_id": context.session_id,
        }
        self.trace_start(workflow_name, context.trace_id, facts)

    def on_workflow_end(self, workflow_name: str, context: Context, result: object = None) -> None:
        """Note that a run has ended; `context.error` is why, if it failed."""
        facts = {"steps": context.steps, **_told(context.error)}
        self.trace_end(workflow_name, result, facts)

    def on_task_queued(self, task: Task, context: Context) -> None:
        """Note that a task will run, perhaps after others."""

    def on_task_start(self, task: Task, context: Context) -> None:
        """Note that an attempt begins; `context.current_task_id` is the group it is in."""
        facts = {"task_type": type(task).__name__, "handler_type": task.handler_type}
        self.span_start(task.task_id, context.current_task_id, facts)

    def on_task_end(
        self,
        task: Task,
        context: Context,
        result: object = None,
        error: Exception | None = None,
    ) -> None:
        """Note that an attempt of a task has ended."""
        del context
        self.span_end(task.task_id, result, _told(error))

    def on_parallel_group_start(
        self, group_id: str, member_ids: Sequence[str], context: Context
    ) -> None:
        """Note that the branches of a group begin."""
        del context
        if self.enable_runtime_graph:
            for member in member_ids:
                self._record.relate(group_id, member, "parallel-member")

    def on_parallel_group_end(
        self,
        group_id: str,
        member_ids: Sequence[str],
        context: Context,
        results: Mapping[str, Any] | None = None,
    ) -> None:
        """Note that all branches of a group have ended; `results` are values of the good ones."""

    def on_dynamic_task_added(
        self,
        task_id: str,
        parent_task_id: str | None = None,
        is_iteration: bool = False,  # noqa: FBT001, FBT002 - Graflow's own signature
        metadata: Facts = None,
    ) -> None:
        """Note that a running task asked for another: a new one, or itself again."""

    def attach_to_trace(self, trace_id: str, parent_span_id: str | None = None) -> None:
        """Go on with a trace that began elsewhere."""
        self._current_trace_id = trace_id
        self._output_attach_to_trace(trace_id, parent_span_id)

    def flush(self) -> None:
        """Send what is kept back; called at the end of a run and of a branch."""

    def shutdown(self) -> None:
        """Send what is kept back, and close what is open; called by whoever made the tracer."""

    def get_runtime_graph(self) -> Any:  # noqa: ANN401 - a networkx.DiGraph
        """Return what the run did as a `networkx.DiGraph`; None if it is not kept.

        Raises:
            MissingPackageError: If networkx is not installed.
        """
        return self._record.as_networkx() if self.enable_runtime_graph else None

    def get_execution_order(self) -> list[str]:
        """Return the names of traces and spans, in the order in which they began."""
        return list(self._record.order)

    def get_current_span_id(self) -> str | None:
        """Return what a service calls the present span, if there is such a service."""
        return None

    def export_runtime_graph(self, format: str = "dict") -> dict[str, Any] | None:  # noqa: A002 - Graflow's own name
        """Return what the run did: `nodes`, `edges`, `execution_order`; None if it is not kept.

        Args:
            format: `dict`, `json` (times as texts), or `graphml` (`{"graphml": text}`).

        Raises:
            ConfigError: If the format is not known.
        """
        if not self.enable_runtime_graph:
            return None
        match format:
            case "dict":
                return self._record.as_dict()
            case "json":
                return self._record.as_json()
            case "graphml":
                return {"graphml": self._record.as_graphml()}
            case _:
                raise ConfigError(f"format {format!r} is not known; it is dict, json or graphml")


def _with_output(output: object, metadata: Facts) -> dict[str, Any]:
    return {"output": None if output is None else str(output), **(metadata or {})}


def _told(error: BaseException | None) -> dict[str, str]:
    return {"error": str(error), "error_type": type(error).__name__} if error else {}
