"""Resources as anybody may write them: taken, or refused with words that name the field."""

import pytest
from hypothesis import example, given

from graflow.api.conditions import refusal
from graflow.api.errors import InvalidWorkflow
from graflow.api.parse import parse_code_bundle
from graflow.api.placement import laid_over
from graflow.api.runnable import runnable, usable, warnings_about
from graflow_operator import pods, program
from graflow_operator.refs import AttemptRef, RunRef
from support.fuzz import json_values, mutated, nested

POD = {
    "image": "python:3.11",
    "imagePullPolicy": "Always",
    "imagePullSecrets": [{"name": "registry"}],
    "resources": {"requests": {"cpu": "1"}, "limits": {"nvidia.com/gpu": 1}},
    "nodeSelector": {"zone": "a"},
    "tolerations": [{"key": "gpu", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
    "env": [{"name": "A", "value": "1"}, {"name": "B", "valueFrom": {"secretKeyRef": {}}}],
    "envFrom": [{"secretRef": {"name": "s"}}],
    "volumes": [{"name": "v", "emptyDir": {}}],
    "volumeMounts": [{"name": "v", "mountPath": "/v"}],
    "initContainers": [{"name": "i", "image": "busybox"}],
    "serviceAccountName": "reader",
    "securityContext": {"runAsUser": 1},
    "terminationGracePeriodSeconds": 30,
    "schedulingGates": [{"name": "example.com/quota"}],
    "labels": {"kueue.x-k8s.io/queue-name": "q"},
}
WORKFLOW = {
    "apiVersion": "graflow.dev/v1alpha1",
    "kind": "Workflow",
    "metadata": {"name": "run", "namespace": "team", "uid": "u"},
    "spec": {
        "tasks": [
            {"name": "a", "script": "return 1", "pod": POD},
            {"name": "b", "after": ["a"], "entrypoint": "m:f", "params": ["a"], "profile": "gpu"},
            {"name": "c", "after": ["b", "G"], "container": {"image": "x", "args": ["$(inputs.b)"]},
             "retry": {"maxAttempts": 3, "initialSeconds": 1, "factor": 2, "maxSeconds": 60}},
            {"name": "m", "script": "return 1", "timeoutSeconds": 5, "maxIterations": 3},
            {"name": "n", "script": "return 1"},
        ],
        "groups": [{"name": "G", "members": ["m", "n"], "policy": {"type": "AtLeast", "minimum": 1},
                    "after": ["a"]}],
        "edges": [["a", "b"], ["b", "c"], ["G", "c"], ["a", "G"]],
        "start": ["a"],
        "input": {"n": 3},
        "exactInput": {"m": {"exact": "1.0"}},
        "parallelism": 2,
        "maxSteps": 100,
        "activeDeadlineSeconds": 60,
        "profile": "gpu",
        "pod": POD,
    },
}  # fmt: skip
PROFILE = {**WORKFLOW, "kind": "RunnerProfile", "spec": POD}
BUNDLE = {
    **WORKFLOW,
    "kind": "CodeBundle",
    "metadata": {"name": "code-" + "0" * 40},
    "spec": {
        "sha256": "0" * 64,
        "size": 3,
        "pythonVersion": "3.11",
        "cloudpickleVersion": "3.1",
        "zip": "AAAA",
    },
}
PLAN = {name: WORKFLOW["spec"][name] for name in ("tasks", "groups", "edges", "start")}
RUN = RunRef("team", "run", "u")


def answered(read, *found):
    """Return what was read, or None after a look at the words of the refusal."""
    try:
        return read(*found)
    except InvalidWorkflow as error:
        check_words(error.problems, found[0])
        return None


def check_words(problems, found):
    assert problems
    assert len(refusal(problems).encode(errors="replace")) <= 4096
    for problem in problems:
        assert problem.message.strip()
        # What stands at the top has no field; there the words name what is wrong.
        assert problem.field or not isinstance(found, dict) or "field" in problem.message


def test_the_workflow_that_is_damaged_here_can_run():
    assert warnings_about(WORKFLOW) == ()
    assert usable(PROFILE)
    assert parse_code_bundle(BUNDLE)


@pytest.mark.parametrize("depth", [90, 150, 5_000])
def test_what_is_nested_too_deeply_is_refused_in_words(depth):
    anything_is_answered(nested(depth))
    for field in ("tasks", "pod", "input", "start"):
        answered(warnings_about, {**WORKFLOW, "spec": {**WORKFLOW["spec"], field: nested(depth)}})


@given(json_values)
def test_any_json_is_no_workflow_profile_or_bundle_or_is_one(found):
    anything_is_answered(found)


def anything_is_answered(found):
    for kind in (WORKFLOW, PROFILE, BUNDLE):
        answered(parse_code_bundle, found)
        answered(parse_code_bundle, {**kind, "spec": found})
        answered(warnings_about, {**WORKFLOW, "spec": found})
        answered(usable, {**PROFILE, "spec": found})


@given(mutated(WORKFLOW))
@example({**WORKFLOW, "spec": {**WORKFLOW["spec"], "input": {"n": 10**400}}})
def test_a_damaged_workflow_is_refused_in_words_or_has_pods_that_can_be_made(found):
    if not isinstance(found, dict):
        return
    answered(warnings_about, found)
    made = answered(runnable, found)
    if made is None:
        return
    read = program.read(found)
    for number, task in enumerate(read.tasks.values()):
        runner = pods.Runner(RUN, "image", "http://api", "secret", "")
        try:
            pods.build(runner, task, AttemptRef(number, 1), laid_over(read.spec.pod), {"b": "1"})
        except pods.UnknownInputError:
            assert task.container


@given(mutated({"run": WORKFLOW, "plan": PLAN}))
def test_a_damaged_plan_of_a_bundle_is_refused_in_words(found):
    match found:
        case {"run": {"spec": dict(spec), **run}, "plan": dict(plan)}:
            kept = {name: part for name, part in spec.items() if name not in PLAN}
            answered(runnable, {**run, "spec": kept}, plan)


@given(mutated(PROFILE))
def test_a_damaged_profile_is_refused_in_words(found):
    if isinstance(found, dict):
        answered(usable, found)


@given(mutated(BUNDLE))
def test_a_damaged_bundle_object_is_refused_in_words(found):
    answered(parse_code_bundle, found)
