"""A tracer that prints one line for everything that happens."""

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from graflow.trace.base import Context, Facts, Tracer

_COLORS = {"gray": 90, "red": 91, "green": 92, "yellow": 93, "blue": 94, "cyan": 96}
_SHOWN = ("trace_id", "task_type", "handler_type", "type", "members", "completed", "total")
_SECOND_MS = 1000


class ConsoleTracer(Tracer):
    """Prints to stdout.

    → [12:34:56.123] TRACE START: etl (trace_id: 5f2c…)
      → [12:34:56.124] SPAN START: extract (task_type: TaskWrapper, handler_type: direct)
      ✓ [12:34:56.234] SPAN END: extract (110ms)
    ✓ [12:34:56.346] TRACE END: etl (223ms)
    """

    def __init__(
        self,
        enable_runtime_graph: bool = True,  # noqa: FBT001, FBT002 - Graflow's own signature
        enable_colors: bool = True,  # noqa: FBT001, FBT002
        show_metadata: bool = True,  # noqa: FBT001, FBT002
        indent_size: int = 2,
    ) -> None:
        """Take how it looks.

        Args:
            enable_runtime_graph: Keep what the run did, for `export_runtime_graph`.
            enable_colors: Colour the lines, with ANSI codes.
            show_metadata: Show what is known of a task.
            indent_size: Spaces for each step inwards.
        """
        super().__init__(enable_runtime_graph)
        self.enable_colors = enable_colors
        self.show_metadata = show_metadata
        self.indent_size = indent_size
        self._depth = 0
        self._begun: dict[str, float] = {}

    def clone(self, trace_id: str) -> "ConsoleTracer":
        """Return a tracer with the same settings, whose lines are one step further in."""
        made = ConsoleTracer(
            self.enable_runtime_graph, self.enable_colors, self.show_metadata, self.indent_size
        )
        made._depth = self._depth + 1
        made._current_trace_id = trace_id
        return made

    def on_parallel_group_start(
        self, group_id: str, member_ids: Sequence[str], context: Context
    ) -> None:
        """Note that the branches of a group begin."""
        super().on_parallel_group_start(group_id, member_ids, context)
        self.event(f"parallel_group_start: {group_id}", metadata={"members": len(member_ids)})

    def on_parallel_group_end(
        self,
        group_id: str,
        member_ids: Sequence[str],
        context: Context,
        results: Mapping[str, Any] | None = None,
    ) -> None:
        """Note that all branches of a group have ended."""
        super().on_parallel_group_end(group_id, member_ids, context, results)
        facts = {"completed": len(results or ()), "total": len(member_ids)}
        self.event(f"parallel_group_end: {group_id}", metadata=facts)

    def on_dynamic_task_added(
        self,
        task_id: str,
        parent_task_id: str | None = None,
        is_iteration: bool = False,  # noqa: FBT001, FBT002 - Graflow's own signature
        metadata: Facts = None,
    ) -> None:
        """Note that a running task asked for another."""
        super().on_dynamic_task_added(task_id, parent_task_id, is_iteration, metadata)
        kind = "ITERATION" if is_iteration else "DYNAMIC"
        parent = f" (parent: {parent_task_id})" if parent_task_id else ""
        self._line("⚡", f"+ {kind} TASK: {task_id}{parent}", "yellow")

    def _output_trace_start(self, name: str, trace_id: str | None, metadata: Facts) -> None:
        facts = {"trace_id": trace_id, **(metadata or {})}
        self._enter(name, f"TRACE START: {name}{self._facts(facts)}", "cyan")

    def _output_trace_end(self, name: str, output: object, metadata: Facts) -> None:
        del output
        self._leave(name, f"TRACE END: {name}", metadata, "cyan")

    def _output_span_start(self, name: str, parent_name: str | None, metadata: Facts) -> None:
        del parent_name
        self._enter(name, f"SPAN START: {name}{self._facts(metadata)}", "blue")

    def _output_span_end(self, name: str, output: object, metadata: Facts) -> None:
        del output
        self._leave(name, f"SPAN END: {name}", metadata, "blue")

    def _output_event(self, name: str, parent_span: str | None, metadata: Facts) -> None:
        del parent_span
        self._line("⚡", f"EVENT: {name}{self._facts(metadata)}", "yellow")

    def _output_attach_to_trace(self, trace_id: str, parent_span_id: str | None) -> None:
        self._line("→", f"ATTACHED TO TRACE: {trace_id} (parent: {parent_span_id})", "cyan")

    def _enter(self, name: str, text: str, color: str) -> None:
        self._begun[name] = time.monotonic()
        self._line("→", text, color)
        self._depth += 1

    def _leave(self, name: str, text: str, metadata: Facts, color: str) -> None:
        self._depth = max(0, self._depth - 1)
        begun = self._begun.pop(name, None)
        took = "" if begun is None else f" ({_duration(time.monotonic() - begun)})"
        if error := (metadata or {}).get("error"):
            self._line("✗", f"{text} - ERROR: {error}{took}", "red")
        else:
            self._line("✓", f"{text}{took}", color, icon_color="green")

    def _facts(self, metadata: Facts) -> str:
        if not self.show_metadata:
            return ""
        shown = [f"{key}: {value}" for key, value in (metadata or {}).items() if key in _SHOWN]
        return f" ({', '.join(shown)})" if shown else ""

    def _line(self, icon: str, text: str, color: str, icon_color: str | None = None) -> None:
        now = datetime.now().astimezone().strftime("%H:%M:%S.%f")[:-3]
        indent = " " * (self._depth * self.indent_size)
        parts = (icon, icon_color or color), (f"[{now}]", "gray"), (text, color)
        print(indent + " ".join(self._colored(*part) for part in parts))  # noqa: T201 - what it is for

    def _colored(self, text: str, color: str) -> str:
        return f"\033[{_COLORS[color]}m{text}\033[0m" if self.enable_colors else text


def _duration(seconds: float) -> str:
    milliseconds = seconds * _SECOND_MS
    return f"{milliseconds:.0f}ms" if milliseconds < _SECOND_MS else f"{seconds:.2f}s"
