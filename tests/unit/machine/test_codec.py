"""A state read back is the state that was written, whatever there was in it."""

import json

import pytest

from graflow.machine import codec
from graflow.machine.codec import UnreadableStateError, decode, encode
from graflow.machine.directives import Iterate, Jump, Spawn
from graflow.machine.plan import BestEffort, Custom, GroupPlan, Plan, Retry, TaskPlan
from graflow.machine.state import Activation, RunPhase, State
from support.plans import Host, fragment, plan_of


class Forgetful(Host):
    """A host that starts anew after each fold, and has lost nothing."""

    def hear(self, event):
        super().hear(event)
        before = self.state
        self.reload()
        assert self.state == before


def test_holding_spawners_passes_groups_and_waits_are_read_back_as_they_were():
    plan = plan_of(
        "s >> a >> d; s >> b >> d; d >> G >> e; m >> m2 >> m3; x",
        {"H": "p q", "G": "m H"},
        start=("s",),
        policies={"G": BestEffort(), "H": BestEffort()},
        retry=Retry(2, initial_s=1.0),
        again={"G": Retry(2, initial_s=5.0)},
    )
    host = Forgetful(plan)
    host.end("s")
    host.end("a", Spawn(fragment("n >> k", {"N": "u v"}), goto=True), Jump("x"), Iterate("data"))
    host.end("n", Jump("d"))
    host.fail("b")
    host.wake()
    host.end("b")
    host.go()
    assert host.state.phase is RunPhase.SUCCEEDED
    assert {"x", "m3", "p"} <= set(host.ran)


def test_a_branch_that_waits_to_run_again_and_a_verdict_are_read_back():
    plan = plan_of("G >> after", {"H": "b c", "G": "a H"}, again={"G": Retry(2, initial_s=5.0)})
    host = Forgetful(plan)
    host.end("c")
    host.fail("b")
    host.end("a")
    host.wake()
    host.fail("b")
    host.end("c")
    assert host.state.phase is RunPhase.FAILED


def test_what_a_failed_run_keeps_for_a_resume_is_read_back():
    host = Forgetful(plan_of("a; b; f; x >> y", start=("a", "b", "f")))
    host.claim("a")
    host.claim("b")
    host.hear_failure("f", retryable=False)
    host.end("a", Jump("x"), Iterate("data"))
    host.end("b", Spawn(fragment("n")), Iterate({"k": 1}))
    assert host.state.phase is RunPhase.FAILED


def test_starts_are_read_back_in_the_order_in_which_they_became_due():
    host = Forgetful(plan_of("a; b; c", start=("a", "b", "c"), retry=Retry(2)))
    host.fail("a")
    assert host.starting() == ["b", "c", "a"]


def test_a_fragment_is_read_back_with_what_hosts_keep_of_it():
    nodes = (
        TaskPlan("n", Retry(3, 1.0, 3.0, 9.0, jitter=True), 5.0, 7, 2),
        TaskPlan("m"),
        GroupPlan("N", ("n", "m"), Custom(), Retry(2, 4.0)),
    )
    spawn = Spawn(Plan(nodes, (), ("N",), params={"n": ("p",)}, payload={"n": {"code": "X"}}))
    host = Forgetful(plan_of("a"))
    host.end("a", spawn)
    assert host.go().state.phase is RunPhase.SUCCEEDED


def test_a_state_of_another_format_is_refused_with_the_way_out():
    data = json.loads(json.dumps(encode(State())))
    with pytest.raises(UnreadableStateError, match="format 1, and this version reads 2"):
        decode(plan_of("a"), {**data, "format": 1})


def test_reading_back_a_group_looks_at_each_branch_as_often_however_many_there_are(monkeypatch):
    looks = []

    class Watched(Activation):
        @property
        def scope(self):
            looks.append(self.number)
            return self[1]

    def looks_for(branches):
        plan = plan_of("G", {"G": " ".join(f"m{n}" for n in range(branches))})
        state = Host(plan).state
        looks.clear()
        assert decode(plan, encode(state)) == state
        return len(looks) / branches

    monkeypatch.setattr(codec, "Activation", Watched)
    assert looks_for(200) <= looks_for(20) < 10
