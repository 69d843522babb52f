"""One attempt: call the function, and say how it ended."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from graflow.dsl.arguments import Again, Incoming
from graflow.dsl.asking import Asking
from graflow.dsl.call import Callee, run_call
from graflow.dsl.context import TaskExecutionContext, TaskFacts
from graflow.dsl.copies import ATOMS, Frozen, Warned, freeze
from graflow.dsl.decisions import Call, Decisions, Handover
from graflow.dsl.handler import DIRECT
from graflow.dsl.missing import MISSING
from graflow.dsl.task import TaskWrapper
from graflow.dsl.workflow import WorkflowContext
from graflow.exceptions import ConfigError, FeedbackTimeoutError
from graflow.local.captured import Captured
from graflow.local.deadline import ORDERS, Deadline, RunDeadline
from graflow.local.failures import attempt_error
from graflow.local.handled import HandledTask, handler_context, missing_handler, run_handled
from graflow.local.judging import run_policy
from graflow.local.live import Live
from graflow.local.nodes import Nodes
from graflow.local.views import TaskView, thaw
from graflow.machine.directives import Directive, Iterate, Spawn
from graflow.machine.events import AttemptFailed, AttemptParked, AttemptSucceeded
from graflow.machine.plan import TaskPlan
from graflow.machine.scopes import groups_around, identity, node_of
from graflow.machine.state import Activation

if TYPE_CHECKING:  # only `graflow run --isolated` needs cloudpickle and what compiles
    from graflow.local.isolation import Isolation

_NO_LIMIT: Final = nullcontext()

Ended: TypeAlias = AttemptSucceeded | AttemptFailed | AttemptParked


class Attempts:
    """Makes the attempts of one run."""

    def __init__(self, nodes: Nodes, live: Live, isolation: "Isolation | None" = None) -> None:
        self._nodes = nodes
        self._isolation = isolation
        self._live = live
        self._session_id = live.session_id
        program = nodes.program
        self._trace_id = program.services.trace_id or live.session_id
        self._handlers = program.services.handlers
        self._workflow = WorkflowContext.of(program.name, program.graph)
        self._warned = Warned()
        self._captured = Captured(watching=isolation is None)
        self.run_deadline: RunDeadline | None = None
        """What stops attempts when the time of the whole run is over."""

    def run(
        self, activation: Activation, view: TaskView, begin: Callable[[], None] | None
    ) -> Ended:
        """Run user code in the calling thread and return how it ended.

        Args:
            activation: Whose attempt it is.
            view: What the task sees.
            begin: Called right before user code.

        Raises:
            BaseException: One of `ORDERS`, which end more than an attempt.
        """
        plan = node_of(self._nodes.program.plan, self._nodes.state, activation)
        if not isinstance(plan, TaskPlan):
            return self._run_policy(activation, view)
        node, number, attempt = activation.node, activation.number, activation.attempt
        task = self._nodes.task(activation)
        callee = self._callee(node, task)
        context = TaskExecutionContext(self._facts(plan, activation), view)
        call = partial(
            run_call,
            callee,
            context,
            sent=[Incoming(sent.sender, partial(thaw, sent.value)) for sent in activation.sent],
            names=view,
            again=_again(activation),
            workflow=self._workflow,
            begin=begin,
        )
        before = self._captured.before(callee)
        ended: Ended
        raised: BaseException | None = None
        try:
            with self._limit(plan.timeout_s) as view.limit:
                if callee.inject_llm_client or callee.inject_llm_agent is not None:
                    call = partial(call, injected=view.provided.injected(node, callee))
                if self._handlers or task.handler_type != DIRECT:
                    call = partial(self._handled, task, call, view)
                value = call()
            ended = self._succeeded(activation, value, context.decisions, view)
        except ORDERS:
            raise
        except BaseException as error:  # noqa: BLE001 - whatever ends no more than a pod
            raised = error
            failed = attempt_error(callee, plan, activation, error)
            ended = AttemptFailed(number, attempt, failed, time.time())
        if context.asking is not None and _waits(context.asking, raised):
            ended = AttemptParked(number, attempt, time.time())
        if before:
            self._captured.after(node, callee, before)
        return ended

    def _succeeded(
        self, activation: Activation, value: object, decided: Decisions | None, view: TaskView
    ) -> AttemptSucceeded:
        """Return the success of an attempt, with what it has asked for; values become copies."""
        if decided is not None and decided.result is not MISSING:
            value = decided.result
        if type(value) not in ATOMS:
            value = freeze(value, f"task {activation.node!r}", self._warned)
        directives = tuple(map(self._directive, decided.calls)) if decided else ()
        view.deferred = decided.checkpoint if decided else None
        number, attempt = activation.number, activation.attempt
        return AttemptSucceeded(number, attempt, value, time.time(), directives)

    def _limit(self, timeout_s: float | None) -> AbstractContextManager[Deadline | None]:
        if self.run_deadline is not None:
            return self.run_deadline.attempt(timeout_s)
        return _NO_LIMIT if timeout_s is None else Deadline(timeout_s)

    def _callee(self, node: str, task: TaskWrapper) -> Callee:
        return task.callee if self._isolation is None else self._isolation.copy(node, task.callee)

    def _handled(self, task: TaskWrapper, call: Callable[..., Any], view: TaskView) -> Any:  # noqa: ANN401 - any value
        """Let the handler that the task asks for make the attempt."""
        handler = self._handlers.get(task.handler_type)
        if handler is None:
            if task.handler_type == DIRECT:
                return call()
            raise ConfigError(missing_handler(task.task_id, task.handler_type))
        handed = HandledTask(task, lambda given: call(given=given))
        return run_handled(handler, handed, handler_context(self._live, view))

    def _run_policy(
        self, activation: Activation, view: TaskView
    ) -> AttemptSucceeded | AttemptFailed:
        """Run a group's own policy (G2)."""
        group = self._nodes.group(activation)
        facts = TaskFacts(
            task_id=activation.node,
            session_id=self._session_id,
            trace_id=self._trace_id,
            cycle_count=activation.iteration,
        )
        context = TaskExecutionContext(facts, view)
        error = run_policy(self._nodes.state, activation, group, context)
        number, attempt = activation.number, activation.attempt
        if error is None:
            return AttemptSucceeded(number, attempt, None, time.time())
        return AttemptFailed(number, attempt, error, time.time())

    def _directive(self, call: Call) -> Directive:
        """Turn what a task asked for into what the machine takes; values become copies (C1)."""
        if isinstance(call, Handover):
            payload = {node.task_id: node for node in call.fragment.nodes}
            plan = call.fragment.plan(self._nodes.program.defaults, payload)
            return Spawn(plan, call.goto, call.reason)
        if isinstance(call, Iterate) and call.again is not None:
            frozen = freeze(call.again, "the data of next_iteration", self._warned)
            return Iterate(frozen, call.reason)
        return call

    def _facts(self, plan: TaskPlan, activation: Activation) -> TaskFacts:
        state = self._nodes.state
        return TaskFacts(
            task_id=plan.id,
            session_id=self._session_id,
            trace_id=self._trace_id,
            cycle_count=activation.iteration,
            max_cycles=plan.max_cycles,
            retry_count=activation.failures,
            max_retries=plan.retry.max_attempts - 1,
            identity=identity(state, activation),
            inside=groups_around(state, activation.scope),
        )


def _waits(asking: Asking, raised: BaseException | None) -> bool:
    """Whether an attempt ends to wait for people, whatever its task has made of that."""
    return asking.parked or (raised is not None and _timed_out(asking, raised))


def _timed_out(asking: Asking, raised: BaseException) -> bool:
    """Whether it is that nobody has answered, be it to several at once, as in a TaskGroup."""
    if isinstance(raised, BaseExceptionGroup):
        return all(_timed_out(asking, one) for one in raised.exceptions)
    return isinstance(raised, FeedbackTimeoutError) and raised.feedback_id in asking.timed_out


def _again(activation: Activation) -> Again | None:
    found = activation.again
    again = found.thaw() if isinstance(found, Frozen) else found
    return again if isinstance(again, Again) else None
