"""What Prometheus is told: true, explained, and of a size that users cannot change."""

import pytest
from prometheus_client import REGISTRY, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from graflow.api.workflow_status import WorkflowStatus
from graflow.machine.state import Error
from graflow_operator import cluster, metrics, verdicts
from graflow_operator.census import Census, standing
from graflow_operator.laps import Laps
from graflow_operator.pulse import Pulse
from graflow_operator.refs import AttemptRef
from graflow_operator.series import OTHER, Label
from graflow_operator.server.app import _route
from support.world import World

HOSTILE = 'x"} 1\nevil_metric{name="'
ONE = {"tasks": [{"name": "a", "script": "return 1"}]}
ATTEMPT = AttemptRef(1, 1)
HELD_UP = ("Suspended", "BundleMissing", "StoreUnavailable", "StoreRequired", "StateUnreadable",
           "OperatorFailed")  # fmt: skip
"""Why a run can stand still as a whole."""


def sample(name, **labels):
    return REGISTRY.get_sample_value(name, labels)


@pytest.fixture
def added():
    """Return by how much a sample has grown since the first time it was asked for."""
    before = {}

    def of(name, **labels):
        now = sample(name, **labels) or 0.0
        return now - before.setdefault((name, *labels.items()), now)

    return of


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


def ours():
    text = generate_latest(REGISTRY).decode()
    return [f for f in text_string_to_metric_families(text) if f.name.startswith("graflow_")]


async def test_no_word_of_a_user_reaches_a_label():
    spec = {"tasks": [{"name": "evil-task", "script": "return 1"}]}
    error = Error(HOSTILE, HOSTILE)
    async with World(spec, work=lambda *_: verdicts.Failed(error)) as world:
        world.start()
        await world.end()
    metrics.API_REQUESTS.inc("get", HOSTILE, HOSTILE)
    metrics.HTTP_REQUESTS.inc(HOSTILE, HOSTILE)
    metrics.CHANNEL_OPERATIONS.inc(HOSTILE)
    metrics.WAITING.replace({HOSTILE: 1.0})
    declared = {family.name: family for family in metrics.families()}
    for found in ours():
        name = found.name if found.name in declared else f"{found.name}_total"
        known = {label.name: {*label.values, OTHER} for label in declared[name].labels}
        for one in found.samples:
            for label, value in one.labels.items():
                assert label == "le" or value in known[label], (one.name, label)
    assert "evil" not in generate_latest(REGISTRY).decode()


def test_the_number_of_series_has_a_bound_that_one_prometheus_never_feels():
    assert sum(family.most_series for family in metrics.families()) < 8000


@pytest.mark.parametrize("family", metrics.families(), ids=lambda family: family.name)
def test_help_explains_every_value_of_every_label(family):
    for label in family.labels:
        assert label.name in family.help
        for value, meaning in label.values.items():
            assert label.about or (value in family.help and meaning in family.help)


def test_all_kinds_of_objects_that_the_operator_asks_for_are_told_apart():
    kinds = [kind for kind in vars(cluster).values() if isinstance(kind, cluster.Kind)]
    assert {kind.plural for kind in kinds} <= set(metrics.RESOURCE.values)


def test_a_value_that_was_not_declared_counts_as_other():
    assert Label("x", {"a": "the one"}).of("b") == OTHER


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/runner/v1/claim", "claim"),
        ("/runner/v1/bundle/abc", "bundle"),
        ("/user/v1/values", "user"),
        ("/admission/workflows", "admission"),
        ("/healthz", "probe"),
        ("/claim", OTHER),
        ("*", OTHER),
    ],
)
def test_requests_are_counted_by_what_they_ask(path, route):
    assert _route(path) == route


async def test_each_attempt_is_counted_once_with_its_class_and_reason(added):
    failed = {"outcome": "failed", "class": "user", "reason": "TaskFailed"}
    well = {"outcome": "succeeded", "class": "none", "reason": "none"}
    for labels in (failed, well):
        added("graflow_attempts_total", **labels)
    verdict = [verdicts.Failed(Error("TaskFailed", "no")), verdicts.Succeeded({"json": 1})]
    spec = {"tasks": [{**ONE["tasks"][0], "retry": {"maxAttempts": 2}}]}
    async with World(spec, work=lambda *_: verdict.pop(0)) as world:
        world.start()
        await world.end()
    assert added("graflow_attempts_total", **failed) == 1
    assert added("graflow_attempts_total", **well) == 1


def test_an_attempt_that_was_lost_counts_against_the_infrastructure(added):
    labels = {"outcome": "lost", "class": "infrastructure", "reason": "Evicted"}
    added("graflow_attempts_total", **labels)
    metrics.attempt("lost", "Evicted")
    assert added("graflow_attempts_total", **labels) == 1


def workflow(uid, phase=None, version="1"):
    return {
        "metadata": {"uid": uid, "resourceVersion": version},
        "status": {"phase": phase} if phase else {},
    }


def phases():
    return {
        phase: sample("graflow_workflows", phase=phase)
        for phase in ("Pending", "Running", "Succeeded", "Failed", "Cancelled")
    }


def held_up():
    return {reason: sample("graflow_held_workflows", reason=reason) for reason in HELD_UP}


