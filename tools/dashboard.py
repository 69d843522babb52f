"""Writes the Grafana dashboard of the chart: a list of panels here, the long JSON there."""

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PATH = Path(__file__).resolve().parents[1] / "charts" / "graflow" / "files" / "dashboard.json"
WIDTH, HEIGHT, ACROSS = 8, 7, 3
ENDS = "graflow_certificate_expiry_timestamp_seconds"
JOB = '{job=~"$job"}'
SOURCE = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True)
class Panel:
    """One graph."""

    title: str
    about: str
    unit: str
    lines: tuple[tuple[str, str], ...]
    """Expressions, each with the legend of what it gives."""


def rate(metric: str, *by: str, where: str = "") -> str:
    """Return how often something happens in a second, by some labels."""
    labels = f'{{job=~"$job"{where and ", "}{where}}}'
    return f"sum by ({', '.join(by)}) (rate({metric}{labels}[$__rate_interval]))"


def quantile(part: float, metric: str, *by: str) -> str:
    """Return a quantile of a histogram, by some labels."""
    return f"histogram_quantile({part}, {rate(f'{metric}_bucket', *by, 'le')})"


def mean(metric: str, *by: str) -> str:
    """Return the mean of a histogram, by some labels."""
    return f"{rate(f'{metric}_sum', *by)} / {rate(f'{metric}_count', *by)}"


