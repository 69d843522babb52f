"""Another installation of the chart, beside the one under test."""

import json
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path

CHART = Path(__file__).resolve().parents[2] / "charts" / "graflow"
RELEASE, SYSTEM = "graflow", "graflow-system"


@contextmanager
def installed_beside(kubectl, instance, namespace, settings):
    """Install the chart once more, with the images and the store of the installation there is.

    Args:
        kubectl: Path of the command; helm is beside it, or in PATH.
        instance: Id of the installation, as Workflows name it.
        namespace: Of the installation; it is made, and deleted at the end.
        settings: Values of the chart besides.
    """
    own = Path(kubectl).with_name("helm")
    helm = str(own) if own.exists() else shutil.which("helm")
    assert helm, "no helm: `make test-e2e` starts a cluster that brings one"

    def run(*words, given=None):
        done = subprocess.run(words, input=given, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"
        return done.stdout

    values = json.loads(run(helm, "get", "values", RELEASE, "--namespace", SYSTEM, "-o", "json"))
    own = {"operator": instance, "crds": {"install": False}, "profiles": [], "watchNamespaces": []}
    values = {**(values or {}), **own, **settings}
    made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    run(kubectl, "apply", "-f", "-", given=json.dumps(made))
    if secret := (values.get("store") or {}).get("existingSecret"):
        found = json.loads(run(kubectl, "-n", SYSTEM, "get", "secret", secret, "-o", "json"))
        found["metadata"] = {"name": secret, "namespace": namespace}
        run(kubectl, "apply", "-f", "-", given=json.dumps(found))
    try:
        run(
            *(helm, "upgrade", "--install", RELEASE, str(CHART), "--namespace", namespace),
            *("--values", "-", "--wait", "--timeout", "3m"),
            given=json.dumps(values),
        )
        yield
    finally:
        run(helm, "uninstall", RELEASE, "--namespace", namespace, "--ignore-not-found")
        run(kubectl, "delete", "namespace", namespace, "--ignore-not-found", "--wait=false")
