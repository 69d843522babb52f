"""Decisions that need nobody: turns, snapshots, commits' places, bundles, programs, settings."""

import base64
import hashlib
import io
import json
import re
import zipfile

import pytest

from graflow.machine import reasons
from graflow.machine.events import AttemptClaimed, RunStarted
from graflow.machine.plan import Plan, TaskPlan
from graflow.machine.reducer import reduce
from graflow.machine.state import State
from graflow_operator import bundles, logs, program, snapshot, turns
from graflow_operator.bundles import Bundle, BundleUnusableError, Cache
from graflow_operator.refs import AttemptRef
from graflow_operator.settings import SettingsError, parser, read
from graflow_operator.snapshot import Snapshot, UnreadableSnapshotError
from graflow_operator.turns import Limits
from support.world import NAMESPACE, World

PLAN = Plan(nodes=tuple(TaskPlan(name) for name in "abcd"), start=tuple("abcd"))
A, B, C, D = (AttemptRef(n, 1) for n in (1, 2, 3, 4))
STARTED = reduce(PLAN, State(), RunStarted(1.0))


def held(limits, allowed=(), refused=(), state=STARTED):
    return turns.held(
        state, limits, due=turns.starting(state), allowed=set(allowed), refused=set(refused)
    )


def test_without_limits_everything_that_is_due_starts():
    assert held(Limits()) == frozenset()


def test_starts_are_allowed_in_order_of_creation_up_to_the_limit():
    assert held(Limits(parallelism=2)) == {C, D}


def test_what_runs_and_what_was_allowed_takes_a_place():
    state = reduce(PLAN, STARTED, AttemptClaimed(1, 1, "claim", 2.0))
    assert held(Limits(parallelism=3), allowed=[B], state=state) == {D}


def test_what_was_allowed_is_never_taken_back():
    assert held(Limits(parallelism=1), allowed=[C, D]) == {A, B}
    assert held(Limits(suspend=True), allowed=[C]) == {A, B, D}


def test_a_refused_start_gives_its_place_to_the_next():
    assert held(Limits(parallelism=1), refused=[A]) == {A, C, D}


def test_a_snapshot_comes_back_as_it_was():
    before = Snapshot(STARTED, frozenset({C}), {C: 12.5}, {A: "uid/nonce"})
    packed = snapshot.pack(before)
    after = snapshot.unpack(PLAN, packed.data)
    assert (after.state.seq, after.held, after.reported) == (1, {C}, {A: "uid/nonce"})
    assert after.refused == {C: 12.5}
    assert snapshot.pack(after).data == packed.data


@pytest.mark.parametrize("data", [b"", b"nonsense", base64.b64decode("eJwDAAAAAAE=")])
def test_a_snapshot_that_cannot_be_read_says_so(data):
    with pytest.raises(UnreadableSnapshotError):
        snapshot.unpack(PLAN, data)


async def test_a_run_whose_state_cannot_be_read_says_so_and_goes_on_when_it_can():
    async with World({"tasks": [{"name": "a", "script": "return 1"}]}) as world:
        world.auto_run = False
        world.start()
        await world.until(lambda: world.pods)
        await world.crash()
        good = world.status["cursor"]["state"]
        world.workflow["status"]["cursor"]["state"] = base64.b64encode(b"damaged").decode()
        world.start()
        await world.until(lambda: world.status.get("reason") == "StateUnreadable")
        await world.crash()
        world.workflow["status"]["cursor"]["state"] = good
        world.auto_run = True
        world._pod_made(world.pods[0])
        world.start()
        assert (await world.end())["phase"] == "Succeeded"


def zipped(manifest=None, **files):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        if manifest is not None:
            archive.writestr("manifest.json", json.dumps(manifest))
        for name, content in files.items():
            archive.writestr(name, content)
    return data.getvalue()


def resource(data):
    return {
        "metadata": {"name": "code-x"},
        "spec": {"zip": base64.b64encode(data).decode()},
    }


GOOD = zipped({"format": 2, "python": "3.11", "functions": {"0" * 64: ["f"]}})


def test_a_bundle_is_opened_when_its_hash_is_the_one_that_is_meant():
    found = bundles.opened(resource(GOOD), hashlib.sha256(GOOD).hexdigest())
    assert (found.python, found.functions) == ("3.11", {"f": "0" * 64})


