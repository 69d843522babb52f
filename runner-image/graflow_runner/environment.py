"""What a pod tells its runner: environment variables, read once and checked."""

import os
import sys
from collections.abc import Mapping
from typing import Final, NamedTuple

_NEEDED: Final = {
    "GRAFLOW_API": "the operator's address, such as http://10.0.0.7:8090",
    "GRAFLOW_POD_NAME": "the pod's name (downward API, metadata.name)",
    "GRAFLOW_POD_UID": "the pod's uid (downward API, metadata.uid)",
    "GRAFLOW_NAMESPACE": "the pod's namespace (downward API, metadata.namespace)",
    "GRAFLOW_RUN": "the uid of the Workflow (label graflow.dev/run)",
}


class EnvironmentInvalidError(Exception):
    """The runner was started without what it needs, or with something else."""


class Settings(NamedTuple):
    """Where the runner is, whom it talks to, and how patient it is. Times are in seconds."""

    api: str
    """Base URL of the operator, without a slash at the end."""

    pod_name: str
    pod_uid: str
    namespace: str
    run: str
    """Uid of the Workflow."""

    ca: str = ""
    """PEM of the authority that signed the operator's certificate; empty: the system's."""

    code_dir: str = "/tmp/graflow/code"  # noqa: S108  # the pod's own, and part of the bundle's format
    """GRAFLOW_CODE_DIR: where the code bundle is unpacked."""

    termination_log: str = "/dev/termination-log"
    """GRAFLOW_TERMINATION_LOG: the file that the kubelet copies into the pod's status."""

    grace_s: float = 30.0
    """GRAFLOW_GRACE_SECONDS: time between SIGTERM and SIGKILL."""

    claim_patience_s: float = 600.0
    """GRAFLOW_CLAIM_PATIENCE_SECONDS: how long the attempt is claimed again and again."""

    report_patience_s: float = 600.0
    """GRAFLOW_REPORT_PATIENCE_SECONDS: how long any later call is tried again and again."""

    store_after_s: float = 5.0
    """GRAFLOW_STORE_AFTER_SECONDS: silence of the operator after which the outcome is stored."""

    retry_first_s: float = 0.1
    """GRAFLOW_RETRY_FIRST_SECONDS: pause after the first try; doubled with each later one."""

    retry_most_s: float = 5.0
    """GRAFLOW_RETRY_MOST_SECONDS: longest pause between two tries."""


def read(environ: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings that the environment holds.

    Raises:
        EnvironmentInvalidError: If a variable is missing or is no sensible value.
    """
    missing = [f"{name} ({what})" for name, what in _NEEDED.items() if not environ.get(name)]
    if missing:
        raise EnvironmentInvalidError(
            f"missing in the environment: {'; '.join(missing)}. "
            "The operator sets these in the pods that it makes; a runner is not started by hand"
        )
    api = environ["GRAFLOW_API"].rstrip("/")
    if not api.startswith(("http://", "https://")):
        raise EnvironmentInvalidError(
            f"GRAFLOW_API must be an http:// or https:// address, got {api!r}"
        )
    defaults = Settings._field_defaults
    return Settings(
        api=api,
        pod_name=environ["GRAFLOW_POD_NAME"],
        pod_uid=environ["GRAFLOW_POD_UID"],
        namespace=environ["GRAFLOW_NAMESPACE"],
        run=environ["GRAFLOW_RUN"],
        ca=environ.get("GRAFLOW_CA", ""),
        code_dir=environ.get("GRAFLOW_CODE_DIR") or defaults["code_dir"],
        termination_log=environ.get("GRAFLOW_TERMINATION_LOG") or defaults["termination_log"],
        grace_s=_seconds(environ, "GRAFLOW_GRACE_SECONDS", defaults["grace_s"]),
        claim_patience_s=_seconds(
            environ, "GRAFLOW_CLAIM_PATIENCE_SECONDS", defaults["claim_patience_s"]
        ),
        report_patience_s=_seconds(
            environ, "GRAFLOW_REPORT_PATIENCE_SECONDS", defaults["report_patience_s"]
        ),
        store_after_s=_seconds(environ, "GRAFLOW_STORE_AFTER_SECONDS", defaults["store_after_s"]),
        retry_first_s=_seconds(environ, "GRAFLOW_RETRY_FIRST_SECONDS", defaults["retry_first_s"]),
        retry_most_s=_seconds(environ, "GRAFLOW_RETRY_MOST_SECONDS", defaults["retry_most_s"]),
    )


def _seconds(environ: Mapping[str, str], name: str, default: float) -> float:
    text = environ.get(name, "")
    if not text:
        return default
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0.0 <= seconds < 1e9:  # noqa: PLR2004  # 30 years: also refuses inf and nan
        raise EnvironmentInvalidError(
            f"{name} must be a number of seconds, 0 or more, got {text!r}"
        )
    return seconds


def say(line: str) -> None:
    """Write one line of the runner's own to stderr, marked as such."""
    try:
        sys.stderr.write(f"graflow: {line}\n")
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):
        pass  # user code may have closed or replaced stderr; the outcome matters more
