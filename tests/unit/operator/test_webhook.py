"""How the API server comes to believe the webhook: our authority in its configuration, or files."""

import asyncio
import base64
import ssl
import time
from contextlib import asynccontextmanager

import pytest
from aiohttp import ClientSession

from graflow_operator import certificates
from graflow_operator.certificates import Lifetimes
from graflow_operator.cluster import WEBHOOKS
from graflow_operator.cluster_errors import ForbiddenError
from graflow_operator.keys import MasterKey
from graflow_operator.lease import Candidate, LeaseKeeper
from graflow_operator.notes import Notes
from graflow_operator.parts import Parts
from graflow_operator.server import admission_api
from graflow_operator.server.app import application
from graflow_operator.server.listener import Listener
from graflow_operator.server.replica import Replica
from graflow_operator.server.webhook import MountedCertificate, Webhook, stay_asked
from graflow_operator.settings import Settings
from support.fakes import Client, FakeCluster

DAY = 86_400.0
NAME = "graflow-system-graflow"


class Vouches:
    def __init__(self, ca_pem):
        self.ca_pem = ca_pem


@pytest.fixture
async def cluster():
    found = FakeCluster()
    names = ("workflows.graflow.dev", "runnerprofiles.graflow.dev")
    webhooks = [{"name": name, "clientConfig": {"service": {"name": "graflow"}}} for name in names]
    body = {"metadata": {"name": NAME}, "webhooks": webhooks}
    await found.create(WEBHOOKS, None, body)
    found.writes.clear()
    return found


def trusted(cluster):
    found = cluster.peek(WEBHOOKS, None, NAME)["webhooks"]
    return {base64.b64decode(one["clientConfig"].get("caBundle", "")).decode() for one in found}


async def test_the_configuration_trusts_our_authority_and_is_written_only_when_it_does_not(cluster):
    webhook = Webhook(cluster, NAME)
    for _ in range(3):
        await webhook.trust("ours")
    assert trusted(cluster) == {"ours"}
    assert len(cluster.writes) == 1
    await webhook.trust("ours and the next one")
    assert trusted(cluster) == {"ours and the next one"}


async def test_a_configuration_that_was_made_anew_is_mended(cluster):
    webhook = Webhook(cluster, NAME)
    await webhook.trust("ours")
    del cluster.peek(WEBHOOKS, None, NAME)["webhooks"][1]["clientConfig"]["caBundle"]
    await webhook.trust("ours")
    assert trusted(cluster) == {"ours"}


async def test_without_the_configuration_or_the_right_the_operator_says_so_once(cluster, caplog):
    client = Client(cluster)
    await Webhook(client, "another").trust("ours")
    assert "nobody is asked when Workflows are created" in caplog.text
    caplog.clear()
    client.faults += [("get", WEBHOOKS.plural, "before", ForbiddenError("no"))] * 2
    webhook = Webhook(client, NAME)
    await webhook.trust("ours")
    await webhook.trust("ours")
    assert len(caplog.records) == 1


@asynccontextmanager
async def replica_of(cluster, *, leads):
    """A replica that leads or not, and the rounds that it has made."""
    rounds = asyncio.Semaphore(0)

    async def sleep(_):
        rounds.release()
        await asyncio.sleep(0)

    settings = Settings(webhook=NAME)
    notes = Notes(cluster, "test", lambda: 0.0)
    authority = Vouches("ours")
    parts = Parts(
        cluster, None, MasterKey(b"k" * 32), settings, notes, sleep=sleep, authority=authority
    )
    keeper = LeaseKeeper(cluster, Candidate("graflow", "lease", "me", "https://me:8090"))
    if leads:
        await keeper.round()
    staying = asyncio.create_task(stay_asked(Replica(parts, keeper)))
    try:
        yield authority, rounds
    finally:
        staying.cancel()
        await asyncio.gather(staying, return_exceptions=True)


async def test_the_leader_tells_of_its_authority_at_once_and_of_each_new_one(cluster):
    async with replica_of(cluster, leads=True) as (authority, rounds):
        await rounds.acquire()
        assert trusted(cluster) == {"ours"}
        authority.ca_pem = "new"
        await rounds.acquire()
        await rounds.acquire()
        assert trusted(cluster) == {"new"}


async def test_a_replica_that_does_not_lead_writes_nothing(cluster):
    async with replica_of(cluster, leads=False) as (_, rounds):
        for _ in range(3):
            await rounds.acquire()
    assert trusted(cluster) == {""}


def put(folder):
    """Put a certificate into a folder, as cert-manager and the kubelet do; return its authority."""
    lifetimes, now = Lifetimes(400 * DAY, DAY, 60.0), time.time()
    made = certificates.fresh(now, lifetimes)
    leaf = certificates.leaf(made, ["localhost"], now, lifetimes)
    (folder / "tls.key").write_text(leaf.key)
    (folder / "tls.crt").write_text(leaf.certificate)
    return made.bundle


@pytest.fixture
async def served(tmp_path):
    """What is asked on a port whose certificate is in a folder."""
    mounted = MountedCertificate(tmp_path)
    cluster = FakeCluster()
    notes = Notes(cluster, "test", lambda: 0.0)
    parts = Parts(cluster, None, MasterKey(b"k" * 32), Settings(), notes)
    keeper = LeaseKeeper(cluster, Candidate("graflow", "lease", "me", "https://me:8090"))
    app = application(Replica(parts, keeper), (admission_api.ROUTES,))
    listener = Listener(app, mounted.context)
    port = await listener.open("127.0.0.1", 0)

    async def ask(ca_pem, path="/admission/workflows"):
        trust = ssl.create_default_context(cadata=ca_pem)
        trust.hostname_checks_common_name = False
        trust.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        async with ClientSession() as session:
            url = f"https://localhost:{port}{path}"
            async with session.post(url, data=b"{}", ssl=trust) as answer:
                return answer.status

    yield mounted, ask
    await listener.close()


async def test_a_certificate_in_a_folder_is_shown_and_so_is_the_one_that_replaces_it(
    served, tmp_path
):
    mounted, ask = served
    assert mounted.refresh() is False
    first = put(tmp_path)
    assert mounted.refresh() is True
    assert mounted.refresh() is False
    assert await ask(first) == 400
    second = put(tmp_path)
    assert mounted.refresh() is True
    assert await ask(second) == 400


async def test_on_the_port_for_admission_nothing_else_is_served(served, tmp_path):
    mounted, ask = served
    trust = put(tmp_path)
    mounted.refresh()
    assert await ask(trust, "/readyz") == 404


async def test_half_of_a_pair_leaves_the_old_certificate_where_it_is(served, tmp_path):
    mounted, ask = served
    trust = put(tmp_path)
    mounted.refresh()
    (tmp_path / "tls.crt").write_text("nonsense")
    assert mounted.refresh() is False
    assert await ask(trust) == 400
