"""What Prometheus sees. `docs/reference/metrics.md` is generated from this module."""

from importlib.metadata import version
from typing import Final

from prometheus_client import disable_created_metrics

from graflow.machine import faults, reasons
from graflow.machine.fault import FaultKind
from graflow.machine.state import RunPhase
from graflow_operator.series import OTHER, Count, Family, Label, Level, Spread

disable_created_metrics()  # type: ignore[no-untyped-call]

_FAST_S: Final = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_POD_S: Final = (0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0)
STATUS_LIMIT: Final = 64 * 1024
"""Bytes that a Workflow's status takes at most, by our own rule."""

OBJECT_LIMIT: Final = 1536 * 1024
"""Bytes of the largest object that etcd takes as it comes (`--max-request-bytes`)."""

# -- labels ---------------------------------------------------------------------------------------

_CODES: Final = ("200", "201", "202", "307", "400", "401", "403", "404", "405", "409", "410", "413",
                 "415", "422", "429", "500", "502", "503", "504")  # fmt: skip
_ANSWERS: Final = {**dict.fromkeys(_CODES, "the HTTP status"), OTHER: "any other HTTP status"}

_REASONS: Final = {reason: fault.meaning for reason, fault in faults.FAULTS.items()}
REASON = Label(
    "reason",
    _REASONS | {OTHER: "a word that is none of these"},
    about="a word of docs/reference/failures.md, or other (a word that is none of these)",
)
WHY = Label(
    "reason",
    {"none": "it succeeded", **REASON.values},
    about="a word of docs/reference/failures.md, none (it succeeded), or other (a word that is none"
    " of these: the program's own)",
)
HOLD_UP = Label(
    "reason",
    {
        reasons.SUSPENDED: "somebody wants nothing new to start",
        reasons.BUNDLE_MISSING: "its code is not there yet",
        reasons.STORE_UNAVAILABLE: "the store does not answer",
        reasons.STORE_REQUIRED: "its state is in a store, and none is configured",
        reasons.STATE_UNREADABLE: "its state is of another version, or damaged",
        reasons.OPERATOR_FAILED: "the operator meets an error of its own",
    },
)
PHASE = Label(
    "phase",
    {
        RunPhase.PENDING: "not begun, or suspended before it began",
        RunPhase.RUNNING: "under way",
        RunPhase.SUCCEEDED: "ended well",
        RunPhase.FAILED: "ended badly, or never accepted",
        RunPhase.CANCELLED: "ended because somebody asked for it",
        OTHER: "a phase that this version does not know",
    },
)
ENDED = Label("phase", {p: PHASE.values[p] for p in RunPhase if p.ended})
RESOURCE = Label(
    "resource",
    {
        "workflows": "Workflows and their status",
        "codebundles": "code of programs",
        "runnerprofiles": "settings of pods",
        "feedbackrequests": "questions to people and their status",
        "pods": "runner pods",
        "pods/log": "their last lines",
        "nodes": "nodes of suspect pods",
        "namespaces": "the id of the cluster, which is that of `kube-system`",
        "secrets": "keys of runs, the master key and the authority",
        "events": "Kubernetes Events: of Workflows, posted; of pods, read",
        "leases": "the Lease of the leader",
        "validatingwebhookconfigurations": "whom the API server asks about Workflows",
        "tokenreviews": "who a user of the API is",
        "subjectaccessreviews": "what that user may do",
        OTHER: "anything else",
    },
)
VERB = Label(
    "verb",
    {
        "get": "one object",
        "list": "many objects, in chunks",
        "create": "a new object",
        "update": "an object as a whole",
        "patch": "a part of an object",
        "delete": "an object's end",
    },
)
ANSWER = Label(
    "code",
    _ANSWERS | {"none": "no answer: connection or time-out"},
    about="the HTTP status, none (no answer: connection or time-out) or other",
)
STATUS_CODE = Label("code", _ANSWERS, about="the HTTP status, or other")
COMMIT = Label(
    "result",
    {
        "committed": "durable",
        "conflict": "the object had changed, or the answer was lost: read and tried again",
        "superseded": "somebody else had moved the run on: read and folded again",
        "failed": "the API server did not answer, was busy or refused: tried again later",
    },
)
PART = Label(
    "part",
    {
        "created_claimed": "from the pod's creation to the order given to its runner: scheduler,"
        " kubelet, image, start of Python",
        "claimed_running": "from the order to the first line of user code, as the runner measured"
        " it: its code and arguments",
        "running_reported": "user code, and the way of its outcome; from the order where the runner"
        " did not say when user code began",
        "reported_committed": "from the report to the commit that holds it",
        "committed_created": "from the commit that made an attempt due to its pod's creation, tries"
        " that the API server refused included",
    },
)
OUTCOME = Label(
    "outcome",
    {
        "succeeded": "user code returned",
        "failed": "the attempt is the task's own failure",
        "lost": "the infrastructure took it away",
    },
)
CLASS = Label(
    "class",
    {
        FaultKind.USER.lower(): "the task's own fault, which spends its retries",
        FaultKind.INFRASTRUCTURE.lower(): "the cluster's, which has a budget of its own",
        FaultKind.CONFIGURATION.lower(): "something that the run needs is missing or wrong",
        FaultKind.WAIT.lower(): "no fault: it was waiting",
        "none": "it succeeded",
    },
)
WATCHED = Label(
    "resource",
    {
        "workflows": "Workflows",
        "pods": "runner pods",
        "feedbackrequests": "questions to people",
    },
)
RESYNC = Label(
    "result",
    {"compared": "lists and memory agree now", "failed": "the API server did not give the lists"},
)
ROUND = Label(
    "result",
    {
        "leading": "this replica has the Lease",
        "standby": "another one has it",
        "failed": "the API server did not let itself be asked",
    },
)
TURN = Label("to", {"leading": "it began to lead", "standby": "it stopped leading"})
ROUTE = Label(
    "route",
    {
        "claim": "a runner asks for its order",
        "report": "a runner tells how user code ended",
        "results": "a runner asks for results",
        "channel": "a runner uses the channel; waits for locks included",
        "checkpoint": "a runner asks for a checkpoint",
        "blob": "a runner asks where a large value goes",
        "address": "a runner asks anew where a large value is read",
        "ask": "a task asks a person",
        "keep": "a task keeps a value for its later attempts",
        "renewal": "a runner asks anew where it may leave its outcome if nobody hears it",
        "bundle": "a runner gets the code",
        "user": "a client reads large values",
        "feedback": "a person reads, answers or withdraws a question",
        "admission": "the API server asks whether an object makes sense",
        "probe": "the kubelet asks whether this replica lives",
        OTHER: "anything else",
    },
)
REVIEW = Label(
    "answer",
    {
        "allowed": "it makes sense",
        "refused": "it does not, and the user is told why",
        "unreadable": "the request was no review",
    },
)
CHANNEL_OP = Label(
    "op",
    {
        "set": "a value written",
        "delete": "a key removed",
        "clear": "all keys removed",
        "extend": "a list appended or prepended to",
        "add": "a number added to",
        "lock": "a lock asked for",
        "unlock": "a lock let go",
        "get": "a value read",
        "exists": "a key looked for",
        "keys": "all keys read",
        "wait": "a lock waited for",
        OTHER: "anything else",
    },
)
ASKED = Label(
    "phase",
    {
        "Pending": "waits for an answer",
        "Answered": "somebody has answered",
        "Expired": "its deadline has passed",
        "Withdrawn": "nobody is to answer any more",
        OTHER: "a phase that this version does not know",
    },
)
DEADLINE = Label(
    "deadline",
    {"set": "something happens at a time", "none": "it waits until somebody answers"},
)
NOTIFICATION = Label(
    "outcome",
    {
        "delivered": "the target has taken it",
        "failed": "it has not, and is tried again",
        "given_up": "it has not for a day, and is tried no more",
    },
)
STORE_CALL = Label(
    "operation",
    {
        "get": "an object read, or one piece of it",
        "size": "an object looked for",
        "put": "an object written",
        "put_if_absent": "an object written unless there is one",
        "copy": "an object copied, within the store",
        "list": "keys listed",
        "delete": "an object removed",
        "presign": "an address signed; no request",
    },
)
STORE_ERROR = Label(
    "kind",
    {
        "unavailable": "no answer, or a server's error: tried again",
        "refused": "the store says no",
        "corrupt": "an object that is not the one that was written",
    },
)
CERTIFICATE = Label(
    "certificate",
    {"authority": "the operator's own CA", "server": "what its HTTP server shows"},
)

