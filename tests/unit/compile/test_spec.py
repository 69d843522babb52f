"""From a program to the Workflow resource."""

import pickle
import threading
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

from graflow import chain, parallel, task, workflow
from graflow.api.bundle import PLAN, read_json
from graflow.api.convert import plan_of
from graflow.api.inputs import channel_keys
from graflow.api.parse import parse_large_workflow, parse_workflow
from graflow.compile.errors import UnsupportedError
from graflow.compile.place import Place
from graflow.compile.program import Options, compile_program, resource_name
from graflow.core.handlers.group_policy import AtLeastNGroupPolicy, CriticalGroupPolicy
from graflow.dsl.retry import RetryPolicy
from graflow.dsl.workflow import WorkflowContext
from graflow.exceptions import GraphCompilationError

WORKFLOW = {"apiVersion": "graflow.dev/v1alpha1", "kind": "Workflow", "metadata": {"name": "w"}}


def named(*names: str, **options: Any) -> list[Any]:
    return [task(lambda: None, id=name, **options) for name in names]


def resource(
    wf: WorkflowContext,
    tmp_path: Path,
    *,
    initial_channel: dict[str, Any] | None = None,
    options: Options | None = None,
    **how: Any,
) -> dict[str, Any]:
    program = wf.program(**how)
    compiled = compile_program(
        program,
        options or Options(),
        initial_channel=initial_channel,
        where=Place(tmp_path, "w.py"),
    )
    if "tasks" in compiled.workflow["spec"]:
        seen = plan_of(parse_workflow(compiled.workflow).spec)
    else:
        plan = read_json(compiled.bundle.data, PLAN)
        seen = plan_of(parse_large_workflow(compiled.workflow, plan).spec)
    assert (seen.nodes, seen.successors) == (program.plan.nodes, program.plan.successors)
    assert seen.start == program.plan.start
    return compiled.workflow


def test_tasks_are_written_in_the_order_of_declaration_with_what_they_come_after(
    tmp_path: Path,
) -> None:
    with workflow("Some_Name v2") as wf:
        a, b, c = named("a", "b", "c")
        b >> c
        a >> c
        a >> b
    written = resource(wf, tmp_path)
    assert written["metadata"] == {"name": "some-name-v2"}
    assert written["spec"]["tasks"] == [
        {"name": "a", "function": "a"},
        {"name": "b", "after": ["a"], "function": "b"},
        {"name": "c", "after": ["b", "a"], "function": "c"},
    ]
    assert set(written["spec"]) == {"tasks", "bundle", "edges"}


def test_edges_are_written_only_when_their_order_says_more_than_that_of_the_tasks(
    tmp_path: Path,
) -> None:
    with workflow("w") as wf:
        a, b, c = named("a", "b", "c")
        a >> b
        a >> c
    assert "edges" not in resource(wf, tmp_path)["spec"]
    with workflow("w") as wf:
        a, b, c = named("a", "b", "c")
        a >> c
        a >> b
    assert resource(wf, tmp_path)["spec"]["edges"] == [["a", "c"], ["a", "b"]]


def test_f1_jitter_is_written_where_it_is_asked_for(tmp_path: Path) -> None:
    @task(retry_policy=RetryPolicy(max_retries=1, jitter=True))
    def train() -> None:
        pass

    with workflow("w") as wf:
        named("before")[0] >> train
    made = resource(wf, tmp_path)
    (written,) = [t for t in made["spec"]["tasks"] if t["name"] == "train"]
    assert written["retry"]["jitter"] is True
    assert plan_of(parse_workflow(made).spec).by_id["train"].retry.jitter


def test_options_of_tasks_become_retry_time_passes_and_pod(tmp_path: Path) -> None:
    @task(
        max_cycles=3,
        retry_policy=RetryPolicy(max_retries=2, initial_interval=0.5),
        timeout=60,
        image="me/runner:1",
        resources={"cpu": 2, "memory": "1Gi"},
        node_selector={"disk": "ssd"},
        tolerations=[{"key": "gpu", "operator": "Exists"}],
        env={"MODE": "fast"},
    )
    def train(data, rate=0.1):
        return data, rate

    with workflow("w") as wf:
        named("before")[0] >> train
    (written,) = [t for t in resource(wf, tmp_path)["spec"]["tasks"] if t["name"] == "train"]
    assert written == {
        "name": "train",
        "after": ["before"],
        "function": "train",
        "params": ["data", "rate"],
        "retry": {"maxAttempts": 3, "initialSeconds": 0.5, "factor": 2.0, "maxSeconds": 60.0},
        "timeoutSeconds": 60,
        "maxIterations": 3,
        "pod": {
            "image": "me/runner:1",
            "resources": {
                "requests": {"cpu": "2", "memory": "1Gi"},
                "limits": {"cpu": "2", "memory": "1Gi"},
            },
            "nodeSelector": {"disk": "ssd"},
            "tolerations": [{"key": "gpu", "operator": "Exists"}],
            "env": [{"name": "MODE", "value": "fast"}],
        },
    }


