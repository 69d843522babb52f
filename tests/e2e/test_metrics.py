"""A real Prometheus scrapes the operator while runs succeed, fail, are lost and wait."""

import json
import math
import re
import shutil
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import yaml

from e2e.conftest import PROGRAMS, ROOT, Cluster, manifest, namespace
from support.looking import until

FILES = ROOT / "charts" / "graflow" / "files"
RATE_INTERVAL = "10m"


def program(name: str) -> str:
    own = ROOT / ".cluster" / "bin" / name
    found = str(own) if own.exists() else shutil.which(name)
    assert found, f"no {name}: `make prometheus` brings it"
    return found


def targets(kubectl_path: str) -> list[str]:
    """Return the addresses of the operator's replicas, which this machine can reach."""
    words = (kubectl_path, "-n", "graflow-system", "get", "pods", "-o", "json")
    done = subprocess.run(
        [*words, "-l", "app.kubernetes.io/component=operator"],
        check=True,
        capture_output=True,
        text=True,
    )
    pods = json.loads(done.stdout)["items"]
    return [f"{pod['status']['podIP']}:9090" for pod in pods if pod["status"].get("podIP")]


class Prometheus:
    """Prometheus, asked over HTTP."""

    def __init__(self, url: str) -> None:
        self._url = url

    def get(self, path: str, **query: str) -> Any:
        with urllib.request.urlopen(f"{self._url}{path}?{urlencode(query)}", timeout=10) as answer:
            return answer.read()

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Return the labels and values that an expression has now, what is no number left out."""
        found = json.loads(self.get("/api/v1/query", query=expression))["data"]["result"]
        pairs = [(one["metric"], float(one["value"][1])) for one in found]
        return [pair for pair in pairs if not math.isnan(pair[1])]

    def until(
        self, expression: str, holds: Callable[[float], bool] = lambda _: True
    ) -> list[tuple[dict[str, str], float]]:
        """Wait until an expression has a value that is right, and return all that it has."""

        def right() -> list[tuple[dict[str, str], float]]:
            found = self.query(expression)
            return found if any(holds(value) for _, value in found) else []

        found: list[tuple[dict[str, str], float]] = until(
            right, lambda: f"{expression}: {self.query(expression)}"
        )
        return found


@pytest.fixture(scope="module")
def prometheus(kubectl_path: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    folder = tmp_path_factory.mktemp("prometheus")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    scrape = {
        "job_name": "graflow",
        "static_configs": [
            {"targets": targets(kubectl_path), "labels": {"namespace": "graflow-system"}}
        ],
    }
    settings = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(FILES / "rules.yaml")],
        "scrape_configs": [scrape],
    }
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(settings))
    command = [
        *(program("prometheus"), f"--config.file={folder / 'prometheus.yaml'}"),
        *(f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address={address}"),
    ]
    with (folder / "log").open("w") as log, subprocess.Popen(command, stderr=log) as process:
        try:
            yield ready(Prometheus(f"http://{address}"), process, folder / "log")
        finally:
            process.terminate()


def ready(found: Prometheus, process: subprocess.Popen[bytes], log: Path) -> Prometheus:
    def answers() -> Any:
        assert process.poll() is None, log.read_text()
        return found.get("/-/ready")

    until(answers, log.read_text, despite=OSError)
    found.until("sum(graflow_leader)", lambda leaders: leaders == 1)
    return found


@pytest.fixture(scope="module")
def lived(prometheus: Prometheus, kubectl_path: str) -> Iterator[Cluster]:
    """A namespace in which runs went well and badly, with one lost attempt, and some that wait."""
    with namespace(kubectl_path) as cluster:
        for name, script, task, spec in (
            ("fails", "raise ValueError(1)", {"retry": {"maxAttempts": 2}}, {}),
            ("lost", "import time; time.sleep(600)", {}, {}),
            ("waits", "return 1", {"profile": "of-nobody"}, {}),
            ("suspended", "return 1", {}, {"suspend": True}),
        ):
            made = manifest(name, [{"name": "a", "script": script, **task}], **spec)
            ran = cluster.apply(made)
            assert ran.code == 0, ran.err
        ran = cluster.submit(PROGRAMS / "channel_counts.py")
        assert ran.code == 0, ran.err
        cluster.wait("fails")
        running = '--for=jsonpath={.status.tasks[?(@.name=="a")].phase}=Running'
        cluster.kubectl("wait", running, "workflows.graflow.dev/lost", "--timeout=60s")
        [pod] = cluster.pods("lost")
        cluster.kubectl("delete", "pod", pod["metadata"]["name"], "--wait=false")
        yield cluster


def at_least(number: float) -> Callable[[float], bool]:
    return lambda value: value >= number


def expressions() -> list[str]:
    """All that dashboard and rules ask, in a form that has a value whether or not it fires."""
    panels = json.loads((FILES / "dashboard.json").read_text())["panels"]
    asked = [target["expr"] for panel in panels for target in panel.get("targets", ())]
    rules = yaml.safe_load((FILES / "rules.yaml").read_text())["groups"]
    asked += [with_values(rule["expr"]) for group in rules for rule in group["rules"]]
    return sorted(
        {
            one.replace("$__rate_interval", RATE_INTERVAL).replace("$job", ".*").strip()
            for one in asked
        }
    )


def with_values(expression: str) -> str:
    """Return a condition as a number, 0 or 1: one that does not hold is no missing data then.

    >>> with_values('a{b!="c"} > 2')
    'a{b!="c"} > bool 2'
    """
    parts = re.split(r"(\{[^}]*\})", expression)
    return "".join(
        part if part.startswith("{") else re.sub(r"(==|!=|>=|<=|>|<) ", r"\1 bool ", part)
        for part in parts
    )


@pytest.mark.parametrize("expression", expressions())
def test_every_expression_of_dashboard_and_rules_has_a_value(
    expression: str, prometheus: Prometheus, lived: Cluster
) -> None:
    if "certificate" in expression and not speaks_tls(lived):
        assert prometheus.query(expression) == []  # no TLS, no certificate that could end
    else:
        prometheus.until(expression)


def speaks_tls(cluster: Cluster) -> bool:
    """Whether runners are told to call the operator by TLS."""
    path = "{.items[*].spec.template.spec.containers[*].env[?(@.name=='GRAFLOW_ADVERTISE')].value}"
    words = ("-n", "graflow-system", "get", "deployments", "-o", f"jsonpath={path}")
    ran = cluster.run(cluster.kubectl_path, *words)
    assert ran.code == 0, ran.err
    return "https://" in ran.out


def test_prometheus_evaluates_the_rules_and_knows_no_error(prometheus: Prometheus) -> None:
    prometheus.until("prometheus_rule_evaluations_total or vector(1)")
    groups = json.loads(prometheus.get("/api/v1/rules"))["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert rules
    assert [(rule["name"], rule.get("lastError")) for rule in rules if rule.get("lastError")] == []


def test_the_workflows_that_exist_are_counted(prometheus: Prometheus, lived: Cluster) -> None:
    items = lived.get("workflows.graflow.dev", "", "-A")["items"]
    ours = [item for item in items if not item["spec"].get("operator")]
    prometheus.until("sum(graflow_workflows)", lambda value: value == len(ours))


@pytest.mark.parametrize(
    ("expression", "least"),
    [
        ('graflow_attempts_total{outcome="succeeded",class="none",reason="none"}', 2),
        ('graflow_attempts_total{outcome="failed",class="user",reason="TaskFailed"}', 2),
        ('graflow_attempts_total{outcome="lost",class="infrastructure"}', 1),
        ('graflow_workflows_ended_total{phase="Succeeded"}', 1),
        ('graflow_workflows_ended_total{phase="Failed"}', 1),
        ('graflow_waiting_tasks{reason="ProfileMissing"}', 1),
        ('graflow_waiting_oldest_seconds{reason="ProfileMissing"}', 0.001),
        ('graflow_held_workflows{reason="Suspended"}', 1),
        ("graflow_channel_operations_total", 1),
        ('graflow_start_latency_seconds_count{part="claimed_running"}', 1),
    ],
)
def test_what_the_runs_did_can_be_seen(
    expression: str, least: float, prometheus: Prometheus, lived: Cluster
) -> None:
    prometheus.until(f"sum({expression})", at_least(least))


def test_a_hop_is_the_sum_of_its_parts(prometheus: Prometheus, lived: Cluster) -> None:
    found = prometheus.until("sum by (part) (graflow_start_latency_seconds_count)")
    assert {labels["part"] for labels, value in found if value} == {
        *("created_claimed", "claimed_running", "running_reported"),
        *("reported_committed", "committed_created"),
    }


def test_no_name_of_a_user_is_a_label(prometheus: Prometheus, lived: Cluster) -> None:
    series = json.loads(prometheus.get("/api/v1/series", **{"match[]": '{__name__=~"graflow_.*"}'}))
    assert series["data"]
    assert lived.namespace not in json.dumps(series["data"])
    assert "of-nobody" not in json.dumps(series["data"])


def test_the_metrics_are_such_as_prometheus_recommends(kubectl_path: str) -> None:
    for target in targets(kubectl_path):
        with urllib.request.urlopen(f"http://{target}/metrics", timeout=10) as answer:
            text = answer.read()
        done = subprocess.run(
            [program("promtool"), "check", "metrics"], input=text, capture_output=True, check=False
        )
        assert (done.returncode, done.stdout + done.stderr) == (0, b"")
