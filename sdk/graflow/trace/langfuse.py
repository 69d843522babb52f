"""A tracer that tells Langfuse: a trace for each run, a span for each attempt of a task."""

from contextlib import AbstractContextManager
from typing import Any

from graflow.exceptions import MissingPackageError
from graflow.trace.base import Facts, Tracer


class LangFuseTracer(Tracer):
    """Tells Langfuse; questions that tasks ask of language models appear inside their spans."""

    def __init__(  # noqa: PLR0913 - Graflow's own signature
        self,
        public_key: str | None = None,
        secret_key: str | None = None,
        host: str | None = None,
        enable_runtime_graph: bool = True,  # noqa: FBT001, FBT002
        enabled: bool = True,  # noqa: FBT001, FBT002
        *,
        client: Any = None,  # noqa: ANN401 - a langfuse.Langfuse
    ) -> None:
        """Take how Langfuse is reached.

        Args:
            public_key: By default `$LANGFUSE_PUBLIC_KEY`.
            secret_key: By default `$LANGFUSE_SECRET_KEY`.
            host: By default `$LANGFUSE_HOST`.
            enable_runtime_graph: Keep what the run did, for `export_runtime_graph`.
            enabled: False: Langfuse is told nothing.
            client: A client to use instead of one with these keys.

        Raises:
            MissingPackageError: If langfuse is not installed.
        """
        super().__init__(enable_runtime_graph)
        self.enabled = enabled
        self._client: Any = client
        if enabled and client is None:
            self._client = _client(public_key=public_key, secret_key=secret_key, host=host)
        self._parent: Any = None
        self._open: list[tuple[str, AbstractContextManager[Any], Any]] = []

    def clone(self, trace_id: str) -> "LangFuseTracer":
        """Return a tracer whose spans are inside the present one of this tracer."""
        made = LangFuseTracer(
            enable_runtime_graph=self.enable_runtime_graph,
            enabled=self.enabled,
            client=self._client,
        )
        made._parent = self._innermost()
        made._current_trace_id = trace_id
        return made

    def flush(self) -> None:
        """Send what is kept back."""
        if self.enabled:
            self._client.flush()

    def shutdown(self) -> None:
        """Send what is kept back, and stop the client."""
        if self.enabled:
            self._client.shutdown()

    def get_current_span_id(self) -> str | None:
        """Return what Langfuse calls the present span."""
        found: str | None = getattr(self._innermost(), "id", None)
        return found

    def _output_trace_start(self, name: str, trace_id: str | None, metadata: Facts) -> None:
        where = {"trace_context": {"trace_id": trace_id}} if trace_id else {}
        self._enter(name, metadata, **where)

    def _output_trace_end(self, name: str, output: object, metadata: Facts) -> None:
        self._leave(name, output, metadata)

    def _output_span_start(self, name: str, parent_name: str | None, metadata: Facts) -> None:
        del parent_name  # the present span is the parent
        self._enter(name, metadata)

    def _output_span_end(self, name: str, output: object, metadata: Facts) -> None:
        self._leave(name, output, metadata)

    def _output_event(self, name: str, parent_span: str | None, metadata: Facts) -> None:
        del parent_span
        if self.enabled:
            owner = self._innermost() or self._client
            owner.create_event(name=name, metadata=dict(metadata or {}))

    def _output_attach_to_trace(self, trace_id: str, parent_span_id: str | None) -> None:
        where = {"trace_id": trace_id}
        if parent_span_id is not None:
            where["parent_span_id"] = parent_span_id
        self._enter(f"attached to {trace_id}", None, trace_context=where)

    def _enter(self, name: str, metadata: Facts, **where: Any) -> None:  # noqa: ANN401 - the client's
        if not self.enabled:
            return
        owner = self._innermost() or self._client
        span = owner.start_as_current_observation(
            name=name, as_type="span", metadata=dict(metadata or {}), **where
        )
        self._open.append((name, span, span.__enter__()))

    def _leave(self, name: str, output: object, metadata: Facts) -> None:
        if not self.enabled or name not in [opened for opened, _, _ in self._open]:
            return
        while True:
            opened, span, observation = self._open.pop()
            if opened == name:
                error = (metadata or {}).get("error")
                told = {"level": "ERROR", "status_message": str(error)} if error else {}
                observation.update(output=output, metadata=dict(metadata or {}), **told)
            span.__exit__(None, None, None)
            if opened == name:
                return

    def _innermost(self) -> Any:  # noqa: ANN401 - a span of the client
        return self._open[-1][2] if self._open else self._parent


def _client(**given: str | None) -> Any:  # noqa: ANN401 - a langfuse.Langfuse
    try:
        from langfuse import Langfuse  # noqa: PLC0415 - optional
    except ImportError as error:
        raise MissingPackageError("langfuse", "LangFuseTracer") from error
    return Langfuse(**{key: value for key, value in given.items() if value is not None})
