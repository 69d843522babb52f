"""The definitions on a real API server: explained, enforced, shown in columns."""

import json
from pathlib import Path

import pytest
import yaml

from graflow.api.parse import parse_feedback_request
from support.questions import ANSWER_OF, AT, raw_spec

ROOT = Path(__file__).resolve().parents[2]
KINDS = {"workflows": "Workflow", "codebundles": "CodeBundle"}
TASK = {"name": "a", "script": "return 1"}


def paths(schema, path):
    """Yield every field of a generated definition, as `kubectl explain` writes it."""
    inner = schema.get("items", schema)
    for name, field in inner.get("properties", {}).items():
        yield f"{path}.{name}"
        yield from paths(field, f"{path}.{name}")


def defined(plural, part):
    crd = yaml.safe_load((ROOT / "crds" / f"{plural}.graflow.dev.yaml").read_text())
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    return list(paths({"properties": {part: schema[part]}}, f"{plural}.graflow.dev"))


@pytest.mark.parametrize(
    ("plural", "part"),
    [
        ("workflows", "spec"),
        ("workflows", "status"),
        ("codebundles", "spec"),
        ("runnerprofiles", "spec"),
        ("feedbackrequests", "spec"),
        ("feedbackrequests", "status"),
    ],
)
def test_kubectl_explains_every_field(plural, part, cluster):
    silent = []
    for path in defined(plural, part):
        told = cluster.kubectl("explain", path)
        if "<empty>" in told or "DESCRIPTION:" not in told:
            silent.append(path)
    assert silent == []


def dry_run(cluster, manifest):
    return cluster.run(
        cluster.kubectl_path,
        *("-n", cluster.namespace, "apply", "--server-side", "--dry-run=server", "-f", "-"),
        stdin=json.dumps(manifest),
    )


def test_every_kind_of_task_is_accepted_by_the_api_server(cluster, workflow):
    tasks = [
        TASK,
        {"name": "b", "entrypoint": "mypackage.etl:transform", "params": ["a"]},
        {"name": "c", "after": ["H"], "container": {"image": "alpine:3", "args": ["$(inputs.H)"]}},
        {
            "name": "d",
            "after": ["c", "d"],
            "function": "d",
            "retry": {"maxAttempts": 3, "initialSeconds": 0.5},
            "timeoutSeconds": 60,
            "pod": {
                "image": "me/etl:1",
                "imagePullPolicy": "Always",
                "resources": {"limits": {"cpu": 1, "memory": "1Gi"}},
                "tolerations": [{"key": "gpu", "operator": "Exists"}],
                "env": [
                    {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}
                ],
            },
        },
    ]
    groups = [
        {"name": "G", "members": ["a"], "policy": {"type": "AtLeast", "minimum": 1}},
        {
            "name": "H",
            "members": ["b"],
            "after": ["G"],
            "policy": {"type": "Custom", "function": "H"},
            "retry": {"maxAttempts": 2},
        },
    ]
    bundle = {"name": "code-x", "sha256": "0" * 64}
    value = {"n": 3, "nothing": None, "deep": [{"a": [1, 2.5, "x"]}]}
    made = workflow("all", tasks, groups=groups, bundle=bundle, input=value, start=["G"])
    done = dry_run(cluster, made)
    assert done.code == 0, done.err


@pytest.mark.parametrize(
    ("tasks", "spec", "words"),
    [
        ([{**TASK, "function": "f"}], {}, "a task has exactly one of function, entrypoint, script"),
        ([{"name": "a"}], {}, "a task has exactly one of function, entrypoint, script"),
        ([{**TASK, "scirpt": "x"}], {}, "spec.tasks[0].scirpt: field not declared in schema"),
        ([{**TASK, "name": ""}], {}, "spec.tasks[0].name"),
        ([], {}, "a workflow has tasks, or a bundle that has them"),
        (
            [TASK],
            {"groups": [{"name": "G", "members": ["a"], "policy": {"type": "AtLeast"}}]},
            "policy.minimum goes with type AtLeast, and only with it",
        ),
        (
            [TASK],
            {"groups": [{"name": "G", "members": ["a"], "policy": {"type": "Custom"}}]},
            "policy.function goes with type Custom, and only with it",
        ),
        (
            [TASK],
            {"groups": [{"name": "G", "members": ["a"], "policy": {"type": "Most"}}]},
            'supported values: "Strict", "BestEffort", "AtLeast", "Critical", "Custom"',
        ),
    ],
    ids=[
        "two kinds",
        "no kind",
        "typo",
        "no name",
        "no tasks",
        "no minimum",
        "no function",
        "no such policy",
    ],
)
def test_a_bad_workflow_is_refused_by_the_api_server(tasks, spec, words, cluster, workflow):
    done = dry_run(cluster, workflow("bad", tasks, **spec))
    assert done.code != 0
    assert words in done.err


