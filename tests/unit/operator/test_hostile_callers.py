"""What callers can do who promise, dribble, stall and flood: nothing that others notice."""

import asyncio
import contextlib
import json

import pytest
from aiohttp import web

from graflow_operator.authority import Authority
from graflow_operator.server import access, bodies, doorman, listener
from graflow_operator.server.app import application
from graflow_operator.server.listener import Listener
from graflow_operator.server.replica import REPLICA
from graflow_operator.settings import Settings
from support.served import leading
from support.world import World

SPEC = {"tasks": [{"name": "a", "script": "return 1"}]}
SIGNED = b"""X-Graflow-Run: r\r
X-Graflow-Activation: 1\r
X-Graflow-Attempt: 1\r
X-Graflow-Claim: c\r
"""
BOTH = pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])


class Server:
    """A server of one replica, and a way to talk to it byte by byte."""

    def __init__(self, port, tls, app):
        self.port = port
        self.tls = tls
        self.app = app

    async def connect(self, peer="127.0.0.1"):
        return await asyncio.open_connection(
            "127.0.0.1", self.port, ssl=self.tls, local_addr=(peer, 0)
        )

    async def ask(self, head=b"GET /readyz HTTP/1.1\r\n", body=b"", peer="127.0.0.1"):
        """Return status and JSON of one whole exchange."""
        reader, writer = await self.connect(peer)
        size = f"Content-Length: {len(body)}\r\n".encode() if body else b""
        writer.write(head + b"Host: x\r\nConnection: close\r\n" + size + b"\r\n" + body)
        answer = await reader.read()
        writer.close()
        return parsed(answer)


def parsed(answer):
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


@pytest.fixture
async def serve():
    """Serve a replica that leads; with TLS or without."""
    async with contextlib.AsyncExitStack() as stack:

        async def make(*, secure=False, routes=(), **changes):
            import ssl

            settings = Settings(operator_namespace="graflow", **changes)
            world = await stack.enter_async_context(World(SPEC, settings=settings))
            replica = await leading(world)
            app = application(replica)
            app.add_routes(routes)
            authority = Authority(world.cluster, settings, replica.parts.clock) if secure else None
            trust = None
            if authority:
                import time

                authority._clock = time.time
                await authority.refresh()
                trust = ssl.create_default_context(cadata=authority.ca_pem)
            server = Listener(app, authority.context if authority else None)
            port = await server.open("127.0.0.1", 0)
            stack.push_async_callback(server.close)
            return Server(port, trust, app)

        yield make


async def ended(reader):
    """Whether the server ends the connection without a word."""
    try:
        return await reader.read() == b""
    except ConnectionError:
        return True


@BOTH
@pytest.mark.parametrize("words", [b"", b"POST /runner/v1/claim HTTP/1.1\r\nHost: x\r\nA: "])
async def test_who_does_not_say_what_it_wants_is_not_waited_for(serve, monkeypatch, secure, words):
    monkeypatch.setattr(doorman, "HEADERS_S", 0.05)
    server = await serve(secure=secure)
    reader, writer = await server.connect()
    writer.write(words)
    assert await ended(reader)
    writer.close()


async def test_who_goes_on_dribbling_headers_is_not_waited_for(serve, monkeypatch):
    monkeypatch.setattr(doorman, "HEADERS_S", 0.1)
    server = await serve()
    reader, writer = await server.connect()
    writer.write(b"GET /readyz HTTP/1.1\r\nHost: x\r\nA: ")
    reading = asyncio.create_task(ended(reader))
    while not reading.done():
        writer.write(b"a")
        await asyncio.wait([reading], timeout=0.005)
    assert reading.result()
    writer.close()


