"""The results of a run that has ended, as its program gets them: all, whatever they are of."""

import hashlib
import json
from typing import Any

import pytest

from graflow.api.workflow_status import WorkflowStatus
from graflow.cluster.apiserver import ApiServer
from graflow.cluster.errors import ValueLostError
from graflow.cluster.host import ClusterOutcome
from graflow.cluster.run import Run
from graflow.cluster.workflows import Workflows
from graflow.dsl.graph import TaskGraph
from graflow.dsl.missing import MISSING
from graflow.dsl.program import Program
from graflow.machine.directives import Spawn
from graflow.machine.events import AttemptSucceeded
from graflow.machine.plan import Plan, TaskPlan
from graflow.machine.reducer import reduce
from support.packed import inline, stored
from support.plans import Host, plan_of
from support.scripted_server import ScriptedServer

PLAN = plan_of("a >> G >> d", {"G": "b c"})
MADE = Plan((TaskPlan("made"),), start=("made",))


def ended() -> Host:
    """`a` makes a task before the group begins."""
    host = Host(PLAN)
    first = host.find("a")
    told = AttemptSucceeded(first.number, 1, {"json": "a"}, 1.0, (Spawn(MADE),))
    host.state = reduce(PLAN, host.state, told)
    for node in ("made", "c", "b", "d"):
        host.end(node, value={"json": node})
    assert host.state.phase.ended
    return host


def outcome(server: ApiServer, **status: Any) -> ClusterOutcome:
    program = Program("etl", PLAN, {}, TaskGraph(), {})
    run = Run(Workflows(server), "etl", "u1")
    return ClusterOutcome(run, WorkflowStatus.model_validate(status), program)


@pytest.fixture(autouse=True)
def service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAFLOW_SERVICE", "ops/graflow")


def test_r6_results_of_groups_and_of_made_tasks_are_there_in_the_order_of_completion(
    server: ApiServer, fake: ScriptedServer
) -> None:
    left = outcome(server, cursor=inline(ended().state))
    assert left.completed_tasks == ("a", "made", "c", "b", "G", "d")
    assert left.result("G") == {"b": "b", "c": "c"}
    assert left.result("made") == "made"
    assert left.result("nobody") is MISSING
    assert fake.requests == [], "what is in the status needs nobody"


def test_a_state_too_large_for_the_status_comes_from_the_operator(
    server: ApiServer, fake: ScriptedServer
) -> None:
    cursor, data = stored(ended().state)
    fake.answers = [data]
    assert outcome(server, cursor=cursor).result("G") == {"b": "b", "c": "c"}
    assert fake.requests[0][1].endswith(f"/workflows/etl/state/{cursor['key'].split('/')[-1]}")
    fake.answers = [b"other"]
    with pytest.raises(ValueLostError, match="it was changed in the store"):
        outcome(server, cursor=cursor).result("G")


def test_what_the_status_tells_is_there_though_the_operator_does_not_answer(
    server: ApiServer, fake: ScriptedServer
) -> None:
    cursor, _ = stored(ended().state)
    fake.answers = [(403, {"message": "you may not"})]
    told = {"name": "a", "phase": "Succeeded", "result": {"json": [1]}}
    left = outcome(server, cursor=cursor, tasks=[told])
    assert left.result("a") == [1]
    with pytest.raises(ValueLostError, match="does not hand out the state of workflow 'etl'"):
        left.result("b")


def test_a_state_that_makes_no_sense_is_said(server: ApiServer) -> None:
    cursor = inline(ended().state) | {"state": "AAAA"}
    with pytest.raises(ValueLostError, match="the state of workflow 'etl' cannot be read"):
        _ = outcome(server, cursor=cursor).completed_tasks


def test_a_value_in_the_store_is_fetched_when_it_is_asked_for(
    server: ApiServer, fake: ScriptedServer
) -> None:
    data = json.dumps("large").encode()
    ref = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "encoding": "json"}
    host = Host(plan_of("a"))
    host.end("a", value={"blob": ref})
    left = outcome(server, cursor=inline(host.state))
    assert fake.requests == []
    fake.answers = [data]
    assert left.result("a") == "large"
