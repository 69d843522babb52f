"""The limit of runner pods a namespace: never more, fair between runs, said in words."""

import asyncio
import time
from contextlib import asynccontextmanager

from graflow_operator import places
from graflow_operator.cluster import PODS, WORKFLOWS
from graflow_operator.engine import Engine
from graflow_operator.facts import PodFact
from graflow_operator.keys import MasterKey
from graflow_operator.notes import Notes
from graflow_operator.parts import Parts
from graflow_operator.places import OFFER_S, Places, Sharer, shares
from graflow_operator.refs import AttemptRef, RunRef
from graflow_operator.settings import Settings
from support.fakes import Client, FakeCluster
from support.patience import until

NAMESPACE = "team"

TASK = {"container": {"image": "busybox"}}
OLD, NEW = RunRef(NAMESPACE, "old", "uid-old"), RunRef(NAMESPACE, "new", "uid-new")


def refs(*numbers):
    return [AttemptRef(number, 1) for number in numbers]


# -- who gets a place -----------------------------------------------------------------------------


def test_the_run_with_the_fewest_pods_comes_first():
    runs = [Sharer("big", ("1", ""), 3, 1000), Sharer("small", ("2", ""), 0, 2)]
    assert shares(2, runs) == {"small": 2}
    assert shares(5, runs) == {"small": 2, "big": 3}


def test_of_equals_the_oldest_comes_first():
    runs = [Sharer("b", ("2", ""), 0, 5), Sharer("a", ("1", ""), 0, 5)]
    assert shares(1, runs) == {"a": 1}
    assert shares(3, runs) == {"a": 2, "b": 1}


def test_nothing_is_dealt_to_those_who_want_nothing():
    assert shares(3, [Sharer("a", ("1", ""), 0, 0)]) == {}


class Room:
    """Places, a clock, and who was told of a place."""

    def __init__(self, limit):
        self.now = 100.0
        self.told = []
        self.places = Places(limit, lambda: self.now)

    def enter(self, run, created):
        self.places.enter(run, created, lambda: self.told.append(run.name))


def test_a_place_that_becomes_free_is_kept_for_the_run_whose_turn_it_is():
    room = Room(2)
    room.enter(OLD, "1")
    room.enter(NEW, "2")
    assert room.places.take(OLD, [], refs(1, 2, 3)) == {*refs(1, 2)}
    assert room.places.take(NEW, [], refs(1)) == frozenset()
    assert room.places.take(OLD, refs(2), refs(3)) == frozenset()
    assert room.told == ["new"]
    assert room.places.take(NEW, [], refs(1)) == {*refs(1)}


def test_runs_that_want_no_place_cost_nothing_to_those_that_do(monkeypatch):
    """As thousands that wait for people, each of which is looked at every minute."""
    room, looked_at = Room(2), []
    monkeypatch.setattr(places, "Sharer", lambda *about: looked_at.append(about) or Sharer(*about))
    for number in range(100):
        run = RunRef(NAMESPACE, f"waits-{number}", f"uid-{number}")
        room.enter(run, "0")
        room.places.take(run, [], [])
    assert looked_at == []
    room.enter(OLD, "1")
    assert room.places.take(OLD, [], refs(1, 2, 3)) == {*refs(1, 2)}
    assert {uid for uid, *_ in looked_at} == {OLD.uid}


def test_places_of_runs_that_have_left_are_free_again_and_none_is_counted_twice():
    room = Room(3)
    for _ in range(3):
        room.enter(OLD, "1")
        assert room.places.take(OLD, [], refs(1, 2)) == {*refs(1, 2)}
    room.enter(NEW, "2")
    assert room.places.take(NEW, [], refs(1, 2)) == {*refs(1)}
    room.places.leave(OLD, [])
    assert room.places.take(NEW, refs(1), refs(2, 3, 4)) == {*refs(2, 3)}
    assert "has 3 of new" in room.places.words(NAMESPACE)