ROWS: dict[str, tuple[Panel, ...]] = {
    "Workflows": (
        Panel(
            "Workflows that exist",
            "By phase, ended ones that were not deleted included.",
            "short",
            ((f"sum by (phase) (graflow_workflows{JOB})", "{{phase}}"),),
        ),
        Panel(
            "Workflows that ended",
            "A second, by how they ended.",
            "ops",
            ((rate("graflow_workflows_ended_total", "phase"), "{{phase}}"),),
        ),
        Panel(
            "Workflows that stand still",
            "As a whole, by reason.",
            "short",
            ((f"sum by (reason) (graflow_held_workflows{JOB})", "{{reason}}"),),
        ),
        Panel(
            "Attempts that ended",
            "A second, by outcome and class: user spends retries, infrastructure does not.",
            "ops",
            ((rate("graflow_attempts_total", "outcome", "class"), "{{outcome}} {{class}}"),),
        ),
        Panel(
            "Failed and lost attempts by reason",
            "The words are those of docs/reference/failures.md.",
            "ops",
            (
                (
                    rate("graflow_attempts_total", "reason", where='outcome!="succeeded"'),
                    "{{reason}}",
                ),
            ),
        ),
        Panel(
            "Tasks that wait",
            "By reason. `graflow why NAME` says more.",
            "short",
            ((f"sum by (reason) (graflow_waiting_tasks{JOB})", "{{reason}}"),),
        ),
        Panel(
            "Longest wait",
            "Of a task, or of a Workflow as a whole, by reason.",
            "s",
            ((f"max by (reason) (graflow_waiting_oldest_seconds{JOB})", "{{reason}}"),),
        ),
    ),
    "A hop: from one commit to the next": (
        Panel(
            "Mean of each part",
            "committed, then created, claimed, running, reported, committed. User code is in"
            " running_reported.",
            "s",
            ((mean("graflow_start_latency_seconds", "part"), "{{part}}"),),
        ),
        Panel(
            "95th percentile of each part",
            "Growth of created_claimed is the scheduler, the kubelet or the image.",
            "s",
            ((quantile(0.95, "graflow_start_latency_seconds", "part"), "{{part}}"),),
        ),
    ),
    "Commits and the API server": (
        Panel(
            "Commits",
            "A second, by result. Conflicts are read and tried again.",
            "ops",
            ((rate("graflow_commit_duration_seconds_count", "result"), "{{result}}"),),
        ),
        Panel(
            "Time of a commit",
            "Median and 99th percentile.",
            "s",
            (
                (quantile(0.5, "graflow_commit_duration_seconds"), "median"),
                (quantile(0.99, "graflow_commit_duration_seconds"), "99 %"),
            ),
        ),
        Panel(
            "Facts in one commit",
            "Many mean that commits are slow, and company saves writes.",
            "short",
            ((mean("graflow_commit_facts"), "mean"),),
        ),
        Panel(
            "Requests to the API server",
            "A second, by verb and resource; watches apart.",
            "reqps",
            ((rate("graflow_api_requests_total", "verb", "resource"), "{{verb}} {{resource}}"),),
        ),
        Panel(
            "Answers of the API server",
            "A second, by code. none: no answer.",
            "reqps",
            ((rate("graflow_api_requests_total", "code"), "{{code}}"),),
        ),
        Panel(
            "Time of a request to the API server",
            "95th percentile, by verb.",
            "s",
            ((quantile(0.95, "graflow_api_request_duration_seconds", "verb"), "{{verb}}"),),
        ),
        Panel(
            "Events dropped",
            "Kubernetes Events that were not posted, a second.",
            "ops",
            ((rate("graflow_events_dropped_total"), "dropped"),),
        ),
        Panel(
            "Size of a status",
            "99th percentile, and the limit.",
            "bytes",
            (
                (quantile(0.99, "graflow_status_bytes"), "99 %"),
                (f"max (graflow_status_bytes_limit{JOB})", "limit"),
            ),
        ),
        Panel(
            "Size of a Workflow",
            "99th percentile, and the limit.",
            "bytes",
            (
                (quantile(0.99, "graflow_workflow_bytes"), "99 %"),
                (f"max (graflow_workflow_bytes_limit{JOB})", "limit"),
            ),
        ),
    ),
    "The operator": (
        Panel(
            "Who leads",
            "One replica has 1, the others 0.",
            "short",
            ((f"max by (instance) (graflow_leader{JOB})", "{{instance}}"),),
        ),
        Panel(
            "Lag of the loop",
            "Longest standstill in a minute. Near 15 s the Lease is lost.",
            "s",
            ((f"max by (instance) (graflow_loop_lag_seconds{JOB})", "{{instance}}"),),
        ),
        Panel(
            "Mailboxes",
            "News that waits to be folded: of all Workflows, and of the one that has most.",
            "short",
            (
                (f"sum (graflow_mailbox_depth{JOB})", "all"),
                (f"max (graflow_mailbox_depth_max{JOB})", "deepest"),
            ),
        ),
        Panel(
            "Age of the watches",
            "Since the last news or comparison; over 72 s the comparison fails as well.",
            "s",
            ((f"max by (resource) (graflow_watch_age_seconds{JOB})", "{{resource}}"),),
        ),
        Panel(
            "News of the watches",
            "Objects a second, and times that the watches began anew.",
            "ops",
            (
                (rate("graflow_watch_events_total", "resource"), "{{resource}}"),
                (rate("graflow_watch_restarts_total"), "restarts"),
            ),
        ),
        Panel(
            "Comparisons and the Lease",
            "A second, by result; and turns of leadership.",
            "ops",
            (
                (rate("graflow_resyncs_total", "result"), "comparison {{result}}"),
                (rate("graflow_lease_rounds_total", "result"), "lease {{result}}"),
                (rate("graflow_lease_transitions_total", "to"), "turn to {{to}}"),
            ),
        ),
        Panel(
            "CPU",
            "Cores.",
            "short",
            (
                (
                    f"sum by (instance) (rate(process_cpu_seconds_total{JOB}[$__rate_interval]))",
                    "{{instance}}",
                ),
            ),
        ),
        Panel(
            "Memory",
            "Resident.",
            "bytes",
            ((f"sum by (instance) (process_resident_memory_bytes{JOB})", "{{instance}}"),),
        ),
        Panel(
            "Workflows driven",
            "Those that have not ended, and ended ones with pods left.",
            "short",
            ((f"sum (graflow_workflows_active{JOB})", "driven"),),
        ),
        Panel(
            "Certificates",
            "Time until they end.",
            "s",
            ((f"min by (certificate) ({ENDS}{JOB}) - time()", "{{certificate}}"),),
        ),
        Panel(
            "Versions",
            "Replicas by version of the operator.",
            "short",
            ((f"count by (version) (graflow_build_info{JOB})", "{{version}}"),),
        ),
    ),
    "Questions to people": (
        Panel(
            "Questions",
            "By phase, decided ones that still exist included.",
            "short",
            ((f"sum by (phase) (graflow_feedback_requests{JOB})", "{{phase}}"),),
        ),
        Panel(
            "Longest wait for an answer",
            "deadline none: until somebody answers, for ever if need be.",
            "s",
            (
                (
                    f"max by (deadline) (graflow_feedback_oldest_seconds{JOB})",
                    "deadline {{deadline}}",
                ),
            ),
        ),
        Panel(
            "Questions that people were reminded of",
            "And that wait all the same.",
            "short",
            (
                (
                    f"sum by (deadline) (graflow_feedback_reminded{JOB})",
                    "deadline {{deadline}}",
                ),
            ),
        ),
        Panel(
            "Tries to tell people",
            "A second, by outcome; what failed is tried again for a day.",
            "ops",
            ((rate("graflow_notifications_total", "outcome"), "{{outcome}}"),),
        ),
        Panel(
            "Notifications not delivered yet",
            "Of all questions together.",
            "short",
            ((f"sum (graflow_notifications_pending{JOB})", "pending"),),
        ),
    ),
    "Runners, users, the store": (
        Panel(
            "Requests to the operator",
            "A second, by what is asked and code.",
            "reqps",
            ((rate("graflow_http_requests_total", "route", "code"), "{{route}} {{code}}"),),
        ),
        Panel(
            "Time of an answer",
            "95th percentile, by what is asked.",
            "s",
            ((quantile(0.95, "graflow_http_request_duration_seconds", "route"), "{{route}}"),),
        ),
        Panel(
            "Admission",
            "Workflows judged for the API server, a second.",
            "ops",
            ((rate("graflow_admission_reviews_total", "answer"), "{{answer}}"),),
        ),
        Panel(
            "Channel operations",
            "A second, by kind.",
            "ops",
            ((rate("graflow_channel_operations_total", "op"), "{{op}}"),),
        ),
        Panel(
            "Channel batches",
            "Operations in one write.",
            "short",
            ((mean("graflow_channel_batch_operations"), "mean"),),
        ),
        Panel(
            "Time to write a batch of channel operations",
            "95th percentile; with a store.",
            "s",
            ((quantile(0.95, "graflow_channel_commit_duration_seconds"), "95 %"),),
        ),
        Panel(
            "Time of a call of the store",
            "95th percentile, by operation.",
            "s",
            (
                (
                    quantile(0.95, "graflow_store_request_duration_seconds", "operation"),
                    "{{operation}}",
                ),
            ),
        ),
        Panel(
            "Errors of the store",
            "A second, by operation and kind.",
            "ops",
            (
                (
                    rate("graflow_store_errors_total", "operation", "kind"),
                    "{{operation}} {{kind}}",
                ),
            ),
        ),
    ),
}


