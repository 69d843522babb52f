"""Everything that can be set, from the environment or as a flag of the same name."""

import argparse
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from graflow.api import names
from graflow.api.placement import AMOUNTS
from graflow.store import MOST_SIGNED_S
from graflow_operator.keeping import DeletedRuns, Keep, PodPolicy
from graflow_operator.targets import Target, targets_of

DEFAULT_PORT = 8090
DEFAULT_METRICS_PORT = 9090
ADMISSION_PORT = 8091
"""Where the API server asks, if the certificate for that is somebody else's."""

NOTIFICATIONS_FOLDER = "/etc/graflow/notifications"
DAY_S = 86_400.0
RESOURCES = '{"requests": {"cpu": "50m", "memory": "64Mi"}}'
"""For tasks that do little; with no requests, a namespace that has a quota takes no pod."""
BOOLEANS = ("true", "false")
_LISTEN = re.compile(r"^(?P<host>.*):(?P<port>\d{1,5})$")
_EXAMPLES = """
examples:
  in a cluster         the chart sets everything
  on a laptop          KUBECONFIG=~/.kube/config python -m graflow_operator \\
                         --advertise http://192.168.1.20:8090 --runner-image graflow-runner:dev

Runner pods call the operator at the advertised URL: on a laptop that must be an address which
the cluster's pods can reach. With http:// everybody on the way can read along; https:// takes an
authority of the operator's own, in the Secret graflow-ca of its namespace.
S3 credentials are AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or whatever else boto3 finds.
With no store, everything stays in the Workflow objects, which is enough for small runs only.
"""


class SettingsError(Exception):
    """A setting has a value that cannot be; the message names it and says what can."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one operator process."""

    namespaces: tuple[str, ...] = ()
    """Namespaces whose Workflows are run; none means all."""

    instance: str = ""
    """Only Workflows whose `spec.operator` is this."""

    operator_namespace: str = "default"
    """Where the Lease and the master key are."""

    identity: str = "local"
    """Name of this replica in the Lease."""

    runner_image: str = "graflow-runner:dev"
    """Image of tasks that name none."""

    runner_pythons: tuple[str, ...] = ("3.11",)
    """Python minor versions that the runner image has."""

    replica_url: str = f"https://127.0.0.1:{DEFAULT_PORT}"
    """Where this very replica answers: what the Lease names, and others send callers to."""

    advertise: str = f"https://127.0.0.1:{DEFAULT_PORT}"
    """URL at which pods reach this replica; its scheme says whether TLS is spoken."""

    tls_service: str = ""
    """Name of the Service before the replicas, which their certificates are for too."""

    webhook: str = ""
    """Name of the ValidatingWebhookConfiguration that is to trust our authority; empty: none."""

    admission_folder: str = ""
    """Folder with `tls.crt` and `tls.key`, by which the API server believes us on a port of its
    own; empty: it asks on the port of the runner API."""

    ca_s: float = 365 * DAY_S
    """How long an authority lasts, in seconds; its successor takes over in the last third."""

    certificate_s: float = 7 * DAY_S
    """How long a replica's certificate lasts, in seconds."""

    settle_s: float = 600.0
    """Between two steps of a rotation, in seconds: every replica has read the last one by then."""

    listen_host: str = "0.0.0.0"  # noqa: S104 - pods come from everywhere; keys protect
    listen_port: int = DEFAULT_PORT
    metrics_port: int = DEFAULT_METRICS_PORT
    """0 turns the metrics server off."""

    store_bucket: str = ""
    """Empty means no store."""

    store_endpoint: str = ""
    store_region: str = "us-east-1"
    deleted_runs: DeletedRuns = DeletedRuns.DELETE
    """What becomes of what deleted runs have in the store."""

    deleted_runs_s: float = 600.0
    """How long a run must be gone before that, in seconds."""

    outcome_url_s: int = MOST_SIGNED_S
    """How long runners may use the addresses at which they leave outcomes that nobody hears, in
    seconds; they ask for new ones at a third of that."""

    check_peer: bool = True
    """Whether a claim must come from its pod's own address; a mesh may hide it."""

    pods_per_namespace: int = 0
    """Most runner pods of one namespace at one time; 0: any number."""

    notifications: tuple[Target, ...] = ()
    """Who is told of questions to people."""

    notifications_folder: str = NOTIFICATIONS_FOLDER
    """Folder with a folder for each of them, with files `url` and, to sign with, `hmac`."""

    log_format: str = "text"
    log_level: str = "INFO"
    resync_s: float = 60.0
    """Between two comparisons of what is remembered with what exists, in seconds."""

    runner_resources: Mapping[str, Mapping[str, str]] = field(
        default_factory=lambda: json.loads(RESOURCES)
    )
    """Requests and limits of the resources of which a task's settings say nothing."""

    pods: PodPolicy = field(default_factory=PodPolicy)
    """How long pods stay once their outcome is recorded."""

    hold_s: float = 10.0
    """How long a pod is kept for a quick answer to what its task has asked, in seconds."""

    node_lost_s: float = 300.0
    """How long a node must have been away before its attempts count as lost, in seconds."""

    configuration_s: float = 3600.0
    """How long a task waits for what somebody has to mend (an image, a Secret, a quota) before it
    fails, in seconds."""


