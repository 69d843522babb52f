"""Notifications on the wire: what they say, how they are signed, and what they never show."""

import asyncio
import hashlib
import hmac
import json

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from graflow_operator import courier as couriers
from graflow_operator import notices
from graflow_operator.courier import HttpCourier
from graflow_operator.outbox import EVENTS, Entry
from graflow_operator.settings import SettingsError, read
from graflow_operator.targets import Address, Target, targets_of
from support.asking import BEGAN, NAMESPACE, at, question, response

HOOK = Target("ops", "webhook")
SLACK = Target("desk", "slack")
KEY = "correct horse"


def request(status=None, **spec):
    metadata = {
        "name": "q",
        "namespace": NAMESPACE,
        "uid": "uid-q",
        "creationTimestamp": "2026-01-01T00:00:00Z",
    }
    return {"metadata": metadata, "spec": question(**spec), "status": status or {}}


class Receiver:
    """A target that keeps what it gets, and answers as it is told to."""

    def __init__(self, folder):
        self.folder = folder
        self.got = []
        self.answer = web.Response()
        self.courier = HttpCourier(str(folder), lambda: BEGAN + 5.5)

    async def __aenter__(self):
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._take)
        self.server = TestServer(app)
        await self.server.start_server()
        for target in (HOOK, SLACK):
            self.place(target, url=str(self.server.make_url("/secret-path")))
        self.place(HOOK, hmac=KEY)
        return self

    async def __aexit__(self, *_):
        await self.courier.close()
        await self.server.close()

    def place(self, target, **secrets):
        folder = self.folder / target.name
        folder.mkdir(exist_ok=True)
        for name, value in secrets.items():
            (folder / name).write_text(value + "\n")

    async def _take(self, got):
        self.got.append((got.method, got.path, dict(got.headers), await got.read()))
        if callable(self.answer):
            return await self.answer()
        return self.answer

    async def deliver(self, target=HOOK, event="Asked", **spec):
        entry = Entry(target.name, event, at(1))
        return await self.courier.deliver(target, request(**spec), entry)


@pytest.fixture
async def receiver(tmp_path):
    async with Receiver(tmp_path) as made:
        yield made


async def test_a_webhook_gets_graflows_form_and_can_tell_that_it_is_ours(receiver):
    spec = {"options": ["a"], "kind": "selection", "metadata": {"n": 1}, "deadline": at(60)}
    assert await receiver.deliver(**spec) == ""
    [(method, _, headers, body)] = receiver.got
    told = json.loads(body)
    wanted = {
        "event_type": "request_created",
        "event": "Asked",
        "timestamp": at(1),
        "feedback_id": "q",
        "task_id": "approve",
        "session_id": "uid-of-run",
        "feedback_type": "selection",
        "prompt": "Shall we?",
        "options": ["a"],
        "timeout": 60,
        "metadata": {"n": 1},
        "namespace": NAMESPACE,
        "workflow": "run",
        "deadline": at(60),
        "delivery": headers["X-Graflow-Delivery"],
    }
    assert {name: told.get(name) for name in wanted} == wanted
    assert method == "POST"
    signed = headers["X-Graflow-Timestamp"].encode() + b"." + body
    mac = hmac.new(KEY.encode(), signed, hashlib.sha256).hexdigest()
    assert headers["X-Graflow-Signature"] == f"sha256={mac}"
    assert headers["X-Graflow-Timestamp"] == str(int(BEGAN + 5))


async def test_who_gets_a_notification_twice_can_tell_by_its_delivery(receiver):
    for event in ("Asked", "Asked", "Reminder"):
        await receiver.deliver(event=event)
    first, again, other = [headers["X-Graflow-Delivery"] for _, _, headers, _ in receiver.got]
    assert first == again != other


def test_an_answer_is_told_with_who_gave_it():
    answer = {"approved": True, "respondedBy": ["alice", "bob"], "respondedAt": at(3)}
    found = request({"phase": "Answered", "answer": answer})
    told = json.loads(notices.webhook(found, Entry("ops", "Answered", at(3))))
    assert told["event_type"] == "response_received"
    assert (told["status"], told["response"]["approved"]) == ("completed", True)
    assert told["response"]["responded_by"] == "alice, bob"


def test_every_event_has_words_for_everybody():
    assert set(notices.TYPES) == set(notices.HEADINGS) == set(EVENTS)