def dashboard() -> dict[str, Any]:
    """Return the dashboard as Grafana imports it."""
    return {
        "uid": "graflow",
        "title": "Graflow",
        "description": "Runs, what they wait for, and the operator that drives them.",
        "tags": ["graflow"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": [*_variables()]},
        "panels": [*_placed(ROWS.items())],
    }


def _variables() -> Iterator[dict[str, Any]]:
    yield {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
    yield {
        "name": "job",
        "label": "Installation",
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": "label_values(graflow_build_info, job)", "refId": "job"},
        "refresh": 2,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }


def _placed(rows: Iterable[tuple[str, tuple[Panel, ...]]]) -> Iterator[dict[str, Any]]:
    number, top = 0, 0
    for title, panels in rows:
        number += 1
        place = {"h": 1, "w": 24, "x": 0, "y": top}
        yield {"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": place}
        top += 1
        for index, panel in enumerate(panels):
            number += 1
            down, across = divmod(index, ACROSS)
            yield _graph(number, panel, x=across * WIDTH, y=top + down * HEIGHT)
        top += -(-len(panels) // ACROSS) * HEIGHT


def _graph(number: int, panel: Panel, *, x: int, y: int) -> dict[str, Any]:
    return {
        "id": number,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.about,
        "datasource": SOURCE,
        "gridPos": {"h": HEIGHT, "w": WIDTH, "x": x, "y": y},
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "options": {
            "legend": {"displayMode": "list", "placement": "bottom"},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        "targets": [
            {"refId": chr(ord("A") + n), "expr": expression, "legendFormat": legend}
            for n, (expression, legend) in enumerate(panel.lines)
        ],
    }


def main(*, check: bool) -> int:
    """Write the dashboard, or say whether it is up to date; return an exit code."""
    text = json.dumps(dashboard(), indent=1) + "\n"
    if not check:
        PATH.write_text(text)
    elif not (PATH.exists() and PATH.read_text() == text):
        print(f"{PATH} is out of date; run make crds", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(check="--check" in sys.argv[1:]))
