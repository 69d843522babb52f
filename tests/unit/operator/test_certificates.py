"""The operator's own authority: what clients believe, and when, while it is rotated."""

import asyncio
import base64
import ssl
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from graflow.api import names
from graflow_operator import certificates
from graflow_operator.authority import Authority, hosts
from graflow_operator.certificates import Lifetimes
from graflow_operator.cluster import SECRETS
from graflow_operator.master import SecretUnusableError
from graflow_operator.server.doorman import DOORMAN, Doorman
from graflow_operator.server.listener import Listener
from graflow_operator.settings import Settings
from support.fakes import FakeCluster

DAY = 86_400.0
SETTINGS = Settings(
    operator_namespace="graflow",
    advertise="https://127.0.0.1:8090",
    replica_url="https://127.0.0.1:8090",
    tls_service="api",
)


class Clock:
    def __init__(self, now=None):
        import time

        self.now = time.time() if now is None else now

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def cluster():
    return FakeCluster()


@pytest.fixture
def replica(cluster, clock):
    """Make a replica that has read what there is."""

    async def make(**changes):
        import dataclasses

        made = Authority(cluster, dataclasses.replace(SETTINGS, **changes), clock)
        await made.refresh()
        return made

    return make


@asynccontextmanager
async def served(authority):
    """A server that shows the authority's certificate."""
    app = web.Application()
    app[DOORMAN] = Doorman()

    async def hello(request):
        return web.Response(text="hello")

    app.router.add_get("/", hello)
    listener = Listener(app, authority.context)
    port = await listener.open("127.0.0.1", 0)
    try:
        yield port
    finally:
        await listener.close()


async def believed(port, ca_pem, host="127.0.0.1"):
    """Whether a client that trusts these alone talks to the server under that name."""
    context = ssl.create_default_context(cadata=ca_pem)
    try:
        _, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=context, server_hostname=host
        )
    except ssl.SSLCertVerificationError as error:
        return error.verify_message
    writer.close()
    return True


async def test_replicas_that_start_at_once_agree_on_one_authority(cluster, replica):
    one, other = await asyncio.gather(replica(), replica())
    assert one.ca_pem == other.ca_pem
    assert [w for w in cluster.writes if w[0] == "create"] == [("create", "secrets", "graflow-ca")]
    async with served(other) as port:
        assert await believed(port, one.ca_pem) is True


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "api", "api.graflow", "api.graflow.svc", "api.graflow.svc.cluster.local"]
)
async def test_a_replica_is_believed_under_the_names_at_which_it_is_reached(replica, host):
    authority = await replica()
    async with served(authority) as port:
        assert await believed(port, authority.ca_pem, host) is True


async def test_it_is_not_believed_under_another_name_or_for_another_authority(replica, clock):
    authority = await replica()
    lifetimes = Lifetimes(DAY, DAY, 60.0)
    stranger = certificates.fresh(clock.now, lifetimes)
    async with served(authority) as port:
        assert "mismatch" in await believed(port, authority.ca_pem, "db.graflow.svc")
        assert "unable to get local issuer" in await believed(port, stranger.bundle)


async def test_a_certificate_is_renewed_long_before_it_ends_and_open_connections_go_on(
    replica, clock
):
    clock.now -= SETTINGS.certificate_s * 0.8
    authority = await replica()
    async with served(authority) as port:
        trust = ssl.create_default_context(cadata=authority.ca_pem)
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trust)
        first = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        clock.now += SETTINGS.certificate_s * 0.6
        await authority.refresh()
        assert await shown(port, trust) == first
        clock.now += SETTINGS.certificate_s * 0.1
        await authority.refresh()
        assert await shown(port, trust) != first
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert b"hello" in await reader.read()
        writer.close()


async def shown(port, trust):
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trust)
    found = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return found


