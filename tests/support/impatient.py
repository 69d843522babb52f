"""A second installation beside the one under test, whose patience is short enough for tests."""

import json
import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path

CHART = Path(__file__).resolve().parents[2] / "charts" / "graflow"
RELEASE, SYSTEM = "graflow", "graflow-system"
INSTANCE = NAMESPACE = "impatient"
CONFIGURATION_S = 30
NODE_LOST_S = 5
SETTINGS = {
    "operator": INSTANCE,
    "crds": {"install": False},
    "rbac": {"aggregate": False},
    "profiles": [],
    "faults": {"configurationSeconds": CONFIGURATION_S, "nodeLostSeconds": NODE_LOST_S},
}


@contextmanager
def installed(kubectl):
    """Install the chart once more, with the images and the store of the installation there is.

    GRAFLOW_IMPATIENT names the instance of an operator that runs already, as a developer's own.
    """
    if already := os.environ.get("GRAFLOW_IMPATIENT"):
        yield already, NAMESPACE
        return
    own = Path(kubectl).with_name("helm")
    helm = str(own) if own.exists() else shutil.which("helm")
    assert helm, "no helm: `make test-e2e` starts a cluster that brings one"

    def run(*words, given=None):
        done = subprocess.run(words, input=given, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"
        return done.stdout

    values = json.loads(run(helm, "get", "values", RELEASE, "--namespace", SYSTEM, "-o", "json"))
    values = {**(values or {}), **SETTINGS, "replicas": 1, "watchNamespaces": []}
    made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    run(kubectl, "apply", "-f", "-", given=json.dumps(made))
    if secret := (values.get("store") or {}).get("existingSecret"):
        found = json.loads(run(kubectl, "-n", SYSTEM, "get", "secret", secret, "-o", "json"))
        found["metadata"] = {"name": secret, "namespace": NAMESPACE}
        run(kubectl, "apply", "-f", "-", given=json.dumps(found))
    try:
        run(
            *(helm, "upgrade", "--install", RELEASE, str(CHART), "--namespace", NAMESPACE),
            *("--values", "-", "--wait", "--timeout", "3m"),
            given=json.dumps(values),
        )
        yield INSTANCE, NAMESPACE
    finally:
        run(helm, "uninstall", RELEASE, "--namespace", NAMESPACE, "--ignore-not-found")
        run(kubectl, "delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false")
