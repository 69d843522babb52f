"""A store that fails while runs need it: they wait, say so, and go on; nothing is lost.

One operator meets with all of it, one fault after the other, but for what is found out at a start.
"""

import base64
import hashlib
import json
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from e2e.conftest import PROGRAMS, RUNNER_IMAGE, Cluster, manifest, namespace
from graflow.store.keys import sha256_of
from graflow.store.s3 import S3Location, S3Store
from graflow_operator import values
from support import faulty_proxy as faults
from support.faulty_proxy import Act, Asked, FaultyProxy, s3_error
from support.looking import until
from support.own_operator import ROOT, OwnOperator, address, store_of_cluster

STORED = PROGRAMS / "stored.py"
RESULT = {
    "total": 5,
    "seen": 400_000,
    "sha256": "a34ad68146cc9f40245570e48a24b0981b5d65547572f661f951ed42beca11c5",
}
TASKS = 3


@pytest.fixture(scope="module")
def proxy(kubectl_path: str) -> Iterator[FaultyProxy]:
    with FaultyProxy(store_of_cluster()["S3_ENDPOINT"], host=address()) as found:
        yield found


@pytest.fixture(scope="module")
def store(kubectl_path: str) -> Iterator[S3Store]:
    """Look at what is in the store, past the proxy."""
    known = store_of_cluster()
    with pytest.MonkeyPatch.context() as patch:
        for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(key, known[key])
        yield S3Store(S3Location(known["S3_BUCKET"], known["S3_ENDPOINT"]))


@dataclass
class Scene:
    """What a fault is about to meet with."""

    cluster: Cluster
    proxy: FaultyProxy
    operator: OwnOperator
    store: S3Store
    objects: dict[str, Any]
    """Of the program."""

    def submit(self, run: str) -> None:
        submit(self.cluster, self.objects, run)

    def until_held_up(self, run: str) -> str:
        words: str = until(lambda: held_up(self.cluster, run), lambda: self.operator.log[-3000:])
        return words

    def assert_as_without_faults(self, run: str) -> None:
        found = self.cluster.wait(run, seconds=180)
        assert found["status"]["phase"] == "Succeeded", found["status"]
        assert found["status"]["result"]["json"] == RESULT
        assert_whole(found, self.store)
        assert len(self.cluster.pods(run)) == TASKS, self.cluster.attempts()
        assert not held_up(self.cluster, run)


@pytest.fixture(scope="module")
def scene(
    kubectl_path: str,
    proxy: FaultyProxy,
    store: S3Store,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Scene]:
    with namespace(kubectl_path) as cluster:
        operator = OwnOperator(
            cluster.namespace,
            RUNNER_IMAGE,
            tmp_path_factory.mktemp("store-faults"),
            proxy.url,
            environ={"PYTHONPATH": str(ROOT / "tests")},
            entry=("-m", "support.brisk_operator"),
        )
        with operator.running():
            objects = json.loads(operator.compiled(STORED, "stored"))
            operator.wait_until_ready()
            yield Scene(cluster, proxy, operator, store, objects)


def submit(cluster: Cluster, objects: dict[str, Any], run: str) -> None:
    for one in objects["items"]:
        renamed = {**one, "metadata": {**one["metadata"], "name": run}}
        assert cluster.apply(renamed if one["kind"] == "Workflow" else one).code == 0


def held_up(cluster: Cluster, run: str) -> str:
    """Return in what words the run says that it waits for the store."""
    status = cluster.get("workflows.graflow.dev", run).get("status", {})
    waits = status.get("waiting", ())
    words = [one["message"] for one in waits if one["reason"] == "StoreUnavailable"]
    return words[0] if words else ""


def names(document: Any) -> Iterator[tuple[str, str]]:
    """Return every field of a document that is a text, with its name."""
    if isinstance(document, dict):
        for name, inner in document.items():
            if isinstance(inner, str):
                yield name, inner
            yield from names(inner)
    elif isinstance(document, list):
        for inner in document:
            yield from names(inner)


