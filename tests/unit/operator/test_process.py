"""What goes on beside the runs: whatever trips it up once, it goes on."""

import asyncio
import threading
from contextlib import suppress
from types import SimpleNamespace

import pytest

from graflow.store import StoreRefusedError, StoreUnavailableError, StoreUnfitError
from graflow_operator import process
from graflow_operator.handlers import watching
from graflow_operator.handlers.watching import Watches, WatchesDeadError
from graflow_operator.process import Process
from graflow_operator.server import health
from graflow_operator.server.errors import Refusal
from graflow_operator.server.replica import REPLICA
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


class Answering:
    """A store whose answer to the proof is next in a list; the last one stays."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.unproven = StoreUnavailableError("not asked yet")

    async def prove(self):
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is not None:
            raise answer
        self.unproven = None


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(process, "START_RETRY_S", 0.0)
    monkeypatch.setattr(process, "PROOF_S", 0.2)
    monkeypatch.setattr(process, "S3Store", lambda location: location)

    def made(storage):
        monkeypatch.setattr(process, "Storage", lambda *_, **__: storage)
        return Process(Settings(store_bucket="bucket"), None)

    return made


REFUSED = StoreRefusedError("no bucket 'bucket' at http://s3.example")


async def test_a_store_that_refuses_does_not_keep_the_operator_from_serving(impatient, caplog):
    storage = Answering(REFUSED)
    found = impatient(storage)
    assert await found._storage() is storage
    assert "no bucket 'bucket' at http://s3.example" in caplog.text
    replica = SimpleNamespace(parts=SimpleNamespace(storage=storage), engine=None)
    storage.unproven = REFUSED
    with pytest.raises(Refusal, match="no bucket") as refusal:
        await health.readyz(SimpleNamespace(app={REPLICA: replica}))
    assert refusal.value.status == 503
    storage.answers = [None]
    async with asyncio.timeout(5):
        await found._background[0]
    found._look_after_background()
    assert (await health.readyz(SimpleNamespace(app={REPLICA: replica}))).status == 200


@pytest.mark.parametrize("before", [[], [REFUSED]])
async def test_a_store_without_conditional_writes_ends_the_operator(impatient, before):
    found = impatient(Answering(*before, StoreUnfitError("ignores If-None-Match")))
    with pytest.raises(StoreUnfitError, match="If-None-Match"):
        await found._storage()


async def test_what_dies_in_the_background_ends_the_process():
    found = Process(Settings(), None)

    async def dies():
        raise KeyError("of nobody")

    found._background.append(asyncio.create_task(dies()))
    found._look_after_background()
    await asyncio.wait(found._background)
    with pytest.raises(KeyError):
        found._look_after_background()


def watches():
    return Watches(Settings(), SimpleNamespace(ca_data=None), None)


@pytest.mark.parametrize("death", [asyncio.CancelledError, RuntimeError, KeyError])
def test_watches_that_die_begin_again(monkeypatch, death):
    lives = []

    async def operator(**_):
        lives.append(1)
        if len(lives) == 3:
            found._stop.set()
        raise death("of kopf")

    monkeypatch.setattr(watching, "FIRST_PAUSE_S", 0.0)
    monkeypatch.setattr(watching.kopf, "operator", operator)
    monkeypatch.setattr(watching, "registry", lambda *_: None)
    found = watches()
    found.start()
    found._thread.join(5)
    assert len(lives) == 3


def test_a_thread_of_watches_that_ended_is_noticed():
    found = watches()
    found._thread = threading.Thread(target=lambda: None)
    found.start()
    found._thread.join(5)
    with pytest.raises(WatchesDeadError):
        found.check()
