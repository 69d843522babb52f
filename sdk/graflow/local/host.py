"""Runs programs in this process."""

import os
from collections.abc import Mapping
from typing import Any

from graflow.dsl.execution import ExecutionContext
from graflow.dsl.memory_channel import MemoryChannel
from graflow.dsl.program import Program
from graflow.local.failures import failure_of
from graflow.local.outcome import LocalOutcome
from graflow.local.run import LocalRun
from graflow.local.views import thaw
from graflow.machine.state import RunPhase


class LocalHost:
    """See `Host`. Nothing of a run outlives `execute` but what it returns."""

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
            GraflowRuntimeError: If the run fails.
            BaseException: What is no Exception, such as KeyboardInterrupt, abandons the run and
                passes through. `sys.exit` in a task is a failure of that task.
        """
        run = LocalRun(program, MemoryChannel(initial=initial_channel), os.urandom(16).hex())
        state = run.to_its_end()
        if state.phase is not RunPhase.SUCCEEDED:
            error = failure_of(state)
            raise error from error.cause
        value = thaw(state.value)
        if not ret_context:
            return value
        outcome = LocalOutcome(state, run.channel, run.session_id)
        return value, ExecutionContext.of_run(program, outcome)
