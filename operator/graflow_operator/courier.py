"""Carries notifications to their targets: one try at a time. When to try again is others' business.

What went wrong is said in words of ours alone: the address of a Slack webhook is its password, and
errors of a client like to name it.
"""

import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Protocol

import aiohttp

from graflow_operator import notices
from graflow_operator.cluster import Object
from graflow_operator.outbox import Entry
from graflow_operator.targets import Target, TargetUnusableError, address_of

TRY_S, CONNECT_S = 10.0, 5.0
CONNECTIONS_OF_A_HOST = 4
HEADER_SIGNATURE = "X-Graflow-Signature"
HEADER_TIMESTAMP = "X-Graflow-Timestamp"
HEADER_DELIVERY = "X-Graflow-Delivery"


class Courier(Protocol):
    """Whoever delivers notifications."""

    async def deliver(self, target: Target, request: Object, entry: Entry) -> str:
        """Try once; return why it was not delivered, "" if it was."""

    async def close(self) -> None:
        """Let go of what is held."""


class HttpCourier:
    """Delivers by HTTP: no redirect is followed, no proxy of the environment asked.

    Args:
        folder: Where Secrets of targets are mounted.
        clock: Seconds since the epoch.
    """

    def __init__(self, folder: str, clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None

    async def deliver(self, target: Target, request: Object, entry: Entry) -> str:
        """Try once; return why it was not delivered, "" if it was."""
        try:
            address = address_of(self._folder, target)
        except TargetUnusableError as error:
            return str(error)
        headers = {"Content-Type": "application/json"}
        if target.kind == "slack":
            body = notices.slack(request, entry)
        else:
            body = notices.webhook(request, entry)
            headers[HEADER_DELIVERY] = notices.delivery(request, entry)
        if address.key:
            at = int(self._clock())
            headers[HEADER_TIMESTAMP] = str(at)
            headers[HEADER_SIGNATURE] = notices.signature(address.key, at, body)
        return await self._post(address.url, body, headers)

    async def close(self) -> None:
        """Let go of the connections."""
        if self._session is not None:
            await self._session.close()

    async def _post(self, url: str, body: bytes, headers: dict[str, str]) -> str:
        try:
            async with self._pool().post(
                url, data=body, headers=headers, allow_redirects=False
            ) as answer:
                if HTTPStatus(200) <= answer.status < HTTPStatus(300):
                    return ""
                return f"it answered {answer.status}"
        except TimeoutError:
            return f"it did not answer in {TRY_S:.0f} s"
        except aiohttp.ClientConnectionError:
            return "no connection could be made, or it was lost"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return f"it could not be asked: {type(error).__name__}"

    def _pool(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit_per_host=CONNECTIONS_OF_A_HOST),
                timeout=aiohttp.ClientTimeout(total=TRY_S, sock_connect=CONNECT_S),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
            )
        return self._session
