"""What programs may say that a cluster has no use for: it says so, once for each program."""

import inspect
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from graflow.compile.errors import UnsupportedError
from graflow.dsl.flow import CoordinationBackend, ParallelGroup
from graflow.dsl.handler import DIRECT, DOCKER
from graflow.dsl.program import Program

OURS = str(Path(__file__).parents[1])


class IgnoredOnClusterWarning(UserWarning):
    """The program asks for something that changes nothing on a cluster."""


def check_accepted(program: Program) -> None:
    """Warn of what changes nothing on a cluster, and refuse what would change what runs.

    Raises:
        UnsupportedError: If tasks are to be run by a handler of the program's own.
    """
    if DIRECT in program.services.handlers:
        raise UnsupportedError(
            f"the engine's handler {DIRECT!r}, a "
            f"{type(program.services.handlers[DIRECT]).__name__}, would run every task where the "
            "program runs; on a cluster leave it out, since each task has a pod"
        )
    for words in _ignored(program):
        warnings.warn(
            f"ignored on a cluster: {words}",
            IgnoredOnClusterWarning,
            stacklevel=_frames_to(inspect.currentframe()),
        )


def _frames_to(frame: FrameType | None) -> int:
    """Return how many frames there are up to the first that is not ours: the program's own line."""
    frames = 1
    while frame is not None and frame.f_code.co_filename.startswith(OURS):
        frame = frame.f_back
        frames += 1
    return frames


def _ignored(program: Program) -> Iterator[str]:
    services = program.services
    if services.tracer is not None:
        yield (
            f"the tracer, a {type(services.tracer).__name__}; `graflow status` and `graflow logs` "
            "tell what runs"
        )
    if services.config:
        yield f"config={dict(services.config)!r}"
    yield from services.local
    docker = [key for key, task in program.tasks.items() if task.handler_type == DOCKER]
    if docker:
        yield (
            f"the handler 'docker' of {', '.join(map(repr, docker))}; each task has a container, "
            "whose image is @task(image=…)"
        )
    for key, node in program.graph.items():
        if isinstance(node, ParallelGroup):
            yield from _of_group(key, node)


def _of_group(key: str, group: ParallelGroup) -> Iterator[str]:
    if group.backend is not CoordinationBackend.THREADING:
        yield (
            f"the backend {str(group.backend)!r} of group {key!r}; its branches run at the same "
            "time, in pods of their own"
        )
    if group.thread_count is not None:
        yield (
            f"the thread_count {group.thread_count} of group {key!r}; spec.parallelism bounds what "
            "runs at a time"
        )