# -- Workflows and attempts -----------------------------------------------------------------------

BUILD = Level(
    "graflow_build_info",
    "Always 1; the version of the operator.",
    Label("version", {version("graflow"): "of this operator"}, about="the operator's version"),
)
WORKFLOWS = Level(
    "graflow_workflows", "Workflows that exist, ended ones included. Only the leader counts.", PHASE
)
RUNS_ACTIVE = Level(
    "graflow_workflows_active",
    "Workflows that this replica drives: all that have not ended, and ended ones with pods left.",
)
RUNS_ENDED = Count("graflow_workflows_ended_total", "Workflows that this replica saw end.", ENDED)
WAITING = Level(
    "graflow_waiting_tasks",
    "Tasks that are due or are tried again, and wait. Only the leader counts.",
    REASON,
)
WAITING_OLDEST = Level(
    "graflow_waiting_oldest_seconds",
    "How long the task, or Workflow as a whole, that has waited longest has waited. Only the leader"
    " counts.",
    REASON,
)
HELD = Level(
    "graflow_held_workflows",
    "Workflows that stand still as a whole. Only the leader counts.",
    HOLD_UP,
)
DEATHS = Count(
    "graflow_operator_failures_total",
    "Times that driving a Workflow failed by an error of the operator's own; its log says which.",
)
ATTEMPTS = Count("graflow_attempts_total", "Attempts whose end is committed.", OUTCOME, CLASS, WHY)
START_LATENCY = Spread(
    "graflow_start_latency_seconds", "The parts that a hop is made of.", PART, buckets=_POD_S
)