def test_a_run_that_does_not_take_its_turn_loses_it_until_it_asks_again():
    room = Room(2)
    room.enter(OLD, "1")
    room.enter(NEW, "2")
    room.places.take(OLD, [], refs(1, 2))
    room.places.take(NEW, [], refs(1))
    assert room.places.take(OLD, refs(2), refs(3)) == frozenset()
    room.now += OFFER_S
    assert room.places.take(OLD, refs(2), refs(3)) == {*refs(3)}
    assert room.places.take(NEW, [], refs(1)) == frozenset()
    assert room.places.take(OLD, refs(3), refs(4)) == frozenset()
    assert room.told == ["new", "new"]
    assert room.places.take(NEW, [], refs(1)) == {*refs(1)}


def test_what_was_given_and_is_not_committed_yet_is_not_given_to_others():
    room = Room(1)
    room.enter(OLD, "1")
    room.enter(NEW, "2")
    assert room.places.take(OLD, [], refs(1)) == {*refs(1)}
    assert room.places.take(NEW, [], refs(1)) == frozenset()
    assert room.places.take(OLD, [], refs(1)) == {*refs(1)}


def test_pods_of_a_run_that_nobody_drives_keep_their_places_until_they_are_gone():
    room = Room(1)
    pod = PodFact("p", "uid-p", OLD.uid, AttemptRef(1, 1), 1, NAMESPACE)
    room.places.begin([pod])
    room.enter(NEW, "2")
    assert room.places.take(NEW, [], refs(1)) == frozenset()
    room.places.undriven(pod, there=False)
    assert room.told == ["new"]
    assert room.places.take(NEW, [], refs(1)) == {*refs(1)}


def test_a_run_takes_its_pods_over_when_it_is_driven_again():
    room = Room(1)
    pod = PodFact("p", "uid-p", OLD.uid, AttemptRef(1, 1), 1, NAMESPACE)
    room.enter(OLD, "1")
    room.places.leave(OLD, [pod])
    room.enter(OLD, "1")
    assert room.places.take(OLD, refs(1), []) == frozenset()
    assert room.places.take(OLD, [], refs(2)) == {*refs(2)}


def test_other_namespaces_have_places_of_their_own():
    room = Room(1)
    other = RunRef("elsewhere", "other", "uid-other")
    room.enter(OLD, "1")
    room.enter(other, "2")
    assert room.places.take(OLD, [], refs(1)) == {*refs(1)}
    assert room.places.take(other, [], refs(1)) == {*refs(1)}


def test_the_words_name_who_has_most_of_the_places():
    room = Room(10)
    for number in range(5):
        run = RunRef(NAMESPACE, f"run-{number}", f"uid-{number}")
        room.enter(run, str(number))
        room.places.take(run, refs(*range(5 - number)), [])
    assert room.places.words(NAMESPACE) == (
        "namespace 'team' may have 10 runner pods at one time, and has 5 of run-0, 4 of run-1,"
        " 3 of run-2, 3 of 2 other runs"
    )


# -- runs that share a namespace ------------------------------------------------------------------


class Land:
    """A namespace with runs of container tasks, an operator, and a kubelet that is told to work."""

    def __init__(self, limit):
        self.settings = Settings(operator_namespace="graflow", pods_per_namespace=limit)
        self.cluster = FakeCluster(on_pod=self._pod_made)
        self.most = 0
        self.engine = None
        self.made = []

    def living(self):
        return [pod for pod in self.cluster.all(PODS) if "status" not in pod]

    def _pod_made(self, pod):
        self.most = max(self.most, len(self.living()))
        self.made.append(pod["metadata"]["labels"]["graflow.dev/workflow"])
        self.engine.pod_seen("ADDED", pod)

    async def begin(self):
        client = Client(self.cluster)
        notes = Notes(client, "test", time.time)
        parts = Parts(client, None, MasterKey(b"k" * 32), self.settings, notes)
        self.engine = Engine(parts)
        await self.engine._begin()

    async def crash(self):
        for task in self.engine._tasks.values():
            task.cancel()
        await asyncio.gather(*self.engine._tasks.values(), return_exceptions=True)

    async def run(self, name, tasks, **spec):
        tasks = [{"name": f"t{number}", **TASK} for number in range(tasks)]
        start = [task["name"] for task in tasks]
        body = {"metadata": {"name": name}, "spec": {"tasks": tasks, "start": start, **spec}}
        made = await self.cluster.create(WORKFLOWS, NAMESPACE, body)
        self.engine.workflow_seen("ADDED", made)

    def end(self, pod):
        state = {"terminated": {"exitCode": 0, "reason": "Completed"}}
        status = {
            "phase": "Succeeded",
            "containerStatuses": [{"name": "task", "state": state}],
        }
        name = pod["metadata"]["name"]
        self.engine.pod_seen("MODIFIED", self.cluster.set_status(PODS, NAMESPACE, name, status))

    def status(self, name):
        return self.cluster.peek(WORKFLOWS, NAMESPACE, name).get("status", {})

    def patches(self):
        return [write for write in self.cluster.writes if write[0] == "patch_status"]

    async def work(self):
        """End pods, the oldest one first, until every run has ended."""
        names = [workflow["metadata"]["name"] for workflow in self.cluster.all(WORKFLOWS)]
        for _ in range(5000):
            if all(self.status(name).get("completionTime") for name in names):
                return
            if pods := self.living():
                self.end(pods[0])
            await asyncio.sleep(0.001)
        raise AssertionError("it never came")


