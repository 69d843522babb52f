"""A task: a function with an id, options, and perhaps some arguments already bound."""

import itertools
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import Any, Unpack

from graflow.dsl import current
from graflow.dsl.call import Callee, run_alone
from graflow.dsl.flow import Executable
from graflow.dsl.handler import DIRECT
from graflow.dsl.options import PodArguments, PodOptions, check_options
from graflow.dsl.retry import RetryPolicy
from graflow.dsl.signature import Signature
from graflow.exceptions import hint

_POD_OPTIONS = tuple(PodArguments.__annotations__)
_NO_OPTIONS = ("id_or_func", "pod", "return")
_COPIED = ("__doc__", "__name__", "__qualname__", "__module__")


class TaskWrapper(Executable):
    """A task. Put it in a flow with operators, call its function at once with `run`."""

    def __init__(  # noqa: PLR0913, PLR0917 - Graflow's own signature, and the options of pods
        self,
        task_id: str,
        func: Callable[..., Any],
        inject_context: bool = False,  # noqa: FBT001, FBT002 - Graflow's own signature
        inject_llm_client: bool = False,  # noqa: FBT001, FBT002
        inject_llm_agent: str | None = None,
        register_to_context: bool = True,  # noqa: FBT001, FBT002
        handler_type: str | None = None,
        resolve_keyword_args: bool = True,  # noqa: FBT001, FBT002
        max_cycles: int | None = None,
        max_retries: int | None = None,
        retry_policy: RetryPolicy | None = None,
        *,
        timeout: float | None = None,
        pod: PodOptions | None = None,
        bound: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(task_id)
        if not callable(func):
            raise TypeError(f"the function of task {task_id!r} is {func!r}, which is not callable")
        check_options(
            timeout=timeout,
            max_cycles=max_cycles,
            max_retries=max_retries,
            retry_policy=retry_policy,
        )
        self.func = func
        self.inject_context = inject_context
        self.inject_llm_client = inject_llm_client
        self.inject_llm_agent = inject_llm_agent
        self.handler_type = handler_type or DIRECT
        self.resolve_keyword_args = resolve_keyword_args
        self.max_cycles = max_cycles
        self.max_retries = max_retries
        self.retry_policy = retry_policy
        self.timeout = timeout
        """Longest time of one attempt, in seconds."""
        self.pod = pod or PodOptions()
        self.bound: dict[str, object] = dict(bound or {})
        """Arguments given when the instance was made (B4)."""
        self._numbers = itertools.count(1)
        for name in _COPIED:
            if hasattr(func, name):
                setattr(self, name, getattr(func, name))
        self._check_bound(self.signature)
        surface = current.drawing()
        if register_to_context and surface is not None:
            surface.register(self)

    def run(self, *args: object, **kwargs: object) -> Any:  # noqa: ANN401 - whatever the function returns
        """Run the function at once, with no workflow: what the arguments do not say is missing."""
        return run_alone(self.task_id, self.callee, args, kwargs)

    def __call__(self, *args: object, task_id: str | None = None, **kwargs: object) -> Any:  # noqa: ANN401 - a result, or a task
        """Make another task of the same function with arguments bound; with none at all, run it.

        Args:
            args: Refused: arguments are bound by name.
            task_id: The new task's id; without one it is `<id>_<n>`.
            kwargs: Arguments to bind.
        """
        if args:
            raise TypeError(
                "TaskWrapper instance creation does not support positional arguments; "
                f"bind them by name: {self.task_id}(task_id=…, name=value), "
                "or call the function with run()"
            )
        if task_id is None and not kwargs:
            return self.run()
        return self._instance(task_id or self._next_id(), kwargs)

    @cached_property
    def signature(self) -> Signature:
        """The parameters of the function, the context apart."""
        return self.callee.signature

    @cached_property
    def callee(self) -> Callee:
        """What is called when the task runs."""
        return Callee(
            func=self.func,
            inject_context=self.inject_context,
            inject_llm_client=self.inject_llm_client,
            inject_llm_agent=self.inject_llm_agent,
            resolve_keyword_args=self.resolve_keyword_args,
            bound=self.bound,
            retry_policy=self.retry_policy,
        )

    def portable(self) -> dict[str, Any]:
        """Return what another process needs to run the task, in a form that outlives releases."""
        return self.callee.portable()

    @property
    def _bound_kwargs(self) -> dict[str, object]:
        """Graflow's own name for `bound`."""
        return self.bound

    def _instance(self, task_id: str, arguments: Mapping[str, object]) -> "TaskWrapper":
        return TaskWrapper(
            task_id,
            self.func,
            inject_context=self.inject_context,
            inject_llm_client=self.inject_llm_client,
            inject_llm_agent=self.inject_llm_agent,
            handler_type=self.handler_type,
            resolve_keyword_args=self.resolve_keyword_args,
            max_cycles=self.max_cycles,
            max_retries=self.max_retries,
            retry_policy=self.retry_policy,
            timeout=self.timeout,
            pod=self.pod,
            bound={**self.bound, **arguments},
        )

    def __getstate__(self) -> dict[str, object]:
        """Travel without what is derived: a function may be unpickled after its task."""
        derived = ("signature", "callee", "_numbers")
        kept = {name: value for name, value in self.__dict__.items() if name not in derived}
        return {**kept, "built_at": None}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state, _numbers=itertools.count(1))

    def _next_id(self) -> str:
        surface = current.drawing()
        if surface is not None:
            return surface.next_id(self.task_id)
        return f"{self.task_id}_{next(self._numbers)}"

    def _check_bound(self, signature: Signature) -> None:
        for name in self.bound:
            if name not in signature.parameters and not signature.takes_any:
                raise TypeError(
                    f"task {self.task_id!r} has no parameter {name!r}; "
                    f"{hint(name, signature.parameters)}"
                )


