"""What tasks decide, as runners report it: read with words for what is wrong, and within bounds."""

import pytest

from graflow.api.directives import (
    MAX_DIRECTIVES,
    MAX_NODES,
    code_at,
    directive_of,
    fragment_plan,
    function_at,
    parse_directives,
    task_at,
)
from graflow.api.errors import InvalidWorkflow
from graflow.machine.directives import Cancel, Iterate, Jump, Spawn, Terminate
from graflow.machine.plan import Custom, Exit, GroupPlan, Retry, TaskPlan
from graflow.machine.plan_codec import decode_plan, encode_plan

CODE = {"pickle": "AAAA"}
FRAGMENT = {
    "tasks": [
        {"name": "t1", "function": "t1", "retry": {"maxAttempts": 2}, "params": ["x"]},
        {"name": "t2", "function": "known", "pod": {"image": "mine:1"}},
    ],
    "groups": [
        {
            "name": "P",
            "members": ["t1", "t2"],
            "policy": {"type": "Custom", "function": "P"},
            "retry": {"maxAttempts": 3},
            "position": 0,
        }
    ],
    "edges": [["P", "out"]],
    "exits": ["out"],
    "start": ["P"],
    "code": {"t1": CODE, "P": CODE},
}


def spawn(**changes):
    return [{"kind": "Spawn", "fragment": {**FRAGMENT, **changes}}]


def refusal(raw):
    with pytest.raises(InvalidWorkflow) as caught:
        parse_directives(raw)
    return [(problem.field, problem.message) for problem in caught.value.problems]


def test_directives_become_those_of_the_machine_in_their_order():
    found = parse_directives(
        [
            {"kind": "Jump", "target": "x", "reason": "why"},
            {"kind": "Iteration", "again": {"data": {"json": 1}}, "reason": "more"},
            {"kind": "Termination", "message": "done"},
            {"kind": "Cancellation", "message": "no"},
        ]
    )
    again = {"data": {"json": 1}}
    assert [directive_of(one, again=again) for one in found] == [
        Jump("x", "why"),
        Iterate(again, "more"),
        Terminate("done"),
        Cancel("no"),
    ]


def test_t3_a_fragment_becomes_a_plan_that_keeps_its_tasks_as_written_and_their_code():
    [found] = parse_directives(spawn())
    plan = fragment_plan(found.fragment, {"t1": CODE, "P": CODE})
    # What a crash leaves is JSON.
    plan = decode_plan(encode_plan(plan))
    retry = Retry(2, initial_s=1.0)
    assert plan.nodes == (
        GroupPlan("P", ("t1", "t2"), Custom(), Retry(3, initial_s=1.0)),
        TaskPlan("t1", retry),
        TaskPlan("t2"),
        Exit("out"),
    )
    assert (plan.edges, plan.start, plan.params) == ((("P", "out"),), ("P",), {"t1": ("x",)})
    assert task_at(plan, "t2").pod.image == "mine:1"
    assert [task_at(plan, name) for name in ("P", "out", "none")] == [None] * 3
    assert [code_at(plan, name) for name in ("t1", "P", "t2")] == [CODE, CODE, None]
    assert [function_at(plan, name) for name in ("t1", "P", "t2", "out")] == [
        *("t1", "P", "known"),
        None,
    ]
    assert directive_of(found, fragment=plan) == Spawn(plan)