def parser(environ: Mapping[str, str]) -> argparse.ArgumentParser:
    """Return the parser of the command line; defaults are what the environment says."""
    found = argparse.ArgumentParser(
        prog="python -m graflow_operator",
        description="Runs Graflow Workflows of a Kubernetes cluster: one pod per task attempt.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )

    def add(flag: str, variable: str, default: str, what: str) -> None:
        value = environ.get(variable, default)
        shown = f"default: {value}" if value else "default: none"
        found.add_argument(f"--{flag}", default=value, help=f"{what} [{variable}; {shown}]")

    pod_ip = environ.get("POD_IP", "127.0.0.1")
    add("namespaces", "GRAFLOW_NAMESPACES", "", "namespaces to serve, by commas; none: all")
    add("instance", "GRAFLOW_INSTANCE", "", "serve only Workflows whose spec.operator is this")
    add("operator-namespace", "GRAFLOW_OPERATOR_NAMESPACE", "", "where Lease and master key are")
    add("identity", "POD_NAME", "", "name of this replica in the Lease; none: host and pid")
    add("runner-image", "GRAFLOW_RUNNER_IMAGE", "graflow-runner:dev", "image of tasks naming none")
    add("runner-pythons", "GRAFLOW_RUNNER_PYTHONS", "3.11", "Pythons of the runner image")
    what = "requests and limits of what tasks say nothing of, as JSON"
    add("runner-resources", "GRAFLOW_RUNNER_RESOURCES", RESOURCES, what)
    add("replica-url", "GRAFLOW_REPLICA_URL", "", "URL of this replica; none: its own IP")
    add("advertise", "GRAFLOW_ADVERTISE", f"https://{pod_ip}:{DEFAULT_PORT}", "URL that pods call")
    add("tls-service", "GRAFLOW_TLS_SERVICE", "", "Service whose names certificates have too")
    add("webhook", "GRAFLOW_WEBHOOK", "", "webhook configuration to put the authority into")
    add("admission-folder", "GRAFLOW_ADMISSION_FOLDER", "", "certificate for admission alone")
    add("ca-days", "GRAFLOW_CA_DAYS", "365", "life of the operator's own authority, in days")
    add("certificate-hours", "GRAFLOW_CERTIFICATE_HOURS", "168", "life of a certificate, in hours")
    add("listen", "GRAFLOW_LISTEN", f"0.0.0.0:{DEFAULT_PORT}", "address of the HTTP server")
    add("metrics-port", "GRAFLOW_METRICS_PORT", str(DEFAULT_METRICS_PORT), "0 turns metrics off")
    _add_store(add)
    policy = PodPolicy()
    add("pods-keep", "GRAFLOW_PODS_KEEP", policy.keep, f"pods that stay: {', '.join(Keep)}")
    failed, others = f"{policy.failed_s:.0f}", f"{policy.succeeded_s:.0f}"
    variable = "GRAFLOW_PODS_KEEP_SECONDS"
    add("pods-keep-seconds", variable, failed, "KeepFailed: failed pods, after their run's end")
    variable = "GRAFLOW_PODS_KEEP_SUCCEEDED_SECONDS"
    add("pods-keep-succeeded-seconds", variable, others, "KeepFailed: the other pods")
    what = "keep the last lines of attempts that fail, where whoever may get Workflows sees them"
    add("pods-keep-logs", "GRAFLOW_PODS_KEEP_LOGS", "true", what)
    add("check-peer", "GRAFLOW_CHECK_PEER", "true", "claims only from the pod's own address")
    add("pods-per-namespace", "GRAFLOW_PODS_PER_NAMESPACE", "0", "most runner pods of each; 0: any")
    add("hold-seconds", "GRAFLOW_HOLD_SECONDS", "10", "so long a pod waits for a quick answer")
    add("node-lost-seconds", "GRAFLOW_NODE_LOST_SECONDS", "300", "a node away so long is lost")
    add(
        "configuration-seconds",
        "GRAFLOW_CONFIGURATION_SECONDS",
        "3600",
        "a task that waits so long for an image, a Secret, a quota to be mended fails",
    )
    add("notifications", "GRAFLOW_NOTIFICATIONS", "", "who is told of questions, as JSON")
    what = "folder with NAME/url and NAME/hmac of each of them"
    add("notifications-folder", "GRAFLOW_NOTIFICATIONS_FOLDER", NOTIFICATIONS_FOLDER, what)
    add("log-format", "GRAFLOW_LOG_FORMAT", "text", "text or json")
    add("log-level", "GRAFLOW_LOG_LEVEL", "INFO", "DEBUG, INFO, WARNING or ERROR")
    return found


def _add_store(add: Callable[[str, str, str, str], None]) -> None:
    add("store-bucket", "GRAFLOW_STORE_BUCKET", "", "S3 bucket; none: no store")
    add("store-endpoint", "GRAFLOW_STORE_ENDPOINT", "", "URL of the S3 service; none: AWS")
    add("store-region", "GRAFLOW_STORE_REGION", "us-east-1", "region of the bucket")
    variable, what = "GRAFLOW_STORE_DELETED_RUNS", "what deleted runs have in the store: "
    add("store-deleted-runs", variable, DeletedRuns.DELETE, what + ", ".join(DeletedRuns))
    variable = "GRAFLOW_STORE_DELETED_RUNS_SECONDS"
    add("store-deleted-runs-seconds", variable, "600", "how long they must be gone before that")
    variable = "GRAFLOW_STORE_OUTCOME_URL_SECONDS"
    what = "life of the URLs for outcomes that nobody hears; runners renew them at a third of it"
    add("store-outcome-url-seconds", variable, str(MOST_SIGNED_S), what)


def read(arguments: Sequence[str], environ: Mapping[str, str], *, namespace: str) -> Settings:
    """Return the settings of this process.

    Args:
        arguments: The command line, without the program's name.
        environ: The environment.
        namespace: Where the Lease is when nothing says so.

    Raises:
        SettingsError: If one of them cannot be.
    """
    given = parser(environ).parse_args(list(arguments))
    listen = _LISTEN.match(given.listen)
    if listen is None:
        raise SettingsError(f"GRAFLOW_LISTEN is {given.listen!r}; it must be HOST:PORT")
    return Settings(
        replica_url=_replica_url(given, listen["port"], environ.get("POD_IP")),
        namespaces=_list(given.namespaces),
        instance=given.instance,
        operator_namespace=given.operator_namespace or namespace,
        identity=given.identity or f"{os.uname().nodename}-{os.getpid()}",
        runner_image=given.runner_image,
        runner_pythons=_list(given.runner_pythons),
        runner_resources=_amounts("GRAFLOW_RUNNER_RESOURCES", given.runner_resources),
        advertise=given.advertise.rstrip("/"),
        tls_service=given.tls_service,
        webhook=given.webhook,
        admission_folder=given.admission_folder,
        ca_s=_positive("GRAFLOW_CA_DAYS", given.ca_days) * DAY_S,
        certificate_s=_positive("GRAFLOW_CERTIFICATE_HOURS", given.certificate_hours) * DAY_S / 24,
        listen_host=listen["host"],
        listen_port=int(listen["port"]),
        metrics_port=_number("GRAFLOW_METRICS_PORT", given.metrics_port),
        store_bucket=given.store_bucket,
        store_endpoint=given.store_endpoint,
        store_region=given.store_region,
        deleted_runs=_deleted_runs(given.store_deleted_runs),
        deleted_runs_s=_number(
            "GRAFLOW_STORE_DELETED_RUNS_SECONDS", given.store_deleted_runs_seconds
        ),
        outcome_url_s=_url_seconds(given.store_outcome_url_seconds),
        pods=_pod_policy(given),
        check_peer=_choice("GRAFLOW_CHECK_PEER", given.check_peer, BOOLEANS) == "true",
        pods_per_namespace=_number("GRAFLOW_PODS_PER_NAMESPACE", given.pods_per_namespace),
        hold_s=_number("GRAFLOW_HOLD_SECONDS", given.hold_seconds),
        node_lost_s=_number("GRAFLOW_NODE_LOST_SECONDS", given.node_lost_seconds),
        configuration_s=_number("GRAFLOW_CONFIGURATION_SECONDS", given.configuration_seconds),
        notifications=_targets(given.notifications),
        notifications_folder=given.notifications_folder,
        log_format=_choice("GRAFLOW_LOG_FORMAT", given.log_format, ("text", "json")),
        log_level=_choice(
            "GRAFLOW_LOG_LEVEL", given.log_level, ("DEBUG", "INFO", "WARNING", "ERROR")
        ),
    )


def _replica_url(given: argparse.Namespace, port: str, pod_ip: str | None) -> str:
    """Return where this replica answers, in the scheme in which all are advertised."""
    if not given.advertise.startswith(("http://", "https://")):
        raise SettingsError(f"GRAFLOW_ADVERTISE is {given.advertise!r}; it must be an http URL")
    scheme = given.advertise.partition("://")[0]
    own = f"{scheme}://{_netloc(pod_ip)}:{port}" if pod_ip else given.advertise
    replica_url: str = (given.replica_url or own).rstrip("/")
    if not replica_url.startswith(f"{scheme}://"):
        raise SettingsError(
            f"GRAFLOW_REPLICA_URL is {replica_url!r}; it must begin with {scheme}:// as"
            " GRAFLOW_ADVERTISE does"
        )
    return replica_url


def speaks_tls(settings: Settings) -> bool:
    """Whether the runner API is served over TLS."""
    return settings.advertise.startswith("https://")


def lease_name(settings: Settings) -> str:
    """Return the name of this installation's Lease."""
    return names.of_instance(names.LEASE, settings.instance)


def _targets(value: str) -> tuple[Target, ...]:
    try:
        return targets_of(value)
    except ValueError as error:
        raise SettingsError(f"GRAFLOW_NOTIFICATIONS: {error}") from error


def _deleted_runs(value: str) -> DeletedRuns:
    return DeletedRuns(_choice("GRAFLOW_STORE_DELETED_RUNS", value, tuple(DeletedRuns)))


def _pod_policy(given: argparse.Namespace) -> PodPolicy:
    return PodPolicy(
        Keep(_choice("GRAFLOW_PODS_KEEP", given.pods_keep, tuple(Keep))),
        _number("GRAFLOW_PODS_KEEP_SECONDS", given.pods_keep_seconds),
        _number("GRAFLOW_PODS_KEEP_SUCCEEDED_SECONDS", given.pods_keep_succeeded_seconds),
        _choice("GRAFLOW_PODS_KEEP_LOGS", given.pods_keep_logs, BOOLEANS) == "true",
    )


def _list(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _amounts(variable: str, value: str) -> dict[str, dict[str, str]]:
    amounts: dict[str, dict[str, str]] = {}
    try:
        found = json.loads(value)
        known = {kind: found.pop(kind, None) or {} for kind in AMOUNTS}
        amounts = {
            kind: {name: str(amount) for name, amount in said.items()}
            for kind, said in known.items()
        }
    except (ValueError, AttributeError, TypeError):
        found = True
    if found:
        raise SettingsError(f"{variable} is {value!r}; it must be JSON, such as {RESOURCES}")
    return amounts


def _number(variable: str, value: str) -> int:
    if not value.isdigit():
        raise SettingsError(f"{variable} is {value!r}; it must be a whole number")
    return int(value)


def _positive(variable: str, value: str) -> int:
    number = _number(variable, value)
    if not number:
        raise SettingsError(f"{variable} is {value!r}; it must be 1 or more")
    return number


def _url_seconds(value: str) -> int:
    variable = "GRAFLOW_STORE_OUTCOME_URL_SECONDS"
    seconds = _positive(variable, value)
    if seconds > MOST_SIGNED_S:
        raise SettingsError(
            f"{variable} is {value!r}; S3 signs for at most {MOST_SIGNED_S} seconds"
        )
    return seconds


def _netloc(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _choice(variable: str, value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise SettingsError(f"{variable} is {value!r}; it must be one of {', '.join(known)}")
    return value
