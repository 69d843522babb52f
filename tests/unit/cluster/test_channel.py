"""The channel that a run has left, as a program on this machine sees it."""

import base64
import hashlib
import pickle
from typing import Any

import pytest

from graflow.api.workflow_status import WorkflowStatus
from graflow.cluster.apiserver import ApiServer
from graflow.cluster.errors import ValueLostError
from graflow.cluster.host import ClusterOutcome
from graflow.cluster.run import Run
from graflow.cluster.workflows import Workflows
from graflow.dsl.graph import TaskGraph
from graflow.dsl.program import Program
from graflow.ledger import wire
from graflow.ledger.runs import Run as Items
from graflow.ledger.runs import Runs
from graflow.ledger.state import Entry, State
from support.packed import inline
from support.plans import Host, plan_of
from support.scripted_server import ScriptedServer

DATA = pickle.dumps({1, 2})
INLINE = {"pickle": base64.b64encode(pickle.dumps((3,))).decode()}
BLOB = {
    "blob": {"sha256": hashlib.sha256(DATA).hexdigest(), "size": len(DATA), "encoding": "pickle"}
}
MIXED = Runs.of(
    Items(1, {"json": [{"k": 1}]}),
    Items(1, {"pickle": base64.b64encode(pickle.dumps([(2,)])).decode()}),
)
LEFT = State(
    entries={
        "n": Entry(2**70, "int"),
        "text": Entry({"json": "a"}, "str", expires=1.0),
        "tuple": Entry(INLINE, "tuple"),
        "set": Entry(BLOB, "set"),
        "list": Entry(MIXED, "list"),
    }
)


def outcome(server: ApiServer, cursor: dict[str, Any] | None, **initial: Any) -> ClusterOutcome:
    channel = {"channel": {"seq": 3, "epoch": "e", **cursor}} if cursor else {}
    plan = plan_of("a")
    host = Host(plan)
    host.end("a", value={"json": [1]})
    status = WorkflowStatus.model_validate({"cursor": inline(host.state) | channel})
    program = Program("etl", plan, {}, TaskGraph(), {})
    return ClusterOutcome(Run(Workflows(server), "etl", "u1"), status, program, initial)


def test_the_channel_of_an_ended_run_is_read_like_any_other(
    server: ApiServer, fake: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAFLOW_SERVICE", "ops/graflow")
    fake.answers = [DATA]
    state = base64.b64encode(wire.pack(LEFT)).decode()
    channel = outcome(server, {"state": state}).channel
    assert channel.keys() == ["n", "text", "tuple", "set", "list"]
    assert (channel.get("n"), channel.get("text"), channel.get("tuple")) == (2**70, "a", (3,))
    assert channel.get("list") == [{"k": 1}, (2,)]
    assert fake.requests == [], "what is in the status needs nobody"
    assert channel.get("set") == {1, 2}
    assert (channel.get("a.__result__"), channel.exists("b.__result__")) == ([1], False)


def test_a_channel_too_large_for_the_status_comes_from_the_operator(
    server: ApiServer, fake: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAFLOW_SERVICE", "ops/graflow")
    packed = wire.pack(LEFT)
    sha256 = hashlib.sha256(packed).hexdigest()
    name = f"{3:012}-{sha256}"
    fake.answers = [packed]
    cursor = {"key": f"team/u1/channel/{name}", "sha256": sha256, "size": len(packed)}
    assert outcome(server, cursor).channel.get("n") == 2**70
    assert fake.requests[0][1].endswith(f"/workflows/etl/channel/{name}")
    fake.answers = [b"other"]
    with pytest.raises(ValueLostError, match="it was changed in the store"):
        _ = outcome(server, cursor).channel


def test_a_channel_that_no_task_used_is_as_it_was_at_the_start(server: ApiServer) -> None:
    assert outcome(server, None, n=3).channel.get("n") == 3


def test_what_cannot_be_read_is_said(server: ApiServer) -> None:
    with pytest.raises(ValueLostError, match="the channel of workflow 'etl' cannot be read"):
        _ = outcome(server, {"state": "AAAA"}).channel
    with pytest.raises(ValueLostError, match="can be read when the run has ended"):
        _ = outcome(server, {"size": 1}).channel
