"""Alerts and dashboard: each alert fires when it should and is silent when it should not."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from graflow.machine import faults
from graflow.machine.fault import FaultKind
from graflow_operator import metrics

ROOT = Path(__file__).resolve().parents[2]
FILES = ROOT / "charts" / "graflow" / "files"
RUNBOOK = ROOT / "docs" / "how-to" / "watch-with-prometheus.md"
RULES = yaml.safe_load((FILES / "rules.yaml").read_text())
ALERTS = {rule["alert"]: rule for group in RULES["groups"] for rule in group["rules"]}
FROM = {"job": "graflow", "namespace": "graflow-system", "instance": "10.0.0.1:9090"}

HEALTHY = {
    'graflow_build_info{version="0.1.0"}': "1x40",
    "graflow_leader": "1x40",
    "process_start_time_seconds": "1000x40",
    'graflow_held_workflows{reason="StoreUnavailable"}': "0x40",
    'graflow_held_workflows{reason="Suspended"}': "1x40",
    'graflow_commit_duration_seconds_count{result="committed"}': "0+60x40",
    'graflow_commit_duration_seconds_count{result="failed"}': "0x40",
    'graflow_api_requests_total{code="200", verb="patch"}': "0+100x40",
    'graflow_watch_age_seconds{resource="pods"}': "70x40",
    "graflow_loop_lag_seconds": "0.02x40",
    "graflow_operator_failures_total": "1x40",
    'graflow_waiting_oldest_seconds{reason="Suspended"}': "0+60x40",
    'graflow_waiting_oldest_seconds{reason="Unschedulable"}': "800x40",
    'graflow_attempts_total{outcome="succeeded"}': "0+60x40",
    "graflow_status_bytes_count": "0+60x40",
    'graflow_status_bytes_bucket{le="49152.0"}': "0+60x40",
    "graflow_workflow_bytes_count": "0+60x40",
    'graflow_workflow_bytes_bucket{le="1.048576e+06"}': "0+60x40",
    'graflow_store_errors_total{kind="unavailable", operation="get"}': "0x40",
    'graflow_certificate_expiry_timestamp_seconds{certificate="server"}': "200000x40",
    'graflow_certificate_expiry_timestamp_seconds{certificate="authority"}': "9000000x40",
    'graflow_feedback_oldest_seconds{deadline="none"}': "86000x40",
    'graflow_feedback_oldest_seconds{deadline="set"}': "900000x40",
    'graflow_feedback_reminded{deadline="none"}': "0x40",
    'graflow_feedback_reminded{deadline="set"}': "1x40",
    "graflow_notifications_pending": "1x40",
    'graflow_notifications_total{outcome="failed"}': "3x40",
    'graflow_notifications_total{outcome="given_up"}': "1x40",
}
"""An installation with nothing wrong: samples a minute, for forty minutes."""

GONE = None
SICK = {
    "GraflowOperatorDown": (dict.fromkeys(HEALTHY, GONE), {}),
    "GraflowNoLeader": ({"graflow_leader": "0x40"}, {}),
    "GraflowCommitsFailing": (
        {'graflow_commit_duration_seconds_count{result="failed"}': "0+10x40"},
        {},
    ),
    "GraflowApiServerThrottles": (
        {'graflow_api_requests_total{code="429", verb="create"}': "0+10x40"},
        {},
    ),
    "GraflowWatchStale": (
        {'graflow_watch_age_seconds{resource="pods"}': "0+60x40"},
        {"resource": "pods"},
    ),
    "GraflowLoopLag": ({"graflow_loop_lag_seconds": "3x40"}, {"instance": FROM["instance"]}),
    "GraflowTasksWaitLong": (
        {'graflow_waiting_oldest_seconds{reason="Unschedulable"}': "0+60x40"},
        {"reason": "Unschedulable"},
    ),
    "GraflowAttemptsLost": ({'graflow_attempts_total{outcome="lost"}': "0+10x40"}, {}),
    "GraflowStatusNearLimit": ({"graflow_status_bytes_count": "0+61x40"}, {}),
    "GraflowWorkflowNearLimit": ({"graflow_workflow_bytes_count": "0+61x40"}, {}),
    "GraflowStoreErrors": (
        # As often as an operator asks that began while the store was away, and has no run.
        {'graflow_store_errors_total{kind="unavailable", operation="get"}': "0+2x40"},
        {"kind": "unavailable"},
    ),
    "GraflowRunsStandStill": (
        {'graflow_held_workflows{reason="StoreUnavailable"}': "2x40"},
        {"reason": "StoreUnavailable"},
    ),
    # Four runs that one error hits at once, or one that is hit again and again.
    "GraflowOperatorFails": ({"graflow_operator_failures_total": "0x30 4x10"}, {}),
    "GraflowLeaderChanges": ({"graflow_leader": " ".join(["1", "0"] * 20)}, {}),
    "GraflowOperatorRestarts": (
        {"process_start_time_seconds": "1000+120x40"},
        {"instance": FROM["instance"]},
    ),
    "GraflowCertificateEndsSoon": (
        {'graflow_certificate_expiry_timestamp_seconds{certificate="server"}': "3600x40"},
        {"certificate": "server"},
    ),
    "GraflowQuestionWaits": ({'graflow_feedback_reminded{deadline="none"}': "1x40"}, {}),
    # As often as one notification is tried, once it has failed for a while.
    "GraflowNotificationsFail": (
        {'graflow_notifications_total{outcome="failed"}': " ".join(f"{n}x4" for n in range(9))},
        {},
    ),
    "GraflowNotificationGivenUp": (
        {'graflow_notifications_total{outcome="given_up"}': "0x30 1x10"},
        {},
    ),
}
"""For each alert: what is otherwise when it is to fire, and the labels that it then has."""

NEARLY = {
    "GraflowOperatorDown": {'graflow_build_info{version="0.1.0"}': "1x20 _x1 1x20"},
    "GraflowNoLeader": {"graflow_leader": "1x20 0x0 1x20"},
    "GraflowCommitsFailing": {
        'graflow_commit_duration_seconds_count{result="failed"}': "0+6x40",
    },
    "GraflowApiServerThrottles": {
        'graflow_api_requests_total{code="429", verb="create"}': "0+4x40"
    },
    "GraflowWatchStale": {'graflow_watch_age_seconds{resource="pods"}': "179x40"},
    "GraflowLoopLag": {"graflow_loop_lag_seconds": "0x20 9x3 0x20"},
    "GraflowTasksWaitLong": {
        'graflow_waiting_oldest_seconds{reason="Parallelism"}': "0+600x40",
    },
    "GraflowAttemptsLost": {'graflow_attempts_total{outcome="lost"}': "0+5x40"},
    "GraflowStatusNearLimit": {},
    "GraflowWorkflowNearLimit": {},
    "GraflowStoreErrors": {
        'graflow_store_errors_total{kind="refused", operation="get"}': "0+1x40",
    },
    "GraflowRunsStandStill": {
        'graflow_held_workflows{reason="StoreUnavailable"}': "0x20 3x3 0x20",
    },
    "GraflowOperatorFails": {"graflow_operator_failures_total": "0x9 1x4 2x4 3x4 4x4 5x4 6x10"},
    "GraflowLeaderChanges": {"graflow_leader": "1x18 0 1x5 0 1x18"},
    "GraflowOperatorRestarts": {"process_start_time_seconds": "1000x18 2000x5 3000x18"},
    "GraflowCertificateEndsSoon": {
        'graflow_certificate_expiry_timestamp_seconds{certificate="authority"}': "700000x40"
    },
    "GraflowQuestionWaits": {'graflow_feedback_oldest_seconds{deadline="none"}': "86400x40"},
    # A target that was away for a moment has it.
    "GraflowNotificationsFail": {
        'graflow_notifications_total{outcome="failed"}': "0x10 1x1 5x29",
        "graflow_notifications_pending": "0x10 1x10 0x20",
    },
    "GraflowNotificationGivenUp": {
        'graflow_notifications_total{outcome="failed"}': "0x30 1x10",
        "graflow_notifications_pending": "0x40",
    },
}
"""For each alert: what is otherwise, and yet not enough."""


@pytest.fixture(scope="session")
def promtool():
    own = ROOT / ".cluster" / "bin" / "promtool"
    found = str(own) if own.exists() else shutil.which("promtool")
    if not found:
        pytest.fail("no promtool: `make prometheus` brings one")

    def run(*words):
        return subprocess.run([found, *words], capture_output=True, text=True, check=False)

    return run


def series(changes):
    for name, values in {**HEALTHY, **changes}.items():
        if values is not GONE:
            metric, _, labels = name.partition("{")
            more = ", ".join(f'{label}="{value}"' for label, value in FROM.items())
            yield {"series": f"{metric}{{{more}, {labels or '}'}", "values": values}


@pytest.fixture
def firing(promtool, tmp_path):
    """Say what of the alerts fires, at any minute: none, or one with these labels."""

    def check(changes, alert="", labels=None):
        moments = [38] if alert else range(40)
        expected = [{"labels": sample(alert, labels), "value": 1}] if alert else []
        test = {
            "rule_files": [str(FILES / "rules.yaml")],
            "tests": [
                {
                    "interval": "1m",
                    "input_series": [*series(changes)],
                    "promql_expr_test": [
                        {
                            "expr": 'ALERTS{alertstate="firing"}',
                            "eval_time": f"{minute}m",
                            "exp_samples": expected,
                        }
                        for minute in moments
                    ],
                }
            ],
        }
        (tmp_path / "test.yaml").write_text(yaml.safe_dump(test))
        done = promtool("test", "rules", str(tmp_path / "test.yaml"))
        assert done.returncode == 0, done.stdout + done.stderr

    return check


def sample(alert, labels):
    common = {} if alert == "GraflowOperatorDown" else {k: FROM[k] for k in ("job", "namespace")}
    known = {**common, **labels, "alertname": alert, "alertstate": "firing"}
    known["severity"] = ALERTS[alert]["labels"]["severity"]
    return f"ALERTS{{{', '.join(f'{k}={json.dumps(v)}' for k, v in known.items())}}}"


def test_the_rules_can_be_read_by_a_plain_prometheus(promtool):
    done = promtool("check", "rules", str(FILES / "rules.yaml"))
    assert done.returncode == 0, done.stderr
    assert "SUCCESS" in done.stdout


def test_the_prometheusrule_is_that_very_file(render):
    [rule] = [
        thing
        for thing in render("--set", "metrics.rules.enabled=true,metrics.rules.labels.release=p")
        if thing["kind"] == "PrometheusRule"
    ]
    assert rule["spec"] == RULES
    assert rule["metadata"]["labels"]["release"] == "p"


def test_the_dashboard_is_one_that_grafanas_sidecar_finds(render):
    [found] = [
        thing
        for thing in render("--set", "metrics.dashboard.enabled=true")
        if thing["kind"] == "ConfigMap"
    ]
    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert found["data"] == {"graflow.json": (FILES / "dashboard.json").read_text()}
    assert json.loads(found["data"]["graflow.json"])["uid"] == "graflow"


def test_neither_is_made_where_there_are_no_metrics(render):
    wanted = ("metrics.rules.enabled=true", "metrics.dashboard.enabled=true")
    objects = render("--set", ",".join((*wanted, "metrics.enabled=false")))
    assert not {"PrometheusRule", "ConfigMap"} & {thing["kind"] for thing in objects}


def test_nothing_fires_where_nothing_is_wrong(firing):
    firing({})


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_fires_when_it_should_and_no_other_does(alert, firing):
    changes, labels = SICK[alert]
    firing(changes, alert, labels)


def test_a_question_that_waits_for_a_day_without_a_deadline_alerts_without_a_reminder_too(firing):
    waits = {'graflow_feedback_oldest_seconds{deadline="none"}': "90000x40"}
    firing(waits, "GraflowQuestionWaits", {})


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_is_silent_while_it_is_not_that_bad(alert, firing):
    firing(NEARLY[alert])


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_says_what_to_look_at_and_the_runbook_says_what_to_do(alert):
    notes = ALERTS[alert]["annotations"]
    assert "ook " in notes["description"] or "`graflow why" in notes["description"]
    assert f"\n### {alert}\n" in RUNBOOK.read_text()
    page, _, anchor = notes["runbook"].partition("#")
    assert (ROOT / page, anchor) == (RUNBOOK, alert.lower())


def test_waits_that_alert_nobody_are_those_in_which_nothing_is_wrong():
    quiet = re.search(r'reason!~\s*"([^"]*)"', ALERTS["GraflowTasksWaitLong"]["expr"])[1]
    for reason in quiet.split("|"):
        assert faults.FAULTS[reason].kind is FaultKind.WAIT


def expressions():
    for panel in json.loads((FILES / "dashboard.json").read_text())["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))
    yield from (rule["expr"] for rule in ALERTS.values())


@pytest.mark.parametrize("expression", sorted(set(expressions())))
def test_an_expression_names_only_metrics_and_values_that_there_are(expression):
    known = {}
    for family in metrics.families():
        suffixes = ("_bucket", "_sum", "_count") if family.kind == "histogram" else ("",)
        known |= {f"{family.name}{suffix}": family for suffix in suffixes}
    for name, labels in re.findall(r"(graflow_\w+)(\{[^}]*\})?", expression):
        values = {label.name: label.values for label in known[name].labels}
        for label, given in re.findall(r'(\w+)(?:!?=|[!=]~)\s*"([^"$]*)"', labels):
            for one in given.split("|") if label != "le" else ():
                assert one in values[label], (name, label, one)
        for label in re.findall(r'(\w+)(?:!?=~)"', labels):
            assert label == "job" or label in values, (name, label)