def test_groups_are_written_with_members_policy_and_what_comes_before(tmp_path: Path) -> None:
    with workflow("w") as wf:
        a, b, c, d, e, f = named(*"abcdef")
        strict = (b | c).set_group_name("strict")
        least = parallel(strict, d).with_execution(policy=AtLeastNGroupPolicy(1))
        least.set_group_name("least")
        chain(a, least, e)
        critical = parallel(f, named("g")[0]).with_execution(policy=CriticalGroupPolicy(["f"]))
        e >> critical
    spec = resource(wf, tmp_path)["spec"]
    groups = [{k: v for k, v in group.items() if k != "position"} for group in spec["groups"]]
    assert groups == [
        {"name": "strict", "members": ["b", "c"]},
        {
            "name": "least",
            "members": ["strict", "d"],
            "after": ["a"],
            "policy": {"type": "AtLeast", "minimum": 1},
        },
        {
            "name": critical.task_id,
            "members": ["f", "g"],
            "after": ["e"],
            "policy": {"type": "Critical", "members": ["f"]},
        },
    ]


def test_a_group_declared_between_tasks_keeps_its_place(tmp_path: Path) -> None:
    with workflow("w") as wf:
        a, b = named("a", "b")
        group = a | b
        group >> named("c")[0]
    assert resource(wf, tmp_path)["spec"]["groups"][0]["position"] == 2


def test_start_is_written_only_when_it_is_not_where_anybody_would_begin(tmp_path: Path) -> None:
    with workflow("w") as wf:
        a, b = named("a", "b")
        a >> b
    assert "start" not in resource(wf, tmp_path)["spec"]
    assert resource(wf, tmp_path, start_node="b")["spec"]["start"] == ["b"]


def test_name_image_input_and_steps_are_written_when_given(tmp_path: Path) -> None:
    with workflow("w") as wf:
        named("a")
    options = Options(name="nightly", image="me/runner:2")
    written = resource(wf, tmp_path, options=options, initial_channel={"n": [3]}, max_steps=5)
    assert written["metadata"]["name"] == "nightly"
    assert written["spec"]["pod"] == {"image": "me/runner:2"}
    assert written["spec"]["input"] == {"n": [3]}
    assert written["spec"]["maxSteps"] == 5


def test_a_profile_of_the_sender_goes_before_the_programs_own(tmp_path: Path) -> None:
    with workflow("w", profile="small") as wf:
        named("a")
    assert resource(wf, tmp_path)["spec"]["profile"] == "small"
    written = resource(wf, tmp_path, options=Options(profile="gpu"))
    assert written["spec"]["profile"] == "gpu"


@pytest.mark.parametrize("value", [1.0, -0.0, {"b": 1, "a": 2}, [{"n": 2**63}]])
def test_c4_an_initial_key_that_an_api_server_would_change_is_written_as_text(
    tmp_path: Path, value: Any
) -> None:
    with workflow("w") as wf:
        named("a")
    written = resource(wf, tmp_path, initial_channel={"key": value, "plain": [1]})["spec"]
    assert written["input"] == {"plain": [1]}
    back = channel_keys(parse_workflow({**WORKFLOW, "spec": written}).spec)["key"]["json"]
    assert repr(back) == repr(value)


@pytest.mark.parametrize("value", [{1, 2}, (1, 2), float("inf"), {1: 2}])
def test_c4_an_initial_key_that_json_does_not_keep_is_pickled(tmp_path: Path, value: Any) -> None:
    with workflow("w") as wf:
        named("a")
    written = resource(wf, tmp_path, initial_channel={"key": value})["spec"]
    ref = channel_keys(parse_workflow({**WORKFLOW, "spec": written}).spec)["key"]
    assert pickle.loads(b64decode(ref["pickle"])) == value


def test_an_initial_key_that_cannot_be_pickled_is_refused_by_name(tmp_path: Path) -> None:
    with workflow("w") as wf:
        named("a")
    with pytest.raises(UnsupportedError, match=r"initial_channel\['key'\]"):
        resource(wf, tmp_path, initial_channel={"key": threading.Lock()})