async def test_through_a_rotation_everybody_is_believed_by_everybody_at_every_moment(
    replica, clock, cluster
):
    clock.now -= 300 * DAY
    # Real clients check dates by the real clock, so the leaves must reach to it.
    settings = {"certificate_s": 3000 * DAY, "ca_s": 365 * DAY}
    leader, other = await replica(**settings), await replica(**settings)
    told = [leader.ca_pem]
    clock.now += 200 * DAY
    for _ in range(6):
        clock.now += 20 * DAY
        await leader.refresh(leads=True)
        told += [leader.ca_pem, other.ca_pem]
        for server in (leader, other):
            async with served(server) as port:
                for known in dict.fromkeys(told):
                    assert await believed(port, known) is True
        await other.refresh()
    phases = [pem.count("BEGIN CERTIFICATE") for pem in dict.fromkeys(told)]
    assert phases == [1, 2, 2, 1]
    assert told[0] not in leader.ca_pem


async def test_who_does_not_lead_rotates_nothing(replica, clock, cluster):
    authority = await replica()
    before = authority.ca_pem
    clock.now += 300 * DAY
    await authority.refresh()
    assert authority.ca_pem == before
    assert [verb for verb, *_ in cluster.writes] == ["create"]


async def test_an_authority_that_ended_while_nobody_ran_is_replaced_at_once(replica, clock):
    old = (await replica()).ca_pem
    clock.now += 366 * DAY
    authority = await replica()
    assert authority.ca_pem != old
    assert authority.ca_pem.count("BEGIN") == 1


async def test_a_rotation_can_be_asked_for_and_is_answered_once(replica, clock, cluster):
    authority = await replica()
    old = authority.ca_pem
    secret = cluster.peek(SECRETS, "graflow", "graflow-ca")
    secret["metadata"]["annotations"] = {names.ANNOTATION_ROTATE: "now", "mine": "stays"}
    await authority.refresh(leads=True)
    assert authority.ca_pem.startswith(old)
    assert authority.ca_pem.count("BEGIN") == 2
    kept = cluster.peek(SECRETS, "graflow", "graflow-ca")
    assert kept["metadata"]["annotations"] == {"mine": "stays"}
    await authority.refresh(leads=True)
    assert authority.ca_pem.count("BEGIN") == 2
    for _ in range(2):
        clock.now += SETTINGS.settle_s
        await authority.refresh(leads=True)
    assert authority.ca_pem.count("BEGIN") == 1
    assert authority.ca_pem != old
    assert [verb for verb, *_ in cluster.writes] == ["create", "replace", "replace", "replace"]
    async with served(authority) as port:
        assert await believed(port, old) is True, "a pod of before knows only the old one"


async def test_a_deleted_secret_means_an_authority_that_nobody_knows(replica, cluster):
    authority = await replica()
    old = authority.ca_pem
    cluster.vanish(SECRETS, "graflow", "graflow-ca")
    await authority.refresh()
    async with served(authority) as port:
        assert await believed(port, authority.ca_pem) is True
        assert await believed(port, old) is not True


@pytest.mark.parametrize("field", ["signing.crt", "signing.key"])
@pytest.mark.parametrize("content", [None, "", "no PEM", "another"])
async def test_a_secret_that_holds_no_authority_is_refused_with_words_and_without_keys(
    replica, cluster, clock, field, content
):
    authority = await replica()
    data = cluster.peek(SECRETS, "graflow", "graflow-ca")["data"]
    if content == "another":
        pair = certificates.fresh(clock.now, authority.lifetimes).signing
        content = pair.certificate if field == "signing.crt" else pair.key
    if content is None:
        del data[field]
    else:
        data[field] = base64.b64encode(content.encode()).decode()
    with pytest.raises(SecretUnusableError, match="graflow-ca holds no authority") as e:
        await authority.refresh()
    assert "PRIVATE" not in str(e.value)
    assert "delete it" in str(e.value)


def test_the_names_of_a_certificate_are_those_that_urls_and_the_service_have():
    settings = Settings(
        operator_namespace="ns",
        advertise="https://10.0.0.1:8090",
        replica_url="https://[fd00::7]:8090",
    )
    assert hosts(settings) == ["10.0.0.1", "fd00::7"]


def test_keys_are_not_in_what_is_printed(clock):
    assert "PRIVATE" not in repr(certificates.fresh(clock.now, Lifetimes(DAY, DAY, 60.0)))
