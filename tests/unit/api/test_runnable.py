"""What can run, and what a plan in a bundle may not ask for."""

import pytest

from graflow.api.errors import InvalidWorkflow
from graflow.api.inputs import changed_keys, changed_results
from graflow.api.runnable import needs_plan, runnable, usable, warnings_about

HEAD = {"apiVersion": "graflow.dev/v1alpha1", "kind": "Workflow", "metadata": {"name": "w"}}
BUNDLE = {"name": "code-x", "sha256": "0" * 64}
SECRET = [{"name": "K", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]


def bundled(*tasks, **spec):
    """Return the spec of a Workflow whose tasks are in its bundle."""
    return runnable({**HEAD, "spec": {"bundle": BUNDLE, **spec}}, {"tasks": list(tasks)})[0]


def problems(*tasks):
    with pytest.raises(InvalidWorkflow) as caught:
        bundled(*tasks)
    return {problem.field: problem.message for problem in caught.value.problems}


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"serviceAccountName": "admin"}, "serviceAccountName"),
        ({"automountServiceAccountToken": True}, "automountServiceAccountToken"),
        ({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}, "volumes"),
        ({"initContainers": [{"name": "i", "image": "i"}]}, "initContainers"),
        ({"securityContext": {"runAsUser": 0}}, "securityContext"),
        ({"envFrom": [{"secretRef": {"name": "s"}}]}, "envFrom"),
        ({"imagePullSecrets": [{"name": "s"}]}, "imagePullSecrets"),
        ({"env": SECRET}, "env[0].valueFrom"),
    ],
)
def test_a_task_in_a_bundle_asks_for_nothing_that_admission_would_have_to_see(settings, field):
    found = problems({"name": "a", "script": "return 1", "pod": settings})
    assert list(found) == [f"spec.tasks[0].pod.{field}"]
    assert "admission does not look into it; name it in spec.pod" in next(iter(found.values()))


def test_a_container_in_a_bundle_asks_for_no_secret():
    task = {"name": "a", "container": {"image": "i", "env": SECRET}}
    assert list(problems(task)) == ["spec.tasks[0].container.env[0].valueFrom"]


def test_ten_thousand_tasks_that_ask_for_too_much_are_not_all_told():
    tasks = [
        {"name": f"t{n}", "script": "return 1", "pod": {"serviceAccountName": "admin"}}
        for n in range(10_000)
    ]
    assert len(problems(*tasks)) == 20


def test_a_bundle_says_where_its_tasks_run_and_the_workflow_lends_them_what_admission_saw():
    place = {"image": "me/x:1", "nodeSelector": {"zone": "a"}, "env": [{"name": "A", "value": "1"}]}
    task = {"name": "a", "script": "return 1", "profile": "gpu", "pod": place}
    found = bundled(task, pod={"serviceAccountName": "reader", "env": SECRET})
    assert found.tasks[0].profile == "gpu"
    assert found.pod.service_account_name == "reader"


@pytest.mark.parametrize(
    ("spec", "answer"),
    [
        ({"bundle": BUNDLE}, True),
        ({"bundle": BUNDLE, "tasks": []}, True),
        ({"bundle": BUNDLE, "tasks": [{"name": "a"}]}, False),
        ({"tasks": []}, False),
        (None, False),
        ("text", False),
    ],
)
def test_the_plan_is_in_the_bundle_where_the_spec_has_none(spec, answer):
    assert needs_plan({"spec": spec}) is answer


def test_a_profile_that_takes_the_operators_names_is_of_no_use():
    with pytest.raises(InvalidWorkflow, match=r"spec.env\[0\].name: 'GRAFLOW_KEY'"):
        usable({**HEAD, "kind": "RunnerProfile", "spec": {"env": [{"name": "GRAFLOW_KEY"}]}})


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"profile": "../../secrets/s"}, "spec.profile"),
        ({"bundle": {"name": "../x", "sha256": "0" * 64}}, "spec.bundle.name"),
        ({"bundle": {"name": "x", "sha256": "../" * 21 + "x"}}, "spec.bundle.sha256"),
        ({"pod": {"serviceAccountName": "a/token"}}, "spec.pod.serviceAccountName"),
        ({"pod": {"imagePullSecrets": [{"name": "other/s"}]}}, "spec.pod.imagePullSecrets[0].name"),
        ({"operator": "blue/../red"}, "spec.operator"),
        ({"resumeFrom": {"name": "../x"}}, "spec.resumeFrom.name"),
        ({"resumeFrom": {"name": "x", "uid": "../x"}}, "spec.resumeFrom.uid"),
    ],
)
def test_a_name_of_another_object_is_no_way_to_somewhere_else(spec, field):
    with pytest.raises(InvalidWorkflow) as caught:
        runnable({**HEAD, "spec": {"tasks": [{"name": "a", "script": "return 1"}], **spec}})
    assert [problem.field for problem in caught.value.problems] == [field]


def resumed(**resume):
    spec = {"tasks": [{"name": "a", "script": "return 1"}], "resumeFrom": {"name": "w", **resume}}
    return {**HEAD, "metadata": {"name": "w"}, "spec": spec}


def test_a_run_goes_on_from_another_one_or_from_one_that_had_its_name():
    with pytest.raises(InvalidWorkflow, match="'w' is this Workflow itself; choose another"):
        runnable(resumed())
    with pytest.raises(InvalidWorkflow, match="'w' is this Workflow itself; choose another"):
        warnings_about(resumed())
    assert runnable(resumed(uid="0a-1b"))[0].resume_from.uid == "0a-1b"


def test_values_that_a_fork_changes_are_what_they_were_written_as():
    spec = runnable(
        resumed(
            uid="u",
            set={"n": 1},
            exactSet={"x": {"exact": "1.0"}},
            results={"a": None},
            exactResults={},
        )
    )[0]
    keys = changed_keys(spec.resume_from)
    assert keys == {"n": {"json": 1}, "x": {"json": 1.0}}
    assert type(keys["x"]["json"]) is float
    assert changed_results(spec.resume_from) == {"a": {"json": None}}
