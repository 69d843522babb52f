"""Every name that two parts of the product must agree on: kinds, labels, objects, headers.

Stdlib only, so that any part may import it.
"""

import base64
import hashlib
import re

GROUP = "graflow.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

WORKFLOW_KIND = "Workflow"
WORKFLOWS = "workflows"
CODE_BUNDLES = "codebundles"
RUNNER_PROFILES = "runnerprofiles"
FEEDBACK_REQUEST_KIND = "FeedbackRequest"
FEEDBACK_REQUESTS = "feedbackrequests"
RESPOND_VERB = "respond"
"""What it takes on a FeedbackRequest to answer it, besides being asked."""
CATEGORY = "graflow"

# Labels of runner pods, of FeedbackRequests, and of all else that belongs to a run.
LABEL_RUN = "graflow.dev/run"
"""Uid of the Workflow."""
LABEL_WORKFLOW = "graflow.dev/workflow"
"""Name of the Workflow, cut to a label's length by `label_value`."""
LABEL_TASK = "graflow.dev/task"
"""DNS form of the task's id."""
LABEL_ACTIVATION = "graflow.dev/activation"
LABEL_ATTEMPT = "graflow.dev/attempt"
LABEL_INSTANCE = "graflow.dev/operator"
"""Id of the operator installation that made the object; absent when it is the default one."""
LABEL_APP_NAME = "app.kubernetes.io/name"
LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
RUNNER_APP = "graflow-runner"
OPERATOR_APP = "graflow"
"""The operator's own objects, as the chart labels them too."""
MANAGED_BY = "graflow"

ANNOTATION_TASK = "graflow.dev/task-id"
"""The task's id as it was written; two ids can have one DNS form."""
ANNOTATION_DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
ANNOTATION_SAFE_TO_EVICT = "cluster-autoscaler.kubernetes.io/safe-to-evict"

ANNOTATION_ROTATE = "graflow.dev/rotate"
"""On one of the operator's own Secrets, with any value: make a new key or authority now."""

OUTCOME_FINALIZER = "graflow.dev/outcome"
"""Keeps a pod until its outcome was read, where the pod is the only record of it."""

TASK_CONTAINER = "task"
"""Container of a runner pod whose end decides the attempt."""

MASTER_KEY_SECRET = "graflow-master-key"  # noqa: S105 - the name of an object
CA_SECRET = "graflow-ca"  # noqa: S105 - the name of an object
LEASE = "graflow-operator"
SECRET_KEY = "key"  # noqa: S105 - the field's name
"""Field of both kinds of Secret that holds the key, in hex."""
SECRET_REPLACED = "replaced"  # noqa: S105 - the field's name
"""Field of the master key's Secret with those of before: lines of key and time."""

# Environment of a runner.
ENV_API = "GRAFLOW_API"
ENV_CA = "GRAFLOW_CA"
ENV_POD_NAME = "GRAFLOW_POD_NAME"
ENV_POD_UID = "GRAFLOW_POD_UID"
ENV_NAMESPACE = "GRAFLOW_NAMESPACE"
ENV_RUN = "GRAFLOW_RUN"
ENV_KEY = "GRAFLOW_KEY"
ENV_GRACE = "GRAFLOW_GRACE_SECONDS"
ENV_INPUT_PREFIX = "GRAFLOW_INPUT_"
"""Inputs of container tasks: this, then the name in capitals."""

# Headers of the runner protocol and of the user API.
RUNNER_PREFIX = "/runner/v1"
HEADER_RUN = "X-Graflow-Run"
HEADER_ACTIVATION = "X-Graflow-Activation"
HEADER_ATTEMPT = "X-Graflow-Attempt"
HEADER_CLAIM = "X-Graflow-Claim"
HEADER_NUMBER = "X-Graflow-Number"
HEADER_MAC = "X-Graflow-Mac"
HEADER_RAN = "X-Graflow-Ran"
"""Of a report: seconds since user code began, for the metrics alone."""

USER_PREFIX = "/user/v1"
ADMISSION_PREFIX = "/admission"
"""What the API server asks before it keeps an object."""
HEADER_TOKEN = "X-Graflow-Token"  # noqa: S105 - the name of a header
"""Token of the caller; the API server's service proxy consumes Authorization."""
HEADER_CLIENT = "X-Graflow-Client"
"""What a user calls with, if it says so."""
CLIENT_CLI = "cli"

_LABEL_MAX = 63
_HASH_CHARS = 10


def short_hash(text: str) -> str:
    """Return ten characters of the text's SHA-256 that may stand in any Kubernetes name."""
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).digest()
    return base64.b32encode(digest)[:_HASH_CHARS].decode().lower()


def dns_form(task: str, *, limit: int = _LABEL_MAX) -> str:
    """Return a DNS label that reads like the task's id. Two ids can have one form.

    >>> dns_form("Load_Data/v2")
    'load-data-v2'
    """
    form = re.sub(r"[^a-z0-9]+", "-", task.lower())[:limit].strip("-")
    return form or "task"


def label_value(name: str) -> str:
    """Return an object's name as a label's value: itself, or cut and told apart by a hash."""
    if len(name) <= _LABEL_MAX:
        return name
    return f"{name[: _LABEL_MAX - _HASH_CHARS - 1].rstrip('-.')}-{short_hash(name)}"


def pod_name(workflow: str, task: str, *, uid: str, activation: int, attempt: int) -> str:
    """Return the name of the one pod that may ever run this attempt.

    At most 63 characters, since a pod's name becomes its hostname.
    """
    last = f"{dns_form(task, limit=20)}-{short_hash(f'{uid}/{activation}/{attempt}')}"
    room = min(40, _LABEL_MAX - len(last) - 1)
    return f"{dns_form(workflow, limit=room)}-{last}"


def feedback_name(workflow: str, task: str, *, uid: str, activation: int, key: str) -> str:
    """Return the name of the FeedbackRequest that holds this question of an activation.

    Whoever asks it again, after whatever crash, asks under the same name. At most 63 characters, so
    that it can be a label's value.
    """
    last = f"{dns_form(task, limit=20)}-{short_hash(f'{uid}/{activation}/{key}')}"
    room = min(40, _LABEL_MAX - len(last) - 1)
    return f"{dns_form(workflow, limit=room)}-{last}"


def feedback_labels(workflow: str, *, uid: str, instance: str) -> dict[str, str]:
    """Return the labels of the FeedbackRequests of a run."""
    labels = {
        LABEL_MANAGED_BY: MANAGED_BY,
        LABEL_RUN: uid,
        LABEL_WORKFLOW: label_value(workflow),
    }
    return labels | ({LABEL_INSTANCE: instance} if instance else {})


def secret_name(workflow: str, *, uid: str, key_id: str) -> str:
    """Return the name of the Secret with a run's key, made from the master key of this id."""
    return f"{dns_form(workflow, limit=40)}-key-{short_hash(f'{uid}/{key_id}')}"


def bundle_name(sha256: str) -> str:
    """Return the name of the CodeBundle with this content, given the SHA-256 in hex."""
    return f"code-{sha256[:40]}"


def of_instance(name: str, instance: str) -> str:
    """Return the name of an operator's own object (Lease, master key) for this installation."""
    return f"{name}-{instance}" if instance else name


def input_env(name: str) -> str:
    """Return the variable in which a container task finds the input of this name.

    >>> input_env("load-data")
    'GRAFLOW_INPUT_LOAD_DATA'
    """
    return ENV_INPUT_PREFIX + re.sub(r"[^A-Z0-9]", "_", name.upper())
