"""A store that fails while runs need it: they wait, say so, and go on; nothing is lost."""

import base64
import hashlib
import json
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.conftest import PROGRAMS, RUNNER_IMAGE, Cluster, manifest
from graflow.store.keys import sha256_of
from graflow.store.s3 import S3Location, S3Store
from graflow_operator import values
from support import faulty_proxy as faults
from support.faulty_proxy import Act, Asked, FaultyProxy, s3_error
from support.own_operator import OwnOperator, address, store_of_cluster

STORED = PROGRAMS / "stored.py"
NAME = "stored"
RESULT = {
    "total": 5,
    "seen": 400_000,
    "sha256": "a34ad68146cc9f40245570e48a24b0981b5d65547572f661f951ed42beca11c5",
}
PATIENCE_S = 90.0


@pytest.fixture
def proxy(kubectl_path: str) -> Iterator[FaultyProxy]:
    with FaultyProxy(store_of_cluster()["S3_ENDPOINT"], host=address()) as found:
        yield found


@pytest.fixture
def operator(cluster: Cluster, proxy: FaultyProxy, tmp_path: Path) -> OwnOperator:
    return OwnOperator(cluster.namespace, RUNNER_IMAGE, tmp_path, proxy.url)


@pytest.fixture
def running(operator: OwnOperator) -> Iterator[OwnOperator]:
    with operator.running():
        operator.wait_until_ready()
        yield operator


@pytest.fixture
def store(kubectl_path: str, monkeypatch: pytest.MonkeyPatch) -> S3Store:
    """Look at what is in the store, past the proxy."""
    known = store_of_cluster()
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(key, known[key])
    return S3Store(S3Location(known["S3_BUCKET"], known["S3_ENDPOINT"]))


def submitted(cluster: Cluster, operator: OwnOperator) -> None:
    cluster.kubectl("create", "-f", "-", stdin=operator.compiled(STORED, NAME))


def until(what: Callable[[], Any], why: Callable[[], object]) -> Any:
    ends = time.monotonic() + PATIENCE_S
    while not (found := what()):
        assert time.monotonic() < ends, why()
        time.sleep(0.3)
    return found


def status(cluster: Cluster) -> dict[str, Any]:
    found: dict[str, Any] = cluster.get("workflows.graflow.dev", NAME).get("status", {})
    return found


def held_up(cluster: Cluster) -> str:
    """Return in what words the run says that it waits for the store."""
    waits = status(cluster).get("waiting", ())
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


def assert_as_without_faults(cluster: Cluster, store: S3Store) -> None:
    found = cluster.wait(NAME, seconds=180)
    assert found["status"]["phase"] == "Succeeded", found["status"]
    assert found["status"]["result"]["json"] == RESULT
    assert_whole(found, store)
    assert len(cluster.attempts()) == 3, cluster.attempts()


AWAY: dict[str, Act] = {
    "slow down": s3_error(503, "SlowDown", Retry_After="2"),
}


def test_the_run_itself_needs_the_store(
    cluster: Cluster, running: OwnOperator, proxy: FaultyProxy, store: S3Store
) -> None:
    submitted(cluster, running)
    assert_as_without_faults(cluster, store)
    puts = [asked.path.split("/") for asked in proxy.asked if asked.method == "PUT"]
    assert {"blobs", "channel"} <= {path[4] for path in puts if len(path) > 4}


@pytest.mark.parametrize("fault", [*AWAY, "down"])
def test_a_run_waits_for_a_store_that_is_away_and_goes_on(
    cluster: Cluster, running: OwnOperator, proxy: FaultyProxy, store: S3Store, fault: str
) -> None:
    secret = store_of_cluster()["AWS_SECRET_ACCESS_KEY"]
    asked = len(proxy.asked)
    began = time.monotonic()
    with proxy.down() if fault == "down" else proxy.fault(AWAY[fault]):
        submitted(cluster, running)
        words = until(lambda: held_up(cluster), lambda: running.log[-3000:])
        spent, asked = time.monotonic() - began, len(proxy.asked) - asked
        assert proxy.url in words, words
        assert cluster.namespace in words, words
        assert secret not in words + running.log
        assert running.ask("healthz")[0] == 200
        assert running.metric("graflow_store_errors_total") > 0
        assert running.metric("graflow_loop_lag_seconds") < 5
    assert asked < 20 + 10 * spent, f"{asked} requests in {spent:.0f} s"
    assert_as_without_faults(cluster, store)
    assert not held_up(cluster)


