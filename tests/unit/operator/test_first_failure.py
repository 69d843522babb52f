"""What a failed run says of what failed first: attempts, exit code, last lines; within bounds."""

import json

import pytest

from graflow.machine import reasons
from graflow.machine.state import Error
from graflow_operator import tails
from graflow_operator.cluster import WORKFLOWS
from graflow_operator.cluster_errors import ForbiddenError
from graflow_operator.keeping import PodPolicy
from graflow_operator.settings import Settings
from graflow_operator.verdicts import Failed
from support.fakes import HANGS as SILENT
from support.world import HANGS, NAME, NAMESPACE, World, script

BOOM = {"traceback": "Traceback …\nValueError: boom"}
AGAIN = {"maxAttempts": 3, "initialSeconds": 1}


def boom(message="ValueError: boom"):
    return Failed(Error(reasons.TASK_FAILED, message, BOOM))


class Failing(World):
    """A world whose pods have printed something."""

    printed = None

    def _pod_made(self, pod):
        name = pod["metadata"]["name"]
        words = f"first line\nlast words of {name}\n".encode()
        self.cluster.logs[name] = words if self.printed is None else self.printed
        super()._pod_made(pod)

    def kept(self):
        keys = self.store.list("")
        return {key.partition("/logs/")[2] for key in keys if "/logs/" in key}


def done():
    return {"outcome": "Succeeded", "value": {"json": 1}}


async def test_a_failed_run_says_which_task_failed_first_with_every_attempt_and_its_last_lines():
    spec = {"tasks": [script("a"), script("b", "a", retry=AGAIN)]}
    tries = iter(range(1, 4))

    def work(task, order):
        return boom(f"ValueError: {next(tries)}") if task == "b" else done()

    async with Failing(spec, work=work) as world:
        world.start()
        status = await world.end()
        failure = status["failure"]
        assert (failure["task"], failure["iteration"], failure["attempt"]) == ("b", 1, 3)
        assert (failure["reason"], failure["message"]) == ("TaskFailed", "ValueError: 3")
        assert failure["pod"] in {pod["metadata"]["name"] for pod in world.pods}
        assert failure["log"] == f"first line\nlast words of {failure['pod']}"
        assert failure["time"]
        messages = [one["message"] for one in failure["attempts"]]
        assert messages == ["ValueError: 1", "ValueError: 2", "ValueError: 3"]
        assert len({one["pod"] for one in failure["attempts"]}) == 3
        assert all(one["startTime"] <= one["completionTime"] for one in failure["attempts"])
        await world.until(lambda: len(world.kept()) == 3)
        assert world.kept() == {"2/1", "2/2", "2/3"}


async def test_attempts_are_remembered_by_the_next_operator():
    spec = {"tasks": [script("a", retry=AGAIN)]}
    async with Failing(spec, work=lambda task, order: boom()) as world:
        world.start()
        await world.until(lambda: world.status.get("counts", {}).get("waiting"))
        await world.crash()
        world.start()
        status = await world.end()
        assert [one["attempt"] for one in status["failure"]["attempts"]] == [1, 2, 3]


async def test_of_a_group_the_branch_that_failed_first_is_told():
    names = ["a", "b", "c"]
    spec = {"tasks": [script(name) for name in names], "groups": [{"name": "g", "members": names}]}

    def work(task, order):
        return boom(task) if task != "a" else HANGS

    async with Failing(spec, work=work) as world:
        world.start()
        await world.until(lambda: world.executed.count("b") and world.executed.count("c"))
        await world.until(lambda: world.status["counts"]["failed"] == 2)
        assert "failure" not in world.status
        pod = world.pod_of("a")["metadata"]["name"]
        world.end_pod(pod, 3, reason="Error")
        status = await world.end()
        assert status["failure"]["task"] in ("b", "c")
        assert status["failure"]["message"] in ("b", "c")


async def test_a_failure_that_a_group_got_over_is_none_of_the_run():
    tasks = [script("a"), script("b"), script("z", "g")]
    group = {"name": "g", "members": ["a", "b"], "policy": {"type": "BestEffort"}}
    spec = {"tasks": tasks, "groups": [group]}

    def work(task, order):
        return boom(task) if task in ("a", "z") else done()

    async with Failing(spec, work=work) as world:
        world.start()
        status = await world.end()
        assert status["failure"]["task"] == "z"
        assert "last words" in status["failure"]["log"]


async def test_a_process_that_was_killed_is_told_with_its_exit_code():
    async with Failing({"tasks": [script("a")]}, work=lambda task, order: HANGS) as world:
        world.start()
        await world.until(lambda: world.status.get("counts", {}).get("running"))
        pod = world.pod_of("a")["metadata"]["name"]
        world.end_pod(pod, 137, reason="OOMKilled")
        status = await world.end()
        failure = status["failure"]
        assert (failure["reason"], failure["exitCode"]) == ("OOMKilled", 137)
        assert failure["log"].endswith(f"last words of {pod}")


@pytest.mark.parametrize("log", [SILENT, ForbiddenError("no"), b""], ids=["silent", "403", "empty"])
async def test_a_log_that_cannot_be_had_changes_nothing_else(log, monkeypatch):
    monkeypatch.setattr(tails, "PATIENCE_S", 0.01)
    async with Failing({"tasks": [script("a")]}, work=lambda task, order: boom()) as world:
        world.printed = log
        world.start()
        status = await world.end()
        assert status["failure"]["message"] == "ValueError: boom"
        assert "log" not in status["failure"]


async def test_no_log_is_read_where_that_is_turned_off():
    settings = Settings(operator_namespace="graflow", pods=PodPolicy(keep_logs=False))
    async with Failing(
        {"tasks": [script("a")]}, settings=settings, work=lambda *_: boom()
    ) as world:
        world.start()
        status = await world.end()
        assert "log" not in status["failure"]
        assert world.kept() == set()


async def test_a_success_reads_no_log():
    async with Failing({"tasks": [script("a")]}) as world:
        asked = []
        world.cluster.log = lambda *_: asked.append(1)
        world.start()
        status = await world.end()
        assert status["phase"] == "Succeeded"
        assert (asked, "failure" in status) == ([], False)


async def test_a_cancelled_run_has_no_failure():
    async with Failing({"tasks": [script("a")]}, work=lambda *_: HANGS) as world:
        world.start()
        await world.until(lambda: world.status.get("counts", {}).get("running"))
        world.cluster.edit_spec(WORKFLOWS, NAMESPACE, NAME, cancel=True)
        status = await world.end()
        assert (status["phase"], "failure" in status) == ("Cancelled", False)


async def test_a_run_that_fails_as_a_whole_names_no_task():
    spec = {"tasks": [script("a")], "activeDeadlineSeconds": 5}
    async with Failing(spec, work=lambda *_: HANGS) as world:
        world.start()
        status = await world.end()
        assert status["failure"]["reason"] == "DeadlineExceeded"
        assert "task" not in status["failure"]


async def test_very_many_failures_stay_within_bounds_without_a_store():
    names = [f"t{number}" for number in range(60)]
    tasks = [script(name, retry={"maxAttempts": 3, "initialSeconds": 0}) for name in names]
    spec = {"tasks": tasks, "groups": [{"name": "g", "members": names}]}
    long = "x" * 1400
    async with Failing(spec, store=False, work=lambda *_: boom(long)) as world:
        world.start()
        status = await world.end()
        assert status["reason"] == "ParallelGroupFailed"
        assert len(json.dumps(status)) < 64 * 1024
        assert status["failure"]["task"] in names
