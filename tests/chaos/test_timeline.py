"""What runs in virtual time comes to an end by itself, or says what does not."""

import asyncio
import itertools

import pytest

from support.crashes import timeline


async def _swallows():
    while True:
        try:
            await asyncio.sleep(1)
        except asyncio.CancelledError:
            continue


async def _leaves(coroutine):
    task = asyncio.ensure_future(coroutine)
    await asyncio.sleep(5)
    return task


async def _turns():
    for _ in itertools.count():
        await asyncio.sleep(0)


async def _waits():
    await asyncio.Event().wait()


async def _never_lets_go():
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.Event().wait()


def test_time_goes_on_without_waiting_for_it():
    async def main():
        await asyncio.sleep(10_000)
        return asyncio.get_running_loop().time()

    assert timeline.run(main()) >= 10_000


@pytest.mark.parametrize(
    ("main", "words"),
    [
        (lambda: _leaves(_swallows()), "it: cancelled, and goes on: _swallows"),
        (lambda: _leaves(_never_lets_go()), "it: cancelled, and goes on: _never_lets_go"),
        (_swallows, "it: .*goes on: _swallows"),
        (_turns, "it: too many turns of the loop"),
        (_waits, "it: everybody waits, and nothing will ever happen"),
        (lambda: asyncio.sleep(10**9), "it: more than 50000 virtual seconds"),
    ],
    ids=[
        "swallows cancellation",
        "waits while it is cancelled",
        "swallows it and is all there is",
        "turns without time",
        "nothing left",
        "time without end",
    ],
)
def test_what_never_ends_is_ended_and_said(main, words, monkeypatch):
    monkeypatch.setattr(timeline, "MOST_TURNS", 60_000)
    with pytest.raises(timeline.StuckError, match=words):
        timeline.run(main(), "it")


def test_an_error_is_told_and_what_it_leaves_behind_is_ended():
    async def main():
        task = asyncio.ensure_future(_waits())
        await asyncio.sleep(1)
        raise ValueError(str(task.done()))

    with pytest.raises(ValueError, match="False"):
        timeline.run(main(), "it")