def assert_whole(workflow: dict[str, Any], store: S3Store) -> None:
    """Everything that is committed is there, and is what its name says."""
    prefix = f"{workflow['metadata']['namespace']}/{workflow['metadata']['uid']}/"
    cursor = workflow["status"]["cursor"]
    wanted = {text for name, text in names(cursor) if name == "key"}
    documents = [json.loads(zlib.decompress(store.get(key))) for key in wanted]
    for name, text in names(cursor):
        if name == "state":
            documents.append(json.loads(zlib.decompress(base64.b64decode(text))))
    wanted |= {f"{prefix}blobs/{sha}" for found in documents for sha in values.blobs(found)}
    segment = cursor.get("history")
    while isinstance(segment, str):
        key = f"{prefix}history/{segment}.jsonl"
        wanted.add(key)
        segment = json.loads(store.get(key).split(b"\n", 1)[0])["previous"]
    assert wanted, "the program leaves more than that in the store"
    for key in wanted:
        expected, data = sha256_of(key), store.get(key)
        assert expected is None or hashlib.sha256(data).hexdigest() == expected, key


Fault = Callable[[FaultyProxy], AbstractContextManager[None]]
AWAY: dict[str, Fault] = {
    "down": FaultyProxy.down,
    "black hole": lambda p: p.fault(faults.black_hole),
    "slow down": lambda p: p.fault(s3_error(503, "SlowDown", Retry_After="2")),
    "unknown key": lambda p: p.fault(s3_error(403, "InvalidAccessKeyId")),
    "no bucket": lambda p: p.fault(s3_error(404, "NoSuchBucket")),
}


@pytest.mark.parametrize("fault", AWAY)
def test_a_run_waits_for_a_store_that_is_away_and_goes_on(scene: Scene, fault: str) -> None:
    run, proxy, operator = name_of(fault), scene.proxy, scene.operator
    secret = store_of_cluster()["AWS_SECRET_ACCESS_KEY"]
    asked = len(proxy.asked)
    errors = operator.metric("graflow_store_errors_total")
    began = time.monotonic()
    with AWAY[fault](proxy):
        scene.submit(run)
        words = scene.until_held_up(run)
        spent, asked = time.monotonic() - began, len(proxy.asked) - asked
        assert proxy.url in words, words
        assert scene.cluster.namespace in words, words
        assert secret not in words + operator.log
        assert operator.ask("healthz")[0] == 200
        assert operator.metric("graflow_store_errors_total") > errors
    assert asked < 20 + 10 * spent, f"{asked} requests in {spent:.0f} s"
    scene.assert_as_without_faults(run)


def test_a_run_that_is_under_way_waits_for_a_store_that_is_away(scene: Scene) -> None:
    scene.submit("under-way")
    until(lambda: scene.cluster.pods("under-way"), lambda: scene.operator.log[-3000:])
    with scene.proxy.fault(faults.reset):
        scene.until_held_up("under-way")
    scene.assert_as_without_faults("under-way")
    puts = [asked.path.split("/") for asked in scene.proxy.asked if asked.method == "PUT"]
    assert {"blobs", "channel"} <= {path[4] for path in puts if len(path) > 4}


def reads_a_blob(asked: Asked) -> bool:
    return "/blobs/" in asked.path and asked.method == "GET"


QUIET: dict[str, tuple[Act, Callable[[Asked], bool], int]] = {
    "writes whose answer is lost": (faults.loses_answer, lambda a: a.method == "PUT", 2),
    "a byte changed on the way": (faults.flips_byte, reads_a_blob, 1),
}
"""What happens, to which requests, and to how many of them for each object."""


@pytest.mark.parametrize("fault", QUIET)
def test_a_fault_that_passes_changes_nothing(scene: Scene, fault: str) -> None:
    """The first requests for every object fail, from operator and runners alike."""
    act, where, times = QUIET[fault]
    seen: Counter[tuple[str, str]] = Counter()

    def early(asked: Asked) -> bool:
        which = (asked.method, asked.path)
        seen[which] += 1
        return where(asked) and seen[which] <= times

    with scene.proxy.fault(act, where=early):
        scene.submit(name_of(fault))
        scene.assert_as_without_faults(name_of(fault))