@pytest.mark.parametrize(
    ("own", "options", "written"),
    [
        (None, Options(), None),
        (89.5, Options(), 90),
        (90, Options(deadline_s=10), 10),
        (None, Options(deadline_s=10), 10),
    ],
    ids=["none", "the program's", "the sender's before it", "the sender's"],
)
def test_a_deadline_is_written_and_the_senders_goes_before_the_programs(
    tmp_path: Path, own: float | None, options: Options, written: int | None
) -> None:
    with workflow("w", deadline=own) as wf:
        named("a")
    spec = resource(wf, tmp_path, options=options)["spec"]
    assert spec.get("activeDeadlineSeconds") == written


def test_the_sender_says_when_the_run_is_deleted_and_how_often_it_is_kept(tmp_path: Path) -> None:
    with workflow("w") as wf:
        named("a")
    assert "ttlSecondsAfterFinished" not in resource(wf, tmp_path)["spec"]
    kept = resource(wf, tmp_path, options=Options(ttl_s=0, checkpoint_every=5))["spec"]
    assert kept["ttlSecondsAfterFinished"] == 0
    assert kept["checkpointEvery"] == 5


def test_profiles_of_tasks_and_of_the_workflow_are_written_beside_what_tasks_ask_for(
    tmp_path: Path,
) -> None:
    with workflow("w", profile="plain") as wf:
        a, b = *named("a", profile="gpu", resources={"memory": "64Gi"}), *named("b")
        a >> b
    spec = resource(wf, tmp_path)["spec"]
    assert spec["profile"] == "plain"
    both = {"requests": {"memory": "64Gi"}, "limits": {"memory": "64Gi"}}
    assert (spec["tasks"][0]["profile"], spec["tasks"][0]["pod"]) == ("gpu", {"resources": both})
    assert "profile" not in spec["tasks"][1]


def test_the_profile_of_a_workflow_whose_plan_is_in_the_bundle_is_in_the_resource(
    tmp_path: Path,
) -> None:
    with workflow("w", profile="plain") as wf:
        chain(*named(*(f"t{n}" for n in range(1001))))
    assert resource(wf, tmp_path)["spec"]["profile"] == "plain"


@pytest.mark.parametrize("where", ["task", "workflow"])
def test_what_cannot_be_the_name_of_a_profile_is_refused_before_anything_is_sent(
    where: str, tmp_path: Path
) -> None:
    with workflow("w", profile="GPU" if where == "workflow" else None) as wf:
        named("a", profile="GPU" if where == "task" else None)
    with pytest.raises(GraphCompilationError, match=r"profile"):
        resource(wf, tmp_path)


def test_a_plan_that_a_workflow_has_no_room_for_is_in_the_bundle(tmp_path: Path) -> None:
    with workflow("w") as wf:
        chain(*named(*(f"t{n}" for n in range(1000))))
    assert len(resource(wf, tmp_path)["spec"]["tasks"]) == 1000
    with workflow("w") as wf:
        chain(*named(*(f"t{n}" for n in range(1001))))
    written = resource(wf, tmp_path, initial_channel={"n": 1})
    assert set(written["spec"]) == {"bundle", "input"}
    with workflow("w") as wf:
        chain(*named(*(f"{n:03}" + 190 * "x" for n in range(300))))
    assert set(resource(wf, tmp_path)["spec"]) == {"bundle"}


def test_a_join_of_thousands_and_a_group_of_thousands_are_written(tmp_path: Path) -> None:
    with workflow("w") as wf:
        tasks = named(*(f"t{n}" for n in range(2000)))
        named("split")[0] >> tasks >> named("join")[0]
    assert set(resource(wf, tmp_path)["spec"]) == {"bundle"}
    with workflow("w") as wf:
        parallel(*named(*(f"t{n}" for n in range(2000)))) >> named("join")[0]
    assert set(resource(wf, tmp_path)["spec"]) == {"bundle"}


def test_what_the_api_refuses_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    with workflow("w") as wf:
        named("a", max_retries=1000)
    with pytest.raises(GraphCompilationError, match=r"spec\.tasks\[0\]\.retry\.maxAttempts"):
        resource(wf, tmp_path)


@pytest.mark.parametrize(
    ("workflow_name", "name"),
    [("etl_pipeline", "etl-pipeline"), ("Émile", "mile"), ("***", "task"), ("x" * 99, "x" * 50)],
)
def test_resources_are_named_after_the_workflow(workflow_name: str, name: str) -> None:
    assert resource_name(workflow_name) == name