@pytest.mark.parametrize(
    ("raw", "field", "words"),
    [
        ({}, "directives", "must be a list"),
        ([3], "directives[0].kind", "it is one of Jump, Spawn, Iteration"),
        ([{"kind": "Jmp"}], "directives[0].kind", "'Jmp' is not known"),
        ([{"kind": ["Jump"]}], "directives[0].kind", "is not known"),
        ([{"kind": "Jump"}], "directives[0].target", "is required"),
        ([{"kind": "Jump", "target": ""}], "directives[0].target", "at least 1"),
        ([{"kind": "Jump", "target": "x" * 300}], "directives[0].target", "at most 200"),
        ([{"kind": "Jump", "target": "x", "to": 1}], "directives[0]", "unknown field 'to'"),
        ([{"kind": "Termination", "message": "x" * 2000}], "directives[0].message", "at most 1024"),
        ([{"kind": "Iteration", "again": 3}], "directives[0].again", "must be a mapping"),
        ([{"kind": "Spawn"}], "directives[0].fragment", "is required"),
        (spawn(start=[]), "directives[0].fragment.start", "at least 1"),
        (spawn(edges=[["P"]]), "directives[0].fragment.edges[0]", "at least 2"),
        (spawn(code={"x": CODE}), "directives[0].fragment.code", "'x' is no task"),
        (
            spawn(tasks=[{"name": "t", "function": "t", "after": ["x"]}], code={}),
            "directives[0].fragment.tasks[0].after",
            "its edges are in edges",
        ),
        (
            spawn(tasks=[{"name": "t"}], code={}),
            "directives[0].fragment.tasks[0]",
            "exactly one of function",
        ),
        (
            spawn(groups=[{"name": "P", "members": ["t1"], "policy": {"type": "Custom"}}]),
            "directives[0].fragment.groups[0].policy.function",
            "goes with type Custom",
        ),
        (
            spawn(tasks=[{"name": "t", "function": "t"}] * (MAX_NODES + 1)),
            "directives[0].fragment.tasks",
            "at most 1000 items and has 1001",
        ),
        (
            [{"kind": "Jump", "target": "x"}] * (MAX_DIRECTIVES + 1),
            "directives",
            "may decide 100 moves in one pass, and this one decided 101",
        ),
        ([{"kind": "Jump", "target": "\ud800"}], "directives[0].target", "half a character"),
    ],
)
def test_what_is_no_directive_is_refused_with_its_field_and_the_way_out(raw, field, words):
    found = refusal(raw)
    assert any(at == field and words in message for at, message in found), found


def test_the_environment_of_a_made_task_is_checked_as_that_of_every_task():
    env = [{"name": "GRAFLOW_KEY", "value": "x"}]
    [(field, words)] = refusal(
        spawn(tasks=[{"name": "t1", "function": "t1", "pod": {"env": env}}], code={})
    )
    assert field == "directives[0].fragment.tasks[0].pod.env[0].name"
    assert "'GRAFLOW_KEY'" in words


@pytest.mark.parametrize(
    ("task", "field"),
    [
        ({"pod": {"serviceAccountName": "admin"}}, "pod.serviceAccountName"),
        (
            {"pod": {"env": [{"name": "K", "valueFrom": {"secretKeyRef": {"name": "s"}}}]}},
            "pod.env[0].valueFrom",
        ),
        ({"pod": {"envFrom": [{"secretRef": {"name": "s"}}]}}, "pod.envFrom"),
        ({"pod": {"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}}, "pod.volumes"),
        ({"pod": {"initContainers": [{"name": "i", "image": "i"}]}}, "pod.initContainers"),
        ({"pod": {"imagePullSecrets": [{"name": "s"}]}}, "pod.imagePullSecrets"),
        ({"pod": {"securityContext": {"runAsUser": 0}}}, "pod.securityContext"),
        ({"pod": {"priorityClassName": "high"}}, "pod.priorityClassName"),
    ],
)
def test_a_made_task_borrows_no_account_and_no_secret_of_its_namespace(task, field):
    made = {"name": "t1", "function": "t1", **task}
    [(at, words)] = refusal(spawn(tasks=[made], code={}))
    assert at == f"directives[0].fragment.tasks[0].{field}"
    assert "spec.pod of the Workflow" in words


def test_a_made_task_says_where_it_runs_and_names_a_profile():
    pod = {
        "image": "me/gpu:1",
        "resources": {"limits": {"nvidia.com/gpu": 1}},
        "nodeSelector": {"accelerator": "nvidia"},
        "tolerations": [{"operator": "Exists"}],
        "env": [{"name": "A", "value": "1"}],
        "labels": {"team": "x"},
    }
    made = {"name": "t1", "function": "t1", "profile": "gpu", "pod": pod}
    (told,) = parse_directives(spawn(tasks=[made], code={}))
    assert told.fragment.tasks[0].profile == "gpu"


def test_a_made_container_borrows_no_secret_either():
    env = [{"name": "K", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]
    made = {"name": "t1", "container": {"image": "i", "env": env}}
    [(at, _)] = refusal(spawn(tasks=[made], code={}))
    assert at == "directives[0].fragment.tasks[0].container.env[0].valueFrom"
