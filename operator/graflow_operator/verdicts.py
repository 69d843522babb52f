"""How an attempt ended, judged from all that is known of it. Pure."""

from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from graflow.api.signals import SIGNAL_BASE, signal_of
from graflow.machine import faults, reasons
from graflow.machine.directives import Directive
from graflow.machine.faults import FaultKind
from graflow.machine.state import Error
from graflow_operator import strictjson, takings
from graflow_operator.checkpoint import Wish
from graflow_operator.facts import Ended, Taken

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

    wish: Wish | None = None
    """A checkpoint that it asked for, of the run as it is once this is recorded."""


@dataclass(frozen=True, slots=True)
class Failed:
    """It is the task's own fault, or nothing that another attempt could help."""

    error: Error
    spends: bool = True
    """Whether that is one of the task's attempts; False where user code had no part in it."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The infrastructure took it away."""

    error: Error
    spends: bool = True
    """Whether that counts against the attempts that may be lost."""


@dataclass(frozen=True, slots=True)
class Parked:
    """Its runner has let go of it, until somebody answers what it has asked."""

    waits_for: tuple[str, ...] = ()
    """Keys of the questions of which the runner had heard no answer; empty: it does not say."""


Told: TypeAlias = Succeeded | Failed | Parked
"""What a runner may report."""

Verdict: TypeAlias = Told | Lost


def invalid(words: str) -> Failed:
    """Return the verdict on an attempt that asked for what cannot be."""
    return Failed(Error(reasons.INVALID_TRANSITION, words, retryable=False))


def gone(pod: str, *, claimed: bool, taken: Taken | None = None) -> Lost:
    """Return the verdict on an attempt whose pod is no more, with no outcome anywhere."""
    state = "while its task ran" if claimed else "before its runner had asked for the task"
    if taken is not None:
        return Lost(takings.taken(pod, taken, state), spends=claimed)
    return Lost(Error(reasons.POD_LOST, f"pod {pod} went away {state}"), spends=claimed)


def unmade(pod: str) -> Lost:
    """Return the verdict on an attempt whose pod is not there, and was never seen.

    Its maker may have died before it made it, or after; the number is burnt either way.
    """
    words = "no runner had asked for the task, and the operator that was to make the pod stopped"
    return Lost(Error(reasons.POD_LOST, f"there is no pod {pod}: {words}"), spends=False)


def unstartable(error: Error) -> Failed:
    """Return the verdict on an attempt of which no pod can ever be made."""
    spends = faults.of(error.reason).kind is FaultKind.USER
    return Failed(replace(error, retryable=False), spends=spends)


def given_up(error: Error) -> Failed | Lost:
    """Return the verdict on an attempt that was waited for too long; no user code has run.

    What somebody had to mend another attempt would wait for as well.
    """
    if faults.of(error.reason).kind is FaultKind.CONFIGURATION:
        return Failed(replace(error, retryable=False), spends=False)
    return Lost(error)


def stopped(pod: str, error: Error, ended: Ended | None) -> Failed | Lost:
    """Return the verdict on a runner that was told to stop, and only knows that.

    Args:
        pod: Its pod's name.
        error: What it says.
        ended: How its pod ended; None if that is not known.
    """
    found = _by_kubernetes(pod, ended) if ended else None
    if isinstance(found, Failed | Lost):
        why = found.error
        return replace(found, error=replace(error, reason=why.reason, message=why.message))
    words = f"the task was told to stop (SIGTERM): {error.message}"
    return Lost(replace(error, message=words))


def of_report(report: Told) -> Verdict:
    """Return the verdict on what a runner reports: trouble of its own is no failure of the task."""
    if not isinstance(report, Failed) or report.error.reason != reasons.RUNNER_FAILED:
        return report
    # Where another attempt cannot help, as with a value that nobody takes, there is to be none.
    return Lost(report.error) if report.error.retryable else report


def of_runner(pod: str, ended: Ended, *, claimed: bool) -> Verdict:
    """Return the verdict on a runner that ended and left no outcome anywhere."""
    found = _by_kubernetes(pod, ended)
    if found is not None:
        return found
    if not claimed:
        return _never_ran(pod, ended)
    code = ended.exit_code
    return _out_of_sight(pod, ended) if code is None else _by_code(pod, code)


def _by_code(pod: str, code: int) -> Verdict:
    if code == EXIT_BUNDLE:
        words = f"the runner of pod {pod} could not use the code bundle; its log says why"
        return Failed(Error(reasons.BUNDLE_CORRUPT, words, retryable=False))
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
    code = ended.exit_code
    if code == 0 and ended.container_reason != reasons.OOM_KILLED and not ended.init:
        return _result(pod, ended.message)
    found = _by_kubernetes(pod, ended)
    if found is not None:
        return found
    return _out_of_sight(pod, ended) if code is None else _exit(pod, code, ended.message)


def _by_kubernetes(pod: str, ended: Ended) -> Verdict | None:
    """Return the verdict where Kubernetes itself tells of it, whatever was to run in the pod."""
    if ended.pod_reason == reasons.DEADLINE_EXCEEDED:
        return _deadline(pod)
    if ended.container_reason == reasons.OOM_KILLED:
        return _out_of_memory(pod, ended)
    if takings.exceeded_storage(ended):
        words = f"pod {pod} wrote more than its limit: {ended.pod_message}"
        return Failed(Error(reasons.EPHEMERAL_STORAGE_EXCEEDED, words))
    if error := takings.taken_away(pod, ended):
        return Lost(error)
    if ended.init:
        return _init_failed(pod, ended)
    return _not_started(pod, ended) if _could_not_start(ended) else None


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
        name = signal_of(code) or f"signal {code - SIGNAL_BASE}"
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


def _out_of_memory(pod: str, ended: Ended) -> Failed:
    who = f"init container {ended.init!r} of pod {pod}" if ended.init else f"pod {pod}"
    if ended.memory_limit:
        words = (
            f"{who} used more memory than its limit, {ended.memory_limit}; give the task more in"
            " pod.resources.limits"
        )
    else:
        words = (
            f"{who} was killed for want of memory on its node; name what the task needs in"
            " pod.resources, as requests and limits"
        )
    return Failed(Error(reasons.OOM_KILLED, words))


def _init_failed(pod: str, ended: Ended) -> Failed:
    said = f": {last}" if (last := _last_line(ended.message)) else ""
    code = "in a way nobody knows" if ended.exit_code is None else f"with code {ended.exit_code}"
    words = f"init container {ended.init!r} of pod {pod} ended {code}{said}"
    return Failed(Error(reasons.EXIT_CODE, words))


def _could_not_start(ended: Ended) -> bool:
    return ended.container_reason in ("StartError", "ContainerCannotRun")


def _not_started(pod: str, ended: Ended) -> Failed:
    words = f"the container of pod {pod} did not start: {_why(ended)}"
    return Failed(Error(reasons.START_FAILED, words))


def _never_ran(pod: str, ended: Ended) -> Lost:
    code = "" if ended.exit_code is None else f" with code {ended.exit_code}"
    words = f"pod {pod} ended{code} before its runner had taken the task: {_why(ended)}"
    return Lost(Error(reasons.RUNNER_FAILED, words))


def _out_of_sight(pod: str, ended: Ended) -> Lost:
    words = f"the node lost sight of the container of pod {pod}: {_why(ended)}"
    return Lost(Error(reasons.POD_LOST, words))


def _why(ended: Ended) -> str:
    said = _last_line(ended.message) or ended.pod_message
    return said or ended.container_reason or "nothing says why"
