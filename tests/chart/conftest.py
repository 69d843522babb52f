"""Helm, and what it makes of the chart."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "graflow"

Render = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="session")
def helm() -> Callable[..., subprocess.CompletedProcess[str]]:
    own = ROOT / ".cluster" / "bin" / "helm"
    found = os.environ.get("HELM") or (str(own) if own.exists() else shutil.which("helm"))
    if not found:
        pytest.fail("no helm: name one in HELM, or start a cluster that brings one: make cluster")

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([found, *words], capture_output=True, text=True, check=False)

    return run


@pytest.fixture(scope="session")
def render(helm: Callable[..., subprocess.CompletedProcess[str]]) -> Render:
    """Return the objects of a release, with options as for `helm template`."""

    def run(*words: str, name: str = "graflow") -> list[dict[str, Any]]:
        done = helm("template", name, str(CHART), "--namespace", "graflow-system", *words)
        assert done.returncode == 0, done.stderr
        return [found for found in yaml.safe_load_all(done.stdout) if found]

    return run