def _do_nothing() -> None:
    """Be the function of a task that has none."""


class Task(TaskWrapper):
    """A task that does nothing: a named place for edges to meet."""

    def __init__(self, task_id: str, register_to_context: bool = True) -> None:  # noqa: FBT001, FBT002 - Graflow's own signature
        super().__init__(task_id, _do_nothing, register_to_context=register_to_context)


def task(  # noqa: PLR0913 - one keyword for each option
    id_or_func: str | Callable[..., Any] | None = None,
    *,
    id: str | None = None,  # noqa: A002 - Graflow's own name
    inject_context: bool = False,
    inject_llm_client: bool = False,
    inject_llm_agent: str | None = None,
    handler: str | None = None,
    resolve_keyword_args: bool = True,
    max_cycles: int | None = None,
    max_retries: int | None = None,
    retry_policy: RetryPolicy | None = None,
    timeout: float | None = None,
    **pod: Unpack[PodArguments],
) -> Any:  # noqa: ANN401 - a task, or a decorator that makes one
    """Make a task of a function: `@task`, `@task()`, `@task("id")`, `@task(id="id", …)`.

    Args:
        id_or_func: The function itself, or the task's id.
        id: The task's id; by default the function's name.
        inject_context: Give the function its `TaskExecutionContext` as first argument.
        inject_llm_client: Give it the run's LLM client as `llm_client`.
        inject_llm_agent: Give it the agent of this name as `llm_agent`.
        handler: What runs it on this machine: `direct`, or what an engine was given a handler
            as (`WorkflowEngine.register_handler`); on a cluster each task has a pod.
        resolve_keyword_args: Fill parameters from results and the channel by name.
        max_cycles: Passes of the task in one scope, 10 unless said.
        max_retries: Attempts after the first one.
        retry_policy: How patiently it is tried again.
        timeout: Longest time of one attempt, in seconds.
        pod: What it asks of its pod: `profile`, `image`, `resources`, `node_selector`,
            `tolerations`, `env`; see `PodOptions`.

    Raises:
        ConfigError: If an option has a value that cannot work.
        TypeError: If there is no such option.
    """
    for name in pod.keys() - _POD_OPTIONS:
        raise TypeError(f"@task has no option {name!r}; {hint(name, OPTIONS)}")
    make = partial(
        TaskWrapper,
        inject_context=inject_context,
        inject_llm_client=inject_llm_client,
        inject_llm_agent=inject_llm_agent,
        handler_type=handler,
        resolve_keyword_args=resolve_keyword_args,
        max_cycles=max_cycles,
        max_retries=max_retries,
        retry_policy=retry_policy,
        timeout=timeout,
        pod=PodOptions(**pod),
    )
    return _decorated(make, id_or_func, id)


OPTIONS = (*(name for name in task.__annotations__ if name not in _NO_OPTIONS), *_POD_OPTIONS)
"""What can be said to `@task` by name."""


def _decorated(
    make: Callable[[str, Callable[..., Any]], TaskWrapper],
    id_or_func: str | Callable[..., Any] | None,
    given_id: str | None,
) -> Any:  # noqa: ANN401 - a task, or a decorator that makes one
    """Tell the forms of the decorator apart."""
    if isinstance(id_or_func, str):
        if given_id not in (None, id_or_func):
            raise TypeError(f"the task has two ids, {id_or_func!r} and {given_id!r}; give one")
        given_id = id_or_func

    def decorate(func: Callable[..., Any]) -> TaskWrapper:
        return make(_name(func) if given_id is None else given_id, func)

    if id_or_func is None or isinstance(id_or_func, str):
        return decorate
    return decorate(id_or_func)


def _name(func: Callable[..., Any]) -> str:
    name = getattr(func, "__name__", None)
    if not isinstance(name, str):
        raise TypeError(f"{func!r} has no name to be the task's id; give one: @task(id=…)")
    return name
