"""Namespaces with rules of their own: Pod Security, quotas and limit ranges take what we make."""

import json
from collections.abc import Callable
from typing import Any

from e2e.conftest import EXAMPLES, RUNNER_IMAGE, Cluster

RULES = [
    {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "quota"},
        "spec": {"hard": {"requests.cpu": "2", "requests.memory": "2Gi", "limits.memory": "8Gi"}},
    },
    {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "metadata": {"name": "range"},
        "spec": {
            "limits": [
                {"type": "Container", "default": {"memory": "256Mi"}, "max": {"memory": "1Gi"}}
            ]
        },
    },
]


def test_a_namespace_with_restricted_pod_security_a_quota_and_a_limit_range_runs_every_kind(
    cluster: Cluster, workflow: Callable[..., dict[str, Any]]
) -> None:
    enforce = "pod-security.kubernetes.io/enforce=restricted"
    cluster.kubectl("label", "namespace", cluster.namespace, enforce)
    for rule in RULES:
        assert cluster.apply(rule).code == 0
    shell = {"image": RUNNER_IMAGE, "command": ["sh", "-c", "echo 3 > /dev/termination-log"]}
    tasks = [
        {"name": "script", "script": "return 1"},
        {"name": "point", "after": ["script"], "entrypoint": "json:dumps", "params": ["obj"]},
        {"name": "shell", "after": ["point"], "container": shell},
    ]
    assert cluster.apply(workflow("kinds", tasks)).code == 0
    [example] = (EXAMPLES / "01-etl").glob("*.py")
    ran = cluster.submit(example)
    assert ran.code == 0, ran.err
    assert cluster.wait("kinds", "Succeeded")["status"]["result"] == {"json": 3}
    pods = cluster.get("pods")["items"]
    assert len(pods) > len(tasks)
    for pod in pods:
        spec = pod["spec"]
        [container] = spec["containers"]
        assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False
        assert "volumes" not in spec, json.dumps(spec["volumes"])
        assert "volumeMounts" not in container
        assert container["resources"]["requests"] == {"cpu": "50m", "memory": "64Mi"}
        assert container["resources"]["limits"] == {"memory": "256Mi"}
