"""Tasks that ask people: nothing runs while they wait, who may answers, and once is enough."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from e2e.conftest import PROGRAMS, ROOT, Cluster, Ran
from e2e.test_border import through_the_service_proxy
from graflow.api import names
from graflow.api.moment import rfc3339
from support.looking import until

ASKS = PROGRAMS / "asks.py"
QUESTIONS = "feedbackrequests.graflow.dev"
WORKFLOWS = "workflows.graflow.dev"
ROLES = {"respond": "-graflow-respond", "view": "-graflow-view"}


class Town:
    """A namespace in which runs ask, and people with rights of their own answer."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.tokens: dict[str, str] = {}

    def has(self, name: str, *rights: str) -> str:
        """Let somebody live here who has these of the chart's roles; return the user's name."""
        kubectl, namespace = self.cluster.kubectl, self.cluster.namespace
        kubectl("create", "serviceaccount", name)
        known = [role["metadata"]["name"] for role in self.cluster.get("clusterroles")["items"]]
        for right in rights:
            [role] = [found for found in known if found.endswith(ROLES[right])]
            bound = (f"--clusterrole={role}", f"--serviceaccount={namespace}:{name}")
            kubectl("create", "rolebinding", f"{name}-{right}", *bound)
        self.tokens[name] = kubectl("create", "token", name).strip()
        return f"system:serviceaccount:{namespace}:{name}"

    def begins(self, *arguments: str) -> str:
        """Submit the program; return the name of its run."""
        words = ("submit", str(ASKS), "-n", self.cluster.namespace, "--", *arguments)
        ran = self.cluster.graflow(*words)
        assert ran.code == 0, ran.err
        return ran.out.split()[-1]

    def questions(self, run: str, phase: str = "Pending", count: int = 1) -> list[dict[str, Any]]:
        """Wait until a run has so many questions of a phase; return them, by task."""

        def found() -> list[dict[str, Any]]:
            every = self.cluster.get(QUESTIONS, "", "-l", f"graflow.dev/workflow={run}")["items"]
            told = [one for one in every if (one.get("status") or {}).get("phase") == phase]
            return told if len(told) == count else []

        of_run = until(found, lambda: self.cluster.kubectl("get", QUESTIONS, "-o", "yaml"))
        return sorted(of_run, key=lambda one: one["spec"]["task"])

    def question(self, run: str, phase: str = "Pending") -> dict[str, Any]:
        [one] = self.questions(run, phase)
        return one

    def http(self, question: dict[str, Any], body: Any, token: str) -> int:
        """Post an answer as the bearer of a token, or get the question; return the code."""
        name, namespace = question["metadata"]["name"], self.cluster.namespace
        path = f"{names.USER_PREFIX}/namespaces/{namespace}/api/feedback/{name}"
        path += "/respond" if body is not None else ""
        return through_the_service_proxy(self.cluster, path, {names.HEADER_TOKEN: token}, body)[0]

    def parked(self, run: str) -> None:
        """Wait until no pod of a run is left but those that have ended."""

        def alone() -> bool:
            phases = {pod["status"]["phase"] for pod in self.cluster.pods(run)}
            return phases <= {"Succeeded", "Failed"}

        until(alone, lambda: self.cluster.kubectl("get", "pods"))

    def answers(self, who: str, question: dict[str, Any], *words: str) -> Ran:
        """Have somebody answer with `graflow answer`."""
        name = question["metadata"]["name"]
        command = (sys.executable, "-m", "graflow", "answer", name, "-n", self.cluster.namespace)
        done = subprocess.run(
            [*command, *words],
            env={**os.environ, "GRAFLOW_TOKEN": self.tokens[who]},
            capture_output=True,
            text=True,
            cwd=ROOT,
            timeout=60,
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def result(self, run: str) -> Any:
        status = self.cluster.wait(run)["status"]
        assert status["phase"] == "Succeeded", status
        return status["result"]["json"]

    def said(self, run: str) -> Counter[str]:
        """Count what the code of a run's tasks has printed, in pods that are gone as well."""
        ran = self.cluster.graflow("logs", run, "-n", self.cluster.namespace)
        return Counter(line for line in ran.out.splitlines() if not line.startswith("graflow: "))


def responses(question: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (question.get("status") or {}).get("responses", [])
    return found


@contextmanager
def nobody_leads(cluster: Cluster) -> Iterator[None]:
    """Have no operator in the cluster for a while."""
    system = ("-n", "graflow-system")
    which = ("-l", "app.kubernetes.io/name=graflow")
    [operator] = cluster.get("deployments", "", *system, *which)["items"]
    name = f"deployment/{operator['metadata']['name']}"
    cluster.kubectl("scale", name, "--replicas=0", *system)
    try:
        cluster.kubectl("wait", "pod", *which, "--for=delete", "--timeout=60s", *system)
        yield
    finally:
        cluster.kubectl("scale", name, f"--replicas={operator['spec']['replicas']}", *system)
        cluster.kubectl("rollout", "status", name, "--timeout=120s", *system)


@pytest.fixture
def town(cluster: Cluster) -> Town:
    return Town(cluster)


def test_a_run_that_waits_has_no_pod_says_so_and_goes_on_with_the_answer_where_it_was(
    town: Town,
) -> None:
    town.has("ann", "respond")
    run = town.begins("approve")
    asked = town.question(run)
    town.parked(run)
    listed = town.cluster.kubectl("get", WORKFLOWS, run)
    assert "WaitingForPerson" in listed
    waiting = town.cluster.get(WORKFLOWS, run)["status"]["waiting"]
    assert [(one["task"], one["reason"]) for one in waiting] == [("approve", "WaitingForPerson")]
    assert asked["metadata"]["name"] in waiting[0]["message"]
    done = town.answers("ann", asked, "--approve")
    ann = f"system:serviceaccount:{town.cluster.namespace}:ann"
    assert (done.code, done.err) == (0, f"{asked['metadata']['name']}: approved by {ann}\n")
    assert town.result(run) == "done"
    attempts = [attempt for _, activation, attempt in town.cluster.attempts() if activation == "1"]
    assert attempts in (["1", "2"], ["2"])
    tasks = {task["name"]: task for task in town.cluster.get(WORKFLOWS, run)["status"]["tasks"]}
    assert tasks["approve"]["attempt"] == 2
    assert town.said(run)["[after] went on"] == 1


def test_what_a_step_has_kept_before_the_question_is_not_done_again(town: Town) -> None:
    town.has("ann", "respond")
    with town.cluster.submitting(ASKS, "approve") as submitted:
        [run] = until(
            lambda: [one["metadata"]["name"] for one in town.cluster.get(WORKFLOWS)["items"]]
        )
        asked = town.question(run)
        assert town.answers("ann", asked, "--reject", "--reason", "not today").code == 0
        out, err = submitted.communicate(timeout=120)
    assert submitted.returncode == 0, err
    said = Counter(out.splitlines())
    assert (said["prepared"], said["went on"], said["rejected"]) == (1, 1, 1)


def test_questions_of_two_branches_each_have_their_own_answer_and_take_no_slot(
    town: Town,
) -> None:
    town.has("ann", "respond")
    run = town.begins("regions")
    north, south = town.questions(run, count=2)
    assert (north["spec"]["key"], south["spec"]["key"]) == ("to", "to")
    town.parked(run)
    assert town.answers("ann", south, "--select", "south-2").code == 0
    town.questions(run, "Answered")
    assert town.answers("ann", north, "--select", "south-1").code == 2
    assert town.answers("ann", north, "--select", "north-1").code == 0
    assert town.result(run) == ["north-1", "south-2"]


def test_who_may_only_look_is_refused_and_told_which_right_it_takes(town: Town) -> None:
    eve = town.has("eve", "view")
    town.has("ann", "respond")
    asked = town.question(run := town.begins("approve"))
    refused = town.answers("eve", asked, "--approve")
    assert refused.code == 3
    assert eve in refused.err
    assert "respond" in refused.err
    assert responses(town.question(run)) == []


def test_over_http_only_a_post_with_the_token_of_who_may_answers(town: Town) -> None:
    town.has("ann", "respond")
    town.has("eve", "view")
    asked = town.question(run := town.begins("approve"))
    yes = {"approved": True, "responded_by": "the boss"}
    assert town.http(asked, yes, "forged") == 401
    assert town.http(asked, yes, town.tokens["eve"]) == 403
    assert town.http(asked, None, town.tokens["ann"]) == 200
    assert responses(town.question(run)) == []
    assert town.http(asked, yes, town.tokens["ann"]) == 200
    assert town.result(run) == "done"
    [response] = responses(town.question(run, "Answered"))
    assert response["by"] == f"system:serviceaccount:{town.cluster.namespace}:ann"


def test_two_of_those_who_are_asked_must_approve_and_one_of_them_twice_is_one(town: Town) -> None:
    ann, bob = (town.has(name, "respond") for name in ("ann", "bob"))
    town.has("eve", "respond")
    asked = town.question(run := town.begins("several", ann, bob))
    outside = town.answers("eve", asked, "--approve")
    assert outside.code == 3
    assert "eve" in outside.err
    assert town.answers("ann", asked, "--approve").code == 0
    town.answers("ann", asked, "--approve")
    assert len(responses(town.question(run))) == 1
    assert town.answers("bob", asked, "--approve").code == 0
    assert town.result(run) is True


def test_the_second_answer_is_told_who_was_first(town: Town) -> None:
    town.has("ann", "respond")
    town.has("bob", "respond")
    asked = town.question(run := town.begins("approve"))
    assert town.answers("ann", asked, "--reject", "--reason", "too dear").code == 0
    late = town.answers("bob", asked, "--approve")
    assert late.code == 2
    assert "rejected by" in late.err
    assert ":ann" in late.err
    assert town.result(run) == "rejected"


@pytest.mark.parametrize(
    ("shape", "value"), [("late", "too late"), ("lenient", "nobody"), ("jumpy", "elsewhere")]
)
def test_at_the_deadline_what_the_program_says_for_it_happens(
    town: Town, shape: str, value: str
) -> None:
    run = town.begins(shape)
    assert town.result(run) == value
    assert town.question(run, "Expired")["status"]["message"]


def test_a_deadline_that_nobody_catches_fails_the_task_once(town: Town) -> None:
    run = town.begins("failing")
    status = town.cluster.wait(run)["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "FeedbackTimeout")
    assert {attempt for _, _, attempt in town.cluster.attempts()} <= {"1", "2"}


def test_when_the_first_ones_are_silent_the_question_goes_to_others(town: Town) -> None:
    town.has("bob", "respond")
    bob = f"system:serviceaccount:{town.cluster.namespace}:bob"
    asked = town.question(run := town.begins("escalated", bob))
    until(lambda: town.question(run)["status"].get("escalated"))
    assert town.answers("bob", asked, "--approve").code == 0
    assert town.result(run) is True


def test_a_quick_answer_comes_to_the_pod_that_asked(town: Town) -> None:
    town.has("ann", "respond")
    asked = town.question(run := town.begins("quick"))
    assert town.answers("ann", asked, "--text", "this").code == 0
    assert town.result(run) == "this"
    assert [attempt for _, _, attempt in town.cluster.attempts()] == ["1"]


def test_a_question_of_a_cancelled_run_is_withdrawn_and_takes_no_answer(town: Town) -> None:
    town.has("ann", "respond")
    asked = town.question(run := town.begins("approve"))
    assert town.cluster.graflow("cancel", run, "-n", town.cluster.namespace).code == 0
    assert town.cluster.wait(run)["status"]["phase"] == "Cancelled"
    town.question(run, "Withdrawn")
    late = town.answers("ann", asked, "--approve")
    assert late.code == 2
    assert "Withdrawn" in late.err


def test_an_answer_that_comes_while_no_operator_is_there_counts_when_one_is(town: Town) -> None:
    town.has("ann", "respond")
    asked = town.question(run := town.begins("approve"))
    town.parked(run)
    namespace = town.cluster.namespace
    ann = f"system:serviceaccount:{namespace}:ann"
    words = ("--subresource=status", "--type=merge", f"--as={ann}", "-p")
    response = {"by": ann, "at": rfc3339(time.time()), "how": "Patch", "approved": True}
    patch = {"status": {"responses": [{**response, "sha256": asked["spec"]["sha256"]}]}}
    with nobody_leads(town.cluster):
        town.cluster.kubectl(
            "patch", QUESTIONS, asked["metadata"]["name"], *words, json.dumps(patch)
        )
    assert town.result(run) == "done"


def test_a_fork_asks_again_what_was_answered(town: Town) -> None:
    town.has("ann", "respond")
    run = town.begins("approve")
    assert town.answers("ann", town.question(run), "--approve").code == 0
    assert town.result(run) == "done"
    words = ("fork", run, "-n", town.cluster.namespace, "--name", "forked", "--rerun", "approve")
    forked = town.cluster.graflow(*words)
    assert forked.code == 0, forked.err
    assert town.answers("ann", town.question("forked"), "--reject").code == 0
    assert town.result("forked") == "rejected"


def test_a_run_that_is_resumed_asks_nobody_again(town: Town) -> None:
    town.has("ann", "respond")
    run = town.begins("then-fails")
    assert town.answers("ann", town.question(run), "--approve").code == 0
    assert town.cluster.wait(run)["status"]["phase"] == "Failed"
    words = ("resume", run, "-n", town.cluster.namespace, "--name", "resumed")
    resumed = town.cluster.graflow(*words)
    assert resumed.code == 0, resumed.err
    assert town.cluster.wait("resumed")["status"]["phase"] == "Failed"
    assert town.cluster.get(QUESTIONS, "", "-l", "graflow.dev/workflow=resumed")["items"] == []
