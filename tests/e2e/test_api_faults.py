"""An API server that fails while a run goes on: the operator lives or is started again, and the run
ends as it would have ended, without a task run twice.

One operator meets with all of it, one fault after the other, and keeps what each has done to it.
"""

import json
import os
import shutil
import ssl
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import pytest
import yaml

from e2e.conftest import PROGRAMS, RUNNER_IMAGE, Cluster, namespace
from support import faulty_proxy as faults
from support import witness
from support.example_runs import compiled
from support.faulty_proxy import Asked, FaultyProxy, api_error
from support.ledger import Ledger, commits, judged
from support.looking import until
from support.own_operator import ROOT, OwnOperator, address, store_of_cluster
from support.sightings import Sightings

FAULT_S = 4.0
PATIENCE_S = 120.0
RETRY_AFTER_S = 1
"""Shorter than the pause between two comparisons here, which nobody shortens."""

MOST_AT_ONCE, MOST_PER_S = 40, 12
"""Requests that an operator of one run may have under way, and may send a second, while nothing
works. It is asked for what it compares every two seconds here, not every minute."""

RESULT = 5
TASKS = 3

Fault = Callable[[FaultyProxy], AbstractContextManager[None]]


class Supervised:
    """Starts an operator again whenever it has ended, as a kubelet does."""

    def __init__(self, operator: OwnOperator) -> None:
        self.operator = operator
        self.starts = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._look_after, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self.operator.wait_until_ready()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()
        self.operator.stop()

    def _look_after(self) -> None:
        while True:
            if self.operator.process is None or self.operator.process.poll() is not None:
                self.operator.start()
                self.starts += 1
            if self._stopped.wait(0.1):
                return


@dataclass
class Scene:
    """What a fault is about to meet with."""

    cluster: Cluster
    proxy: FaultyProxy
    supervised: Supervised
    ledger: Ledger
    sightings: Sightings
    workflow: dict[str, Any]

    def submit(self, run: str) -> None:
        assert self.cluster.apply({**self.workflow, "metadata": {"name": run}}).code == 0

    def assert_as_without_faults(self, run: str) -> None:
        """Judge the run by its end, its pods, and what its tasks told of themselves."""
        ended = self.sightings.until(run, lambda status: "completionTime" in status, PATIENCE_S)
        assert ended["status"]["phase"] == "Succeeded", ended["status"]
        assert ended["status"]["result"]["json"] == RESULT
        pods = [pod["metadata"]["labels"] for pod in self.cluster.pods(run)]
        assert len(pods) == TASKS, pods
        mine = [entry for entry in self.ledger.entries if entry.run == run]
        verdict = judged(mine, {run: commits(self.sightings.versions(run))})
        assert not verdict.faults
        assert (verdict.activations, verdict.attempts) == (TASKS, TASKS), mine


@pytest.fixture(scope="module")
def scene(kubectl_path: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("faults")
    with (
        namespace(kubectl_path) as cluster,
        Ledger(address()) as ledger,
        before_the_api_server(folder) as (proxy, kubeconfig),
    ):
        shutil.copy(PROGRAMS / "three.py", folder / "workflow.py")
        workflow, others = compiled(witness.witnessed(folder, ledger.address))
        for one in others:
            assert cluster.apply(one).code == 0
        operator = OwnOperator(
            cluster.namespace,
            RUNNER_IMAGE,
            folder,
            store_of_cluster()["S3_ENDPOINT"],
            environ={"PYTHONPATH": str(ROOT / "tests")},
            kubeconfig=kubeconfig,
            entry=("-m", "support.brisk_operator"),
        )
        workflow["spec"] |= {"operator": operator.instance, "pod": {"env": witness.ENV}}
        sightings = Sightings(os.environ["KUBECONFIG"], cluster.namespace)
        with Supervised(operator) as supervised:
            yield Scene(cluster, proxy, supervised, ledger, sightings, workflow)
        sightings.stop()


@contextmanager
def before_the_api_server(folder: Path) -> Iterator[tuple[FaultyProxy, Path]]:
    """Stand before the API server; yield the proxy, and a kubeconfig that leads to it."""
    known = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text())
    server = known["clusters"][0]["cluster"]["server"]
    tls = ssl.create_default_context()
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    with FaultyProxy(server, tls=tls) as proxy:
        known["clusters"][0]["cluster"] = {"server": proxy.url}
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(json.dumps(known))
        yield proxy, kubeconfig


# -- faults ---------------------------------------------------------------------------------------


def writes_status(asked: Asked) -> bool:
    return asked.method == "PATCH" and asked.path.endswith("/status")


def makes_pods(asked: Asked) -> bool:
    return asked.method == "POST" and asked.path.endswith("/pods")


def watches(asked: Asked) -> bool:
    return asked.watches


def asks_once(asked: Asked) -> bool:
    return not asked.watches


