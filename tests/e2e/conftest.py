"""A real cluster: a namespace per test, kubectl and graflow as users call them."""

import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client, config, watch

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(__file__).parent / "programs"
EXAMPLES = ROOT / "examples"
RUNNER_IMAGE = os.environ.get("GRAFLOW_RUNNER_IMAGE", "localhost/graflow-runner:dev")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-provoked",
        action="store_true",
        help="write docs/reference/provoked-faults.md from what is seen instead of comparing",
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.timeout(300))


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Cluster:
    """What a user has: a kubeconfig, a namespace, kubectl and graflow."""

    kubectl_path: str
    namespace: str

    def run(self, *words: str, stdin: str | None = None) -> Ran:
        done = subprocess.run(
            words, input=stdin, capture_output=True, text=True, cwd=ROOT, timeout=280, check=False
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def kubectl(self, *words: str, stdin: str | None = None, check: bool = True) -> str:
        ran = self.run(self.kubectl_path, "-n", self.namespace, *words, stdin=stdin)
        if check:
            assert ran.code == 0, f"kubectl {' '.join(words)}: {ran.err}"
        return ran.out if ran.code == 0 else ran.err

    def get(self, kind: str, name: str = "", *more: str) -> Any:
        return json.loads(self.kubectl("get", kind, *([name] if name else []), *more, "-o", "json"))

    def graflow(self, *words: str) -> Ran:
        return self.run(sys.executable, "-m", "graflow", *words)

    def submit(self, program: Path, *more: str) -> Ran:
        return self.graflow("submit", str(program), "--wait", "-n", self.namespace, *more)

    def apply(self, manifest: dict[str, Any]) -> Ran:
        text = json.dumps(manifest)
        return self.run(self.kubectl_path, "-n", self.namespace, "apply", "-f", "-", stdin=text)

    def wait(self, name: str, condition: str = "Finished", seconds: int = 120) -> dict[str, Any]:
        """Wait for a condition of a Workflow and return the whole object."""
        which = f"workflows.graflow.dev/{name}"
        self.kubectl("wait", f"--for=condition={condition}", which, f"--timeout={seconds}s")
        found: dict[str, Any] = self.get("workflows.graflow.dev", name)
        return found

    @contextmanager
    def submitting(self, program: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """Submit a program and wait for it in the background."""
        words = (sys.executable, "-m", "graflow", "submit", str(program), "--wait")
        with subprocess.Popen(
            [*words, "-n", self.namespace, "--", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def first_running_pod(self) -> str:
        """Wait until a pod of the namespace runs and return its name."""
        core = client.CoreV1Api(config.new_client_from_config(os.environ["KUBECONFIG"]))
        for event in watch.Watch().stream(
            core.list_namespaced_pod, self.namespace, timeout_seconds=120
        ):
            if event["object"].status.phase == "Running":
                return str(event["object"].metadata.name)
        raise AssertionError("no pod has started within two minutes")

    def pods(self, workflow: str) -> list[dict[str, Any]]:
        selector = f"graflow.dev/workflow={workflow}"
        items: list[dict[str, Any]] = self.get("pods", "", "-l", selector)["items"]
        return items

    def attempts(self) -> list[tuple[str, str, str]]:
        """Return run, activation and attempt of every pod in the namespace, in order."""
        labels = [pod["metadata"]["labels"] for pod in self.get("pods")["items"]]
        which = ("graflow.dev/run", "graflow.dev/activation", "graflow.dev/attempt")
        return sorted(tuple(one[label] for label in which) for one in labels)


@pytest.fixture(scope="session")
def kubectl_path() -> str:
    os.environ.setdefault("KUBECONFIG", str(ROOT / ".cluster" / "kubeconfig"))
    own = ROOT / ".cluster" / "bin" / "kubectl"
    found = str(own) if own.exists() else shutil.which("kubectl")
    assert found, "no kubectl: `make test-e2e` starts a cluster that brings one"
    return found


@contextmanager
def namespace(kubectl_path: str, labels: Mapping[str, str] | None = None) -> Iterator[Cluster]:
    """Make a namespace, and let it go at the end."""
    name = f"e2e-{secrets.token_hex(4)}"
    metadata = {"name": name, "labels": {**(labels or {})}}
    body = json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    run = partial(subprocess.run, check=True, capture_output=True)
    run([kubectl_path, "create", "-f", "-"], input=body.encode())
    try:
        yield Cluster(kubectl_path, name)
    finally:
        run([kubectl_path, "delete", "namespace", name, "--wait=false", "--ignore-not-found"])


@pytest.fixture
def cluster(kubectl_path: str) -> Iterator[Cluster]:
    with namespace(kubectl_path) as found:
        yield found


def manifest(name: str, tasks: list[dict[str, Any]], **spec: Any) -> dict[str, Any]:
    """Make a hand-written Workflow: a name, tasks, and whatever else its spec has."""
    return {
        "apiVersion": "graflow.dev/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": name},
        "spec": {"tasks": tasks, **spec},
    }


@pytest.fixture
def workflow() -> Callable[..., dict[str, Any]]:
    return manifest


def condition(workflow: dict[str, Any], kind: str) -> dict[str, Any]:
    """Return a condition of a Workflow by its type."""
    found: dict[str, Any] = next(c for c in workflow["status"]["conditions"] if c["type"] == kind)
    return found
