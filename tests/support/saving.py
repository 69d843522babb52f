"""Checkpoints as a task in a pod asks for them: each call repeated until somebody answers."""

from graflow_operator.checkpoint import Wish
from graflow_operator.parts import Parts
from graflow_operator.refs import AttemptRef, RunRef


class SavingPod:
    """The calls for checkpoints of one attempt of a `World`."""

    def __init__(self, world, order):
        self.world = world
        self.attempt = AttemptRef(order["activation"], order["attempt"])
        self.claim = order["claim"]

    async def save(self, number=1, path="", **metadata):
        """Return the sequence number of a checkpoint that is committed."""
        wish = Wish(path, metadata)
        found = await self.world._ask(
            lambda actor: actor.save(self.attempt, self.claim, (0, number), wish)
        )
        return found["seq"]


def documents(world):
    """Return the names of all checkpoints in the store of a world, of its run."""
    prefix = Parts.store_keys(RunRef.of(world.workflow)).checkpoints
    return [key.removeprefix(prefix) for key in world.store.list(prefix)]


def document(world, name):
    """Return one of them, as it was written."""
    return world.store.get(Parts.store_keys(RunRef.of(world.workflow)).checkpoint(name))
