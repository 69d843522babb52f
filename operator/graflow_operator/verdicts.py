"""How an attempt ended, judged from all that is known of it. Pure."""

import signal
from dataclasses import dataclass
from typing import Any, TypeAlias

from graflow.machine import reasons
from graflow.machine.directives import Directive
from graflow.machine.state import Error
from graflow_operator import strictjson
from graflow_operator.facts import SIGNAL_BASE, Ended

EXIT_BAD_ENVIRONMENT = 64
EXIT_FENCED = 65
EXIT_BUNDLE = 66
EXIT_UNREACHABLE = 69
EXIT_INTERNAL = 70
LINE_CHARS = 300
"""Of a line that a container printed last, in a message."""

TERMINATION_MESSAGE_MAX = 4096
"""Bytes that the kubelet keeps of a termination message; the rest is cut silently."""

_RUNNER_FAULTS = {
    EXIT_BAD_ENVIRONMENT: "its environment is not one that the operator makes",
    EXIT_FENCED: "another runner holds the attempt",
    EXIT_UNREACHABLE: "it could reach neither the operator nor the store",
    EXIT_INTERNAL: "it met an error of its own; its log says which",
}


@dataclass(frozen=True, slots=True)
class Succeeded:
    """User code returned this."""

    value: Any
    directives: tuple[Directive, ...] = ()
    """What it decided while it ran, in the order in which it asked."""


@dataclass(frozen=True, slots=True)
class Failed:
    """It is the task's own fault."""

    error: Error


@dataclass(frozen=True, slots=True)
class Lost:
    """The infrastructure took it away."""

    error: Error
    spends: bool = True
    """Whether that counts against the attempts that may be lost."""


Verdict: TypeAlias = Succeeded | Failed | Lost


def invalid(words: str) -> Failed:
    """Return the verdict on an attempt that asked for what cannot be."""
    return Failed(Error(reasons.INVALID_TRANSITION, words, retryable=False))


def gone(pod: str, *, claimed: bool) -> Lost:
    """Return the verdict on an attempt whose pod is no more, with no outcome anywhere.

    Before the claim the pod may never have existed: its maker may have died before it made it.
    """
    state = "while its task ran" if claimed else "before its runner had asked for the task"
    return Lost(Error(reasons.POD_LOST, f"pod {pod} was deleted {state}"), spends=claimed)


def of_runner(pod: str, ended: Ended, *, claimed: bool) -> Verdict:  # noqa: PLR0911 - a table
    """Return the verdict on a runner that ended and left no outcome anywhere."""
    if ended.pod_reason == reasons.DEADLINE_EXCEEDED:
        return _deadline(pod)
    if ended.container_reason == reasons.OOM_KILLED:
        return _out_of_memory(pod)
    if ended.disrupted or (ended.pod_reason and ended.exit_code is None):
        return _taken_away(pod, ended)
    code = ended.exit_code
    if code is None or not claimed:
        return _never_ran(pod, ended)
    if code == EXIT_BUNDLE:
        return Failed(
            Error(
                reasons.BUNDLE_CORRUPT,
                f"the runner of pod {pod} could not use the code bundle; its log says why",
                retryable=False,
            )
        )
    if code in _RUNNER_FAULTS:
        words = f"the runner of pod {pod} ended with code {code}: {_RUNNER_FAULTS[code]}"
        return Lost(Error(reasons.RUNNER_FAILED, words))
    if code == 0:
        words = (
            f"the process of pod {pod} ended with code 0 and never said how the task ended,"
            " as after os._exit(0)"
        )
        return Failed(Error(reasons.NO_REPORT, words))
    return _exit(pod, code)


def of_container(pod: str, ended: Ended) -> Verdict:
    """Return the verdict on a container task, of which the pod's status is the only record."""
    if ended.pod_reason == reasons.DEADLINE_EXCEEDED:
        return _deadline(pod)
    if ended.container_reason == reasons.OOM_KILLED:
        return _out_of_memory(pod)
    code = ended.exit_code
    if code == 0:
        return _result(pod, ended.message)
    if ended.disrupted or (ended.pod_reason and code is None):
        return _taken_away(pod, ended)
    if code is None or ended.container_reason in ("StartError", "ContainerCannotRun"):
        return _could_not_start(pod, ended)
    return _exit(pod, code, ended.message)


def _result(pod: str, message: str) -> Verdict:
    """Return what a container wrote to its termination message: JSON if it is, else text."""
    if len(message.encode()) >= TERMINATION_MESSAGE_MAX:
        words = (
            f"pod {pod} wrote {TERMINATION_MESSAGE_MAX} bytes or more to its termination message,"
            " which the kubelet cuts there; write less, or put the result elsewhere"
        )
        return Failed(Error(reasons.RESULT_TRUNCATED, words, retryable=False))
    if not message:
        return Succeeded({"json": None})
    try:
        return Succeeded({"json": strictjson.loads(message)})
    except ValueError:
        return Succeeded({"json": message})


def _exit(pod: str, code: int, message: str = "") -> Failed:
    said = f": {last}" if (last := _last_line(message)) else ""
    if code > SIGNAL_BASE:
        try:
            name = signal.Signals(code - SIGNAL_BASE).name
        except ValueError:
            name = f"signal {code - SIGNAL_BASE}"
        words = f"{name} ended the process of pod {pod} (exit code {code}){said}"
        return Failed(Error(reasons.KILLED, words))
    return Failed(
        Error(reasons.EXIT_CODE, f"the process of pod {pod} ended with code {code}{said}")
    )


def _last_line(message: str) -> str:
    """Return the last line of what may be the end of a log."""
    lines = message.strip().splitlines() or [""]
    return lines[-1].strip()[:LINE_CHARS]


def _deadline(pod: str) -> Failed:
    words = f"pod {pod} was stopped: the task's timeoutSeconds have passed"
    return Failed(Error(reasons.DEADLINE_EXCEEDED, words))


def _out_of_memory(pod: str) -> Failed:
    words = f"pod {pod} used more memory than its limit; give the task more in pod.resources.limits"
    return Failed(Error(reasons.OOM_KILLED, words))


def _taken_away(pod: str, ended: Ended) -> Lost:
    why = ended.pod_message or ended.pod_reason or "it was deleted"
    reason = reasons.NODE_LOST if ended.pod_reason == "NodeLost" else reasons.EVICTED
    return Lost(Error(reason, f"pod {pod} was taken away: {why}"))


def _never_ran(pod: str, ended: Ended) -> Lost:
    code = "" if ended.exit_code is None else f" with code {ended.exit_code}"
    said = _last_line(ended.message) or ended.pod_message
    why = said or ended.container_reason or "nothing says why"
    words = f"pod {pod} ended{code} before its runner had taken the task: {why}"
    return Lost(Error(reasons.RUNNER_FAILED, words))


def _could_not_start(pod: str, ended: Ended) -> Failed:
    why = ended.message or ended.pod_message or ended.container_reason or "nothing says why"
    return Failed(Error(reasons.START_FAILED, f"the container of pod {pod} did not start: {why}"))