async def test_a_changed_secret_counts_at_once(receiver):
    await receiver.deliver()
    receiver.place(HOOK, url=str(receiver.server.make_url("/moved")), hmac="another")
    await receiver.deliver()
    (_, before, signed, _), (_, after, anew, _) = receiver.got
    assert (before, after) == ("/secret-path", "/moved")
    assert signed["X-Graflow-Signature"] != anew["X-Graflow-Signature"]


async def test_without_a_key_nothing_is_signed(receiver):
    (receiver.folder / "ops" / "hmac").unlink()
    assert await receiver.deliver() == ""
    assert "X-Graflow-Signature" not in receiver.got[0][2]


async def test_slack_gets_words_in_which_nothing_of_a_prompt_is_markup_and_nothing_answers(
    receiver,
):
    prompt = "<!channel> & <https://evil.example|click> *now*" + "x" * 5000
    assert await receiver.deliver(SLACK, prompt=prompt) == ""
    told = json.loads(receiver.got[0][3])
    assert told["text"].startswith(
        "A question waits for an answer: &lt;!channel&gt; &amp; &lt;https://evil.example|click&gt;"
    )
    texts = [block.get("text") for block in told["blocks"]] + told["blocks"][-1]["elements"]
    assert {text["type"] for text in texts if text} == {"plain_text"}
    assert all(len(text["text"]) < 3000 for text in texts if text)
    assert {block["type"] for block in told["blocks"]} == {"header", "section", "context"}
    assert "graflow answer q -n team" in json.dumps(told)
    assert "url" not in {key for block in told["blocks"] for key in block}


async def test_redirects_are_not_followed(receiver):
    receiver.answer = web.Response(status=307, headers={"Location": "/elsewhere"})
    assert await receiver.deliver() == "it answered 307"
    assert len(receiver.got) == 1


@pytest.mark.parametrize("status", [400, 404, 429, 500, 503])
async def test_only_what_was_taken_is_delivered(receiver, status):
    receiver.answer = web.Response(status=status)
    assert await receiver.deliver() == f"it answered {status}"


async def test_a_proxy_of_the_environment_is_not_asked(receiver, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert await receiver.deliver() == ""


async def test_a_target_that_does_not_answer_is_left_after_a_time(receiver, monkeypatch):
    monkeypatch.setattr(couriers, "TRY_S", 0.1)

    async def never():
        await asyncio.Event().wait()

    receiver.answer = never
    assert "did not answer" in await receiver.deliver()


async def test_words_about_a_failure_never_show_the_address(receiver):
    for url in (
        "http://127.0.0.1:1/secret-path",
        "http://secret-path.invalid:0/",
        "http://[secret-path",
        "secret-path",
        "ftp://secret-path/",
        "http://secret path/",
    ):
        receiver.place(HOOK, url=url)
        words = await receiver.deliver()
        assert words
        assert "secret" not in words.replace("its Secret", "")
    (receiver.folder / "ops" / "url").unlink()
    assert await receiver.deliver() == "its Secret is not there, or has no such key"
    assert "horse" not in repr(Address("http://x", KEY.encode()))


def test_targets_want_what_their_settings_say():
    text = json.dumps(
        [
            {"name": "ops", "type": "webhook", "namespaces": ["a"], "events": ["Asked"]},
            {"name": "all", "type": "slack"},
        ]
    )
    ops, everything = read(["--notifications", text], {}, namespace="x").notifications
    assert ops.wants("a", "Asked")
    assert not ops.wants("b", "Asked")
    assert not ops.wants("a", "Answered")
    assert everything.wants("b", "Expired")
    assert targets_of("") == ()


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("{", "GRAFLOW_NOTIFICATIONS"),
        ("{}", "must be a list"),
        ('[{"type": "slack"}]', "name is None"),
        ('[{"name": "../x", "type": "slack"}]', "name is '../x'"),
        ('[{"name": "x", "type": "mail"}]', "webhook, slack"),
        ('[{"name": "x", "type": "slack", "events": ["asked"]}]', "'asked'"),
        ('[{"name": "x", "type": "slack"}, {"name": "x", "type": "slack"}]', "one name"),
    ],
)
def test_a_target_that_cannot_be_is_refused_at_the_start(text, word):
    with pytest.raises(SettingsError, match="GRAFLOW_NOTIFICATIONS") as refused:
        read(["--notifications", text], {}, namespace="x")
    assert word in str(refused.value)


def test_what_a_person_said_is_told_in_graflows_words():
    said = response(selectedMultiple=["a"], seconds=2)
    told = notices.response("q", "multi_selection", said)
    assert (told["selected_multiple"], told["responded_at"]) == (["a"], at(2))
