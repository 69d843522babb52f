"""C2, C4, C5: a task's channel, over HTTP to the operator, next to the channel of a local run."""

import asyncio
import json
import os
import threading
from typing import NamedTuple

import pytest
from aiohttp.test_utils import TestClient, TestServer

from graflow.dsl.memory_channel import MemoryChannel
from graflow_operator.cluster import PODS
from graflow_operator.engine import Engine
from graflow_operator.keys import MasterKey
from graflow_operator.lease import Candidate, LeaseKeeper
from graflow_operator.server.app import application
from graflow_operator.server.replica import Replica
from graflow_runner.calls import Operator, Signer
from graflow_runner.channel import PodChannel
from graflow_runner.environment import Settings
from graflow_runner.errors import AttemptError, Fenced
from graflow_runner.wire import Endpoint
from support.world import NAMESPACE, World

SPEC = {
    "tasks": [
        {"name": "a", "script": "return 1"},
        {"name": "b", "script": "return 1"},
        {"name": "c", "after": ["a"], "script": "return 1"},
    ],
    "start": ["a", "b"],
    "input": {"n": 3},
}
NONCE = "0123456789abcdef" * 2


class Point(NamedTuple):
    x: int
    y: int


class Api:
    """A server over a run in memory; runners come by real connections."""

    def __init__(self, world, client, replica):
        self.world, self.client, self.replica = world, client, replica
        self.url = str(client.make_url("")).rstrip("/")

    async def operator(self, task):
        """Claim the attempt of a task, and return the operator as its runner sees it."""

        def made():
            return [
                p for p in self.world.pods if p["metadata"]["labels"]["graflow.dev/task"] == task
            ]

        await self.world.until(made)
        name = made()[0]["metadata"]["name"]
        status = {"phase": "Running", "podIP": "127.0.0.1"}
        pod = self.world.cluster.set_status(PODS, NAMESPACE, name, status)
        uid, run = pod["metadata"]["uid"], self.world.workflow["metadata"]["uid"]
        body = {"run": run, "namespace": NAMESPACE, "nonce": NONCE, "python": "3.11.2"}
        key = MasterKey(b"k" * 32).of_run(run).hex()
        answer = await self.client.post(
            "/runner/v1/claim",
            json={**body, "pod": {"name": name, "uid": uid}},
            headers={"Authorization": f"Bearer {key}"},
        )
        order = await answer.json()
        settings = Settings(self.url, name, uid, NAMESPACE, run, retry_first_s=0.01)
        signer = Signer(
            order["attemptKey"],
            run=run,
            activation=order["activation"],
            attempt=order["attempt"],
            claim=f"{uid}/{NONCE}",
        )
        endpoint = Endpoint(self.url, home=self.url)
        return Operator(endpoint, signer, settings, threading.Event().wait)

    async def channel(self, task):
        return PodChannel(await self.operator(task), fetch=None)


@pytest.fixture
async def api():
    async with World(SPEC) as world:
        world.auto_run = False
        world.start()
        keeper = LeaseKeeper(world.client, Candidate("graflow", "lease", "me", "http://me:8090"))
        await keeper.round()
        engine = Engine(world.actor.parts)
        engine.synced = True
        engine._actors[world.workflow["metadata"]["uid"]] = world.actor
        replica = Replica(world.actor.parts, keeper, engine)
        async with TestClient(TestServer(application(replica))) as client:
            yield Api(world, client, replica)


def tried(call):
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - both hosts are to raise the same
        return type(error).__name__, str(error)


def program(channel):
    """Return what a program sees that uses all of a channel."""
    values = [None, True, 0, -1.5, 2**100, 2**9000, float("inf"), "ü\ud83d", [], [1, "a", None],
              {"k": [1]}, (1, 2), {1, 2}, Point(1, 2), b"\0", [(1, 2), {3}], [[1]]]  # fmt: skip
    seen = []
    for n, value in enumerate(values):
        channel.set(f"k{n}", value)
        found = channel.get(f"k{n}")
        seen.append((found == value, type(found)))
        seen += [
            tried(lambda n=n: channel.append(f"k{n}", (n, "x"))),
            tried(lambda n=n: channel.prepend(f"k{n}", n)),
            tried(lambda n=n: channel.atomic_add(f"k{n}", 2)),
            tried(lambda n=n: channel.atomic_add(f"k{n}", 0.5)),
            repr(channel.get(f"k{n}")),
        ]
    seen += [channel.keys(), channel.exists("n"), channel.get("n"), channel.get("none", 5)]
    seen += [channel.delete("k0"), channel.delete("k0"), channel.exists("k0"), channel.get("k0")]
    for wrong in (lambda: channel.set(1, 1), lambda: channel.set("k", 1, ttl="x"),
                  lambda: channel.atomic_add("n", "1"), lambda: channel.get(None)):  # fmt: skip
        seen.append(tried(wrong))
    with channel.lock("l"), channel.lock("l", timeout=0):
        channel.clear()
    return [*seen, channel.keys()]