def test_workflows_are_those_that_exist():
    census = Census()
    census.listed([workflow("1"), workflow("2", "Running", "2")])
    census.workflow_seen("MODIFIED", workflow("2", "Succeeded", "3"))
    census.workflow_seen("ADDED", workflow("3", "Failed"))
    census.publish((), 0.0)
    assert phases() == {"Pending": 1, "Running": 0, "Succeeded": 1, "Failed": 1, "Cancelled": 0}
    census.workflow_seen("DELETED", workflow("3", "Failed"))
    census.listed([workflow("1"), workflow("2", "Running", "2")])  # older than what was seen
    census.publish((), 0.0)
    assert phases() == {"Pending": 1, "Running": 0, "Succeeded": 1, "Failed": 0, "Cancelled": 0}
    census.close()


def test_a_replica_that_leads_no_more_says_nothing_of_workflows():
    census = Census()
    census.heard("pods")
    census.listed([workflow("1", "Running")])
    census.publish([(standing(None), 3)], 0.0)
    assert sample("graflow_mailbox_depth") == 3
    census.close()
    census.heard("workflows")  # news that was on its way
    census.publish([(standing(None), 3)], 0.0)
    assert sample("graflow_watch_age_seconds", resource="workflows") is None
    assert set(phases().values()) == {None}
    assert sample("graflow_watch_age_seconds", resource="pods") is None
    assert (sample("graflow_mailbox_depth"), sample("graflow_workflows_active")) == (0, 0)


def test_the_age_of_a_watch_grows_until_there_is_news():
    clock = Clock()
    census = Census(clock)
    census.heard("pods")
    clock.now += 7
    assert sample("graflow_watch_age_seconds", resource="pods") == 7
    census.heard("pods")
    assert sample("graflow_watch_age_seconds", resource="pods") == 0
    census.close()


async def test_why_no_run_stands_still_is_said_from_the_start_and_by_the_leader_alone():
    census = Census()
    census.publish((), 0.0)
    assert held_up() == dict.fromkeys(HELD_UP, 0.0)
    census.publish([(standing(WorkflowStatus(), hold_up=Error("BundleMissing", "no")), 0)], 0.0)
    assert held_up() == {**dict.fromkeys(HELD_UP, 0.0), "BundleMissing": 1.0}
    census.close()
    assert held_up() == dict.fromkeys(HELD_UP)


async def test_what_tasks_wait_for_is_counted_with_the_age_of_the_oldest():
    two = {"tasks": [{"name": n, "script": "return 1"} for n in "ab"], "start": ["a", "b"]}
    async with World({**two, "suspend": True}) as world:
        world.start()
        await world.until(lambda: world.status.get("reason") == "Suspended")
        census = Census()
        census.publish([world.actor.standing()], world.now)
        assert sample("graflow_held_workflows", reason="Suspended") == 1
        census.close()
    async with World({**two, "parallelism": 1}) as world:
        world.auto_run = False
        world.start()
        await world.until(lambda: world.status.get("waiting"))
        census = Census()
        census.publish([world.actor.standing()], world.now + 100)
        assert sample("graflow_waiting_tasks", reason="Parallelism") == 1
        assert sample("graflow_waiting_oldest_seconds", reason="Parallelism") >= 100
        census.publish((), 0.0)
        assert sample("graflow_waiting_tasks", reason="Parallelism") == 0
        census.close()


def test_a_loop_that_does_not_turn_is_seen_while_it_lasts_and_for_a_minute_after():
    clock = Clock()
    pulse = Pulse(clock)
    clock.now += 0.5
    pulse.beat()
    assert pulse.lag_s() == 0
    clock.now += 3.5
    assert pulse.lag_s() == 3
    pulse.beat()
    clock.now += 0.5
    pulse.beat()
    assert pulse.lag_s() == 3
    clock.now += 61
    pulse.beat()
    clock.now += 61
    pulse.beat()
    clock.now += 0.5
    pulse.beat()
    assert pulse.lag_s() == 60.5


@pytest.mark.parametrize(
    ("ran", "parts"),
    [
        ("0.5", {"claimed_running": 1.5, "running_reported": 0.5}),
        ("", {"claimed_running": 0, "running_reported": 2}),
        ("3", {"claimed_running": 0, "running_reported": 2}),
        ("nan", {"claimed_running": 0, "running_reported": 2}),
        ("-1", {"claimed_running": 0, "running_reported": 2}),
    ],
)
def test_the_parts_of_a_hop_add_up_whatever_a_runner_says(ran, parts, added):
    names = (*parts, "created_claimed", "reported_committed", "committed_created")
    for part in names:
        added("graflow_start_latency_seconds_sum", part=part)
    clock = Clock()
    laps = Laps(clock)
    laps.mark(ATTEMPT, "due")
    clock.now += 0.25
    laps.mark(ATTEMPT, "created")
    clock.now += 1
    laps.mark(ATTEMPT, "claimed")
    clock.now += 2
    laps.reported(ATTEMPT, ran)
    clock.now += 0.125
    laps.mark(ATTEMPT, "committed")
    found = {part: added("graflow_start_latency_seconds_sum", part=part) for part in names}
    assert found == {
        **parts, "created_claimed": 1, "reported_committed": 0.125, "committed_created": 0.25
    }  # fmt: skip
