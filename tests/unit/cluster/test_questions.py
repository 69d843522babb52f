"""What the SDK makes of questions to people, and of what the operator says to answers."""

import hashlib
import itertools
import json
from typing import Any

import pytest

from graflow.cluster import apiserver, questions
from graflow.cluster.apiserver import ApiServer
from graflow.cluster.errors import ClusterError, UnreachableError
from graflow.cluster.questions import Asked, Questions
from support.questions import raw_spec
from support.scripted_server import ScriptedServer


@pytest.fixture(autouse=True)
def service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAFLOW_SERVICE", "ops/graflow")
    monkeypatch.setattr(questions, "RETRY_S", 0.0)
    monkeypatch.setattr(apiserver, "RETRY_S", ())


@pytest.fixture
def team(server: ApiServer) -> Questions:
    return Questions(server, "team")


def question(name: str = "ask", version: str = "1", **more: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "team", "creationTimestamp": "2026-11-30T15:00:00Z"}
    return {"metadata": {**metadata, "resourceVersion": version}, "spec": raw_spec(**more)}


def listed(*found: Any) -> tuple[int, object]:
    return 200, {"metadata": {"resourceVersion": "9"}, "items": [*found]}


def test_watching_goes_on_over_breaks_and_tells_no_news_twice(
    fake: ScriptedServer, team: Questions
) -> None:
    fake.answers = [
        listed(question("a")),
        [{"type": "ADDED", "object": question("b")}, {"type": "DELETED", "object": question("a")}],
        (503, {"message": "etcd is down"}),
        listed(question("b"), question("c")),
        [{"type": "ERROR", "object": {"code": 410}}],
        listed(question("b", "2"), question("c")),
    ]
    seen = [(one.name, one.version) for one in itertools.islice(team.changes(), 4)]
    assert seen == [("a", "1"), ("b", "1"), ("c", "1"), ("b", "2")]


def test_many_questions_are_asked_for_in_pages_and_begun_again_when_their_place_expired(
    fake: ScriptedServer, team: Questions
) -> None:
    more = {"resourceVersion": "9", "continue": "more"}
    first = (200, {"metadata": more, "items": [question("b")]})
    fake.answers = [first, (410, {"message": "expired"}), first, listed(question("a"))]
    assert [one.name for one in team.all("a=b")] == ["a", "b"]
    page = "feedbackrequests?limit=500&labelSelector=a%3Db"
    assert [path.rpartition("/")[2] for _, path, _ in fake.requests] == [
        page,
        f"{page}&continue=more",
        page,
        f"{page}&continue=more",
    ]


def test_a_cluster_that_is_not_there_at_first_is_not_waited_for(
    fake: ScriptedServer, team: Questions
) -> None:
    fake.answers = [(503, {"message": "etcd is down"})]
    with pytest.raises(UnreachableError, match="etcd is down"):
        next(team.changes())


def test_a_cluster_without_questions_is_told_to_get_them(
    fake: ScriptedServer, team: Questions
) -> None:
    fake.answers = [(404, {"message": "the server could not find the requested resource"})]
    with pytest.raises(UnreachableError, match=r"not know feedbackrequests\.graflow\.dev; install"):
        team.all()


def test_a_question_of_a_newer_release_is_told_as_such(
    fake: ScriptedServer, team: Questions
) -> None:
    fake.answers = [(200, question(kind="approval", mood="stern"))]
    with pytest.raises(ClusterError, match=r"question 'ask' cannot be read here: mood: .*newer"):
        team.get("ask")


def test_who_signs_in_with_a_certificate_is_told_what_it_takes_to_answer(
    fake: ScriptedServer, server: ApiServer, team: Questions
) -> None:
    server.token = str
    asked = Asked.of(question())
    with pytest.raises(UnreachableError, match=r"go through the operator.*set GRAFLOW_TOKEN to"):
        team.withdraw(asked)
    assert fake.requests == []


def test_what_is_to_be_read_comes_from_the_store_or_it_is_said_why_not(
    fake: ScriptedServer, team: Questions
) -> None:
    data = json.dumps("a long plan").encode()
    sha256 = hashlib.sha256(data).hexdigest()
    blob = {"sha256": sha256, "size": len(data), "encoding": "json"}
    asked = Asked.of(question(payload={"blob": blob}))
    fake.answers = [data]
    assert team.payload(asked) == "a long plan"
    assert fake.requests[0][1].endswith(f"/namespaces/team/workflows/w/values/{sha256}")
    fake.answers = [(403, {"message": "ann may not get workflows team/w"})]
    assert "is not shown: " in team.payload(asked)
    assert "ann may not get workflows team/w" in team.payload(asked)
    assert team.payload(Asked.of(question(payload={"text": "short"}))) == "short"
    assert team.payload(Asked.of(question())) == ""
