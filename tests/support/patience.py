"""Waits of tests that drive an event loop themselves."""

import asyncio

TURNS = 5000


async def until(condition):
    """Let others run until something holds."""
    for _ in range(TURNS):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it never came")
