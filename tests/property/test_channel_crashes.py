"""C2: any operations of several pods, the operator killed anywhere: all are done once, in order."""

import asyncio
from itertools import chain, repeat

from hypothesis import given, settings
from hypothesis import strategies as st

from graflow.ledger import wire
from graflow.ledger.state import Answer
from graflow_operator.verdicts import Succeeded
from support.channel_model import OPS, Model, plain
from support.channel_pod import ChannelPod
from support.world import World

PODS = ("a", "b")
SPEC = {
    "tasks": [*({"name": name, "script": "x"} for name in PODS), {"name": "end", "script": "x"}],
    "groups": [{"name": "g", "members": list(PODS)}],
}
SPEC["tasks"][-1]["after"] = ["g"]
SCRIPTS = st.lists(OPS.filter(lambda body: body["op"] != "clear"), max_size=8)


async def carried(scripts, deaths, *, store):
    """Return the answers that the pods got, and what is in the channel at the end."""
    got, final, deaths = {}, {}, chain(deaths, repeat({}))

    async def work(task, order):
        pod = ChannelPod(world, order)
        if task == "end":
            for key in [f"{name}.{key}" for name in PODS for key in "abc"] + ["total"]:
                final[key] = await value(pod, key)
            return Succeeded({"json": None})
        answers = []
        for body in scripts[task]:
            more = {name: part for name, part in body.items() if name not in ("op", "key", "ttl")}
            answers.append(await pod.change(body["op"], f"{task}.{body['key']}", **more))
            await pod.add("total")
        got[task] = [a.error if isinstance(a, Answer) else a for a in answers]
        return Succeeded({"json": None})

    async with World(SPEC, store=store) as world:
        world.work = work
        world.start(**next(deaths))
        await world.end(restart=lambda: next(deaths))
    return got, final


async def value(pod, key):
    state, now = await pod.world._ask(lambda a: a.channel.read(pod.attempt, pod.claim))
    entry = state.live(key, now)
    return None if entry is None else plain(wire.value_of(entry))


def meant(scripts):
    """Return what a model says of each pod, whose keys are its own."""
    got, final = {}, {"total": sum(map(len, scripts.values())) or None}
    for name in PODS:
        model = Model()
        found = [model.apply({**body, "ttl": None}) for body in scripts[name]]
        got[name] = [a.__name__ if isinstance(a, type) else a for a in found]
        final |= {f"{name}.{key}": model.values.get(key) for key in "abc"}
    return got, final


@settings(deadline=None, max_examples=40)
@given(
    st.fixed_dictionaries(dict.fromkeys(PODS, SCRIPTS)),
    st.lists(
        st.fixed_dictionaries({"dies_at": st.integers(1, 8), "dies_after": st.booleans()}),
        max_size=4,
    ),
    st.booleans(),
)
def test_c2_no_crash_loses_doubles_or_reorders_what_a_pod_asks_for(scripts, deaths, store):
    got, final = asyncio.run(carried(scripts, deaths, store=store))
    expected_got, expected_final = meant(scripts)
    assert {name: repr(got[name]) for name in PODS} == {
        name: repr(expected_got[name]) for name in PODS
    }
    assert {key: repr(v) for key, v in final.items()} == {
        key: repr(v) for key, v in expected_final.items()
    }