async def test_c2_a_program_sees_the_same_in_a_pod_as_locally(api):
    there = await asyncio.to_thread(program, await api.channel("a"))
    assert there == program(MemoryChannel(initial={"n": 3}))


async def test_c2_a_lock_waits_for_another_pod_and_gives_up_in_time(api):
    one, other = await api.channel("a"), await api.channel("b")
    held, order = threading.Event(), []

    def first():
        with one.lock("l"):
            held.set()
            threading.Event().wait(0.3)
            order.append("first")

    def second():
        held.wait()
        with pytest.raises(TimeoutError, match=r"lock 'l' was not free within 0\.05 s"):
            other.lock("l", timeout=0.05).__enter__()
        with other.lock("l", timeout=30):
            order.append("second")

    await asyncio.gather(asyncio.to_thread(first), asyncio.to_thread(second))
    assert order == ["first", "second"]
    state, _ = api.world.actor.channel._state, None
    assert state.locks == {}


async def test_c2_what_counts_against_a_lock_s_timeout_is_what_the_operator_has_waited(api):
    one, other = await api.channel("a"), await api.channel("b")
    waits = []

    class Late:
        """An operator that was away for hours before each answer."""

        def channel(self, body):
            if body["op"] == "wait":
                waits.append(body["within"])
                body = {**body, "within": 0}
            return operator.channel(body)

    operator = other._operator
    other._operator = Late()

    def both():
        with one.lock("l"), pytest.raises(TimeoutError):
            other.lock("l", timeout=12).__enter__()

    await asyncio.to_thread(both)
    assert waits == [5.0, 5.0, 2.0]


async def test_c2_threads_of_one_attempt_use_the_channel_at_once(api):
    channel = await api.channel("a")

    def work():
        for _ in range(10):
            with channel.lock("l"):
                channel.set("seen", (channel.get("seen") or 0) + 1)
            channel.atomic_add("n")

    await asyncio.gather(*(asyncio.to_thread(work) for _ in range(4)))
    assert await asyncio.to_thread(channel.get, "seen") == 40
    assert await asyncio.to_thread(channel.get, "n") == 43


async def test_c2_a_process_that_user_code_forks_counts_for_itself(api):
    channel = await api.channel("a")
    await asyncio.to_thread(channel.append, "l", "parent")

    def forked():
        channel._numbers._pid = -1  # as after a fork
        return channel.append("l", "child")

    assert await asyncio.to_thread(forked) == 2
    assert channel._numbers.stream != 0
    assert channel._numbers._pid == os.getpid()
    assert await asyncio.to_thread(channel.get, "l") == ["parent", "child"]


async def test_c2_an_answer_that_was_lost_is_given_again(api):
    operator = await api.operator("a")
    channel, send, lost = PodChannel(operator, fetch=None), operator._endpoint.send, []

    def losing(*arguments, **options):
        answer = send(*arguments, **options)
        if len(lost) < 3:
            lost.append(answer.body)
            return answer._replace(status=503)
        return answer

    operator._endpoint.send = losing
    assert await asyncio.to_thread(channel.append, "l", 1) == 1
    assert lost == [b'{"answer": {"json": 1}}'] * 3
    assert await asyncio.to_thread(channel.get, "l") == [1]


async def test_c1_results_are_channel_keys_in_a_pod(api):
    operator = await api.operator("a")
    report = json.dumps({"outcome": "Succeeded", "value": {"json": {"x": 1}}}).encode()
    answer = await asyncio.to_thread(operator.prepared("POST", "report", report))
    assert answer.status == 200
    channel = await api.channel("c")

    def read():
        keys = ("a.__result__", "b.__result__")
        return [(channel.exists(key), channel.get(key, "none")) for key in keys]

    assert await asyncio.to_thread(read) == [(True, {"x": 1}), (False, "none")]
    for key in ("a.__result__", "b.__result__"):
        await asyncio.to_thread(channel.set, key, 5)
    assert await asyncio.to_thread(read) == [(True, {"x": 1}), (True, 5)], "a result comes first"


async def test_c5_an_attempt_that_is_over_can_do_nothing(api):
    operator = await api.operator("a")
    channel = PodChannel(operator, fetch=None)
    await asyncio.to_thread(channel.set, "k", 1)
    report = json.dumps({"outcome": "Succeeded", "value": {"json": 1}}).encode()
    await asyncio.to_thread(operator.prepared("POST", "report", report))
    for call in (lambda: channel.set("k", 2), lambda: channel.get("k"), channel.keys):
        with pytest.raises(Fenced):
            await asyncio.to_thread(call)


