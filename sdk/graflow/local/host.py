"""Runs programs in this process."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from graflow.dsl.execution import ExecutionContext
from graflow.dsl.memory_channel import MemoryChannel
from graflow.dsl.program import Program
from graflow.local.failures import failure_of
from graflow.local.handled import check_handlers
from graflow.local.outcome import LocalOutcome
from graflow.local.run import LocalRun
from graflow.local.views import thaw
from graflow.machine.state import RunPhase

if TYPE_CHECKING:  # only `graflow run --isolated` needs cloudpickle and what compiles
    from graflow.local.isolation import Isolation


class LocalHost:
    """See `Host`. Nothing of a run outlives `execute` but what it returns.

    Args:
        isolated: Whether every attempt has a copy of what its task captured, as in a pod (C5).
    """

    def __init__(self, *, isolated: bool = False) -> None:
        self._isolated = isolated

    def execute(
        self,
        program: Program,
        *,
        initial_channel: Mapping[str, object] | None = None,
        ret_context: bool = False,
    ) -> Any:  # noqa: ANN401 - the value of the run
        """Run a program to its end in the calling thread and return its value (R6).

        Args:
            program: What to run.
            initial_channel: Channel keys that are set before it begins.
            ret_context: Return `(value, ExecutionContext)`.

        Raises:
            CaptureError: If a task captured what cannot be copied, and is to have a copy.
            ConfigError: If a task asks for a handler that this machine does not have.
            GraflowRuntimeError: If the run fails; its `context` is what the run left.
            KeyboardInterrupt: In a task it abandons the run and passes through. Whatever else a
                task raises, `sys.exit` too, is a failure of that task.
        """
        check_handlers(program)
        session_id = program.services.session_id or os.urandom(16).hex()
        channel = MemoryChannel(initial=initial_channel)
        run = LocalRun(program, channel, session_id, self._isolation(program))
        with _told(run) as tell_value:
            state = run.to_its_end()
            outcome = LocalOutcome(state, run.channel, session_id)
            if state.phase is not RunPhase.SUCCEEDED:
                error = failure_of(state)
                error.context = ExecutionContext.of_run(program, outcome)
                raise error
            value = thaw(state.value)
            tell_value(value)
        return (value, ExecutionContext.of_run(program, outcome)) if ret_context else value

    def _isolation(self, program: Program) -> "Isolation | None":
        if not self._isolated:
            return None
        from graflow.local.isolation import Isolation  # noqa: PLC0415 - what compiles is large

        return Isolation(program.tasks)


@contextmanager
def _told(run: LocalRun) -> Iterator[Callable[[object], None]]:
    """Tell the tracer, if there is one, how a run ended; yields what takes its value."""
    values: list[object] = [None]
    error: BaseException | None = None
    try:
        yield values.append
    except BaseException as raised:
        error = raised
        raise
    finally:
        if run.tracing is not None:
            run.tracing.run_ended(values[-1], error)
