"""The engine: reads what exists, drives what has not ended, deletes what is due."""

import asyncio
import copy
import itertools
import uuid

import pytest
from prometheus_client import REGISTRY

from graflow.machine.state import Error
from graflow_operator import metrics, restarts
from graflow_operator.actor import Actor
from graflow_operator.cluster import PODS, WORKFLOWS
from graflow_operator.cluster_errors import ForbiddenError
from graflow_operator.engine import Engine
from graflow_operator.letters import FencedError, NotYetError
from graflow_operator.settings import Settings
from support.patience import until
from support.world import NAME, NAMESPACE, World

SPEC = {"tasks": [{"name": "a", "script": "return 1"}]}


@pytest.fixture
async def world():
    async with World(SPEC) as found:
        found.start()
        await found.crash()
        yield found


@pytest.fixture
async def engine(world):
    world.start()
    parts = world.actor.parts
    await world.crash()
    found = Engine(parts)
    yield found
    await found.close(grace_s=0.1)


async def test_before_everything_is_read_nobody_is_turned_away_for_good(engine):
    with pytest.raises(NotYetError):
        engine.actor("uid")


async def test_a_run_that_exists_is_driven_from_the_start(world, engine):
    world.auto_run = False
    await engine._begin()
    await until(lambda: world.pods)
    assert engine.actor(world.workflow["metadata"]["uid"])
    with pytest.raises(FencedError):
        engine.actor("another")


async def test_a_run_of_another_installation_is_left_alone(world, engine):
    world.workflow["spec"]["operator"] = "other"
    await engine._begin()
    await asyncio.sleep(0)
    assert world.status == {}


async def test_a_pod_that_ended_while_nobody_watched_is_found_by_the_comparison(world, engine):
    world.auto_run = False
    await engine._begin()
    await until(lambda: world.pods)
    name = world.pods[0]["metadata"]["name"]
    state = {"terminated": {"exitCode": 1, "reason": "Error"}}
    world.cluster.set_status(
        PODS,
        NAMESPACE,
        name,
        {"phase": "Failed", "containerStatuses": [{"name": "task", "state": state}]},
    )
    await engine._compare()
    await until(lambda: world.status.get("counts", {}).get("waiting") == 1)


async def test_a_pod_that_vanished_while_nobody_watched_is_found_by_the_comparison(world, engine):
    world.auto_run = False
    await engine._begin()
    await until(lambda: world.pods)
    actor = engine.actor(world.workflow["metadata"]["uid"])
    await until(actor.book.uids)
    world.cluster.vanish(PODS, NAMESPACE, world.pods[0]["metadata"]["name"])
    await engine._compare()
    await until(lambda: world.status.get("counts", {}).get("waiting") == 1)


async def test_a_deleted_run_is_let_go(world, engine):
    world.auto_run = False
    await engine._begin()
    await until(lambda: world.pods)
    uid = world.workflow["metadata"]["uid"]
    gone = world.cluster.vanish(WORKFLOWS, NAMESPACE, NAME)
    engine.workflow_seen("DELETED", gone)
    await until(lambda: uid not in engine._actors)


async def test_a_run_whose_deletion_nobody_told_of_is_let_go_by_the_comparison(world, engine):
    world.auto_run = False
    await engine._begin()
    await until(lambda: world.pods)
    uid = world.workflow["metadata"]["uid"]
    world.cluster.vanish(WORKFLOWS, NAMESPACE, NAME)
    await engine._compare()
    await until(lambda: uid not in engine._actors)


def hide(world, hidden):
    """Let lists of a kind be from before there was anything of it."""
    find = world.cluster.find

    async def found(kind, *arguments, **options):
        return [] if kind is hidden else await find(kind, *arguments, **options)

    world.cluster.find = found


@pytest.mark.parametrize("kind", [WORKFLOWS, PODS], ids=["run", "pod"])
async def test_what_a_comparison_does_not_show_is_asked_for_and_goes_on(world, engine, kind):
    world.auto_run = False
    await engine._begin()
    await until(lambda: world.pods)
    actor = engine.actor(world.workflow["metadata"]["uid"])
    await until(actor.book.uids)
    hide(world, kind)
    await engine._compare()
    [pod] = world.pods
    await until(lambda: actor.book.uids() and not actor._dispatch.busy)
    assert await actor.claim(pod, "0" * 32, "3.11")
    assert world.pods == [pod]


