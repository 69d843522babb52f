"""A task's work: its code, its arguments, its call, its value."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from graflow import values
from graflow.dsl import handles
from graflow.dsl.arguments import Again, Incoming
from graflow.dsl.call import Callee, run_call
from graflow.dsl.context import TaskExecutionContext, TaskFacts
from graflow.dsl.missing import MISSING
from graflow.machine import reasons
from graflow_runner.calls import Operator
from graflow_runner.code import callee_of, policy_of
from graflow_runner.environment import Settings
from graflow_runner.errors import AttemptError
from graflow_runner.lookup import ParameterNames, RunBackend
from graflow_runner.refs import fetcher, value_of
from graflow_runner.saving import Saving

if TYPE_CHECKING:  # not every task has code
    from graflow_runner.bundle import Bundle
    from graflow_runner.people import PodPeople


class Done(NamedTuple):
    """What came of user code."""

    value: values.EncodedValue
    directives: Sequence[Mapping[str, Any]] = ()
    """What it decided, as `decided.reported` returns it."""

    checkpoint: Mapping[str, Any] | None = None
    """The checkpoint that it asked for, of the run as it is once this is recorded."""


class Work:
    """What an order asks for.

    Args:
        order: The operator's order.
        operator: Whom to ask for code and results.
        settings: Where code is unpacked.
        pause: Waits between tries.
    """

    def __init__(
        self,
        order: Mapping[str, Any],
        operator: Operator,
        settings: Settings,
        pause: Callable[[float], object],
    ) -> None:
        self._order = order
        self._operator = operator
        self._settings = settings
        self._fetch = fetcher(settings, pause, operator.address)
        self._task = str(order["task"]["id"])
        self._callee: Callee | None = None
        self._backend: RunBackend | None = None

    @property
    def has_parked(self) -> bool:
        """Whether a call has ended this attempt to wait for an answer."""
        context = self._backend.context if self._backend else None
        asking = context.asking if context else None
        return asking is not None and asking.parked

    @property
    def waits_for(self) -> "Sequence[str]":
        """Keys of the questions of which this attempt has heard no answer."""
        return self._backend.waits_for if self._backend else ()

    def run(self) -> Done:
        """Get the code, call it, and return what came of it, ready to travel.

        Raises:
            AttemptError: If one of these cannot be done.
            BaseException: Whatever user code raises.
        """
        code, call = self._code(), self._order["call"]
        backend = self._backend = RunBackend(
            self._operator,
            self._fetch,
            code,
            around=self._order.get("fragment") or (),
            saving=Saving(self._operator, self._order),
            people=self._people,
        )
        context = backend.context = TaskExecutionContext(self._facts(), backend)
        handles.fill_process(context)
        if "policy" in call:
            from graflow_runner.judging import judge  # noqa: PLC0415  # few groups have their own

            policy = policy_of(call["policy"], code, self._fetch, group=self._task)
            self._operator.user_code_begins()
            judge(policy, call, context)
            return Done(_encoded(None, "returned"))
        self._callee = callee_of(call, code, self._fetch, task=self._task)
        value = run_call(
            self._callee,
            context,
            sent=self._sent(),
            names=self._names(self._callee),
            injected=self._injected(self._callee, backend),
            again=self._again(),
            workflow=lambda: backend.workflow(self._order["run"]["name"]),
            begin=self._operator.user_code_begins,
        )
        decided = context.decisions
        if decided is None:
            return Done(_encoded(value, "returned"))
        from graflow_runner.decided import reported  # noqa: PLC0415  # few tasks decide

        value = value if decided.result is MISSING else decided.result
        defaults = code.defaults if code else {}
        directives = reported(decided.calls, lambda: backend.known, defaults, _encoded)
        wish = decided.checkpoint
        return Done(_encoded(value, "returned"), directives, wish.portable() if wish else None)

    def _people(self) -> "PodPeople":
        from graflow_runner.people import PodPeople  # noqa: PLC0415  # few tasks ask

        def encoded(value: object, key: str) -> values.EncodedValue:
            return _encoded(value, f"kept in step {key!r}")

        return PodPeople(self._operator, self._order, self._fetch, encoded)

    def _injected(self, callee: Callee, backend: RunBackend) -> Mapping[str, object]:
        if not callee.inject_llm_client and callee.inject_llm_agent is None:
            return {}
        return backend.provided.injected(self._task, callee)

    def may_retry(self, error: BaseException) -> bool:
        """Return whether the task thinks that another attempt may help after an error."""
        return self._callee is None or self._callee.may_retry(error)

    def _code(self) -> "Bundle | None":
        """Return the run's code, unpacked; what user code sees of the process fits it then."""
        named = self._order["bundle"]
        if named is None:
            sys.path.insert(0, os.getcwd())  # noqa: PTH109  # pathlib is slow
            sys.argv[:] = ["graflow"]
            return None
        from pathlib import Path  # noqa: PLC0415  # not every task has code

        from graflow_runner import bundle  # noqa: PLC0415

        code = bundle.Bundle(self._operator.bundle(named["sha256"]), sha256=named["sha256"])
        folder = Path(self._settings.code_dir)
        code.unpack(folder)
        bundle.enter(folder)
        sys.argv[:] = [code.program or "graflow"]
        return code

    def _facts(self) -> TaskFacts:
        task, run = self._order["task"], self._order["run"]
        return TaskFacts(
            task_id=self._task,
            session_id=run["uid"],
            trace_id=run["uid"],
            cycle_count=task["iteration"],
            max_cycles=task["maxCycles"],
            retry_count=task["failures"],
            max_retries=task["maxAttempts"] - 1,
            identity=task.get("identity", ""),
            inside=tuple(task.get("inside", ())),
        )

    def _again(self) -> Again | None:
        """Return what the pass before gave, if it asked for this one and gave something."""
        match self._order.get("again"):
            case {"data": ref}:
                return Again(data=value_of(ref, self._fetch))
            case {"bound": ref}:
                return Again(bound=value_of(ref, self._fetch))
            case _:
                return None

    def _sent(self) -> list[Incoming]:
        """Return what came with the tokens. Of several senders only the names are known."""
        if not self._order["sent"]:
            return [Incoming(sender, _nothing) for sender in self._order["senders"]]
        return [
            Incoming(one["task"], lambda ref=one["value"]: value_of(ref, self._fetch))  # type: ignore[misc]  # mypy does not infer lambdas with defaults
            for one in self._order["sent"]
        ]

    def _names(self, callee: Callee) -> ParameterNames:
        return ParameterNames(
            self._order["names"],
            wanted=[name for name in callee.signature.parameters if name not in callee.bound],
            senders=self._order["senders"],
            operator=self._operator,
            fetch=self._fetch,
        )


def _nothing() -> object:
    return None


def _encoded(value: object, did: str) -> values.EncodedValue:
    """Return the bytes of a value.

    Args:
        value: The value.
        did: What the task did with it, for the error: "returned".
    """
    try:
        return values.encode(value)
    except MemoryError:
        raise
    except Exception as error:  # user objects raise what they like when pickled
        from graflow_runner.culprit import place_of  # noqa: PLC0415  # failures only

        place, part = place_of(value, values.encode)
        what = f"its part {place}" if place else "it"
        raise AttemptError(
            reasons.VALUE_NOT_SERIALIZABLE,
            f"the task {did} a value that cannot go to another process: {what} is a "
            f"{type(part).__module__}.{type(part).__qualname__} ({type(error).__name__}: {error}). "
            f"Give data, and make such objects again in the task that needs them",
        ) from error
