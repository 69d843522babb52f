"""The definitions on a real API server: explained, enforced, shown in columns."""

import json
from pathlib import Path

import pytest
import yaml

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
