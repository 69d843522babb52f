"""RunnerProfiles: pods are made from them, and tasks whose profile is missing wait for it."""

from graflow_operator.cluster import PROFILES, WORKFLOWS
from graflow_operator.cluster_errors import ForbiddenError
from support.world import HANGS, NAME, NAMESPACE, World, returned

GPU = {
    "nodeSelector": {"accelerator": "nvidia"},
    "resources": {"limits": {"nvidia.com/gpu": 1}},
    "labels": {"kueue.x-k8s.io/queue-name": "gpus"},
    "schedulingGates": [{"name": "kueue.x-k8s.io/admission"}],
}


def task(name, *after, **more):
    return {"name": name, "after": list(after), "script": "return 1", **more}


def train(**more):
    return {"tasks": [task("train", profile="gpu")], **more}


async def create(world, spec, name="gpu"):
    body = {"apiVersion": "graflow.dev/v1alpha1", "kind": "RunnerProfile",
            "metadata": {"name": name}, "spec": spec}  # fmt: skip
    return await world.cluster.create(PROFILES, NAMESPACE, body)


def waits(world):
    return {(one["task"], one["reason"]) for one in world.status.get("waiting", ())}


def asked_for_profiles(world):
    """Count the requests for profiles."""
    asked = []
    get = world.cluster.get

    async def counted(kind, namespace, name):
        if kind.plural == "runnerprofiles":
            asked.append(name)
        return await get(kind, namespace, name)

    world.cluster.get = counted
    return asked