@pytest.mark.parametrize(
    ("data", "sha256", "words"),
    [
        (GOOD, "0" * 64, "submit the program again"),
        (b"no zip", hashlib.sha256(b"no zip").hexdigest(), "no usable manifest"),
        (zipped(), hashlib.sha256(zipped()).hexdigest(), "no usable manifest"),
    ],
    ids=["hash", "zip", "manifest"],
)
def test_a_bundle_that_is_not_the_one_or_is_damaged_is_refused_in_words(data, sha256, words):
    with pytest.raises(BundleUnusableError, match=words) as caught:
        bundles.opened(resource(data), sha256)
    assert caught.value.error.reason == reasons.BUNDLE_CORRUPT
    assert caught.value.error.retryable is False


def test_the_bundles_used_longest_ago_are_forgotten_first():
    cache = Cache(limit=25)
    for sha in "abc":
        cache.put("ns", Bundle(sha, bytes(10), "3.11", {}))
    assert [cache.get("ns", sha) is not None for sha in "abc"] == [False, True, True]
    assert cache.get("other", "b") is None


def workflow(**task):
    return {
        "apiVersion": "graflow.dev/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": "w"},
        "spec": {
            "tasks": [{"name": "a", "function": "f", **task}],
            "bundle": {"name": "code-x", "sha256": "0" * 64},
        },
        "status": {"unknown": "of a newer version"},
    }


def test_a_python_that_the_runner_image_does_not_have_is_refused_with_both_versions():
    bundle = Bundle("0" * 64, b"", "3.13", {"f": "0" * 64})
    error = program.unfit(program.read(workflow()), bundle, ("3.11",))
    assert error.reason == reasons.PYTHON_VERSION_MISMATCH
    assert "3.13" in error.message
    assert "3.11" in error.message
    own_image = program.read(workflow(pod={"image": "mine:1"}))
    assert program.unfit(own_image, bundle, ("3.11",)) is None


def test_a_function_that_the_bundle_does_not_have_is_named():
    bundle = Bundle("0" * 64, b"", "3.11", {"g": "0" * 64})
    error = program.unfit(program.read(workflow()), bundle, ("3.11",))
    assert "'a'" in error.message
    assert "g" in error.message


async def test_a_bundle_that_is_not_there_yet_is_waited_for_and_named():
    spec = workflow()["spec"] | {
        "bundle": {"name": "code-x", "sha256": hashlib.sha256(GOOD).hexdigest()}
    }
    async with World(spec) as world:
        from graflow_operator.cluster import BUNDLES

        world.start()
        await world.until(lambda: world.status.get("reason") == "BundleMissing")
        assert "code-x" in world.status["message"]
        assert world.pods == []
        body = resource(GOOD)
        await world.cluster.create(BUNDLES, NAMESPACE, body)
        assert (await world.end())["phase"] == "Succeeded"


def in_the_bundle(data):
    """Return a spec whose tasks are in a bundle."""
    return {"bundle": {"name": "code-x", "sha256": hashlib.sha256(data).hexdigest()}}


PLANNED = zipped(
    {"format": 2, "python": "3.11", "functions": {"0" * 64: ["f"]}},
    **{"plan.json": json.dumps({"tasks": [{"name": "a", "function": "f"}]})},
)


async def test_the_tasks_of_a_large_workflow_come_from_its_bundle():
    async with World(in_the_bundle(PLANNED)) as world:
        from graflow_operator.cluster import BUNDLES

        world.start()
        await world.until(lambda: world.status.get("reason") == "BundleMissing")
        assert world.pods == []
        await world.cluster.create(BUNDLES, NAMESPACE, resource(PLANNED))
        status = await world.end()
        assert (status["phase"], [task["name"] for task in status["tasks"]]) == ("Succeeded", ["a"])


GREEDY = zipped(
    {"format": 2, "python": "3.11", "functions": {"0" * 64: ["f"]}},
    **{
        "plan.json": json.dumps(
            {"tasks": [{"name": "a", "function": "f", "pod": {"serviceAccountName": "admin"}}]}
        )
    },
)


async def test_a_bundle_cannot_ask_for_an_account_that_admission_never_saw():
    async with World(in_the_bundle(GREEDY)) as world:
        from graflow_operator.cluster import BUNDLES

        await world.cluster.create(BUNDLES, NAMESPACE, resource(GREEDY))
        world.start()
        status = await world.end()
        assert (status["phase"], status["reason"]) == ("Failed", "Invalid")
        assert "spec.tasks[0].pod.serviceAccountName: cannot be given in a" in status["message"]
        assert world.made("pods") == []


LATER = zipped(
    {"format": 3, "python": "3.11", "functions": {"0" * 64: ["f"]}},
    **{"plan.json": json.dumps({"tasks": [{"name": "a", "function": "f"}]})},
)