def patched(cluster, patch):
    return cluster.kubectl(
        *("patch", "workflows.graflow.dev", "w", "--type=merge", "-p", json.dumps(patch)),
        check=False,
    )


def test_a_spec_changes_only_where_it_may(cluster, workflow):
    made = workflow("w", [TASK], operator="nobody", input={"k": {"deep": [1]}})
    assert cluster.apply(made).code == 0
    for field, value in {
        "tasks": [{**TASK, "script": "return 2"}],
        "bundle": {"name": "code-x", "sha256": "0" * 64},
        "input": {"k": {"deep": [2]}},
        "maxSteps": 5,
        "operator": None,
        "pod": {"image": "x"},
    }.items():
        assert f"spec.{field} cannot be changed" in patched(cluster, {"spec": {field: value}})
    changes = {
        "suspend": True,
        "parallelism": 2,
        "activeDeadlineSeconds": 9,
        "ttlSecondsAfterFinished": 9,
    }
    assert "patched" in patched(cluster, {"spec": changes})
    assert "patched" in patched(cluster, {"spec": {"cancel": True}})
    assert "spec.cancel cannot be taken back" in patched(cluster, {"spec": {"cancel": False}})


def test_a_code_bundle_cannot_change_and_is_named_by_its_content(cluster):
    sha256 = "ab" * 32
    bundle = {
        "apiVersion": "graflow.dev/v1alpha1",
        "kind": "CodeBundle",
        "metadata": {"name": "code-" + sha256[:40]},
        "spec": {
            "sha256": sha256,
            "size": 1,
            "pythonVersion": "3.11",
            "cloudpickleVersion": "3.1",
            "zip": "AA==",
        },
    }
    assert cluster.apply(bundle).code == 0
    bundle["spec"]["size"] = 2
    assert "a CodeBundle cannot be changed" in cluster.apply(bundle).err
    bundle["metadata"]["name"] = "mine"
    assert "is named code-<first 40 characters" in cluster.apply(bundle).err


def test_kubectl_get_shows_where_a_run_stands(cluster, workflow):
    assert cluster.apply(workflow("w", [TASK], operator="nobody")).code == 0
    status = {
        "phase": "Running",
        "progress": "3/7",
        "reason": "StoreUnavailable",
        "waiting": [{"task": "a", "reason": "Unschedulable"}],
        "result": {"json": 6},
    }
    patch = json.dumps({"status": status})
    cluster.kubectl(
        *("patch", "workflows.graflow.dev", "w"),
        *("--subresource=status", "--type=merge", "-p", patch),
    )
    head, line = cluster.kubectl("get", "gwf").splitlines()
    assert head.split() == ["NAME", "PHASE", "PROGRESS", "WAITING", "AGE"]
    assert line.split()[:4] == ["w", "Running", "3/7", "Unschedulable"]
    head, line = cluster.kubectl("get", "workflows.graflow.dev", "-o", "wide").splitlines()
    assert head.split()[-2:] == ["REASON", "RESULT"]
    assert line.split()[-2:] == ["StoreUnavailable", '{"json":6}']
    assert "w" in cluster.kubectl("get", "graflow", "-o", "name")


def test_a_thousand_tasks_are_within_the_rules_cost(cluster, workflow):
    tasks = [{"name": f"t{n}", "after": [f"t{n - 1}"] if n else [], **TASK} for n in range(1000)]
    tasks = [{**task, "name": f"t{n}"} for n, task in enumerate(tasks)]
    made = workflow("w", tasks, operator="nobody", edges=[["t0", "t1"]] * 2000)
    assert dry_run(cluster, made).code == 0
    done = cluster.run(
        cluster.kubectl_path, "-n", cluster.namespace, "create", "-f", "-", stdin=json.dumps(made)
    )
    assert done.code == 0, done.err
    assert "patched" in patched(cluster, {"spec": {"suspend": True}})


ASKED = "feedbackrequests.graflow.dev"
LATER = "2026-11-30T15:00:01.5Z"


def question(kind="approval", name="q", **more):
    """Return a question that no operator looks at."""
    head = {"apiVersion": "graflow.dev/v1alpha1", "kind": "FeedbackRequest"}
    spec = raw_spec(kind, operator="nobody", **more)
    made = {**head, "metadata": {"name": name}, "spec": spec}
    assert parse_feedback_request(made)
    return made