def again_and_again(what: Callable[[FaultyProxy], None]) -> Fault:
    """Do something to the proxy once a second."""

    @contextmanager
    def fault(proxy: FaultyProxy) -> Iterator[None]:
        over = threading.Event()

        def pester() -> None:
            while not over.wait(1.0):
                what(proxy)

        thread = threading.Thread(target=pester)
        what(proxy)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    return fault


@contextmanager
def no_new_watch(act: faults.Act, proxy: FaultyProxy) -> Iterator[None]:
    with proxy.fault(act, where=watches):
        proxy.drop_watches()
        yield


EXPIRED = {"kind": "Status", "status": "Failure", "reason": "Expired", "code": 410}

FAULTS: dict[str, Fault] = {
    "watches are dropped": again_and_again(FaultyProxy.drop_watches),
    "watches end with 410": again_and_again(
        lambda proxy: proxy.tell_watches({"type": "ERROR", "object": EXPIRED})
    ),
    "500": lambda p: p.fault(api_error(500, "InternalError")),
    "no answer": lambda p: p.fault(faults.black_hole, where=asks_once),
    "connections are reset": lambda p: p.fault(faults.reset),
    "answers are cut in two": lambda p: p.fault(faults.cuts_answer, where=asks_once),
    "status written, answer lost": lambda p: p.fault(faults.loses_answer, where=writes_status),
    "status written, never answered": lambda p: p.fault(
        faults.keeps_answer, where=writes_status, times=1
    ),
    "pod made, answer lost": lambda p: p.fault(faults.loses_answer, where=makes_pods),
    "pod made, never answered": lambda p: p.fault(faults.keeps_answer, where=makes_pods, times=1),
    "409 on status": lambda p: p.fault(api_error(409, "Conflict"), where=writes_status),
}

UNWATCHABLE: dict[str, Fault] = {
    "watches begin with 410": lambda p: no_new_watch(api_error(410, "Expired"), p),
    "watches are forbidden": lambda p: no_new_watch(api_error(403, "Forbidden"), p),
}


@contextmanager
def meets(scene: Scene, fault: Fault, run: str) -> Iterator[list[Asked]]:
    """Submit a run into a fault; at the end the list has what was asked while it lasted."""
    asked: list[Asked] = []
    with fault(scene.proxy):
        before = len(scene.proxy.asked)
        scene.submit(run)
        threading.Event().wait(FAULT_S)
        asked += scene.proxy.asked[before:]
    yield asked


@pytest.mark.parametrize("fault", FAULTS)
def test_a_run_ends_as_without_the_fault(scene: Scene, fault: str) -> None:
    run = name_of(fault)
    starts = scene.supervised.starts
    with meets(scene, FAULTS[fault], run) as asked:
        scene.assert_as_without_faults(run)
    assert asked
    assert len(asked) < MOST_AT_ONCE + MOST_PER_S * FAULT_S, counted(asked)
    assert scene.supervised.starts == starts


def test_an_operator_that_has_too_many_requests_waits_as_long_as_it_is_told(scene: Scene) -> None:
    busy = api_error(429, "TooManyRequests", Retry_After=str(RETRY_AFTER_S))
    with meets(scene, lambda proxy: proxy.fault(busy), "busy") as asked:
        scene.assert_as_without_faults("busy")
    assert len(asked) < MOST_AT_ONCE + MOST_PER_S * FAULT_S, counted(asked)
    times = defaultdict(list)
    for one in asked:
        times[one.agent, one.method, one.path, one.watches].append(one.at)
    for what, when in times.items():
        assert all(b - a > RETRY_AFTER_S * 0.95 for a, b in pairwise(when)), (what, when)


def test_watches_that_fall_silent_end_the_process_and_the_next_one_hears(scene: Scene) -> None:
    starts = scene.supervised.starts
    with again_and_again(FaultyProxy.deafen_watches)(scene.proxy):
        scene.submit("deaf")
        until(
            lambda: scene.supervised.starts > starts,
            lambda: scene.supervised.operator.log[-3000:],
        )
    scene.supervised.operator.wait_until_ready()
    scene.assert_as_without_faults("deaf")
    scene.submit("heard")
    scene.assert_as_without_faults("heard")


@pytest.mark.parametrize("fault", UNWATCHABLE)
def test_a_run_ends_though_nothing_can_be_watched(scene: Scene, fault: str) -> None:
    """Whether the process ends meanwhile is left to how soon three lists are read."""
    run = name_of(fault)
    with meets(scene, UNWATCHABLE[fault], run) as asked:
        scene.assert_as_without_faults(run)
    assert len(asked) < MOST_AT_ONCE + MOST_PER_S * FAULT_S, counted(asked)


def name_of(fault: str) -> str:
    return "run-" + "-".join(fault.replace(",", "").split())


def counted(asked: list[Asked]) -> dict[str, int]:
    found: dict[str, int] = defaultdict(int)
    for one in asked:
        found[f"{one.method} {one.path} {'watch' if one.watches else ''}"] += 1
    return dict(found)