LARGE = {"name": "large", "script": "return 'x' * 400_000"}
READS = {"name": "reads", "script": "return len(large)", "params": ["large"], "after": ["large"]}


def test_a_changed_value_is_named_by_the_task_that_needs_it(scene: Scene) -> None:
    with scene.proxy.fault(faults.flips_byte, where=reads_a_blob):
        tasks = [LARGE, READS]
        scene.cluster.apply(manifest("reads", tasks, operator=scene.operator.instance))
        status = scene.cluster.wait("reads")["status"]
    assert status["phase"] == "Failed"
    [reads] = [task for task in status["tasks"] if task["name"] == "reads"]
    assert reads["reason"] == "ObjectCorrupt", reads
    [key] = large_ones(scene, "reads")
    assert all(word in reads["message"] for word in (key, str(sha256_of(key)))), reads
    assert len(scene.cluster.pods("reads")) == 2, "another attempt would read the same"


def large_ones(scene: Scene, run: str) -> list[str]:
    """Return the keys of the large objects of a run."""
    uid = scene.cluster.get("workflows.graflow.dev", run)["metadata"]["uid"]
    keys = scene.store.list(f"{scene.cluster.namespace}/{uid}/blobs/")
    return [key for key in keys if (scene.store.size(key) or 0) > 300_000]


def changed(scene: Scene, run: str) -> tuple[str, str]:
    """Change the one large object of a run; return the digests that it had and that it has."""
    [key] = large_ones(scene, run)
    data = bytearray(scene.store.get(key))
    data[1000] ^= 1
    scene.store.put(key, bytes(data))
    return str(sha256_of(key)), hashlib.sha256(data).hexdigest()


def test_a_changed_result_is_named_by_the_client(scene: Scene) -> None:
    scene.cluster.apply(manifest("big", [LARGE], operator=scene.operator.instance))
    scene.cluster.wait("big")
    expected, found = changed(scene, "big")
    told = scene.cluster.graflow("result", "big", "-n", scene.cluster.namespace)
    assert told.code != 0
    assert all(word in told.err for word in ("big", expected, found)), told


def name_of(fault: str) -> str:
    return "-".join(fault.split())


# -- found out at a start -------------------------------------------------------------------------


def test_a_store_that_lets_nobody_in_is_said_at_the_start_and_on_the_run(
    cluster: Cluster, proxy: FaultyProxy, tmp_path: Path
) -> None:
    words, wrong = "SignatureDoesNotMatch", {"AWS_SECRET_ACCESS_KEY": "wrong"}
    operator = OwnOperator(cluster.namespace, RUNNER_IMAGE, tmp_path, proxy.url, environ=wrong)
    with operator.running():
        objects = json.loads(operator.compiled(STORED, "stored"))
        until(lambda: operator.ask("healthz")[0] == 200, lambda: operator.log)
        submit(cluster, objects, "stored")
        said = until(lambda: held_up(cluster, "stored"), lambda: operator.log[-3000:])
        code, ready = operator.ask("readyz")
        assert code == 503
        assert all(words in text and proxy.url in text for text in (said, ready, operator.log))
        refused = 'graflow_store_errors_total{kind="refused"'
        assert operator.metric(refused) > 0
        assert operator.process is not None
        assert operator.process.poll() is None


def test_a_store_without_conditional_writes_is_refused_at_the_start(
    cluster: Cluster, proxy: FaultyProxy, tmp_path: Path
) -> None:
    operator = OwnOperator(cluster.namespace, RUNNER_IMAGE, tmp_path, proxy.url)
    with proxy.fault(faults.ignores_conditions, where=lambda a: a.method == "PUT"):
        operator.start()
        assert operator.process is not None
        assert operator.process.wait(60) == 1
    assert "If-None-Match" in operator.log