async def test_a_tasks_settings_go_before_its_profile_and_that_before_the_workflows_settings():
    tasks = [task("train", profile="gpu", pod={"nodeSelector": {"zone": "a"}}), task("plain")]
    common = {"labels": {"team": "x"}, "nodeSelector": {"accelerator": "none", "zone": "b"}}
    spec = {"tasks": tasks, "pod": common, "start": ["train", "plain"]}
    async with World(spec, work=lambda *_: HANGS) as world:
        await create(world, GPU)
        world.start()
        await world.until(lambda: len(world.executed) == 2)
        pod, plain = world.pod_of("train"), world.pod_of("plain")
        assert pod["spec"]["nodeSelector"] == {"accelerator": "nvidia", "zone": "a"}
        assert pod["spec"]["containers"][0]["resources"]["limits"] == GPU["resources"]["limits"]
        assert pod["spec"]["schedulingGates"] == GPU["schedulingGates"]
        assert pod["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "gpus"
        assert pod["metadata"]["labels"]["team"] == "x"
        assert plain["spec"]["nodeSelector"] == {"accelerator": "none", "zone": "b"}


async def test_the_workflows_profile_is_that_of_tasks_that_name_none():
    spec = {"tasks": [task("a"), task("b", profile="gpu")], "profile": "plain", "start": ["a", "b"]}
    async with World(spec, work=lambda *_: HANGS) as world:
        await create(world, GPU)
        await create(world, {"nodeSelector": {"pool": "plain"}}, "plain")
        world.start()
        await world.until(lambda: len(world.executed) == 2)
        assert world.pod_of("a")["spec"]["nodeSelector"] == {"pool": "plain"}
        assert world.pod_of("b")["spec"]["nodeSelector"] == {"accelerator": "nvidia"}


async def test_a_task_whose_profile_is_missing_waits_says_so_and_goes_on_when_it_appears():
    async with World(train()) as world:
        world.start()
        await world.until(lambda: ("train", "ProfileMissing") in waits(world))
        assert "no RunnerProfile 'gpu' in namespace 'team'" in world.status["waiting"][0]["message"]
        assert world.made("pods") == []
        await create(world, GPU)
        began = world.now
        assert (await world.end())["phase"] == "Succeeded"
        assert world.now - began < 15
        assert len(world.made("pods")) == 1


async def test_waiting_for_a_profile_costs_no_writes_and_no_attempt():
    async with World(train(), work=lambda *_: HANGS) as world:
        world.start()
        await world.until(lambda: ("train", "ProfileMissing") in waits(world))
        writes, until = len(world.cluster.writes), world.now + 60
        await world.until(lambda: world.now > until)
        assert len(world.cluster.writes) == writes
        await create(world, GPU)
        await world.until(lambda: world.executed)
        assert world.pod_of("train")["metadata"]["labels"]["graflow.dev/attempt"] == "1"


async def test_a_task_that_waits_for_its_profile_leaves_its_turn_to_others():
    spec = {**train(parallelism=1), "start": ["train", "b"]}
    spec["tasks"].append(task("b"))
    async with World(spec) as world:
        world.start()
        await world.until(lambda: world.executed == ["b"])
        await create(world, GPU)
        await world.end()
        assert world.executed == ["b", "train"]


async def test_a_profile_that_appears_gives_nobody_a_turn_that_another_task_has():
    spec = {**train(parallelism=1), "start": ["train", "b"]}
    spec["tasks"].append(task("b"))
    async with World(spec, work=lambda *_: HANGS) as world:
        world.start()
        await world.until(lambda: world.executed == ["b"])
        await create(world, GPU)
        await world.until(lambda: ("train", "Parallelism") in waits(world))
        assert len(world.made("pods")) == 1


async def test_a_profile_that_makes_no_sense_is_waited_for_with_what_is_wrong():
    async with World(train()) as world:
        made = await create(world, {"labels": {"graflow.dev/run": "mine"}})
        world.start()
        await world.until(lambda: ("train", "ProfileInvalid") in waits(world))
        assert "graflow.dev/" in world.status["waiting"][0]["message"]
        await world.cluster.replace(PROFILES, NAMESPACE, "gpu", {**made, "spec": GPU})
        assert (await world.end())["phase"] == "Succeeded"


async def test_an_operator_that_may_not_read_profiles_says_so_in_the_api_servers_words():
    async with World(train()) as world:
        await create(world, GPU)
        world.start()
        refused = ForbiddenError("cannot get runnerprofiles")
        # When the run is tried, and when its task is started.
        world.client.faults += [("get", "runnerprofiles", "before", refused)] * 2
        await world.until(lambda: ("train", "Forbidden") in waits(world))
        assert "cannot get runnerprofiles" in world.status["waiting"][0]["message"]
        assert (await world.end())["phase"] == "Succeeded"


async def test_an_operator_that_begins_anew_waits_on_and_goes_on():
    async with World(train()) as world:
        world.start()
        await world.until(lambda: ("train", "ProfileMissing") in waits(world))
        await world.crash()
        world.start()
        until = world.now + 10
        await world.until(lambda: world.now > until)
        assert ("train", "ProfileMissing") in waits(world)
        await create(world, GPU)
        assert (await world.end())["phase"] == "Succeeded"


async def test_a_run_that_waits_for_a_profile_can_be_cancelled():
    async with World(train()) as world:
        world.start()
        await world.until(lambda: ("train", "ProfileMissing") in waits(world))
        world.cluster.edit_spec(WORKFLOWS, NAMESPACE, NAME, cancel=True)
        assert (await world.end())["phase"] == "Cancelled"
        await world.until(world.driving.done)


async def test_tasks_of_one_profile_that_start_at_once_ask_for_it_once():
    names = [f"t{n}" for n in range(30)]
    spec = {"tasks": [task(name) for name in names], "profile": "gpu", "start": names}
    async with World(spec) as world:
        await create(world, GPU)
        asked = asked_for_profiles(world)
        world.start()
        await world.until(lambda: len(world.made("pods")) == 30)
        assert len(asked) <= 2
        await world.end()


async def test_tasks_that_a_task_has_made_run_with_their_profiles():
    fragment = {"tasks": [task("made", profile="gpu")], "start": ["made"]}
    spawn = {"kind": "Spawn", "fragment": fragment}

    def work(name, order):
        return returned(1, spawn) if name == "a" else HANGS

    async with World({"tasks": [task("a")]}, work=work) as world:
        await create(world, GPU)
        world.start()
        await world.until(lambda: "made" in world.executed)
        assert world.pod_of("made")["spec"]["nodeSelector"] == {"accelerator": "nvidia"}
