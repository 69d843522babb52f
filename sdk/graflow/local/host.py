"""Runs programs in this process."""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from graflow.dsl.asking import park
from graflow.dsl.execution import ExecutionContext
from graflow.dsl.memory_channel import MemoryChannel
from graflow.dsl.program import Program
from graflow.exceptions import CheckpointError
from graflow.local.failures import failure_of
from graflow.local.handled import check_handlers
from graflow.local.outcome import LocalOutcome
from graflow.local.rest import Rest
from graflow.local.run import LocalRun
from graflow.local.suspension import SUSPENDED, suspend
from graflow.local.views import thaw
from graflow.machine.revive import RevivalError, revived
from graflow.machine.state import RunPhase, State, Value

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

        If nobody answers what it asks, it is suspended with a checkpoint, and the value is None. A
        workflow that a running task executes is not: the attempt of that task ends to wait.

        Args:
            program: What to run.
            initial_channel: Channel keys that are set before it begins.
            ret_context: Return `(value, ExecutionContext)`.

        Raises:
            CaptureError: If a task captured what cannot be copied, and is to have a copy.
            ConfigError: If a task asks for a handler that this machine does not have.
            GraflowRuntimeError: If the run fails; its `context` is what the run left.
            Parked: If the task around it is to wait for an answer.
            KeyboardInterrupt: In a task it abandons the run and passes through. Whatever else a
                task raises, `sys.exit` too, is a failure of that task.
        """
        session_id = program.services.session_id or os.urandom(16).hex()
        channel = MemoryChannel(initial=initial_channel)
        return self._run(Rest(program, State(), channel, session_id), ret_context=ret_context)

    def go_on(
        self,
        rest: Rest,
        *,
        results: Mapping[str, Value] | None = None,
        rerun: Iterable[str] = (),
        ret_context: bool = False,
    ) -> Any:  # noqa: ANN401 - the value of the run
        """Run what is left of a run at rest, which is used up, and return its value.

        Args:
            rest: The run.
            results: By id, what recorded results are to be instead.
            rerun: Tasks to run again.
            ret_context: Return `(value, ExecutionContext)`.

        Raises:
            CheckpointError: If the program lacks a task that is alive; see `machine.revive`.
            GraflowRuntimeError: As `execute`; everything else too.
        """
        return self._run(alive(rest, results or {}, rerun), ret_context=ret_context)

    def _run(self, rest: Rest, *, ret_context: bool) -> Any:  # noqa: ANN401 - the value of the run
        program = rest.program
        check_handlers(program)
        isolation = self._isolation(program)
        run = LocalRun(program, rest.channel, rest.session_id, isolation, rest.state)
        with _told(run) as tell_value:
            state = run.to_its_end()
            if not state.phase.ended:
                if run.around is not None:
                    park(run.around)
                suspend(run)
                tell_value(SUSPENDED)
                outcome = LocalOutcome(replace(rest, state=state), run.live.last_checkpoint)
                return (None, ExecutionContext.of_run(program, outcome)) if ret_context else None
            run.people.withdraw()
            outcome = LocalOutcome(replace(rest, state=state), run.live.last_checkpoint)
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


def alive(rest: Rest, results: Mapping[str, Value], rerun: Iterable[str]) -> Rest:
    """Return a run at rest as it goes on; see `LocalHost.go_on`."""
    try:
        state = revived(
            rest.program.plan,
            rest.state,
            time.time(),
            results=results,
            rerun=rerun,
            keep_open_questions=True,
        )
    except RevivalError as error:
        raise CheckpointError(str(error)) from error
    return replace(rest, state=state)


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
        if run.tracing is not None and values[-1] is not SUSPENDED:
            run.tracing.run_ended(values[-1], error)
