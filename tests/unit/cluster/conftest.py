"""An API server that answers as it is told."""

from collections.abc import Iterator

import pytest
import urllib3

from graflow.cluster.apiserver import ApiServer
from support.scripted_server import ScriptedServer


@pytest.fixture
def fake() -> Iterator[ScriptedServer]:
    made = ScriptedServer()
    yield made
    made.close()


@pytest.fixture
def server(fake: ScriptedServer) -> Iterator[ApiServer]:
    with urllib3.PoolManager() as pool:
        yield ApiServer(fake.url, pool, token=lambda: "t0ken", namespace="team")
