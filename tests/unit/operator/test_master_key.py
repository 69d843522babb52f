"""The master key: made once, rotated when asked, kept while pods of before may speak."""

import base64
import json

import pytest

from graflow.api import names
from graflow_operator import keys, outcomes
from graflow_operator.cluster import SECRETS
from graflow_operator.keys import MasterKey, Replaced
from graflow_operator.master import CLOCKS_S, SecretUnusableError, master_key, rotated
from graflow_operator.refs import AttemptRef
from graflow_operator.settings import Settings
from support.fakes import FakeCluster
from support.world import HANGS, World

SETTINGS = Settings(operator_namespace="graflow")
SPEC = {
    "tasks": [{"name": "a", "script": "return 1"}, {"name": "b", "script": "1", "after": ["a"]}]
}


@pytest.fixture
def cluster():
    return FakeCluster()


def ask(cluster):
    secret = cluster.peek(SECRETS, "graflow", "graflow-master-key")
    secret["metadata"].setdefault("annotations", {})[names.ANNOTATION_ROTATE] = "now"


def as_the_api_server(cluster):
    """Do to a Secret what an API server does: `stringData` becomes `data`."""
    secret = cluster.peek(SECRETS, "graflow", "graflow-master-key")
    for field, text in secret.pop("stringData", {}).items():
        secret.setdefault("data", {})[field] = base64.b64encode(text.encode()).decode()


async def made(cluster):
    key = await master_key(cluster, SETTINGS)
    as_the_api_server(cluster)
    return key


async def look(cluster, *, now=1000.0, in_use=lambda at: True):
    return await rotated(cluster, SETTINGS, now=now, in_use=in_use)


async def test_it_is_made_once_and_the_same_for_all(cluster):
    key = await made(cluster)
    assert await master_key(cluster, SETTINGS) == key
    assert await look(cluster) == key
    assert len(cluster.writes) == 1


async def test_a_rotation_gives_new_pods_another_key_and_keeps_the_old_one(cluster):
    old = await made(cluster)
    ask(cluster)
    new = await look(cluster)
    assert new.of_run("u") != old.of_run("u")
    assert new.id != old.id
    assert new.any_of_run("u") == [new.of_run("u"), old.of_run("u")]
    assert new.replaced == (Replaced(old.data, 1000.0 + CLOCKS_S),)
    assert await master_key(cluster, SETTINGS) == new, "the other replicas learn of it"
    assert await look(cluster) == new, "it is answered once"
    secret = cluster.peek(SECRETS, "graflow", "graflow-master-key")
    assert secret["metadata"]["annotations"] == {}


async def test_the_old_key_is_forgotten_when_no_run_of_before_lasts(cluster):
    old = await made(cluster)
    ask(cluster)
    await look(cluster)
    ask(cluster)
    newest = await look(cluster, now=2000.0)
    assert [one.at for one in newest.replaced] == [2000.0 + CLOCKS_S, 1000.0 + CLOCKS_S]
    kept = await look(cluster, in_use=lambda at: at > 1500)
    assert [one.at for one in kept.replaced] == [2000.0 + CLOCKS_S]
    assert old.of_run("u") not in kept.any_of_run("u")
    alone = await look(cluster, in_use=lambda at: False)
    assert alone == MasterKey(newest.data)
    data = cluster.peek(SECRETS, "graflow", "graflow-master-key")["data"]
    assert list(data) == [names.SECRET_KEY]


async def test_two_leaders_at_once_rotate_once(cluster):
    await made(cluster)
    ask(cluster)
    replace, others = cluster.replace, []

    async def overtaken(kind, namespace, name, body):
        if not others:
            cluster.replace = replace
            others.append(await look(cluster))
        return await replace(kind, namespace, name, body)

    cluster.replace = overtaken
    mine = await look(cluster)
    assert mine == others[0]
    assert len(mine.replaced) == 1


@pytest.mark.parametrize(
    "data", [{}, {"key": "xyz"}, {"key": "00", "replaced": "00"}, {"key": "00", "replaced": "x 1"}]
)
async def test_a_secret_that_holds_no_key_is_refused_with_words(cluster, data):
    await made(cluster)
    secret = cluster.peek(SECRETS, "graflow", "graflow-master-key")
    secret["data"] = {k: base64.b64encode(v.encode()).decode() for k, v in data.items()}
    with pytest.raises(
        SecretUnusableError, match="graflow/graflow-master-key holds no key; delete"
    ):
        await look(cluster)


def test_keys_are_not_in_what_is_printed():
    key = MasterKey(b"k" * 32, (Replaced(b"o" * 32, 1.0),))
    assert "kkk" not in repr(key)
    assert "ooo" not in repr(key)


async def test_pods_made_after_a_rotation_get_another_secret_and_the_run_goes_on():
    async with World(SPEC) as world:
        world.start()
        parts = world.actor.parts
        old = parts.master

        def work(task, order):
            parts.master = MasterKey(b"n" * 32, (Replaced(old.data, world.now),))
            return {"outcome": "Succeeded", "value": {"json": task}, "directives": []}

        world.work = work
        assert (await world.end())["phase"] == "Succeeded"
        assert len(set(world.made("secrets"))) == 2
        of_pods = [secret_of(pod) for pod in world.pods]
        assert sorted(of_pods) == sorted(set(world.made("secrets")))


def secret_of(pod):
    env = {one["name"]: one for one in pod["spec"]["containers"][0]["env"]}
    return env[names.ENV_KEY]["valueFrom"]["secretKeyRef"]["name"]


async def test_an_outcome_that_was_signed_before_a_rotation_counts_after_it():
    async with World(SPEC, work=lambda task, order: HANGS) as world:
        world.start()
        parts, old = world.actor.parts, world.actor.parts.master
        await world.until(lambda: world.orders)
        [pod] = world.pods
        uid = pod["metadata"]["uid"]
        claim = f"{uid}/{uid.rjust(32, '0')}"
        attempt = AttemptRef(world.orders[0]["activation"], 1)
        run = world.workflow["metadata"]["uid"]
        key = keys.of_attempt(old.of_run(run), attempt.activation, 1, claim)
        document = {
            "activation": attempt.activation,
            "attempt": 1,
            "claim": claim,
            "report": {"outcome": "Succeeded", "value": {"json": "left"}, "directives": []},
        }
        document["mac"] = keys.mac_of_document(key, document)
        parts.master = MasterKey(b"n" * 32, (Replaced(old.data, world.now),))
        found = world.actor._hands._errands._read(json.dumps(document), attempt, claim)
        assert isinstance(found, outcomes.Outcome)
        parts.master = MasterKey(b"n" * 32)
        assert world.actor._hands._errands._read(json.dumps(document), attempt, claim) is None