# -- questions to people --------------------------------------------------------------------------

FEEDBACK_REQUESTS = Level(
    "graflow_feedback_requests",
    "Questions to people that exist, decided ones included. Only the leader counts.",
    ASKED,
)
FEEDBACK_OLDEST = Level(
    "graflow_feedback_oldest_seconds",
    "How long the question has waited that has waited longest. Only the leader counts.",
    DEADLINE,
)
FEEDBACK_REMINDED = Level(
    "graflow_feedback_reminded",
    "Questions that wait though people were reminded of them. Only the leader counts.",
    DEADLINE,
)
NOTIFICATIONS = Count(
    "graflow_notifications_total", "Tries to tell somebody of a question.", NOTIFICATION
)
NOTIFICATIONS_PENDING = Level(
    "graflow_notifications_pending",
    "Notifications that are not delivered yet. Only the leader counts.",
)

# -- commits and the API server -------------------------------------------------------------------

COMMITS = Spread(
    "graflow_commit_duration_seconds",
    "Tries to make a batch of facts durable, by what came of them.",
    COMMIT,
    buckets=_FAST_S,
)
COMMIT_FACTS = Spread(
    "graflow_commit_facts",
    "Facts made durable by one commit.",
    buckets=(0, 1, 2, 4, 8, 16, 32, 64, 128),
)
STATUS_BYTES = Spread(
    "graflow_status_bytes",
    "Size of a Workflow's status, as committed.",
    buckets=(1024, 4096, 8192, 16384, 32768, 49152, 65536),
)
STATUS_BYTES_LIMIT = Level(
    "graflow_status_bytes_limit", "Largest size of a status; the operator keeps to it by itself."
)
OBJECT_BYTES = Spread(
    "graflow_workflow_bytes",
    "Size of a whole Workflow as the API server gave it back: spec, status, metadata.",
    buckets=(4096, 16384, 65536, 131072, 262144, 524288, 1048576, 1572864),
)
OBJECT_BYTES_LIMIT = Level(
    "graflow_workflow_bytes_limit",
    "Largest object that etcd takes as it comes; a cluster may be set up otherwise.",
)
API_REQUESTS = Count(
    "graflow_api_requests_total",
    "Requests to the Kubernetes API server, watches apart.",
    VERB,
    RESOURCE,
    ANSWER,
)
API_LATENCY = Spread(
    "graflow_api_request_duration_seconds",
    "Time that requests to the Kubernetes API server took.",
    VERB,
    ANSWER,
    buckets=_FAST_S,
)
NOTES_DROPPED = Count(
    "graflow_events_dropped_total", "Kubernetes Events not posted: the API server was busy."
)

