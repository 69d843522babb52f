"""What a task's parameters are given: section "Arguments" of the meaning of programs, A1 and A2.

For each parameter, the first that applies: data of `next_iteration`; given to `run`; injected;
bound to the instance; the result of the task of that name (None counts); the channel key of that
name; its default; and for the one that is still required, what came with the token (A1). What is
left over is an error (A2).

Pure but for the look-ups: the local host, the runner and `run()` all call `resolve`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import Parameter
from typing import Final, NamedTuple, Protocol

from graflow.dsl.annotations import matches
from graflow.dsl.missing import MISSING
from graflow.dsl.signature import Signature
from graflow.exceptions import ArgumentError, hint

_TOLD: Final = 20
"""Names that a message lists of each kind."""


@dataclass(frozen=True, slots=True)
class Available:
    """What there was, for the message when a parameter found nothing."""

    results: tuple[str, ...] = ()
    """Ids of the tasks whose results can be read."""

    channel: tuple[str, ...] = ()
    """Keys of the channel."""


class Names(Protocol):
    """What parameters may be named after. Look-ups return `MISSING` where there is nothing."""

    def result(self, task_id: str, /) -> object:
        """Return the latest result of a task."""

    def channel_value(self, key: str, /) -> object:
        """Return the value of a channel key."""

    def is_task(self, name: str, /) -> bool:
        """Return whether a task of that id is known to the run."""

    def available(self) -> Available:
        """Return what could be asked for; only called to explain an error."""


class NoNames:
    """Of a call that knows no run: `resolve_keyword_args=False`, or `run()`."""

    def result(self, task_id: str, /) -> object:
        """Return `MISSING`."""
        del task_id
        return MISSING

    def channel_value(self, key: str, /) -> object:
        """Return `MISSING`."""
        del key
        return MISSING

    def is_task(self, name: str, /) -> bool:
        """Return False."""
        del name
        return False

    def available(self) -> Available:
        """Return nothing."""
        return Available()


class Incoming(NamedTuple):
    """What came with one token."""

    sender: str
    """The task or group that sent it."""

    load: Callable[[], object]
    """Returns the value; called at most once, and only if a parameter takes it."""


@dataclass(frozen=True, slots=True)
class Again:
    """What `next_iteration` gives the next pass of a task, beside the input that it keeps."""

    data: object = MISSING
    """The first argument after the context and what else is injected; `MISSING`: none."""

    bound: Mapping[str, object] = field(default_factory=dict)
    """Arguments bound anew, over those of the instance: `next_iteration(t(x=2))` (T4)."""


_FIRST_PASS = Again()


def resolve(  # noqa: PLR0913 - one keyword for each source of values
    task_id: str,
    signature: Signature,
    *,
    bound: Mapping[str, object],
    sent: Sequence[Incoming],
    names: Names,
    given: Mapping[str, object],
    injected: Mapping[str, object],
    again: Again | None = None,
) -> dict[str, object]:
    """Return a value for each parameter that gets one; those with a default may be left out.

    Args:
        task_id: Named in errors.
        signature: The parameters, the context apart.
        bound: Arguments bound to the instance.
        sent: What came with the tokens, in the order in which it came.
        names: Results, channel keys and tasks.
        given: Arguments given to `run`.
        injected: `llm_client`, `llm_agent`.
        again: What the pass before gave, if it asked for this one. Data that only a `*parameter`
            can take is not among the values.

    Raises:
        ArgumentError: If a required parameter is left without a value (A2), or data without a
            parameter.
    """
    parameters = signature.parameters
    again = again or _FIRST_PASS
    bound = {**bound, **again.bound}
    extra = {**bound, **given} if signature.takes_any else {}
    values = {name: value for name, value in extra.items() if name not in parameters}
    _refuse_unknown(task_id, signature, given)
    handed = _handed(task_id, signature, again.data, injected)
    by_name: set[str] = set()
    missing: list[str] = []
    for name, parameter in parameters.items():
        value = _first(name, handed, given, injected, bound)
        if value is MISSING:
            value = names.result(name)
            if value is not MISSING:
                by_name.add(name)
        if value is MISSING:
            value = names.channel_value(name)
        if value is not MISSING:
            values[name] = value
        elif parameter.default is Parameter.empty:
            missing.append(name)
    if missing:
        _fill_from_token(task_id, signature, missing, _Token(sent, by_name, names), values)
    return values


@dataclass(frozen=True, slots=True)
class _Token:
    """All that A1 asks about."""

    sent: Sequence[Incoming]
    by_name: set[str]
    """Senders whose result went to a parameter of their name."""
    names: Names

    def senders(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(incoming.sender for incoming in self.sent))


def _fill_from_token(
    task_id: str,
    signature: Signature,
    missing: Sequence[str],
    token: _Token,
    values: dict[str, object],
) -> None:
    """Apply A1: the one parameter that is left takes the value of the one predecessor."""
    open_names = [name for name in missing if not token.names.is_task(name)]
    senders = token.senders()
    takes = len(missing) == len(open_names) == len(senders) == 1 and senders[0] not in token.by_name
    if not takes:
        raise ArgumentError(_complaint(task_id, missing, open_names, token))
    (name,) = missing
    values[name] = _whole_or_entry(name, signature, token.sent[-1].load())


def _whole_or_entry(name: str, signature: Signature, value: object) -> object:
    """Return the value, or its entry of that name where only that matches the annotation."""
    if signature.parameters[name].annotation is Parameter.empty or not isinstance(value, dict):
        return value
    annotation = signature.annotations.get(name, MISSING)
    if annotation is MISSING or name not in value or matches(value, annotation):
        return value
    return value[name] if matches(value[name], annotation) else value


def _first(name: str, *sources: Mapping[str, object]) -> object:
    for source in sources:
        if name in source:
            return source[name]
    return MISSING


def _handed(
    task_id: str, signature: Signature, data: object, injected: Mapping[str, object]
) -> Mapping[str, object]:
    """Return the data of `next_iteration` by the parameter that takes it."""
    if data is MISSING:
        return {}
    name = signature.first(besides=injected)
    if name is not None:
        return {name: data}
    if signature.takes_more:
        return {}
    raise ArgumentError(
        f"task {task_id!r} has no parameter for the data that next_iteration gave it; write "
        "def …(context, data), or call next_iteration() without data"
    )


def _refuse_unknown(task_id: str, signature: Signature, given: Iterable[str]) -> None:
    for name in given:
        if name not in signature.parameters and not signature.takes_any:
            raise ArgumentError(
                f"task {task_id!r} has no parameter {name!r}; {hint(name, signature.parameters)}"
            )


def _complaint(
    task_id: str, missing: Sequence[str], open_names: Sequence[str], token: _Token
) -> str:
    """Return the whole story: what is missing, why no token filled it, and what there was."""
    available = token.names.available()
    known = dict.fromkeys((*available.results, *available.channel))
    nearest = {name: hint(name, known) for name in missing}
    near = [text for text in nearest.values() if text.startswith("did you mean")]
    sentences = [
        f"task {task_id!r} has no value for {_listed(missing)}",
        *(_not_run(name) for name in missing if name not in open_names),
        *_why_no_token(missing, open_names, token),
        f"results: {_some(available.results)}",
        f"channel keys: {_some(available.channel)}",
        *dict.fromkeys(near),
    ]
    return "; ".join(sentences)


def _not_run(name: str) -> str:
    return f"task {name!r} has no result that can be read here"


def _why_no_token(
    missing: Sequence[str], open_names: Sequence[str], token: _Token
) -> Iterable[str]:
    senders = token.senders()
    if not open_names:
        return
    if not senders:
        yield "no task before it sent a value"
    elif len(senders) > 1:
        yield (
            f"several tasks sent a value, {_listed(senders)}: name a parameter after the one it is "
            "to come from"
        )
    elif senders[0] in token.by_name:
        yield f"the value of {senders[0]!r} went to the parameter of that name already"
    elif len(missing) > 1:
        yield (
            f"the value of {senders[0]!r} can fill one parameter, not {len(missing)}: name them "
            "after tasks or channel keys"
        )


def _some(names: Sequence[str]) -> str:
    """Return the first names; the nearest one of all is told apart from them."""
    more = len(names) - _TOLD
    shown = ", ".join(names[:_TOLD]) or "none"
    return f"{shown} and {more} more" if more > 0 else shown


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names)
