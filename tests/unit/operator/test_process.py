"""What goes on beside the runs: whatever trips it up once, it goes on."""

import asyncio
from contextlib import suppress
from types import SimpleNamespace

from graflow_operator import process
from graflow_operator.process import Process
from graflow_operator.settings import Settings


class Tripping:
    """Fails twice."""

    def __init__(self, error):
        self._errors = [error, error]
        self.went_on = asyncio.Event()

    async def __call__(self, **_):
        if self._errors:
            raise self._errors.pop()
        self.went_on.set()


async def goes_on(work, call):
    task = asyncio.create_task(work)
    async with asyncio.timeout(5):
        await call.went_on.wait()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_an_error_that_nobody_thought_of_does_not_end_the_campaign():
    call = Tripping(KeyError("metadata"))
    await goes_on(Process._renew(SimpleNamespace(round=call, pause_s=lambda: 0.0)), call)


async def test_an_error_that_nobody_thought_of_does_not_end_the_rotation(monkeypatch):
    monkeypatch.setattr(process, "REFRESH_S", 0.0)
    found = Process(Settings(), None)

    async def looked_at(*_):
        return True

    monkeypatch.setattr(found, "_look_at_keys", looked_at)
    call = Tripping(OSError(24, "Too many open files"))
    keeper = SimpleNamespace(leads=lambda: False)
    replica = SimpleNamespace(engine=None, parts=None, keeper=keeper)
    await goes_on(found._refresh(replica, SimpleNamespace(refresh=call)), call)
