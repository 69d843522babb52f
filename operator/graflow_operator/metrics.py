"""What Prometheus sees. Labels come from closed sets only: no names, no uids."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

_FAST_S: Final = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_POD_S: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0)

API_REQUESTS = Histogram(
    "graflow_api_request_duration_seconds",
    "Requests to the Kubernetes API server. code: the HTTP status, none without an answer.",
    ["method", "resource", "code"],
    buckets=_FAST_S,
)
COMMITS = Histogram(
    "graflow_commit_duration_seconds",
    "Time to make a batch of facts durable. result: committed, conflict (folded again), failed.",
    ["result"],
    buckets=_FAST_S,
)
COMMIT_FACTS = Histogram(
    "graflow_commit_facts",
    "Facts made durable by one commit.",
    buckets=(0, 1, 2, 4, 8, 16, 32, 64, 128),
)
STATUS_BYTES = Histogram(
    "graflow_status_bytes",
    "Size of a Workflow's status as committed.",
    buckets=(1024, 4096, 8192, 16384, 32768, 65536),
)
START_LATENCY = Histogram(
    "graflow_start_latency_seconds",
    "Parts of a hop. part: created_claimed (pod created to order given),"
    " claimed_reported (order given to report), reported_committed (report to its commit),"
    " committed_created (commit to the next pod created).",
    ["part"],
    buckets=_POD_S,
)
ATTEMPTS = Counter(
    "graflow_attempts_total",
    "Attempts that ended. outcome: succeeded, failed (user code), lost (infrastructure).",
    ["outcome"],
)
RUNS_ENDED = Counter(
    "graflow_workflows_ended_total",
    "Workflows that ended. phase: Succeeded, Failed, Cancelled.",
    ["phase"],
)
RUNS_ACTIVE = Gauge("graflow_workflows_active", "Workflows that this replica drives now.")
RUNNER_REQUESTS = Counter(
    "graflow_runner_requests_total",
    "Requests of runners. call: claim, report, results, channel, blob,"
    " bundle; code is the HTTP status.",
    ["call", "code"],
)
CHANNEL_OPERATIONS = Counter(
    "graflow_channel_operations_total",
    "Operations on channels that were committed and answered. op: set, delete, clear, extend"
    " (append, prepend), add, lock, unlock; get, exists, keys, wait (for a lock).",
    ["op"],
)
CHANNEL_BATCH = Histogram(
    "graflow_channel_batch_operations",
    "Operations on channels made durable by one write.",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
)
CHANNEL_COMMITS = Histogram(
    "graflow_channel_commit_duration_seconds",
    "Time to make a batch of operations durable in the store.",
    buckets=_FAST_S,
)
STORE_ERRORS = Counter(
    "graflow_store_errors_total",
    "Store calls that failed. kind: unavailable (tried again), refused.",
    ["kind"],
)
LEADER = Gauge("graflow_leader", "1 while this replica holds the Lease.")
LOOP_LAG = Gauge("graflow_loop_lag_seconds", "How late the engine's loop was at its last tick.")
WATCH_EVENTS = Counter(
    "graflow_watch_events_total",
    "Objects that the watches delivered. resource: workflows, pods.",
    ["resource"],
)
WATCH_RESTARTS = Counter("graflow_watch_restarts_total", "Times that the watches ended and began.")
NOTES_DROPPED = Counter(
    "graflow_events_dropped_total", "Kubernetes Events not posted because the API server was busy."
)


def api_request(method: str, resource: str, code: str, duration_s: float) -> None:
    """Record one request to the API server."""
    API_REQUESTS.labels(method, resource, code).observe(duration_s)
