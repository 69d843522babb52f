"""Worlds whose Workflow has a bundle."""

from contextlib import asynccontextmanager

import pytest

from graflow_operator.bundles import Bundle
from support.world import NAMESPACE, World

PROGRAM = {
    "tasks": [{"name": "a", "function": "a"}],
    "bundle": {"name": "code-x", "sha256": "0" * 64},
}


@pytest.fixture
def bundled():
    """A world with a bundle, in which every function that is asked for is but `lost`."""

    @asynccontextmanager
    async def make(spec=PROGRAM, **options):
        async with World(spec, **options) as world:
            start = world.start

            def started(**faults):
                start(**faults)
                names = ("a", "spare", "G")
                functions = dict.fromkeys(names, "1" * 64)
                bundle = Bundle("0" * 64, b"zip", "3.11", functions)
                world.actor.parts.bundles.put(NAMESPACE, bundle)

            world.start = started
            yield world

    return make