async def test_a_second_request_is_not_waited_for_longer_than_an_idle_connection(
    serve, monkeypatch
):
    monkeypatch.setattr(doorman, "IDLE_S", 0.1)
    server = await serve()
    reader, writer = await server.connect()
    writer.write(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\nGET /readyz HT")
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    with contextlib.suppress(ConnectionError):
        assert b"HTTP/1.1" not in await reader.read()
    writer.close()


@BOTH
async def test_a_body_that_does_not_come_is_answered_with_what_to_do(serve, monkeypatch, secure):
    monkeypatch.setattr(bodies, "BODY_S", 0.05)
    monkeypatch.setattr(listener, "LINGER_S", 0.05)
    server = await serve(secure=secure)
    reader, writer = await server.connect()
    writer.write(b"POST /runner/v1/claim HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    status, body = parsed(await reader.read())
    assert (status, body["reason"]) == (408, "BodyTooSlow")
    assert "try again" in body["message"]
    writer.close()
    assert server.app[bodies.HELD].total == 0


async def test_bytes_that_are_only_promised_keep_nobody_out(serve):
    server = await serve()
    writers = []
    for _ in range(40):
        _, writer = await server.connect()
        writers.append(writer)
        head = b"POST /runner/v1/report HTTP/1.1\r\nHost: x\r\n" + SIGNED
        writer.write(head + b"Content-Length: 4194304\r\n\r\n{")
        await writer.drain()
    head = b"POST /runner/v1/report HTTP/1.1\r\n" + SIGNED
    status, body = await server.ask(head, b"x" * 4_000_000)
    assert (status, body["reason"]) == (403, "BadKey")
    for writer in writers:
        writer.close()


async def test_one_address_cannot_use_up_the_memory_of_all(serve, monkeypatch):
    monkeypatch.setattr(bodies, "MAX_HELD_OF_A_PEER", 100_000)
    server = await serve()
    head = b"POST /runner/v1/report HTTP/1.1\r\n" + SIGNED
    _, writer = await server.connect()
    writer.write(head + b"Host: x\r\nContent-Length: 100000\r\n\r\n" + b"x" * 90_000)
    await writer.drain()
    held = server.app[bodies.HELD]
    while held.total < 90_000:  # noqa: ASYNC110 - until the server has read it
        await asyncio.sleep(0)
    status, body = await server.ask(head, b"x" * 20_000)
    assert (status, body["reason"]) == (429, "TooManyBytes")
    status, body = await server.ask(head, b"x" * 20_000, peer="127.0.0.2")
    assert (status, body["reason"]) == (403, "BadKey")
    writer.close()


async def test_bytes_are_counted_until_they_are_answered_and_no_longer(serve):
    server = await serve()
    head = b"POST /runner/v1/report HTTP/1.1\r\n" + SIGNED
    for _ in range(20):
        status, _ = await server.ask(head, b"x" * 4_000_000)
        assert status == 403
    held = server.app[bodies.HELD]
    assert (held.total, held.by_peer) == (0, {})


async def test_a_body_of_unknown_length_is_bounded_too(serve):
    server = await serve()
    reader, writer = await server.connect()
    writer.write(b"POST /runner/v1/claim HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(20):
        writer.write(b"400\r\n" + b"x" * 0x400 + b"\r\n")
    writer.write(b"0\r\n\r\n")
    line = await reader.readline()
    assert line.startswith(b"HTTP/1.1 413")
    writer.close()


async def test_a_claim_is_small(serve):
    server = await serve()
    status, body = await server.ask(b"POST /runner/v1/claim HTTP/1.1\r\n", b"x" * 20_000)
    assert (status, body["reason"]) == (413, "BodyTooLarge")


async def test_one_address_has_only_so_many_connections_and_others_are_served(serve, monkeypatch):
    monkeypatch.setattr(doorman, "MAX_OF_A_PEER", 3)
    server = await serve()
    kept = [await server.connect() for _ in range(3)]
    for reader, writer in (await server.connect(), await server.connect()):
        assert await ended(reader)
        writer.close()
    assert (await server.ask(peer="127.0.0.2"))[0] == 200
    for _, writer in kept:
        writer.close()
        await writer.wait_closed()
    while server.app[doorman.DOORMAN].total:  # noqa: ASYNC110 - until the server has noticed
        await asyncio.sleep(0)
    assert (await server.ask())[0] == 200


async def test_where_a_mesh_hides_addresses_they_are_not_told_apart(serve, monkeypatch):
    monkeypatch.setattr(doorman, "MAX_OF_A_PEER", 1)
    server = await serve(check_peer=False)
    _, writer = await server.connect()
    assert (await server.ask())[0] == 200
    writer.close()


@BOTH
async def test_who_does_not_take_its_answer_is_let_go(serve, monkeypatch, secure):
    monkeypatch.setattr(doorman, "STALL_S", 0.1)
    done = asyncio.Event()

    async def flood(request):
        answer = web.StreamResponse()
        await answer.prepare(request)
        try:
            while True:
                await answer.write(b"x" * 100_000)
        except ConnectionError:
            done.set()
            raise

    server = await serve(secure=secure, routes=[web.get("/flood", flood)])
    _, writer = await server.connect()
    writer.write(b"GET /flood HTTP/1.1\r\nHost: x\r\n\r\n")
    async with asyncio.timeout(30):
        await done.wait()
    writer.close()


async def test_plain_http_on_the_port_for_tls_gets_nothing(serve):
    server = await serve(secure=True)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"POST /runner/v1/claim HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
    assert b"HTTP" not in await reader.read()
    writer.close()
    assert (await server.ask())[0] == 200


@pytest.mark.parametrize(
    "words",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer s3cret\x00\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 20_000 + b"\r\n",
        b"\r\n" * 10_000,
    ],
    ids=lambda words: repr(words[:20]),
)
async def test_what_is_no_http_is_refused_and_not_repeated_in_the_log(
    serve, monkeypatch, caplog, words
):
    server = await serve()
    with monkeypatch.context() as hurried:  # not for the caller at the end, on a busy machine
        hurried.setattr(doorman, "HEADERS_S", 0.1)
        reader, writer = await server.connect()
        writer.write(words)
        with contextlib.suppress(ConnectionError):
            answer = await reader.read()
            assert answer == b"" or answer.startswith((b"HTTP/1.0 400", b"HTTP/1.1 400"))
        writer.close()
    assert "s3cret" not in caplog.text
    assert "Traceback" not in caplog.text
    assert (await server.ask())[0] == 200


async def test_a_flood_of_tokens_does_not_become_a_flood_of_questions_to_the_api_server(serve):
    server = await serve()
    cluster, asked, most = server.app[REPLICA].parts.cluster, 0, 0
    release = asyncio.Event()

    async def create(kind, namespace, body):
        nonlocal asked, most
        asked += 1
        most = max(most, asked)
        await release.wait()
        asked -= 1
        return {"status": {"authenticated": False}}

    cluster.create = create
    head = b"GET /user/v1/namespaces/n/workflows/w/values/" + b"0" * 64 + b" HTTP/1.1\r\n"
    head += b"X-Graflow-Token: made-up\r\n"
    asking = [asyncio.create_task(server.ask(head)) for _ in range(30)]
    while asked < access.AT_ONCE:  # noqa: ASYNC110 - until those are under way
        await asyncio.sleep(0)
    release.set()
    answers = await asyncio.gather(*asking)
    assert {(status, body["reason"]) for status, body in answers} == {(401, "BadToken")}
    assert most == access.AT_ONCE