def said(asked, by="ann", **words):
    """Return a response to it, as the API server keeps it."""
    spec = asked["spec"]
    head = {"by": by, "at": AT, "how": "API", "sha256": spec["sha256"]}
    return {**head, **(words or ANSWER_OF[spec["type"]])}


def write_status(cluster, status, name="q"):
    """Merge into the status; return what kubectl said."""
    words = ("--subresource=status", "--type=merge", "--patch-file=/dev/stdin")
    patch = json.dumps({"status": status})  # longer than an argument may be
    return cluster.kubectl("patch", ASKED, name, *words, stdin=patch, check=False)


@pytest.mark.parametrize("kind", ANSWER_OF)
def test_a_question_of_each_type_is_kept_and_answered(kind, cluster):
    asked = question(kind)
    made = cluster.apply(asked)
    assert made.code == 0, made.err
    assert cluster.get(ASKED, "q")["spec"] == asked["spec"]
    assert "patched" in write_status(cluster, {"phase": "Pending", "responses": [said(asked)]})
    done = {"phase": "Answered", "message": "answered by ann", "answer": ANSWER_OF[kind]}
    assert "patched" in write_status(cluster, done)


TIMED = {"timeoutSeconds": 60, "deadline": "2026-11-30T16:00:00Z"}


@pytest.mark.parametrize(
    ("kind", "wrong", "words"),
    [
        ("text", {"options": ["a"]}, "options go with types selection and multi_selection"),
        ("selection", {"options": ["a", "b", "a"]}, "each of the options is there once"),
        ("text", {"schema": {}}, "schema goes with type custom"),
        ("text", {"approvals": 2}, "approvals over 1 go with type approval"),
        ("text", {"payload": {}}, "a payload is exactly one of text, markdown, blob"),
        ("text", {"submitterMayAnswer": False}, "submitterMayAnswer: false takes a submitter"),
        ("text", {"timeoutSeconds": 5}, "deadline goes with timeoutSeconds"),
        ("text", {"onDeadline": {"action": "Fail"}}, "onDeadline goes with timeoutSeconds"),
        ("text", {**TIMED, "onDeadline": {"action": "Goto"}}, "task goes with action Goto"),
        (
            "text",
            {**TIMED, "onDeadline": {"action": "Default"}},
            "default goes with action Default",
        ),
        ("text", {**TIMED, "onDeadline": {"action": "Escalate"}}, "to goes with action Escalate"),
        ("text", {**TIMED, "onDeadline": {"action": "Fail", "seconds": 1}}, "seconds goes with"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " in value else "",
)
def test_a_question_that_makes_no_sense_is_refused_by_the_api_server(kind, wrong, words, cluster):
    refused = dry_run(cluster, question(kind, **wrong))
    assert refused.code != 0
    assert words in refused.err


def test_a_deadline_is_in_utc_or_refused(cluster):
    asked = question(**TIMED)
    asked["spec"]["deadline"] = "2026-11-30T17:00:00+01:00"
    refused = dry_run(cluster, asked)
    assert "spec.deadline" in refused.err


def test_what_was_asked_cannot_be_changed(cluster):
    assert cluster.apply(question()).code == 0
    patch = ("--type=merge", "-p", json.dumps({"spec": {"prompt": "Something else?"}}))
    told = cluster.kubectl("patch", ASKED, "q", *patch, check=False)
    assert "a question cannot be changed once it is asked" in told


def test_answers_are_appended_to_and_never_changed_or_removed(cluster):
    asked = question(approvals=3)
    assert cluster.apply(asked).code == 0
    ann, bob = said(asked, "ann"), said(asked, "bob")
    assert "patched" in write_status(cluster, {"responses": [ann]})
    kept = "status.responses are appended to and never changed or removed"
    for wrong in ([bob], [bob, ann], [], [{**ann, "reason": "other"}], [{**ann, "at": LATER}, bob]):
        assert kept in write_status(cluster, {"responses": wrong})
    assert "patched" in write_status(cluster, {"responses": [ann, bob]})
    again = write_status(cluster, {"responses": [ann, bob, {**ann, "at": LATER}]})
    assert "ann has approved this already; it takes somebody else" in again


def test_whoever_comes_second_is_told_who_was_first_and_when(cluster):
    asked = question()
    assert cluster.apply(asked).code == 0
    ann, bob = said(asked, "ann"), said(asked, "bob", approved=False)
    assert "patched" in write_status(cluster, {"phase": "Pending", "responses": [ann]})
    early = write_status(cluster, {"responses": [ann, bob]})
    assert f"this question is answered: by ann, at {AT}" in early
    decided = {"phase": "Answered", "message": "approved by ann", "decidedAt": LATER}
    assert "patched" in write_status(cluster, {**decided, "answer": {"approved": True}})
    late = write_status(cluster, {"responses": [ann, bob]})
    assert f"this question is Answered: approved by ann, at {LATER}; nobody can answer" in late
    for wrong in ({"phase": "Withdrawn"}, {"answer": {"approved": False}}, {"answer": None}):
        assert "what has become of a question stays" in write_status(cluster, wrong)
    sent = {"target": "slack", "event": "Answered", "phase": "Delivered"}
    assert "patched" in write_status(cluster, {"notifications": [sent]})


def test_a_rejection_decides_while_approvals_are_missing(cluster):
    asked = question(approvals=3)
    assert cluster.apply(asked).code == 0
    no, yes = said(asked, "ann", approved=False), said(asked, "bob")
    assert "patched" in write_status(cluster, {"responses": [no]})
    told = write_status(cluster, {"responses": [no, yes]})
    assert "this question is answered: by ann" in told


@pytest.mark.parametrize(
    ("kind", "wrong", "words"),
    [
        ("approval", {"text": "yes"}, "a question of type approval is answered with the field"),
        ("text", {"text": ""}, "text: an answer has words"),
        ("selection", {"selected": "green"}, 'selected: "green" is none of spec.options'),
        (
            "multi_selection",
            {"selectedMultiple": ["red", "red"]},
            "some of spec.options, each once",
        ),
        ("multi_selection", {"selectedMultiple": ["green"]}, "some of spec.options, each once"),
        ("custom", {"selected": "red"}, "a question of type custom is answered with the field"),
        ("approval", {"approved": True, "sha256": "0" * 64}, "it answers something else than is"),
    ],
)
def test_what_is_no_answer_is_refused_by_the_api_server(kind, wrong, words, cluster):
    asked = question(kind)
    assert cluster.apply(asked).code == 0
    assert words in write_status(cluster, {"responses": [said(asked, **wrong)]})


def test_of_json_the_operator_alone_can_tell_whether_it_is_an_answer(cluster):
    asked = question("custom")
    assert cluster.apply(asked).code == 0
    first = said(asked, custom={"n": "one"})
    assert "patched" in write_status(cluster, {"responses": [first]})
    assert "patched" in write_status(cluster, {"responses": [first, said(asked)]})


def test_the_largest_question_and_fifty_answers_are_within_the_rules_cost(cluster):
    options = [f"{n:0500}" for n in range(100)]
    people = [f"p{n:01000}" for n in range(50)]
    largest = question(
        "multi_selection",
        "large",
        options=options,
        prompt="?" * 8192,
        payload={"text": "x" * 32_000},
        assignees={"users": people},
    )
    many = question(approvals=50, assignees={"users": people})
    for made in (largest, many):
        done = cluster.run(
            *(cluster.kubectl_path, "-n", cluster.namespace, "create", "-f", "-"),
            stdin=json.dumps(made),
        )
        assert done.code == 0, done.err
    chosen = said(largest, selectedMultiple=options)
    assert "patched" in write_status(cluster, {"responses": [chosen]}, "large")
    answers = [said(many, by, approved=True, reason="r" * 4000) for by in people]
    for count in (49, 50):
        told = write_status(cluster, {"responses": answers[:count]})
        assert "patched" in told


def test_kubectl_get_feedback_shows_what_is_asked_and_until_when(cluster):
    asked = question(**TIMED)
    assert cluster.apply(asked).code == 0
    write_status(cluster, {"phase": "Pending", "message": "now others are asked"})
    head, line = cluster.kubectl("get", "feedback").splitlines()
    assert head.split() == ["NAME", "PHASE", "WORKFLOW", "TASK", "TYPE", "DEADLINE", "AGE"]
    assert line.split()[:-1] == ["q", "Pending", "w", "t", "approval", TIMED["deadline"]]
    head, line = cluster.kubectl("get", "feedback", "-o", "wide").splitlines()
    assert head.split()[-2:] == ["PROMPT", "MESSAGE"]
    assert line.endswith("Well?    now others are asked")
    assert f"{ASKED}/q" in cluster.kubectl("get", "graflow", "-o", "name").replace(
        "feedbackrequest.graflow.dev", ASKED
    )