QUIET: dict[str, tuple[Act, Callable[[Asked], bool], int]] = {
    "writes whose answer is lost": (faults.loses_answer, lambda a: a.method == "PUT", 2),
    "a byte changed on the way": (
        faults.flips_byte,
        lambda a: "/blobs/" in a.path and a.method == "GET",
        1,
    ),
}
"""What happens, to which requests, and to how many of them for each object."""


@pytest.mark.parametrize("fault", QUIET)
def test_a_fault_that_passes_changes_nothing(
    cluster: Cluster, running: OwnOperator, proxy: FaultyProxy, store: S3Store, fault: str
) -> None:
    """The first requests for every object fail, from operator and runners alike."""
    act, where, times = QUIET[fault]
    seen: Counter[tuple[str, str]] = Counter()

    def early(asked: Asked) -> bool:
        seen[asked.method, asked.path] += 1
        return where(asked) and seen[asked.method, asked.path] <= times

    with proxy.fault(act, where=early):
        submitted(cluster, running)
        assert_as_without_faults(cluster, store)
    assert running.metric("graflow_loop_lag_seconds") < 5


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"environ": {"AWS_SECRET_ACCESS_KEY": "wrong"}}, "SignatureDoesNotMatch"),
        ({"bucket": "nowhere"}, "NoSuchBucket"),
    ],
)
def test_a_store_that_lets_nobody_in_is_said_at_the_start_and_on_the_run(
    cluster: Cluster, proxy: FaultyProxy, tmp_path: Path, settings: Any, words: str
) -> None:
    operator = OwnOperator(cluster.namespace, RUNNER_IMAGE, tmp_path, proxy.url, **settings)
    with operator.running():
        until(lambda: operator.ask("healthz")[0] == 200, lambda: operator.log)
        submitted(cluster, operator)
        said = until(lambda: held_up(cluster), lambda: operator.log[-3000:])
        code, ready = operator.ask("readyz")
        assert code == 503
        assert all(words in text and proxy.url in text for text in (said, ready, operator.log))
        refused = 'graflow_store_errors_total{kind="refused"'
        assert operator.metric(refused) > 0
        assert operator.process is not None
        assert operator.process.poll() is None


def test_a_store_without_conditional_writes_is_refused_at_the_start(
    proxy: FaultyProxy, operator: OwnOperator
) -> None:
    with proxy.fault(faults.ignores_conditions, where=lambda a: a.method == "PUT"):
        operator.start()
        assert operator.process is not None
        assert operator.process.wait(60) == 1
    assert "If-None-Match" in operator.log


LARGE = {"name": "large", "script": "return 'x' * 400_000"}


def changed(cluster: Cluster, store: S3Store, name: str) -> tuple[str, str, str]:
    """Change the one large object of a run; return its key, what it had and what it has."""
    uid = cluster.get("workflows.graflow.dev", name)["metadata"]["uid"]
    keys = list(store.list(f"{cluster.namespace}/{uid}/blobs/"))
    [key] = [key for key in keys if (store.size(key) or 0) > 300_000]
    data = bytearray(store.get(key))
    data[1000] ^= 1
    store.put(key, bytes(data))
    return key, str(sha256_of(key)), hashlib.sha256(data).hexdigest()


def test_a_changed_result_is_named_by_the_client(
    cluster: Cluster, running: OwnOperator, store: S3Store
) -> None:
    cluster.apply(manifest("big", [LARGE], operator=running.instance))
    cluster.wait("big")
    _, expected, found = changed(cluster, store, "big")
    told = cluster.graflow("result", "big", "-n", cluster.namespace)
    assert told.code != 0
    assert all(word in told.err for word in ("big", expected, found)), told
