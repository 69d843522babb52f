"""What people are told of waits: words, times that stay, and few writes."""

import pytest

from graflow.store import StoreError, StoreUnavailableError
from graflow_operator.cluster import EVENTS, PODS
from graflow_operator.facts import seconds
from graflow_operator.refs import AttemptRef
from support.world import NAMESPACE, World, script

WORDS = "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector."


class Waiting(World):
    """A world whose pods no node takes."""

    def __init__(self, spec, **options):
        super().__init__(spec, **options)
        self.now = seconds("2026-01-01T00:00:00Z")  # when the fake cluster makes all its pods
        self.auto_run = False

    async def pod(self):
        await self.until(lambda: self.pods)
        return self.pods[0]["metadata"]["name"]

    def unschedulable(self, name, message=WORDS):
        condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
        status = {"phase": "Pending", "conditions": [{**condition, "message": message}]}
        self.seen(self.cluster.set_status(PODS, NAMESPACE, name, status))

    def waits_for(self, reason):
        return [one for one in self.status.get("waiting", ()) if one["reason"] == reason]

    def status_writes(self):
        return [verb for verb, _, _ in self.cluster.writes].count("patch_status")


async def test_the_schedulers_words_are_told_within_five_seconds():
    async with Waiting({"tasks": [script("a")]}) as world:
        world.start()
        name = await world.pod()
        began = world.now
        world.unschedulable(name)
        await world.until(lambda: world.waits_for("Unschedulable"))
        assert world.now - began <= 5
        [wait] = world.status["waiting"]
        assert (wait["task"], wait["message"]) == ("a", WORDS)


async def test_since_stays_over_commits_and_restarts():
    async with Waiting({"tasks": [script("a"), script("b")], "start": ["a", "b"]}) as world:
        world.start()
        await world.until(lambda: len(world.pods) == 2)
        name = world.pod_of("a")["metadata"]["name"]
        world.unschedulable(name)
        await world.until(lambda: world.waits_for("Unschedulable"))
        [wait] = world.waits_for("Unschedulable")
        await world.crash()
        world.now += 300
        world.start()
        other = world.pod_of("b")["metadata"]["name"]
        world.unschedulable(other)
        await world.until(lambda: len(world.waits_for("Unschedulable")) == 2)
        [again] = [one for one in world.waits_for("Unschedulable") if one["task"] == "a"]
        assert again["since"] == wait["since"]


async def test_words_that_change_all_the_time_cost_few_writes():
    async with Waiting({"tasks": [script("a")]}) as world:
        world.start()
        name = await world.pod()
        await world.until(lambda: world.status.get("phase") == "Running")
        before, began = world.status_writes(), world.now

        def another_second():
            world.unschedulable(name, f"0/{int(world.now)} nodes are available")
            return world.now >= began + 300

        await world.until(another_second)
        assert world.status_writes() - before <= 4 + 300 / 30


async def test_after_a_quiet_time_news_is_told_at_once_again():
    async with Waiting({"tasks": [script("a")]}) as world:
        world.start()
        name = await world.pod()
        for number in range(6):
            world.unschedulable(name, f"words {number}")
            await world.until(lambda n=number: f"words {n}" in str(world.status.get("waiting")))
        world.now += 60
        began = world.now
        world.unschedulable(name, "other words")
        await world.until(lambda: "other words" in str(world.status["waiting"]))
        assert world.now - began <= 5


async def test_a_wait_is_noted_once_in_the_events_whatever_its_words_do():
    async with Waiting({"tasks": [script("a")]}) as world:
        world.start()
        name = await world.pod()
        for number in range(3):
            world.unschedulable(name, f"words {number}")
            await world.until(lambda n=number: f"words {n}" in str(world.status.get("waiting")))
        notes = [body for body in queued(world) if body["reason"] == "Unschedulable"]
        assert [note["message"] for note in notes] == ["task 'a' waits: words 0"]


async def test_many_tasks_that_wait_for_one_thing_are_one_note():
    names = [f"t{number}" for number in range(7)]
    spec = {"tasks": [script(name) for name in names], "start": names}
    async with Waiting(spec) as world:
        world.start()
        await world.until(lambda: len(world.pods) == 7)
        for pod in world.pods:
            world.unschedulable(pod["metadata"]["name"])
        await world.until(lambda: len(world.waits_for("Unschedulable")) == 7)
        [note] = [body for body in queued(world) if body["reason"] == "Unschedulable"]
        assert note["message"].startswith("tasks 't0', 't1', 't2', 't3', 't4' and 2 more wait: 0/3")


async def test_a_pod_that_takes_long_to_start_is_told_with_the_kubelets_word():
    async with Waiting({"tasks": [script("a")]}) as world:
        world.start()
        name = await world.pod()
        waiting = {"reason": "ContainerCreating", "message": ""}
        status = {"containerStatuses": [{"name": "task", "state": {"waiting": waiting}}]}
        world.seen(world.cluster.set_status(PODS, NAMESPACE, name, status))
        await world.until(lambda: "ContainerCreating" in str(world.status.get("waiting")))
        [wait] = world.status["waiting"]
        assert wait["reason"] == "PodPending"


async def test_an_image_that_cannot_be_had_says_until_when_it_is_waited_for():
    async with Waiting({"tasks": [script("a")]}) as world:
        world.start()
        name = await world.pod()
        waiting = {"reason": "ErrImagePull", "message": "no such host"}
        status = {"containerStatuses": [{"name": "task", "state": {"waiting": waiting}}]}
        world.seen(world.cluster.set_status(PODS, NAMESPACE, name, status))
        await world.until(lambda: world.waits_for("ImagePull"))
        [wait] = world.status["waiting"]
        assert wait["message"] == "no such host"
        assert wait["until"] > wait["since"]


async def test_a_run_that_stands_still_as_a_whole_says_so_among_its_waits():
    async with Waiting({"tasks": [script("a")], "suspend": True}) as world:
        world.start()
        await world.until(lambda: world.waits_for("Suspended"))
        first = world.status["waiting"][0]
        assert "task" not in first
        assert first["since"]


async def test_a_run_that_waits_for_the_store_is_noted_once_in_the_events():
    async with Waiting({"tasks": [script("a")]}) as world:
        world.start()
        await world.pod()
        for words in ("no answer", "no space left on device"):
            with pytest.raises(StoreError), world.actor.withheld.asking(AttemptRef(1, 1)):
                raise StoreUnavailableError(words)
            await world.until(lambda said=words: world.status.get("message") == said)
        [note] = [body for body in queued(world) if body["reason"] == "StoreUnavailable"]
        assert (note["message"], note["type"]) == ("the run waits: no answer", "Warning")


async def test_a_suspended_run_is_no_warning():
    async with Waiting({"tasks": [script("a")], "suspend": True}) as world:
        world.start()
        await world.until(lambda: world.waits_for("Suspended"))
        assert not [body for body in queued(world) if body["type"] == "Warning"]


def queued(world):
    """Return the notes that were posted, as far as nobody sent them off."""
    queue = world.actor.parts.notes._queue
    return [body for _, body in list(queue._queue)] + world.cluster.all(EVENTS)
