"""The first program as pods: submit it, look at it as a user would, print its result."""

import os
import subprocess
import sys

from kubernetes import client
from kubernetes.client.exceptions import ApiException

from cluster_access import ROOT, binary, connect, kubeconfig

NAMESPACE = "graflow-demo"
NAME = "etl-demo"
PROGRAM = "examples/01-etl/workflow.py"
CONFLICT = 409


def show(*words: str) -> str:
    """Print a command as a user would type it, then what it prints."""
    print(f"\n$ {' '.join(words)}", flush=True)
    program = {"kubectl": [binary("kubectl")], "graflow": [sys.executable, "-m", "graflow"]}
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig())}
    done = subprocess.run(
        [*program[words[0]], *words[1:]],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    print(done.stdout, end="", flush=True)
    if done.returncode:
        raise SystemExit(f"demo: the command above ended with {done.returncode}")
    return done.stdout


def prepare() -> None:
    """Start from nothing: a namespace without an earlier run of the demo."""
    api = connect()
    try:
        client.CoreV1Api(api).create_namespace({"metadata": {"name": NAMESPACE}})
    except ApiException as error:
        if error.status != CONFLICT:
            raise
    where = ("graflow.dev", "v1alpha1", NAMESPACE, "workflows")
    client.CustomObjectsApi(api).delete_collection_namespaced_custom_object(*where)


def main() -> None:
    """Run the demo; the last line is the result."""
    prepare()
    here = ("-n", NAMESPACE)
    show("graflow", "submit", PROGRAM, "--wait", "--name", NAME, *here)
    show("graflow", "status", NAME, *here)
    show("kubectl", "get", "workflows.graflow.dev,pods", *here)
    pod = f"graflow.dev/workflow={NAME},graflow.dev/task=load"
    show("kubectl", "logs", "-l", pod, *here)
    show("graflow", "logs", NAME, "load", *here)


if __name__ == "__main__":
    main()
