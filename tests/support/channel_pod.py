"""The channel as a task in a pod uses it: each call repeated until somebody answers."""

from graflow.ledger import wire
from graflow.ledger.state import Caller, Owner
from graflow_operator.refs import AttemptRef


class ChannelPod:
    """The calls of one attempt of a `World`."""

    def __init__(self, world, order, stream=0):
        self.world = world
        self.attempt = AttemptRef(order["activation"], order["attempt"])
        self.claim = order["claim"]
        self.stream = stream
        self.number = 0

    async def change(self, op, key=None, *, actor=None, number=None, **more):
        if number is None:
            self.number += 1
            number = self.number
        found = wire.op_of({"op": op, "key": key, **more})
        ask = lambda a: a.channel.ask(self.attempt, self.claim, (self.stream, number), found)  # noqa: E731
        answer = await (ask(actor) if actor else self.world._ask(ask))
        return answer.value if not answer.error else answer

    async def add(self, key, amount=1, **more):
        return await self.change("add", key, amount=wire.number(amount), **more)

    async def set(self, key, value, ttl=None):
        return await self.change("set", key, value={"json": value}, ttl=ttl)

    async def append(self, key, *items, **more):
        return await self.change("append", key, items={"json": list(items)}, **more)

    async def get(self, key, actor=None):
        read = lambda a: a.channel.read(self.attempt, self.claim)  # noqa: E731
        state, now = await (read(actor) if actor else self.world._ask(read))
        entry = state.live(key, now)
        return None if entry is None else wire.value_of(entry)["json"]

    async def lock(self, key):
        """Wait for a lock as long as it takes, and return its ticket."""
        held = await self.change("lock", key)
        ticket = self.number
        owner = Owner(Caller(*self.attempt_pair, self.stream), ticket)
        while not held:
            held = await self.world._ask(
                lambda a: a.channel.wait(self.attempt, self.claim, key, owner, 0.05)
            )
        return ticket

    async def unlock(self, key, ticket):
        return await self.change("unlock", key, ticket=ticket)

    @property
    def attempt_pair(self):
        return self.attempt.activation, self.attempt.attempt
