"""One call of a task's function: find its arguments, make it, await it. Every host uses this."""

import contextvars
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from inspect import Parameter, iscoroutine
from typing import TYPE_CHECKING, Any

from graflow.dsl import current, handles
from graflow.dsl.arguments import Again, Incoming, Names, NoNames, resolve
from graflow.dsl.asking import TaskOver
from graflow.dsl.context import TaskExecutionContext, TaskFacts
from graflow.dsl.current import Run
from graflow.dsl.missing import MISSING
from graflow.dsl.signature import Signature
from graflow.exceptions import ArgumentError

if TYPE_CHECKING:  # a pod does without, unless the task has one
    from graflow.dsl.retry import RetryPolicy


@dataclass(frozen=True, kw_only=True)
class Callee:
    """What is called when a task runs."""

    func: Callable[..., Any]
    inject_context: bool = False
    inject_llm_client: bool = False
    inject_llm_agent: str | None = None
    resolve_keyword_args: bool = True
    bound: Mapping[str, object] = field(default_factory=dict)
    retry_policy: "RetryPolicy | None" = None
    annotations: Mapping[str, object] = field(default_factory=dict, compare=False)
    """What annotations written as text stand for, if the function has left its program."""

    @cached_property
    def signature(self) -> Signature:
        """The parameters of the function, the context apart."""
        return Signature.of(
            self.func, inject_context=self.inject_context, meanings=self.annotations
        )

    def portable(self) -> dict[str, Any]:
        """Return the callee as a dict of its fields."""
        form = {f.name: getattr(self, f.name) for f in fields(self)}
        return {**form, "annotations": dict(self.signature.untold())}

    @classmethod
    def from_portable(cls, portable: Mapping[str, Any]) -> "Callee":
        """Return the callee of a dict made by this or another release; unknown keys are ignored."""
        known = {f.name for f in fields(cls)}
        return cls(**{key: value for key, value in portable.items() if key in known})

    def may_retry(self, error: BaseException) -> bool:
        """Return whether another attempt may help after an error of this call."""
        if isinstance(error, ArgumentError):
            return False
        from graflow.dsl.retry import is_retryable  # noqa: PLC0415  # failures only

        return is_retryable(error, self.retry_policy)


def run_call(  # noqa: PLR0913 - hosts give what they have
    callee: Callee,
    context: TaskExecutionContext,
    *,
    sent: Sequence[Incoming] = (),
    names: Names | None = None,
    given: Mapping[str, object] | None = None,
    injected: Mapping[str, object] | None = None,
    again: Again | None = None,
    workflow: Run | None = None,
    begin: Callable[[], None] | None = None,
) -> Any:  # noqa: ANN401 - whatever the function returns
    """Call the function of a running task and return its value, awaited if need be.

    It runs in a context of its own: what it draws belongs to nothing, and changes nothing.

    Args:
        callee: What to call.
        context: The task's context, given to the function if it asks for it.
        sent: What came with the tokens that the activation was made of.
        names: Results, channel keys and tasks that parameters may be named after.
        given: Arguments that win over those that are found, from a handler.
        injected: `llm_client` and `llm_agent`, where the host has them.
        again: What the pass before gave, if it asked for this one.
        workflow: What `current_workflow_context()` gives in the function: the workflow of the run,
            or what makes it.
        begin: Called when the arguments are there, right before the function.

    Raises:
        ArgumentError: A parameter has no value; user code has not been called.
        BaseException: Whatever user code raises.
    """
    call = _prepared(
        callee, context, sent=sent, names=names, given=given, injected=injected, again=again
    )

    def in_task() -> Any:  # noqa: ANN401 - what the function returns
        context.place = current.enter_task(workflow, context.facts.identity)
        context.func = callee.func
        handles.enter(context)
        try:
            if begin is not None:
                begin()
            value = call()
        except BaseException as error:
            if not _is_over(context, error):
                raise
            return None
        else:
            is_over = context.asking is not None and context.asking.over
            return None if is_over else value
        finally:
            handles.leave(context)

    return contextvars.copy_context().run(in_task)


def _is_over(context: TaskExecutionContext, error: BaseException) -> bool:
    """Whether it is that a question's deadline has led elsewhere, be it out of a TaskGroup."""
    if isinstance(error, BaseExceptionGroup):
        return all(_is_over(context, one) for one in error.exceptions)
    return isinstance(error, TaskOver) and error.of is context


def run_alone(
    task_id: str, callee: Callee, args: Sequence[object], kwargs: Mapping[str, object]
) -> Any:  # noqa: ANN401 - whatever the function returns
    """Call a task's function with no workflow at all: `task.run(…)`."""
    from graflow.dsl.lone import LoneBackend  # noqa: PLC0415  # pods run no task alone

    signature = callee.signature
    if len(args) > len(signature.parameters):
        raise TypeError(
            f"task {task_id!r} takes {len(signature.parameters)} arguments, {len(args)} were given"
        )
    given = dict(zip(signature.parameters, args, strict=False))
    for name, value in kwargs.items():
        if name in given:
            raise TypeError(f"task {task_id!r} is given {name!r} twice")
        given[name] = value
    context = TaskExecutionContext(TaskFacts(task_id=task_id), LoneBackend())
    return _prepared(callee, context, given=given)()


def _prepared(  # noqa: PLR0913 - see `resolve`
    callee: Callee,
    context: TaskExecutionContext,
    *,
    sent: Sequence[Incoming] = (),
    names: Names | None = None,
    given: Mapping[str, object] | None = None,
    injected: Mapping[str, object] | None = None,
    again: Again | None = None,
) -> Callable[[], Any]:
    """Find the arguments of a call, and return it."""
    signature = callee.signature
    injected = _injected(callee, injected or {})
    arguments = resolve(
        context.task_id,
        signature,
        bound=callee.bound,
        sent=sent,
        names=(names or NoNames()) if callee.resolve_keyword_args else NoNames(),
        given=given or {},
        injected=injected,
        again=again,
    )
    leading: list[object] = [context] if callee.inject_context else []
    for name, parameter in signature.parameters.items():
        if parameter.kind is Parameter.POSITIONAL_ONLY:
            leading.append(arguments.pop(name, parameter.default))
    if (
        again is not None
        and again.data is not MISSING
        and signature.first(besides=injected) is None
    ):
        leading.append(again.data)
    return lambda: _finish(callee.func(*leading, **arguments))


def _injected(callee: Callee, offered: Mapping[str, object]) -> dict[str, object]:
    wanted = []
    if callee.inject_llm_client:
        wanted.append("llm_client")
    if callee.inject_llm_agent is not None:
        wanted.append("llm_agent")
    return {name: offered[name] for name in wanted if name in offered}


def _finish(value: Any) -> Any:  # noqa: ANN401 - what the function returned
    """Return the value of a call, of `async def` functions too."""
    if not iscoroutine(value):
        return value
    return _await(value)


def _await(coroutine: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401 - what the function returns
    # Imported here: 30 ms that most tasks never need.
    import asyncio  # noqa: PLC0415
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

    def run() -> Any:  # noqa: ANN401 - what the function returns
        try:
            return asyncio.run(coroutine)
        except asyncio.CancelledError as error:
            # By the function itself. It is no Exception, and no reason to end the whole program.
            raise RuntimeError("the task's coroutine was cancelled") from error

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return run()
    # The program itself runs in an event loop, as in a notebook: a loop of its own, elsewhere.
    context = contextvars.copy_context()
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(context.run, run).result()
