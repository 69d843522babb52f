"""Tracers: what is told about a run while it goes on, on this machine."""

from importlib import import_module
from typing import TYPE_CHECKING

from graflow.trace.base import Tracer
from graflow.trace.console import ConsoleTracer
from graflow.trace.noop import NoopTracer

if TYPE_CHECKING:
    from graflow.trace.langfuse import LangFuseTracer
else:

    def __getattr__(name: str) -> object:
        """Import what needs an optional package when it is asked for."""
        if name != "LangFuseTracer":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return import_module("graflow.trace.langfuse").LangFuseTracer


__all__ = ["ConsoleTracer", "LangFuseTracer", "NoopTracer", "Tracer"]