async def test_a_pod_that_the_first_list_of_an_operator_does_not_show_goes_on(world, engine):
    world.auto_run = False
    world.start()
    await world.until(lambda: world.pods)
    await world.crash()
    hide(world, PODS)
    await engine._begin()
    actor = engine.actor(world.workflow["metadata"]["uid"])
    await until(actor.book.uids)
    [pod] = world.pods
    assert await actor.claim(pod, "0" * 32, "3.11")
    assert world.pods == [pod]


async def test_an_ended_run_is_deleted_when_its_time_is_over(world, engine):
    world.workflow["spec"]["ttlSecondsAfterFinished"] = 0
    world.workflow["status"] = {
        "phase": "Succeeded",
        "completionTime": "1970-01-02T00:00:00Z",
        "cursor": {"seq": 1},
    }
    await engine._begin()
    await until(lambda: world.cluster.peek(WORKFLOWS, NAMESPACE, NAME) is None)


async def test_an_ended_run_without_pods_costs_nothing(world, engine):
    world.workflow["status"] = {"phase": "Succeeded", "cursor": {"seq": 1}}
    await engine._begin()
    assert engine._actors == {}
    engine.workflow_seen("MODIFIED", world.workflow)
    assert engine._actors == {}


async def test_late_news_of_a_run_that_has_ended_makes_nobody_begin_where_it_stood_once(
    world, engine
):
    """As when very many runs end together, and the watch is seconds behind what we have written."""
    await engine._begin()
    await until(lambda: world.pods)
    once = copy.deepcopy(world.workflow)
    assert once["status"]["cursor"]
    uid = once["metadata"]["uid"]
    engine._actors[uid]._fatal = Error("StoreRequired", "no room", retryable=False)
    engine._actors[uid].ring()
    await until(
        lambda: world.status["phase"] == "Failed" and not engine._between | {*engine._actors}
    )
    engine.workflow_seen("MODIFIED", once)
    assert engine._actors == {}
    await engine._compare()
    assert engine._actors == {}


async def test_a_run_that_was_restored_from_a_backup_is_driven_after_the_next_comparisons(
    world, engine
):
    uid = world.workflow["metadata"]["uid"]
    engine._left[uid] = 10**9
    await engine._begin()
    assert engine._actors == {}
    await engine._compare()
    await engine._compare()
    assert [*engine._actors] == [uid]


async def test_once_its_term_is_over_no_news_makes_it_drive_again(world, engine):
    """What the next leader commits is told by watches that have not ended yet."""
    await engine._begin()
    await until(lambda: world.pods)
    await engine.close()
    assert engine._actors == {}
    engine.workflow_seen("MODIFIED", world.workflow)
    engine.pod_seen("MODIFIED", world.pods[0])
    assert engine._actors == {}
    with pytest.raises(NotYetError):
        engine.actor(world.workflow["metadata"]["uid"])


async def test_a_namespace_that_shuts_us_out_does_not_keep_the_others_from_being_served(world):
    """As one of several that was deleted, and the operator's rights there with it."""
    world.auto_run = False
    world.settings = Settings(operator_namespace="graflow", namespaces=("gone", NAMESPACE))
    world.start()
    parts = world.actor.parts
    await world.crash()
    shut, find = {"gone"}, world.cluster.find

    async def found(kind, namespace, *rest, **options):
        if namespace in shut:
            raise ForbiddenError(f"{kind.plural} is forbidden")
        return await find(kind, namespace, *rest, **options)

    world.cluster.find = found
    engine = Engine(parts)
    await engine._begin()
    uid = world.workflow["metadata"]["uid"]
    await until(lambda: world.pods)
    with pytest.raises(NotYetError):
        engine.actor("in the other namespace, perhaps")
    shut |= {NAMESPACE}
    with pytest.raises(ForbiddenError):
        await engine._compare()
    shut -= {"gone"}
    await engine._compare()
    assert engine.actor(uid), "what is not told of is not thought to be gone"
    await engine.close(grace_s=0.1)