@pytest.mark.parametrize("data", [GOOD, zipped({"format": 2}), LATER])
async def test_a_bundle_without_the_tasks_that_it_should_have_is_refused(data):
    async with World(in_the_bundle(data)) as world:
        from graflow_operator.cluster import BUNDLES

        await world.cluster.create(BUNDLES, NAMESPACE, resource(data))
        world.start()
        status = await world.end()
        assert (status["phase"], status["reason"]) == ("Failed", "BundleCorrupt")


async def test_a_bundle_with_a_wrong_hash_fails_the_run_before_any_pod_is_made():
    spec = workflow()["spec"] | {"bundle": {"name": "code-x", "sha256": "0" * 64}}
    async with World(spec) as world:
        from graflow_operator.cluster import BUNDLES

        await world.cluster.create(BUNDLES, NAMESPACE, resource(GOOD))
        world.start()
        status = await world.end()
        assert (status["phase"], status["reason"]) == ("Failed", "BundleCorrupt")
        accepted = next(c for c in status["conditions"] if c["type"] == "Accepted")
        assert (accepted["status"], accepted["reason"]) == ("False", "BundleCorrupt")
        assert "spec.bundle.sha256" in accepted["message"]
        assert world.made("pods") == []


def test_settings_come_from_the_environment_and_flags_win():
    environ = {"GRAFLOW_NAMESPACES": "a, b", "POD_IP": "10.0.0.9", "POD_NAME": "op-0"}
    found = read(["--instance", "x"], environ, namespace="graflow")
    assert found.namespaces == ("a", "b")
    assert found.advertise == "https://10.0.0.9:8090"
    assert found.replica_url == "https://10.0.0.9:8090"
    assert (found.instance, found.identity, found.operator_namespace) == ("x", "op-0", "graflow")


def test_a_replica_that_others_send_callers_to_speaks_what_is_advertised():
    flags = ["--advertise", "https://api:8090", "--replica-url", "http://10.0.0.9:8090"]
    with pytest.raises(SettingsError, match="must begin with https://"):
        read(flags, {}, namespace="graflow")


def test_pods_call_the_service_and_the_lease_names_the_replica_itself():
    environ = {"POD_IP": "10.0.0.9", "GRAFLOW_ADVERTISE": "http://10.96.0.7:8090"}
    found = read([], environ, namespace="graflow")
    assert (found.advertise, found.replica_url) == ("http://10.96.0.7:8090", "http://10.0.0.9:8090")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("GRAFLOW_LISTEN", "8090"),
        ("GRAFLOW_ADVERTISE", "operator:8090"),
        ("GRAFLOW_METRICS_PORT", "http"),
        ("GRAFLOW_CHECK_PEER", "perhaps"),
        ("GRAFLOW_PODS_KEEP", "Some"),
        ("GRAFLOW_PODS_KEEP_SECONDS", "long"),
        ("GRAFLOW_RUNNER_RESOURCES", "cpu=1"),
        ("GRAFLOW_RUNNER_RESOURCES", "[1]"),
        ("GRAFLOW_RUNNER_RESOURCES", '{"request": {"cpu": 1}}'),
        ("GRAFLOW_LOG_FORMAT", "xml"),
    ],
)
def test_a_setting_that_cannot_be_is_named_with_what_can(variable, value):
    with pytest.raises(SettingsError, match=re.escape(f"{variable} is '{value}'; it must be")):
        read([], {variable: value}, namespace="graflow")


def test_the_help_names_every_variable():
    text = parser({}).format_help()
    for variable in ("GRAFLOW_NAMESPACES", "GRAFLOW_ADVERTISE", "GRAFLOW_STORE_BUCKET"):
        assert variable in text


def test_a_log_record_is_one_line_of_json():
    import logging

    record = logging.LogRecord("x", logging.INFO, "", 0, "run %s", ("a\nb",), None)
    assert json.loads(logs.JsonLines().format(record))["message"] == "run a\nb"
    assert logs.TextLines("%(message)s").format(record) == "run a\\nb"


def test_a_traceback_in_the_log_does_not_show_what_a_spec_holds(caplog):
    import logging

    from graflow.api.errors import InvalidWorkflow
    from graflow.api.parse import parse_workflow

    env = [{"name": "PASSWORD", "value": "s3cret", "valeu": "s3cret"}]
    task = {"name": "a", "script": "return 1", "pod": {"env": env}}
    spec = {"tasks": [task]}
    found = {"apiVersion": "graflow.dev/v1alpha1", "kind": "Workflow", "metadata": {"name": "w"}}
    try:
        parse_workflow({**found, "spec": spec})
    except InvalidWorkflow:
        logging.getLogger("graflow_operator").exception("it failed")
    assert "Traceback" in caplog.text
    assert "s3cret" not in caplog.text