@asynccontextmanager
async def land(limit):
    found = Land(limit)
    await found.begin()
    yield found
    await found.engine.close(grace_s=0.1)


def waits(status):
    return {one["reason"] for one in status.get("waiting", ())}


async def test_no_more_pods_run_than_the_namespace_may_have():
    async with land(3) as found:
        await found.run("a", 6)
        await found.run("b", 4)
        await found.run("c", 1)
        await found.work()
        assert (found.most, len(found.made)) == (3, 11)


async def test_a_run_with_many_tasks_does_not_keep_a_small_one_waiting():
    async with land(5) as found:
        await found.run("big", 30)
        await until(lambda: len(found.living()) == 5)
        await found.run("small", 2)
        await until(lambda: waits(found.status("small")) == {"NamespaceLimit"})
        await found.work()
        assert found.made[5:7] == ["small", "small"]


async def test_a_task_without_a_place_says_who_has_them_and_writes_nothing_while_it_waits():
    async with land(2) as found:
        await found.run("big", 2)
        await until(lambda: len(found.living()) == 2)
        await found.run("small", 1)
        await until(lambda: waits(found.status("small")) == {"NamespaceLimit"})
        [waiting] = found.status("small")["waiting"]
        assert waiting["message"].endswith("2 runner pods at one time, and has 2 of big")
        before = len(found.patches())
        found.end(found.living()[0])
        await until(lambda: len(found.made) == 3)
        assert [name for _, _, name in found.patches()[before:]].count("small") == 1


async def test_after_a_restart_no_more_pods_run_than_before():
    async with land(3) as found:
        await found.run("a", 6)
        await found.run("b", 6)
        await until(lambda: len(found.living()) == 3)
        await found.crash()
        await found.begin()
        await found.work()
        assert (found.most, len(found.made)) == (3, 12)


async def test_a_run_that_is_deleted_gives_its_places_away_when_its_pods_are_gone():
    async with land(1) as found:
        await found.run("a", 1)
        await until(lambda: len(found.living()) == 1)
        await found.run("b", 1)
        await until(lambda: waits(found.status("b")) == {"NamespaceLimit"})
        [pod] = found.living()
        found.engine.workflow_seen("DELETED", found.cluster.vanish(WORKFLOWS, NAMESPACE, "a"))
        await until(lambda: len(found.engine._actors) == 1)
        assert found.made == ["a"]
        found.engine.pod_seen("DELETED", pod)
        await until(lambda: found.made == ["a", "b"])


async def test_parallelism_of_the_run_holds_beside_the_limit():
    async with land(5) as found:
        await found.run("a", 4, parallelism=2)
        await found.run("b", 9, parallelism=4)
        await until(lambda: len(found.made) == 5)
        assert "NamespaceLimit" not in waits(found.status("a"))
        assert waits(found.status("b")) >= {"NamespaceLimit", "Parallelism"}
        await found.work()
        assert found.most == 5
