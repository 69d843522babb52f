"""Install the chart into the cluster in use, with the store of `make cluster` when that is it.

Elsewhere, name the store and the images in a values file: VALUES=my-values.yaml make install.
What an earlier installation there was given stays.
"""

import json
import os
import subprocess
import sys

from kubernetes import client
from kubernetes.client.exceptions import ApiException

from cluster_access import OWN, ROOT, binary, connect, is_own, kubeconfig

NAMESPACE = "graflow-system"
STORE_SECRET = "graflow-store"
CONFLICT = 409


def main() -> int:
    """Install or upgrade, and wait until the operator is ready."""
    if not kubeconfig().exists():
        print(
            f"install: {kubeconfig()} does not exist; unset KUBECONFIG and start a cluster: "
            "make cluster",
            file=sys.stderr,
        )
        return 1
    values = os.environ.get("VALUES")
    if is_own():
        settings = own_settings()
    elif values or installed():
        settings = ["--reset-then-reuse-values"]
    else:
        print(
            f"install: Graflow is not yet in the cluster of {kubeconfig()}; name its images and "
            "store in a file (charts/graflow/values.yaml lists what there is to say), then: "
            "VALUES=my-values.yaml make install",
            file=sys.stderr,
        )
        return 1
    if values:
        settings += ["--values", values]
    print(f"install: the chart into the cluster of {kubeconfig()}, up to 3 min", flush=True)
    command = [
        *(binary("helm"), "upgrade", "--install", "graflow", str(ROOT / "charts" / "graflow")),
        *("--namespace", NAMESPACE, "--create-namespace", "--wait", "--timeout", "3m", *settings),
    ]
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig())}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"install: helm failed: {done.stderr.strip()}", file=sys.stderr)
        return done.returncode
    print("install: the operator runs in namespace graflow-system")
    return 0


def installed() -> bool:
    """Whether the chart is in the cluster; what keeps us from knowing comes up again by itself."""
    command = [binary("helm"), "status", "graflow", "--namespace", NAMESPACE]
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig())}
    return (
        subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 0
    )


def own_settings() -> list[str]:
    """Return the chart's settings for this checkout's cluster; its store's keys go to a Secret."""
    store = dict(
        line.split("=", 1) for line in (OWN / "s3.env").read_text().splitlines() if "=" in line
    )
    keep_secret({key: store[key] for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")})
    loaded = json.loads((OWN / "images.json").read_text())
    return [
        *("--set", f"store.endpoint={store['S3_ENDPOINT']}"),
        *("--set", f"store.bucket={store['S3_BUCKET']}"),
        *("--set", f"store.existingSecret={STORE_SECRET}"),
        *("--values", str(ROOT / "charts" / "graflow" / "ci" / "local-images.yaml")),
        # The images' tags do not change when the images do: this starts the new one.
        *("--set", f"podAnnotations.images={'-'.join(sorted(loaded.values()))}"),
    ]


def keep_secret(data: dict[str, str]) -> None:
    """Create or update the Secret with the store's keys."""
    core = client.CoreV1Api(connect())
    create_unless_there(core.create_namespace, {"metadata": {"name": NAMESPACE}})
    secret = {"metadata": {"name": STORE_SECRET}, "stringData": data}
    if not create_unless_there(core.create_namespaced_secret, NAMESPACE, secret):
        core.patch_namespaced_secret(STORE_SECRET, NAMESPACE, secret)


def create_unless_there(create: object, *arguments: object) -> bool:
    """Call a create method; whether it created anything."""
    try:
        create(*arguments)  # type: ignore[operator]
    except ApiException as error:
        if error.status != CONFLICT:
            raise
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
