"""The operator's HTTP server over a run in memory, and a runner that signs whatever it is given."""

import asyncio
import contextlib
import io

from aiohttp.test_utils import TestClient, TestServer

from graflow_operator import keys
from graflow_operator.cluster import PODS
from graflow_operator.engine import Engine
from graflow_operator.keys import MasterKey
from graflow_operator.lease import Candidate, LeaseKeeper
from graflow_operator.server.app import application
from graflow_operator.server.replica import Replica
from support.world import NAMESPACE, World

NONCE = "0123456789abcdef" * 2


async def leading(world):
    """Return a replica that leads, and drives the run of a world; nobody plays its runners."""
    world.auto_run = False
    world.start()
    parts = world.actor.parts
    keeper = LeaseKeeper(world.client, Candidate("graflow", "lease", "me", "http://me:8090"))
    await keeper.round()
    engine = Engine(parts)
    engine.synced = True
    engine._actors[world.workflow["metadata"]["uid"]] = world.actor
    return Replica(parts, keeper, engine)


class Served:
    """To be used from plain functions: a loop of its own turns while something is asked."""

    def __init__(self, spec):
        self._spec = spec
        self._loop = asyncio.Runner()
        self._stack = contextlib.AsyncExitStack()

    def __enter__(self):
        self._loop.run(self._begin())
        return self

    def __exit__(self, *_):
        self._loop.run(self._stack.aclose())
        self._loop.close()

    async def _begin(self):
        self.world = world = await self._stack.enter_async_context(World(self._spec))
        replica = await leading(world)
        self.keeper = replica.keeper
        self.run = world.workflow["metadata"]["uid"]
        server = TestServer(application(replica))
        self.client = await self._stack.enter_async_context(TestClient(server))
        self.key = MasterKey(b"k" * 32).of_run(self.run).hex()
        await self._claim()

    async def _claim(self):
        await self.world.until(lambda: self.world.pods)
        name = self.world.pods[0]["metadata"]["name"]
        status = {"phase": "Running", "podIP": "127.0.0.1"}
        self.pod = self.world.cluster.set_status(PODS, NAMESPACE, name, status)
        answer = await self.client.post("/runner/v1/claim", json=self.claim, headers=self.bearer)
        self.order = await answer.json()
        assert answer.status == 200, self.order

    @property
    def claim(self):
        """The body of a right claim."""
        identity = {name: self.pod["metadata"][name] for name in ("name", "uid")}
        return {"run": self.run, "namespace": NAMESPACE, "pod": identity, "nonce": NONCE,
                "python": "3.11.2"}  # fmt: skip

    @property
    def bearer(self):
        return {"Authorization": f"Bearer {self.key}"}

    def ask(self, method, path, body=b"", headers=None):
        """Send a request as it is; return the status and what the answer says."""
        return self._loop.run(self._ask(method, path, body, headers or {}))

    async def _ask(self, method, path, body, headers):
        if not self.keeper.leads():  # nobody renews while nothing is asked
            await self.keeper.round()
        answer = await self.client.request(method, path, data=io.BytesIO(body), headers=headers)
        if "json" in answer.content_type:
            return answer.status, await answer.json()
        return answer.status, await answer.read()

    def call(self, path, body=b"", method="POST", **changes):
        """Make a call of the attempt's runner, signed; `changes` are of its headers."""
        claim = f"{self.pod['metadata']['uid']}/{NONCE}"
        headers = {
            "X-Graflow-Run": self.run,
            "X-Graflow-Activation": str(self.order["activation"]),
            "X-Graflow-Attempt": str(self.order["attempt"]),
            "X-Graflow-Claim": claim,
            "X-Graflow-Number": "1",
        }
        signed = keys.Call(method, path, claim, "1", body)
        key = bytes.fromhex(self.order["attemptKey"])
        headers["X-Graflow-Mac"] = keys.mac_of_call(key, signed)
        return self.ask(method, path, body, {**headers, **changes})

    @property
    def over(self):
        """Whether the attempt is not the current one any more."""
        state = self.world.actor._snapshot.state
        found = state.activations.get(self.order["activation"])
        return found is None or not found.claim or found.attempt != self.order["attempt"]