# -- the operator itself --------------------------------------------------------------------------

MAILBOX = Level(
    "graflow_mailbox_depth",
    "Reports, claims and verdicts that wait to be folded, of all Workflows together.",
)
MAILBOX_DEEPEST = Level(
    "graflow_mailbox_depth_max", "Those of the Workflow for which most of them wait."
)
LOOP_LAG = Level(
    "graflow_loop_lag_seconds",
    "Longest time in the last minute for which the operator's loop did not turn.",
)
WATCH_AGE = Level(
    "graflow_watch_age_seconds",
    "Time since the last news of a watch, or the last comparison with a list. Leader only.",
    WATCHED,
)
WATCH_EVENTS = Count("graflow_watch_events_total", "Objects that the watches delivered.", WATCHED)
WATCH_RESTARTS = Count("graflow_watch_restarts_total", "Times that the watches ended and began.")
RESYNCS = Count(
    "graflow_resyncs_total", "Comparisons of what is remembered with what exists.", RESYNC
)
LEADER = Level("graflow_leader", "1 while this replica holds the Lease, else 0.")
LEASE_ROUNDS = Count("graflow_lease_rounds_total", "Tries to renew or to take the Lease.", ROUND)
LEASE_TURNS = Count(
    "graflow_lease_transitions_total", "Times that this replica began or stopped to lead.", TURN
)

# -- who asks the operator, and whom it asks ------------------------------------------------------

HTTP_REQUESTS = Count(
    "graflow_http_requests_total", "Requests that this replica answered.", ROUTE, STATUS_CODE
)
HTTP_LATENCY = Spread(
    "graflow_http_request_duration_seconds",
    "Time that answers to requests took.",
    ROUTE,
    buckets=_FAST_S,
)
ADMISSIONS = Count(
    "graflow_admission_reviews_total",
    "Workflows and RunnerProfiles judged for the API server.",
    REVIEW,
)
CERTIFICATE_ENDS = Level(
    "graflow_certificate_expiry_timestamp_seconds",
    "When a certificate ends, in seconds since the epoch.",
    CERTIFICATE,
)
CHANNEL_OPERATIONS = Count(
    "graflow_channel_operations_total",
    "Operations on channels that were committed and answered.",
    CHANNEL_OP,
)
CHANNEL_BATCH = Spread(
    "graflow_channel_batch_operations",
    "Operations on channels made durable by one write.",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
)
CHANNEL_COMMITS = Spread(
    "graflow_channel_commit_duration_seconds",
    "Time to make a batch of operations durable in the store.",
    buckets=_FAST_S,
)
STORE_LATENCY = Spread(
    "graflow_store_request_duration_seconds",
    "Time that calls of the store took, failed ones included; waits for a thread apart.",
    STORE_CALL,
    buckets=_FAST_S,
)
STORE_ERRORS = Count(
    "graflow_store_errors_total",
    "Calls of the store that failed; that there is no such object is an answer.",
    STORE_CALL,
    STORE_ERROR,
)

BUILD.set(1.0, version("graflow"))
STATUS_BYTES_LIMIT.set(STATUS_LIMIT)
OBJECT_BYTES_LIMIT.set(OBJECT_LIMIT)


def families() -> tuple[Family, ...]:
    """Return all metrics, in the order in which they are declared."""
    return tuple(found for found in globals().values() if isinstance(found, Family))


def attempt(outcome: str, reason: str) -> None:
    """Count an attempt whose end is committed."""
    kind = faults.of(reason).kind.lower() if reason else "none"
    ATTEMPTS.inc(outcome, kind, reason or "none")


def api_request(verb: str, resource: str, code: str, duration_s: float) -> None:
    """Record one request to the API server."""
    API_REQUESTS.inc(verb, resource, code)
    API_LATENCY.observe(duration_s, verb, code)
