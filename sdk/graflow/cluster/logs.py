"""What the tasks of a run have printed."""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from graflow.api.names import (
    ANNOTATION_TASK,
    LABEL_ACTIVATION,
    LABEL_ATTEMPT,
    LABEL_RUN,
    LABEL_TASK,
    TASK_CONTAINER,
    dns_form,
)
from graflow.cluster.apiserver import ApiServer
from graflow.cluster.errors import ClusterError, NotFoundError, RefusedError

LOOK_S = 0.5
"""How often to look for new pods while following."""
SILENCE_S = 24 * 3600.0

Pod = dict[str, Any]
Over = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Which:
    """Whose lines: those of one run, or of one task of it."""

    server: ApiServer
    namespace: str
    run_uid: str
    """Uid of the Workflow."""

    task: str | None = None

    def pods(self) -> list[Pod]:
        """Return the pods, in the order in which they were made."""
        selector = f"{LABEL_RUN}={self.run_uid}"
        if self.task is not None:
            selector += f",{LABEL_TASK}={dns_form(self.task)}"
        path = f"/api/v1/namespaces/{quote(self.namespace, safe='')}/pods"
        found = self.server.request("GET", path, query={"labelSelector": selector})["items"]
        if self.task is not None:
            # Two ids can have one DNS form.
            found = [pod for pod in found if _task_of(pod) in (self.task, dns_form(self.task))]
        return sorted(found, key=_order)


def lines(
    which: Which, *, label: bool, kept: Callable[[], Iterator[str]], over: Over | None = None
) -> Iterator[str]:
    """Yield the lines of a run's pods, pod by pod in the order in which they were made.

    Args:
        which: Whose lines.
        label: Whether a line begins with its task's name.
        kept: Gives what was kept of the lines where there is no pod any more.
        over: Whether the run is over. When given, goes on until then, and lines of several pods
            come in the order in which they are printed.

    Raises:
        NotFoundError: If a task is named that has no pod, and of which nothing was kept.
    """
    if over is not None:
        yield from _Following(which, label, over).lines()
        return
    pods = which.pods()
    if not pods:
        yield from kept()
    for pod in pods:
        for line in _log(which.server, pod, follow=False):
            yield _labelled(pod, line, label=label)


def is_alive(pod: Pod) -> bool:
    """Whether anything in a pod runs, or may run yet."""
    return pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")


def _order(pod: Pod) -> tuple[int, int]:
    labels = pod["metadata"].get("labels", {})
    return int(labels.get(LABEL_ACTIVATION, 0)), int(labels.get(LABEL_ATTEMPT, 0))


def _task_of(pod: Pod) -> str:
    metadata = pod["metadata"]
    written = metadata.get("annotations", {}).get(ANNOTATION_TASK)
    return str(written or metadata.get("labels", {}).get(LABEL_TASK, ""))


def _labelled(pod: Pod, line: str, *, label: bool) -> str:
    return f"[{_task_of(pod)}] {line}" if label else line


def _log(server: ApiServer, pod: Pod, *, follow: bool) -> Iterator[str]:
    """Yield the lines of one pod; none while its container has not begun."""
    metadata = pod["metadata"]
    path = f"/api/v1/namespaces/{quote(metadata['namespace'])}/pods/{quote(metadata['name'])}/log"
    query = {"container": TASK_CONTAINER} | ({"follow": "true"} if follow else {})
    try:
        with server.stream("GET", path, query=query, timeout_s=SILENCE_S) as reply:
            yield from _split(reply.stream(65_536))
    except (RefusedError, NotFoundError):  # "container is waiting to start", or the pod is gone
        return


def _split(chunks: Iterator[bytes]) -> Iterator[str]:
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line.decode(errors="replace").rstrip("\r")
    if rest:
        yield rest.decode(errors="replace")


@dataclass
class _Following:
    """Reads the logs of all pods at once, each in a thread of its own, until the run is over."""

    which: Which
    label: bool
    over: Over
    found: "queue.Queue[str | ClusterError]" = field(default_factory=queue.Queue)
    readers: dict[str, threading.Thread] = field(default_factory=dict)

    def lines(self) -> Iterator[str]:
        """Yield lines as they are printed."""
        ended = False
        while not ended:
            ended = self.over()
            self._look()
            yield from self._until(time.monotonic() + LOOK_S)
        while any(reader.is_alive() for reader in self.readers.values()):
            yield from self._until(time.monotonic() + LOOK_S)
        while not self.found.empty():
            yield from self._until(time.monotonic())

    def _look(self) -> None:
        """Begin to read pods whose container has begun and that nobody reads yet."""
        for pod in self.which.pods():
            uid = pod["metadata"]["uid"]
            if uid not in self.readers and _has_begun(pod):
                reader = threading.Thread(target=self._read, args=(pod,), daemon=True)
                self.readers[uid] = reader
                reader.start()

    def _read(self, pod: Pod) -> None:
        try:
            for line in _log(self.which.server, pod, follow=True):
                self.found.put(_labelled(pod, line, label=self.label))
        except ClusterError as error:
            self.found.put(error)

    def _until(self, end: float) -> Iterator[str]:
        """Yield what there is, and what comes until a moment of the monotonic clock."""
        while True:
            try:
                item = self.found.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                return
            if isinstance(item, ClusterError):
                raise item
            yield item
            if time.monotonic() >= end:
                return


def _has_begun(pod: Pod) -> bool:
    statuses = pod.get("status", {}).get("containerStatuses", ())
    states = [one.get("state", {}) for one in statuses if one["name"] == TASK_CONTAINER]
    return any("running" in state or "terminated" in state for state in states)
