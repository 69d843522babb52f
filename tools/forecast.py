"""What `make demo` is about to build, and how long that takes; the standard library is enough."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def forecast(named: str) -> list[str]:
    """Return one line for each part: what, and about how long on two cores.

    Args:
        named: What KUBECONFIG was set to by the user, or "".
    """
    lines = []
    if not (ROOT / ".venv" / ".installed").exists():
        lines.append(".venv with the exact versions of requirements-dev.lock: about 2 min")
    if named and not Path(named).resolve().is_relative_to(ROOT / ".cluster"):
        lines.append(f"the cluster of {named}, which is there already: nothing is built")
    else:
        cache = Path(os.environ.get("GRAFLOW_CACHE") or Path.home() / ".cache" / "graflow")
        cluster = "under 1 min" if cache.exists() else "about 20 min, once"
        lines.append(f"a one-node Kubernetes and an S3 server on this machine: {cluster}")
        lines.append("the images of the operator and the runner: 2 min, or less if built before")
    lines.append("the chart, then the program as three pods: under 1 min")
    return lines


if __name__ == "__main__":
    print("demo: from nothing to the first program's result, printed by a pod")
    for line in forecast(os.environ.get("NAMED_CLUSTER", "")):
        print(f"demo:   {line}", flush=True)
