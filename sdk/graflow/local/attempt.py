"""One attempt: call the function, and say how it ended."""

import time
from collections.abc import Callable
from contextlib import nullcontext
from contextvars import Context
from functools import partial

from graflow.dsl.arguments import Incoming
from graflow.dsl.call import run_call
from graflow.dsl.context import TaskExecutionContext, TaskFacts
from graflow.dsl.copies import Warned, freeze
from graflow.dsl.program import Program
from graflow.dsl.workflow import WorkflowContext
from graflow.local.deadline import Deadline, TimeIsUp
from graflow.local.failures import attempt_error, too_slow
from graflow.local.views import TaskView, thaw
from graflow.machine import reasons
from graflow.machine.events import AttemptFailed, AttemptSucceeded
from graflow.machine.plan import TaskPlan
from graflow.machine.state import Activation


class Attempts:
    """Makes the attempts of one run."""

    def __init__(self, program: Program, session_id: str, context: Context) -> None:
        self._program = program
        self._session_id = session_id
        self._context = context
        self._workflow = WorkflowContext.of(program.name, program.graph)
        self._warned = Warned()

    def run(
        self, activation: Activation, view: TaskView, begin: Callable[[], None]
    ) -> AttemptSucceeded | AttemptFailed:
        """Run user code in the calling thread and return how it ended.

        Args:
            activation: Whose attempt it is.
            view: What the task sees.
            begin: Called right before user code.

        Raises:
            BaseException: What user code raised, if it is neither an Exception nor SystemExit.
        """
        node = activation.node
        plan = self._program.plan.by_id[node]
        if not isinstance(plan, TaskPlan):
            raise TypeError(f"{node!r} is a group and has no attempts")
        callee = self._program.tasks[node].callee
        number, attempt = activation.number, activation.attempt
        call = partial(
            run_call,
            callee,
            TaskExecutionContext(self._facts(plan, activation), view),
            sent=[Incoming(sent.sender, partial(thaw, sent.value)) for sent in activation.sent],
            names=view,
            workflow=self._workflow,
            begin=begin,
        )
        try:
            with Deadline(plan.timeout_s) if plan.timeout_s is not None else nullcontext():
                value = self._context.copy().run(call)
            frozen = freeze(value, f"task {node!r}", self._warned)
        except TimeIsUp as error:
            failed = too_slow(callee, plan, activation, error)
        except SystemExit as error:  # ends a pod, and there too no more than the attempt
            failed = attempt_error(callee, plan, activation, error, reasons.SYSTEM_EXIT)
        except Exception as error:  # noqa: BLE001 - user code may raise anything
            failed = attempt_error(callee, plan, activation, error)
        else:
            return AttemptSucceeded(number, attempt, frozen, time.time())
        return AttemptFailed(number, attempt, failed, time.time())

    def _facts(self, plan: TaskPlan, activation: Activation) -> TaskFacts:
        return TaskFacts(
            task_id=plan.id,
            session_id=self._session_id,
            trace_id=self._session_id,
            cycle_count=activation.iteration,
            max_cycles=plan.max_cycles,
            retry_count=activation.failures,
            max_retries=plan.retry.max_attempts - 1,
        )
