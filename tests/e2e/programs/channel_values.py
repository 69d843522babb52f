"""Whatever can be in a channel: seen by another task as it was."""

from typing import TypedDict

from graflow import task, workflow

START = {"n": 3, "exact": {"b": 1.0, "a": [1e20, -0.0, 2**70]}, "kind": (1, {2})}
"""The second of them is changed by an API server, the third is nothing that JSON has."""


class Score(TypedDict):
    name: str
    points: int


@task(inject_context=True)
def write(ctx):
    channel = ctx.get_channel()
    channel.set("number", 2**100)
    channel.set("tuple", (1, {2}))
    channel.set("large", b"x" * 1_000_000)
    channel.set("list", [{"n": n} for n in range(5000)])
    channel.append("list", (1, 2))
    channel.prepend("list", "y" * 300_000)
    channel.append("new", b"\0")
    channel.atomic_add("n", 0.5)
    channel.set("short", 1, ttl=0)
    ctx.get_typed_channel(Score).send("score", {"name": "a", "points": 3})
    try:
        channel.append("tuple", 1)
    except TypeError as error:
        print(error)
    return [1]


@task(inject_context=True)
def read(ctx, n, write):
    channel = ctx.get_channel()
    found = channel.get("list")
    print(channel.keys(), n, write == channel.get("write.__result__"))
    print(channel.get("exact"), channel.get("kind"))
    print(channel.get("number"), channel.get("tuple"), len(channel.get("large")))
    print(len(found), len(found[0]), found[1], found[-1], channel.get("new"))
    print(ctx.get_typed_channel(Score).receive("score"), channel.exists("short"))
    with channel.lock("l"), channel.lock("l"):
        return channel.atomic_add("n")


if __name__ == "__main__":
    with workflow("channel-values") as wf:
        _ = write >> read
        value, context = wf.execute(ret_context=True, initial_channel=START)
        channel = context.get_channel()
        print(value, len(channel.get("large")), channel.get("list")[-2:], channel.get("tuple"))
