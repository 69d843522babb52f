"""A tracer that shows nothing, and keeps what the run did."""

from graflow.trace.base import Facts, Tracer


class NoopTracer(Tracer):
    """Only keeps what the run did, for `export_runtime_graph`."""

    def clone(self, trace_id: str) -> "NoopTracer":
        """Return a tracer with the same settings."""
        made = NoopTracer(self.enable_runtime_graph)
        made._current_trace_id = trace_id
        return made

    def _output_trace_start(self, name: str, trace_id: str | None, metadata: Facts) -> None:
        pass

    def _output_trace_end(self, name: str, output: object, metadata: Facts) -> None:
        pass

    def _output_span_start(self, name: str, parent_name: str | None, metadata: Facts) -> None:
        pass

    def _output_span_end(self, name: str, output: object, metadata: Facts) -> None:
        pass

    def _output_event(self, name: str, parent_span: str | None, metadata: Facts) -> None:
        pass

    def _output_attach_to_trace(self, trace_id: str, parent_span_id: str | None) -> None:
        pass
