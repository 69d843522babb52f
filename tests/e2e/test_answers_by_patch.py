"""Who may answer by `kubectl patch`, and that it is an answer and nothing else."""

import json
from collections.abc import Callable

import pytest

from e2e.conftest import Cluster
from support.questions import AT, raw_spec

ASKED = "feedbackrequests.graflow.dev"
Answer = Callable[..., str]


@pytest.fixture
def people(cluster: Cluster) -> None:
    """Ann, Bob and the group ops may respond; Eve may only look."""
    [role] = [
        found["metadata"]["name"]
        for found in cluster.get("clusterroles")["items"]
        if found["metadata"]["name"].endswith("-graflow-respond")
    ]
    subjects = ("--user=ann", "--user=bob", "--group=ops")
    cluster.kubectl("create", "rolebinding", "respond", f"--clusterrole={role}", *subjects)
    # What a status takes without the verb to respond: the policy asks for that, not RBAC alone.
    rights = ("--verb=get,patch", f"--resource={ASKED},{ASKED}/status")
    cluster.kubectl("create", "role", "look", *rights)
    cluster.kubectl("create", "rolebinding", "look", "--role=look", "--user=eve")


def asked_for(**more: object) -> dict:
    """Return a question of the installation whose policies are there."""
    head = {"apiVersion": "graflow.dev/v1alpha1", "kind": "FeedbackRequest"}
    return {**head, "metadata": {"name": "q"}, "spec": raw_spec(**more)}


@pytest.fixture
def as_operator(cluster: Cluster) -> str:
    """Let the operator of the chart do all in the namespace; return how kubectl acts as it."""
    account = cluster.get("serviceaccounts", "", "-A", "-l", "app.kubernetes.io/name=graflow")
    [name] = {
        f"{one['metadata']['namespace']}:{one['metadata']['name']}" for one in account["items"]
    }
    bound = ("--clusterrole=cluster-admin", f"--serviceaccount={name}")
    cluster.kubectl("create", "rolebinding", "operator", *bound)
    return f"--as=system:serviceaccount:{name}"


@pytest.fixture
def ask(cluster: Cluster, as_operator: str) -> Callable[..., dict]:
    """Ask a question, as the operator does."""

    def run(**more: object) -> dict:
        made = asked_for(**more)
        words = ("apply", as_operator, "-f", "-")
        assert "feedbackrequest" in cluster.kubectl(*words, stdin=json.dumps(made))
        return made

    return run


@pytest.fixture
def answer(cluster: Cluster, people: None) -> Answer:
    """Answer as somebody: one response more, or whatever else a patch may try."""

    def run(asked: dict, by: str, *flags: str, status: dict | None = None, **wrong: object) -> str:
        known = (cluster.get(ASKED, "q").get("status") or {}).get("responses", [])
        mine = {"by": by, "at": AT, "how": "Patch", "sha256": asked["spec"]["sha256"]}
        more = {**mine, "approved": True, **wrong}
        patch = {"status": {"responses": [*known, more], **(status or {})}}
        words = ("--subresource=status", "--type=merge", "-p", json.dumps(patch))
        return cluster.kubectl("patch", ASKED, "q", f"--as={by}", *flags, *words, check=False)

    return run


@pytest.fixture
def operator(cluster: Cluster, as_operator: str) -> Callable[[dict], str]:
    """Write a status as the operator of the chart does, whom the policy lets alone."""

    def run(status: dict) -> str:
        patch = ("--subresource=status", "--type=merge", "-p", json.dumps({"status": status}))
        return cluster.kubectl("patch", ASKED, "q", as_operator, *patch, check=False)

    return run


def test_nobody_but_the_operator_asks_in_the_name_of_a_run(cluster: Cluster) -> None:
    told = cluster.apply(asked_for())
    assert told.code != 0
    assert "only the operator creates a FeedbackRequest, when a task of a run asks" in told.err


