"""What a running task can ask its run: results by id, and what its parameters are named after."""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Final

from graflow.dsl.arguments import Available
from graflow.dsl.channel import Channel
from graflow.dsl.missing import MISSING
from graflow.exceptions import GraflowRuntimeError
from graflow_runner.calls import Operator
from graflow_runner.refs import Fetch, value_of

if TYPE_CHECKING:  # a pod has no graph
    from graflow.dsl.graph import TaskGraph

_UNKNOWN: Final[Mapping[str, Any]] = {}


class ParameterNames:
    """What parameters are named after, from the order, and asked for in one call if it says less.

    Args:
        known: The order's `names`: what the operator looked up already; None: nothing there.
        wanted: Names of all parameters.
        senders: Tasks that sent a token; their results can be read, if nothing better is known.
    """

    def __init__(
        self,
        known: Mapping[str, Any],
        *,
        wanted: Collection[str],
        senders: Collection[str],
        operator: Operator,
        fetch: Fetch,
    ) -> None:
        self._known = dict(known)
        self._wanted = wanted
        self._senders = senders
        self._operator = operator
        self._fetch = fetch

    def result(self, task_id: str, /) -> object:
        """Return the latest result of a task, or `MISSING`."""
        return self._value(task_id, "result")

    def channel_value(self, key: str, /) -> object:
        """Return the value of a channel key, or `MISSING`."""
        return self._value(key, "channel")

    def is_task(self, name: str, /) -> bool:
        """Return whether a task of that id is known to the run."""
        found = self._found(name)
        return "task" in found or "result" in found

    def available(self) -> Available:
        """Return what could be asked for; only asked when the attempt fails by it."""
        found = self._operator.visible()
        return Available(
            results=tuple(found.get("results", self._senders)),
            channel=tuple(found.get("channel", ())),
        )

    def _value(self, name: str, kind: str) -> object:
        found = self._found(name)
        return value_of(found[kind], self._fetch) if kind in found else MISSING

    def _found(self, name: str) -> Mapping[str, Any]:
        if name not in self._known:
            asked = [name, *(w for w in self._wanted if w not in self._known and w != name)]
            answers = self._operator.results(asked, source="names")
            self._known |= {one: answers.get(one) for one in asked}
        return self._known[name] or _UNKNOWN


class RunBackend:
    """The run, for the context of a task in a pod."""

    def __init__(self, operator: Operator, fetch: Fetch) -> None:
        self._operator = operator
        self._fetch = fetch

    def result(self, task_id: str, /) -> object:
        """Return the latest result of a task that this one may see, or `MISSING`."""
        found = self._operator.results([task_id], source="results").get(task_id) or _UNKNOWN
        return value_of(found["result"], self._fetch) if "result" in found else MISSING

    @property
    def channel(self) -> Channel:
        """Refuse: pods share no channel."""
        raise GraflowRuntimeError(
            "tasks in pods cannot write to the channel or read it by hand; return values and read "
            "them with get_result or by the names of parameters, which find channel keys too"
        )

    @property
    def graph(self) -> "TaskGraph":
        """Refuse: a pod gets its own task, and not the whole graph."""
        raise GraflowRuntimeError(
            "a task in a pod does not know the run's graph; read results with get_result"
        )
