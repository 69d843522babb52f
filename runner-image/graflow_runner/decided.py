"""What a task has decided, in the form in which it is reported.

Imported when a task has decided something; most decide nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from graflow import values
from graflow.dsl.decisions import Call
from graflow.dsl.missing import MISSING
from graflow.machine.directives import Cancel, Iterate, Jump, Terminate
from graflow_runner.outcome import Leaf

if TYPE_CHECKING:  # most tasks hand nothing over
    from graflow_runner.known import KnownTasks

WORDS: Final = 1024
"""Most characters of a reason or a message."""

Fields = dict[str, Any]
Encode = Callable[[object, str], values.EncodedValue]


def reported(
    calls: Sequence[Call],
    known: "Callable[[], KnownTasks]",
    defaults: Mapping[str, int],
    encode: Encode,
) -> list[Fields]:
    """Return directives as a report has them, with a `Leaf` where bytes are.

    Args:
        calls: What the task asked for.
        known: Returns the tasks of its run.
        defaults: What the program says for tasks that say nothing.
        encode: Makes bytes of a value; its error says what the task did with that.

    Raises:
        AttemptError: If something of it cannot travel.
    """
    return [_directive(call, known, defaults, encode) for call in calls]


def _directive(
    call: Call, known: "Callable[[], KnownTasks]", defaults: Mapping[str, int], encode: Encode
) -> Fields:
    match call:
        case Jump(target=target, reason=reason):
            return {"kind": "Jump", "target": target, "reason": reason[:WORDS]}
        case Iterate(again=again, reason=reason):
            given = None if again is None else _again(again, encode)
            return {"kind": "Iteration", "again": given, "reason": reason[:WORDS]}
        case Terminate(message=message):
            return {"kind": "Termination", "message": message[:WORDS]}
        case Cancel(message=message):
            return {"kind": "Cancellation", "message": message[:WORDS]}
        case handover:
            from graflow_runner.handover import written  # noqa: PLC0415  # 20 ms of imports

            fragment = written(handover.fragment, known(), defaults)
            head = {"kind": "Spawn", "goto": handover.goto, "reason": handover.reason[:WORDS]}
            return {**head, "fragment": fragment}


def _again(again: Any, encode: Encode) -> Fields:  # noqa: ANN401  # the machine passes anything on
    if again.data is not MISSING:
        return {"data": Leaf(encode(again.data, "gave next_iteration"))}
    return {"bound": Leaf(encode(dict(again.bound), "gave next_iteration"))}