def test_who_may_respond_answers_by_a_patch(ask, answer: Answer, cluster: Cluster) -> None:
    asked = ask(approvals=2)
    assert "patched" in answer(asked, "ann")
    assert "patched" in answer(asked, "bob", "--as-group=dev")
    assert [one["by"] for one in cluster.get(ASKED, "q")["status"]["responses"]] == ["ann", "bob"]


def test_who_may_view_and_not_respond_is_refused_with_words(ask, answer: Answer) -> None:
    told = answer(ask(), "eve")
    assert "Forbidden" in told
    assert "eve may not answer questions in namespace" in told
    assert "grant the verb respond on feedbackrequests" in told
    assert 'cannot get resource "feedbackrequests/status"' in answer(ask(), "mallory")


def test_nobody_answers_in_the_name_of_somebody_else(ask, answer: Answer) -> None:
    asked = ask()
    told = answer(asked, "ann", "--as=bob")
    assert "by: ann is not who answers; it is bob" in told
    assert "how: an answer that comes by a patch says Patch" in answer(asked, "ann", how="API")


@pytest.mark.parametrize(
    "status",
    [
        {"phase": "Answered"},
        {"message": "approved"},
        {"answer": {"approved": True}},
        {"responses": []},
        {"phase": None},
    ],
    ids=["phase", "message", "answer", "no response", "taken away"],
)
def test_an_answer_changes_nothing_else_of_the_status(
    ask, answer: Answer, operator, status: dict
) -> None:
    asked = ask()
    assert "patched" in operator({"phase": "Pending"})
    told = answer(asked, "ann", status=status)
    assert "an answer is exactly one more of status.responses" in told


def test_two_answers_at_once_are_refused(ask, answer: Answer) -> None:
    asked = ask(approvals=2)
    mine = {"at": AT, "how": "Patch", "sha256": asked["spec"]["sha256"], "approved": True}
    both = [{**mine, "by": "ann"}, {**mine, "by": "bob"}]
    assert "exactly one more" in answer(asked, "ann", status={"responses": both})


def test_only_those_who_are_asked_may_answer(ask, answer: Answer) -> None:
    asked = ask(assignees={"users": ["bob"], "groups": ["ops"]}, approvals=2)
    told = answer(asked, "ann")
    assert "ann is not among those who are asked: users [bob], groups [ops]" in told
    assert "patched" in answer(asked, "bob")
    assert "patched" in answer(asked, "cleo", "--as-group=ops")


def test_after_an_escalation_others_may_answer(ask, answer: Answer, operator) -> None:
    then = {"action": "Escalate", "to": {"users": ["bob"]}}
    timed = {"timeoutSeconds": 60, "deadline": "2099-01-01T00:00:00Z", "onDeadline": then}
    asked = ask(assignees={"users": ["ann"]}, **timed)
    assert "bob is not among those who are asked" in answer(asked, "bob")
    assert "patched" in operator({"phase": "Pending", "escalated": {"at": AT}})
    assert "ann is not among those who are asked: users [bob]" in answer(asked, "ann")
    assert "patched" in answer(asked, "bob")


def test_who_submitted_the_run_may_be_kept_from_answering(ask, answer: Answer) -> None:
    asked = ask(submitter="ann", submitterMayAnswer=False)
    assert "ann has submitted the run, and somebody else has to answer" in answer(asked, "ann")
    assert "patched" in answer(asked, "bob")


def test_a_workflow_names_nobody_but_its_creator_as_its_submitter(
    cluster: Cluster, workflow
) -> None:
    task = {"name": "a", "script": "return 1"}
    cluster.kubectl("create", "rolebinding", "e", "--clusterrole=cluster-admin", "--user=ann")
    words = ("create", "--dry-run=server", "--as=ann", "-f", "-")
    made, other = (json.dumps(workflow("w", [task], submitter=who)) for who in ("ann", "bob"))
    assert "created" in cluster.kubectl(*words, stdin=made, check=False)
    told = cluster.kubectl(*words, stdin=other, check=False)
    assert "spec.submitter: bob is not who creates this; it is ann" in told