class Dying:
    """The operator's own error, again and again, until it is mended."""

    def __init__(self, world, monkeypatch):
        self.world, self.mended, self.began = world, False, []
        driven = Actor.drive

        async def drive(actor):
            self.began.append(world.now)
            if not self.mended:
                raise RuntimeError("words of user code")
            await driven(actor)

        monkeypatch.setattr(Actor, "drive", drive)

    async def times(self, number):
        await self.world.until(lambda: len(self.began) == number)

    def pauses(self):
        return [later - before for before, later in itertools.pairwise(self.began)]


@pytest.fixture
def dying(world, monkeypatch):
    return Dying(world, monkeypatch)


async def test_a_run_that_the_operator_fails_at_is_tried_ever_more_rarely(
    world, engine, dying, caplog
):
    before = REGISTRY.get_sample_value(metrics.DEATHS.name)
    await engine._begin()
    await dying.times(6)
    uid = world.workflow["metadata"]["uid"]
    paces = [round(restarts.pause_s(number, uid)) for number in range(1, 6)]
    assert [round(pause) for pause in dying.pauses()] == paces
    assert all(n / 2 <= pace <= n * 1.5 for n, pace in zip((5, 10, 20, 40, 80), paces, strict=True))
    assert REGISTRY.get_sample_value(metrics.DEATHS.name) - before >= 5
    assert f"its actor died, 3 in a row by now; it begins again in {paces[2]} s" in caplog.text


def test_runs_that_one_error_has_hit_together_begin_again_one_by_one():
    for died, pace in (1, 5.0), (3, 20.0), (50, 300.0):
        pauses = sorted(restarts.pause_s(died, str(uuid.UUID(int=n))) for n in range(100))
        assert pace / 2 <= pauses[0] < pace * 0.7
        assert pace * 1.3 < pauses[-1] <= pace * 1.5
        together = max(sum(p <= q < p + pace / 20 for q in pauses) for p in pauses)
        assert together <= 20


async def test_a_run_that_the_operator_fails_at_says_so_until_it_goes_on(world, engine, dying):
    await engine._begin()
    pause_s = restarts.pause_s(2, world.workflow["metadata"]["uid"])
    words = f"(RuntimeError), 2 times in a row by now, and tries again in {pause_s:.0f} s"
    await world.until(lambda: words in world.status.get("message", ""))
    assert world.status["reason"] == "OperatorFailed"
    assert "user code" not in world.status["message"]
    dying.mended, world.auto_run = True, False
    await world.until(lambda: world.pods)
    assert world.status.get("reason") is None


async def test_an_actor_that_lived_well_before_it_died_begins_again_soon(engine, dying, world):
    await engine._begin()
    await dying.times(4)
    dying.mended, world.auto_run = True, False
    await dying.times(5)
    dying.mended = False
    actor = engine.actor(world.workflow["metadata"]["uid"])
    await world.until(lambda: world.pods)
    world.now += 301

    async def fail():
        raise RuntimeError

    actor._round = fail
    actor.ring()
    await dying.times(6)
    died = world.now
    await dying.times(7)
    again_s = restarts.pause_s(2, world.workflow["metadata"]["uid"])
    assert round(world.now - died) == round(again_s)


@pytest.mark.parametrize("what", ["deleted", "cancelled"])
async def test_what_people_ask_of_a_run_does_not_wait_for_the_pause_to_end(
    engine, dying, world, what
):
    await engine._begin()
    await dying.times(6)
    dying.mended, asked = True, world.now
    if what == "deleted":
        gone = world.cluster.vanish(WORKFLOWS, NAMESPACE, NAME)
        engine.workflow_seen("DELETED", gone)
        await world.until(lambda: not engine._actors)
    else:
        world.cluster.edit_spec(WORKFLOWS, NAMESPACE, NAME, cancel=True)
        engine.workflow_seen("MODIFIED", world.workflow)
        await world.until(lambda: world.status.get("phase") == "Cancelled")
    assert world.now - asked < 20


async def test_an_operator_that_stops_does_not_wait_for_a_pause(engine, dying, world):
    await engine._begin()
    await dying.times(6)
    world.now += 1
    await asyncio.wait_for(engine.close(grace_s=30), 10)
    assert engine._tasks == {}
