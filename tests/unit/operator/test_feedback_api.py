"""Questions to people over HTTP: who may read, answer and withdraw them, and what they are told."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest
from aiohttp.test_utils import TestClient, TestServer

from graflow_operator.cluster import FEEDBACK_REQUESTS
from graflow_operator.cluster_errors import ConflictError, GoneError, InvalidError, UnavailableError
from graflow_operator.lease import Candidate, LeaseKeeper
from graflow_operator.server import feedback_api
from graflow_operator.server.app import _route, application
from graflow_operator.server.replica import Replica
from graflow_operator.targets import Target
from support.asking import NAMESPACE, RUN, Town, at

BASE = f"/user/v1/namespaces/{NAMESPACE}/api/feedback"
TOKENS = {"alices": "alice", "bobs": "bob", "eves": "eve"}


class Api:
    """An HTTP API of a replica that does not lead, and users with tokens."""

    def __init__(self, town, client):
        self.town = town
        self.client = client

    async def ask(self, method, path="", token="alices", headers=None, **body):
        headers = {**({"X-Graflow-Token": token} if token else {}), **(headers or {})}
        data = json.dumps(body) if body else None
        answer = await self.client.request(method, BASE + path, data=data, headers=headers)
        return answer.status, await answer.json()

    async def respond(self, token="alices", name="q", headers=None, **body):
        return await self.ask("POST", f"/{name}/respond", token, headers, **body)

    def let(self, user, *verbs, name="q"):
        place = {(user, verb, NAMESPACE, "" if verb == "list" else name) for verb in verbs}
        self.town.cluster.rights |= place


@asynccontextmanager
async def served(*targets, **spec):
    async with Town(*targets) as town:
        await town.ask(**spec)
        town.cluster.users = dict(TOKENS)
        keeper = LeaseKeeper(town.client, Candidate("graflow", "lease", "me", "http://me:8090"))
        async with TestClient(TestServer(application(Replica(town.parts, keeper)))) as client:
            api = Api(town, client)
            api.let("alice", "respond", "get", "list", "delete")
            api.let("bob", "respond", "get")
            api.let("eve", "get", "list")
            yield api


async def test_who_may_respond_answers_and_is_named_as_the_token_says():
    async with served() as api:
        status, said = await api.respond(approved=True, reason="fine", responded_by="the boss")
        assert status == 200
        assert (said["approved"], said["reason"], said["responded_by"]) == (True, "fine", "alice")
        assert (said["feedback_id"], said["response_type"]) == ("q", "approval")
        assert (said["status"], said["message"]) == ("completed", "approved by alice: fine")
        [response] = api.town.status()["responses"]
        assert (response["by"], response["how"]) == ("alice", "API")
        assert response["sha256"] == api.town.request()["spec"]["sha256"]


async def test_an_answer_and_what_it_decides_are_one_write():
    async with served() as api:
        before = len(api.town.writes)
        await api.respond(approved=True)
        assert len(api.town.writes) == before + 1


async def test_the_command_line_says_that_it_is_the_command_line():
    async with served() as api:
        await api.respond(headers={"X-Graflow-Client": "cli"}, approved=True)
        assert api.town.status()["responses"][0]["how"] == "CLI"


async def test_nobody_on_the_network_can_approve_without_a_token_of_somebody_who_may():
    async with served() as api:
        before = api.town.request()
        assert (await api.respond("", approved=True))[0] == 401
        assert (await api.respond("stolen", approved=True))[0] == 401
        headers = {"Authorization": "Bearer alices"}
        assert (await api.respond("", headers=headers, approved=True))[0] == 401
        status, refusal = await api.respond("eves", approved=True)
        assert (status, refusal["reason"]) == (403, "Forbidden")
        assert refusal["message"] == f"eve may not respond feedbackrequests {NAMESPACE}/q"
        assert api.town.request() == before


async def test_a_user_outside_the_assignees_is_refused_in_words():
    async with served(assignees={"users": ["alice"], "groups": ["ops"]}) as api:
        status, refusal = await api.respond("bobs", approved=True)
        assert (status, refusal["reason"]) == (403, "NotAsked")
        assert "bob" in refusal["message"]
        assert "alice" in refusal["message"]
        api.town.cluster.groups = {"bob": ["ops"]}
        assert (await api.respond("bobs", approved=True))[0] == 200


async def test_who_submitted_the_run_is_refused_where_the_question_says_so():
    async with served(submitter="alice", submitterMayAnswer=False) as api:
        assert (await api.respond(approved=True))[0] == 403
        assert (await api.respond("bobs", approved=True))[0] == 200


async def test_after_an_escalation_others_are_asked_even_if_nobody_has_noted_it_yet():
    end = {"action": "Escalate", "to": {"users": ["bob"]}, "seconds": 60}
    spec = {"deadline": at(60), "timeoutSeconds": 60, "onDeadline": end}
    async with served(assignees={"users": ["alice"]}, **spec) as api:
        await api.town.crash()
        api.town.now += 61
        assert (await api.respond(approved=True))[0] == 403
        assert (await api.respond("bobs", approved=True))[0] == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "OPTIONS"])
@pytest.mark.parametrize("path", ["", "/q", "/q/respond", "/q/respond?approved=true"])
async def test_nothing_but_post_answers_and_get_changes_nothing(method, path):
    async with served() as api:
        before = api.town.request()
        headers = {"X-Graflow-Token": "alices"}
        answer = await api.client.request(method, BASE + path, headers=headers)
        expected = 200 if method in ("GET", "HEAD") and "respond" not in path else 405
        assert answer.status == expected
        assert api.town.request() == before


async def test_a_post_without_a_body_answers_nothing():
    async with served() as api:
        before = api.town.request()
        status, refusal = await api.ask("POST", "/q/respond?approved=true")
        assert (status, refusal["reason"]) == (400, "BadRequest")
        assert api.town.request() == before


@pytest.mark.parametrize("body", ["", "[1]", "{" * 9999, '{"custom_data": {"x": NaN}}'])
async def test_a_body_that_is_no_object_of_json_answers_nothing(body):
    async with served(kind="custom", schema={"type": "object"}) as api:
        headers = {"X-Graflow-Token": "alices"}
        answer = await api.client.post(f"{BASE}/q/respond", data=body, headers=headers)
        assert (answer.status, (await answer.json())["reason"]) == (400, "BadRequest")
        assert "responses" not in api.town.status()


async def test_the_loser_is_told_who_was_first_and_when():
    async with served() as api:
        await api.respond(approved=True)
        status, refusal = await api.respond("bobs", approved=False)
        assert (status, refusal["reason"]) == (409, "NotOpen")
        assert "approved by alice" in refusal["message"]
        assert at(0) in refusal["message"]


async def test_of_many_that_answer_at_once_one_is_first():
    async with served() as api:
        told = await asyncio.gather(
            *(api.respond(token, approved=True) for token in ("alices", "bobs") * 5)
        )
        [winner] = {said["responded_by"] for status, said in told if status == 200}
        assert {status for status, _ in told} == {200, 409}
        assert [one["by"] for one in api.town.status()["responses"]] == [winner]


async def test_an_answer_that_comes_again_is_the_same_answer():
    async with served() as api:
        first = await api.respond(approved=True)
        assert await api.respond(approved=True) == first
        assert len(api.town.status()["responses"]) == 1


async def test_an_answer_whose_write_was_not_answered_may_be_given_again():
    async with served() as api:
        fault = ("patch_status", "feedbackrequests", "after", UnavailableError("no answer"))
        api.town.client.faults.append(fault)
        assert (await api.respond(approved=True))[0] == 503
        assert (await api.respond(approved=True))[0] == 200
        assert len(api.town.status()["responses"]) == 1


async def test_a_conflict_is_no_reason_to_bother_anybody():
    async with served() as api:
        fault = ("patch_status", "feedbackrequests", "before", ConflictError("changed"))
        api.town.client.faults += [fault] * 3
        assert (await api.respond(approved=True))[0] == 200


async def test_half_of_several_approvals_is_taken_and_decides_nothing():
    async with served(approvals=2) as api:
        _, said = await api.respond(approved=True)
        assert (said["status"], said["responded_by"]) == ("pending", "alice")
        assert said["message"].startswith("1 of 2 approvals")
        assert (await api.respond(approved=True))[0] == 200
        assert (await api.respond(approved=True, reason="again"))[0] == 409
        assert api.town.status()["phase"] == "Pending"
        _, said = await api.respond("bobs", approved=True)
        assert said["status"] == "completed"
        assert api.town.status()["answer"]["respondedBy"] == ["alice", "bob"]


async def test_an_answer_after_the_deadline_is_refused_and_the_deadline_is_written_first():
    async with served(deadline=at(60)) as api:
        await api.town.crash()
        api.town.now += 60
        status, refusal = await api.respond(approved=True)
        assert status == 409
        assert "nobody has answered in time" in refusal["message"]
        assert api.town.status()["phase"] == "Expired"


@pytest.mark.parametrize(
    ("spec", "body", "word"),
    [
        ({}, {"approved": "yes"}, "approved"),
        ({}, {"text": "yes"}, "approved"),
        ({}, {"approve": True}, "approve"),
        ({"kind": "text"}, {"text": ""}, "text"),
        ({"kind": "text"}, {"text": 3}, "text"),
        ({"kind": "selection", "options": ["a", "b"]}, {"selected": "c"}, "selected"),
        ({"kind": "selection", "options": ["a", "b"]}, {"selected": ["a"]}, "selected"),
        (
            {"kind": "multi_selection", "options": ["a", "b"]},
            {"selected_multiple": ["a", "c"]},
            "selected",
        ),
        ({}, {"approved": True, "sha256": "0" * 64}, "sha256"),
    ],
)
async def test_what_is_no_answer_to_the_question_is_refused_in_words(spec, body, word):
    async with served(**spec) as api:
        before = api.town.request()
        status, refusal = await api.respond(**body)
        assert (status, refusal["reason"]) == (400, "BadRequest")
        assert word in refusal["message"]
        assert api.town.request() == before


async def test_bodies_that_are_no_json_or_too_large_are_refused():
    async with served() as api:
        headers = {"X-Graflow-Token": "alices"}
        for body, expected in (("[", 400), ("[" * 60_000, 400), ("[1]", 400), ("x" * 131_073, 413)):
            path = f"{BASE}/q/respond"
            answer = await api.client.post(path, data=body, headers=headers)
            assert answer.status == expected


async def test_what_only_the_api_server_finds_wrong_is_told_in_its_words():
    async with served() as api:
        fault = ("patch_status", "feedbackrequests", "before", InvalidError("not so"))
        api.town.client.faults.append(fault)
        status, refusal = await api.respond(approved=True)
        assert (status, refusal["message"]) == (400, "not so")


async def test_questions_that_wait_are_listed_for_who_may_list_them():
    async with served(metadata={"n": 1}, deadline=at(60)) as api:
        await api.town.ask("other", workflow={"name": "second", "uid": "uid-2"})
        status, found = await api.ask("GET")
        assert (status, found["count"]) == (200, 2)
        for session in (RUN["uid"], RUN["name"]):
            _, found = await api.ask("GET", f"?session_id={session}", token="eves")
            [one] = found["requests"]
            assert (one["feedback_id"], one["session_id"]) == ("q", RUN["uid"])
        assert (one["task_id"], one["status"]) == ("approve", "pending")
        assert (one["metadata"], one["deadline"]) == ({"n": 1}, at(60))
        assert (await api.ask("GET", token="bobs"))[0] == 403
        await api.respond(approved=True)
        _, found = await api.ask("GET")
        assert [one["feedback_id"] for one in found["requests"]] == ["other"]


async def told_in_pages(api, query=""):
    """Return the names of all questions that wait, page by page."""
    pages, place = [], ""
    while True:
        status, found = await api.ask("GET", f"?limit=2{query}{place}")
        assert (status, found["count"]) == (200, len(found["requests"]))
        pages.append([one["feedback_id"] for one in found["requests"]])
        if "continue" not in found:
            return pages
        place = f"&continue={found['continue']}"


async def test_many_questions_are_listed_in_pages_the_oldest_first(monkeypatch):
    monkeypatch.setattr(feedback_api, "MOST_LISTED", 3)
    async with served() as api:
        for name in ("a", "b", "c", "d"):
            await api.town.ask(name)
        api.town.request("d")["metadata"]["creationTimestamp"] = "2025-12-31T00:00:00Z"
        api.town.patch("b", phase="Withdrawn")
        assert await told_in_pages(api) == [["d", "a"], ["c", "q"]]
        await api.town.ask("r", workflow={"name": "second", "uid": "uid-2"})
        assert await told_in_pages(api) == [["d", "a"], ["c", "q"], ["r"]]
        assert await told_in_pages(api, "&session_id=uid-2") == [["r"]]
        _, found = await api.ask("GET")
        assert [one["feedback_id"] for one in found["requests"]] == ["d", "a", "c"]
        assert found["continue"] == "2026-01-01T00:00:00Z/c"


async def test_a_place_in_the_list_that_has_expired_is_no_reason_to_bother_anybody(monkeypatch):
    monkeypatch.setattr(feedback_api, "MOST_LISTED", 1)
    async with served() as api:
        await api.town.ask("other")
        whole, asked = api.town.client.page, []

        async def page(*arguments, place, **options):
            asked.append(place)
            if len(asked) == 2:
                raise GoneError("the continue token has expired")
            return await whole(*arguments, place=place, **options)

        api.town.client.page = page
        _, found = await api.ask("GET")
        assert [one["feedback_id"] for one in found["requests"]] == ["other"]
        assert asked == ["", "1", "", "1"]


@pytest.mark.parametrize(
    ("query", "word"),
    [(f"limit={n}", n) for n in ("0", "-1", "101", "x", "0000000001", "٣", "")]
    + [("continue=q", "what the answer before"), ("continue=a/b/c", "'a/b/c'")],
)
async def test_a_page_that_cannot_be_is_refused_in_words(query, word):
    async with served() as api:
        status, refusal = await api.ask("GET", f"?{query}")
        assert (status, refusal["reason"]) == (400, "BadRequest")
        assert word in refusal["message"]


async def test_one_question_is_told_with_what_came_of_it():
    async with served() as api:
        status, found = await api.ask("GET", "/q", token="eves")
        assert (status, found["response"]) == (200, None)
        await api.respond(approved=False, reason="too dear")
        _, found = await api.ask("GET", "/q", token="eves")
        assert found["response"]["approved"] is False
        assert found["request"]["message"] == "rejected by alice: too dear"
        api.let("alice", "get", "respond", "delete", name="none")
        for method, path in (("GET", "/none"), ("DELETE", "/none")):
            assert (await api.ask(method, path))[0] == 404
        assert (await api.respond(name="none", approved=True))[0] == 404


async def test_who_may_delete_a_question_may_withdraw_it_and_its_run_hears_of_it():
    async with served() as api:
        assert (await api.ask("DELETE", "/q", token="bobs"))[0] == 403
        status, said = await api.ask("DELETE", "/q")
        assert (status, said["message"]) == (200, "withdrawn by alice")
        api.town.tell()
        assert api.town.status()["phase"] == "Withdrawn"
        assert api.town.runs.answers[-1]["reason"] == "withdrawn by alice"
        assert (await api.ask("DELETE", "/q"))[0] == 409
        status, refusal = await api.respond("bobs", approved=True)
        assert status == 409
        assert "withdrawn by alice" in refusal["message"]


async def test_an_answer_after_the_run_was_cancelled_is_refused_in_words():
    async with served() as api:
        api.town.people.run_ended(RUN["uid"])
        await api.town.rest()
        status, refusal = await api.respond(approved=True)
        assert status == 409
        assert "the run has ended" in refusal["message"]


async def test_whoever_is_to_be_told_of_an_answer_is_told_by_whoever_leads():
    async with served(Target("ops", "webhook")) as api:
        await api.respond(approved=True)
        api.town.tell()
        await api.town.rest()
        assert api.town.courier.tried == [("ops", "Asked"), ("ops", "Answered")]


async def test_a_name_that_leads_elsewhere_leads_nowhere():
    async with served() as api:
        for name in ("..", "%2e%2e%2fsecrets", "q%2fstatus", "Q"):
            api.let("alice", "get", name=name)
            answer = await api.client.get(f"{BASE}/{name}", headers={"X-Graflow-Token": "alices"})
            assert answer.status in (403, 404)


async def test_questions_are_counted_apart():
    assert _route(f"{BASE}/q/respond") == "feedback"
    assert FEEDBACK_REQUESTS.plural == "feedbackrequests"
