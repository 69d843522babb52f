"""A reverse proxy that does what networks, stores and API servers do when they are unwell.

It stands before a real server, in a thread of its own. What it passes on it does not change: a
signature over the `Host` header holds, for the proxy's own address is what was signed.
"""

import asyncio
import json
import ssl
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Self

import aiohttp
from aiohttp import web
from yarl import URL

_HOP = {"connection", "expect", "keep-alive", "transfer-encoding", "upgrade", "te", "trailer"}
_ALREADY_SENT = web.Response()
"""What a handler returns once the connection is broken: nobody gets it."""


@dataclass(frozen=True)
class Asked:
    """One request that came by."""

    method: str
    path: str
    query: Mapping[str, str]
    agent: str = ""
    at: float = field(default_factory=time.monotonic)

    @property
    def watches(self) -> bool:
        return self.query.get("watch") in {"1", "true"}


@dataclass(frozen=True)
class Answer:
    """What a server said, whole."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


Server = Callable[[web.BaseRequest, bytes], Answer]
"""What answers a request with this body."""


@dataclass(eq=False)
class Exchange:
    """One request, and the ways to answer it."""

    proxy: "FaultyProxy"
    request: web.BaseRequest
    asked: Asked
    body: bytes
    deaf: bool = False
    """Whether nothing of the answer gets through any more, while the connection stays."""

    response: web.StreamResponse | None = None

    async def passed_on(self) -> web.StreamResponse:
        """Pass the request on, and the answer back as it comes."""
        if callable(self.proxy.upstream):
            return self.say(self.proxy.upstream(self.request, self.body))
        async with self._upstream() as answer:
            self.response = response = web.StreamResponse(
                status=answer.status, headers=_kept(answer.headers)
            )
            await response.prepare(self.request)
            async for piece in answer.content.iter_any():
                if not self.deaf:
                    await response.write(piece)
            if self.deaf:
                await asyncio.Event().wait()
            await response.write_eof()
            return response

    async def answer(self) -> Answer:
        """Pass the request on and return the whole answer."""
        if callable(self.proxy.upstream):
            return self.proxy.upstream(self.request, self.body)
        async with self._upstream() as answer:
            return Answer(answer.status, _kept(answer.headers), await answer.read())

    @staticmethod
    def say(answer: Answer) -> web.StreamResponse:
        return web.Response(status=answer.status, headers=answer.headers, body=answer.body)

    async def cut(self, answer: Answer, after: int) -> web.StreamResponse:
        """Say the beginning of an answer and break the connection."""
        response = web.StreamResponse(status=answer.status, headers=answer.headers)
        response.content_length = len(answer.body)
        await response.prepare(self.request)
        await response.write(answer.body[:after])
        return self.broken(reset=False)

    def broken(self, *, reset: bool = True) -> web.StreamResponse:
        """Break the connection, at once or behind what was said already."""
        if transport := self.request.transport:
            transport.abort() if reset else transport.close()
        return _ALREADY_SENT

    def _upstream(self) -> Any:
        headers = {k: v for k, v in self.request.headers.items() if k.lower() not in _HOP}
        return self.proxy.session.request(
            self.request.method,
            URL(f"{self.proxy.upstream}{self.request.raw_path}", encoded=True),
            headers=headers,
            data=self.body or None,
            allow_redirects=False,
        )


Act = Callable[[Exchange], Awaitable[web.StreamResponse]]


@dataclass(eq=False)
class _Rule:
    act: Act
    where: Callable[[Asked], bool]
    left: float
    """How often it is still to be done."""


class FaultyProxy:
    """Passes on what comes to `url`, but for the faults in force.

    Args:
        upstream: URL of the real server, or a function that answers in its place.
        host: Address to listen at.
        tls: How to sign in there; the proxy itself speaks plain HTTP.
    """

    def __init__(
        self,
        upstream: "str | Server",
        *,
        host: str = "127.0.0.1",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.upstream = upstream
        self.asked: list[Asked] = []
        self.session: aiohttp.ClientSession
        self._host, self._port, self._tls = host, 0, tls
        self._rules: list[_Rule] = []
        self._open: set[Exchange] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._runner: web.ServerRunner

    @property
    def url(self) -> str:
        return f"http://{self._host}:{self._port}"

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._begin())
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # -- faults -----------------------------------------------------------------------------------

    @contextmanager
    def fault(
        self,
        act: Act,
        *,
        where: Callable[[Asked], bool] = lambda _: True,
        times: float = float("inf"),
    ) -> Iterator[None]:
        """Have requests answered otherwise, all of some kind or the next few of it."""
        rule = _Rule(act, where, times)
        self._rules.append(rule)
        try:
            yield
        finally:
            self._rules.remove(rule)

    @contextmanager
    def down(self) -> Iterator[None]:
        """Refuse connections, and break those that there are."""
        self._do(self._runner.cleanup())
        try:
            yield
        finally:
            self._do(self._listen())

    def drop_watches(self) -> None:
        """Break the connections of all watches."""
        for one in self._watches():
            self._loop.call_soon_threadsafe(one.broken)

    def deafen_watches(self) -> None:
        """Let nothing through to the watches there are; their connections stay."""
        for one in self._watches():
            one.deaf = True

    def tell_watches(self, event: Mapping[str, Any]) -> None:
        """Say something to all watches, and end them."""

        async def tell(one: Exchange) -> None:
            if one.response is not None:
                with suppress(ConnectionError):
                    await one.response.write(json.dumps(event).encode() + b"\n")
                one.broken(reset=False)

        for one in self._watches():
            self._do(tell(one))

    def _watches(self) -> list[Exchange]:
        return [one for one in tuple(self._open) if one.asked.watches]

    # -- the server -------------------------------------------------------------------------------

    def _do(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _begin(self) -> None:
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=self._tls or False),
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,
            skip_auto_headers=("Content-Type", "User-Agent", "Accept", "Accept-Encoding"),
        )
        await self._listen()

    async def _listen(self) -> None:
        self._runner = web.ServerRunner(web.Server(self._handle), shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port, reuse_address=True)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def _end(self) -> None:
        await self._runner.cleanup()
        await self.session.close()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        agent = request.headers.get("User-Agent", "")
        asked = Asked(request.method, request.path, dict(request.query), agent)
        self.asked.append(asked)
        if request.headers.get("Expect") and request.transport:
            # boto3 waits a second for this before it sends what it puts.
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        exchange = Exchange(self, request, asked, await request.read())
        self._open.add(exchange)
        try:
            rule = next((r for r in self._rules if r.left > 0 and r.where(asked)), None)
            if rule is None:
                return await exchange.passed_on()
            rule.left -= 1
            return await rule.act(exchange)
        except aiohttp.ClientError:
            return exchange.broken()
        finally:
            self._open.discard(exchange)


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _HOP}


# -- acts -----------------------------------------------------------------------------------------


def says(status: int, body: str = "", **headers: str) -> Act:
    """Answer without asking the server."""
    answer = Answer(status, {k.replace("_", "-"): v for k, v in headers.items()}, body.encode())

    async def act(exchange: Exchange) -> web.StreamResponse:
        return exchange.say(answer)

    return act


def s3_error(status: int, code: str, **headers: str) -> Act:
    """Answer as a store does that does not do what is asked."""
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{code}.</Message></Error>"
    return says(status, body, Content_Type="application/xml", **headers)


def api_error(status: int, reason: str, **headers: str) -> Act:
    """Answer as an API server does that does not do what is asked."""
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason}
    text = json.dumps({**body, "message": f"{reason}, says the test", "code": status})
    return says(status, text, Content_Type="application/json", **headers)


async def black_hole(_: Exchange) -> web.StreamResponse:
    """Never answer."""
    await asyncio.Event().wait()
    raise AssertionError


async def reset(exchange: Exchange) -> web.StreamResponse:
    """Break the connection before anything is done."""
    return exchange.broken()


async def loses_answer(exchange: Exchange) -> web.StreamResponse:
    """Have it done and never say so."""
    await exchange.answer()
    return exchange.broken()


async def keeps_answer(exchange: Exchange) -> web.StreamResponse:
    """Have it done and say nothing, while the connection stays."""
    await exchange.answer()
    return await black_hole(exchange)


async def cuts_answer(exchange: Exchange) -> web.StreamResponse:
    """Have it done and say half of the answer."""
    answer = await exchange.answer()
    return await exchange.cut(answer, len(answer.body) // 2)


async def flips_byte(exchange: Exchange) -> web.StreamResponse:
    """Answer with one byte changed."""
    answer = await exchange.answer()
    place = len(answer.body) // 2
    flipped = bytes([answer.body[place] ^ 1]) if answer.body else b""
    body = answer.body[:place] + flipped + answer.body[place + 1 :]
    return exchange.say(Answer(answer.status, answer.headers, body))


def slow(seconds: float) -> Act:
    """Pass on, late."""

    async def act(exchange: Exchange) -> web.StreamResponse:
        await asyncio.sleep(seconds)
        return await exchange.passed_on()

    return act


async def ignores_conditions(exchange: Exchange) -> web.StreamResponse:
    """Answer as a store does that has never heard of `If-None-Match`."""
    answer = await exchange.answer()
    return exchange.say(Answer(200) if answer.status == 412 else answer)