@pytest.mark.parametrize(
    "body", [{"op": "keys"}, {"op": "add", "key": "n", "amount": {"json": 1}, "stream": 0, "n": 2}]
)
async def test_a_replica_that_leads_no_more_answers_nothing(api, body):
    operator = await api.operator("a")
    channel = PodChannel(operator, fetch=None)
    await asyncio.to_thread(channel.set, "k", 1)
    answers = iter([True, False])
    api.replica.keeper.leads = lambda: next(answers)
    call = operator.prepared("POST", "channel", json.dumps(body).encode())
    answer = await asyncio.to_thread(call)
    assert (answer.status, json.loads(answer.body)["reason"]) == (503, "NotYet")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"op": "pop"}, "field `op` is one of get, exists"),
        ({"op": "end", "attempts": [[1, 1]]}, "field `op` is one of"),
        ({"op": "get"}, "field `key` is a text"),
        ({"op": "get", "key": "k" * 1025}, "at most 1024 characters"),
        ({"op": "set", "key": "k", "value": 1, "n": 1, "stream": 0}, "exactly one of json"),
        ({"op": "set", "key": "k", "value": {"group": {}}, "n": 1, "stream": 0}, "no form 'group'"),
        ({"op": "set", "key": "k", "value": {"pickle": "?"}, "n": 1, "stream": 0}, "is base64"),
        ({"op": "set", "key": "k", "value": {"json": 1}}, "field `stream` is a whole number"),
        ({"op": "set", "key": "k", "value": {"json": 1}, "stream": 0, "n": True}, "field `n`"),
        ({"op": "set", "key": "k", "value": {"json": 1}, "ttl": "1", "stream": 0, "n": 1}, "`ttl`"),
        ({"op": "add", "key": "k", "amount": {"json": "1"}, "n": 1, "stream": 0}, "`amount`"),
        ({"op": "add", "key": "k", "amount": {"number": "z"}, "n": 1, "stream": 0}, "no number"),
        ({"op": "append", "key": "k", "items": {"json": 1}, "n": 1, "stream": 0}, "`items`"),
        ({"op": "append", "key": "k", "items": {"list": [{"n": 1}]}, "n": 1, "stream": 0}, "a run"),
        ({"op": "wait", "key": "k", "stream": 0, "ticket": 1, "within": "x"}, "`within`"),
        ({"op": "unlock", "key": "k", "n": 1, "stream": 0, "ticket": -1}, "`ticket`"),
        ({"op": "set", "key": "k", "value": {"blob": {"sha256": "0" * 64, "size": 1,
          "encoding": "json"}}, "n": 1, "stream": 0}, "upload it before"),
    ],
)  # fmt: skip
async def test_what_makes_no_sense_is_refused_with_words_and_changes_nothing(api, body, words):
    operator = await api.operator("a")
    with pytest.raises(AttemptError, match=words) as raised:
        await asyncio.to_thread(operator.channel, body)
    assert raised.value.reason == "BadRequest"
    assert api.world.actor.channel._state.keys(0) == ["n"]


async def test_who_may_get_a_workflow_may_read_its_channel(api):
    name = f"{3:012}-{'c' * 64}"
    uid = api.world.workflow["metadata"]["uid"]
    api.world.store.put(f"{NAMESPACE}/{uid}/channel/{name}", b"packed")
    api.world.cluster.users = {"alices": "alice", "bobs": "bob"}
    api.world.cluster.readers = {("alice", NAMESPACE, "run")}
    path = f"/user/v1/namespaces/{NAMESPACE}/workflows/run/channel"

    async def asked(name, token):
        answer = await api.client.get(f"{path}/{name}", headers={"X-Graflow-Token": token})
        return answer.status, await answer.read()

    assert await asked(name, "alices") == (200, b"packed")
    assert (await asked(name, "bobs"))[0] == 403
    assert (await asked(f"{4:012}-{'c' * 64}", "alices"))[0] == 404
    assert (await asked("..%2fx", "alices"))[0] == 400


async def test_k2_a_pod_takes_a_checkpoint_over_http_and_is_told_its_number(api):
    operator = await api.operator("a")
    body = {"stream": 0, "n": 1, "path": None, "metadata": {"epoch": 1}}
    first = await asyncio.to_thread(operator.checkpoint, body)
    again = await asyncio.to_thread(operator.checkpoint, body)
    assert first == again
    [entry] = api.world.status["checkpoints"]
    assert (entry["seq"], entry["task"], entry["metadata"]) == (first["seq"], "a", {"epoch": 1})
