"""The Lease: one leads, a dead one is replaced, nobody's clock is compared."""

import pytest

from graflow_operator.cluster import LEASES
from graflow_operator.cluster_errors import ConflictError, UnavailableError
from graflow_operator.lease import DURATION_S, LOOK_S, RENEW_S, Candidate, LeaseKeeper
from support.fakes import Client, FakeCluster


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def replicas():
    cluster, clock = FakeCluster(), Clock()
    clients = [Client(cluster) for _ in range(2)]
    keepers = [
        LeaseKeeper(client, Candidate("graflow", "lease", f"r{n}", f"http://r{n}"), clock)
        for n, client in enumerate(clients)
    ]
    return cluster, clock, clients, keepers


async def test_the_first_leads_and_the_other_knows_its_address(replicas):
    _, _, _, (first, second) = replicas
    await first.round()
    await second.round()
    assert (first.leads(), second.leads()) == (True, False)
    assert second.leader == "http://r0"


async def test_a_leader_that_goes_on_renewing_stays(replicas):
    _, clock, _, (first, second) = replicas
    for _ in range(20):
        await first.round()
        await second.round()
        clock.now += 2
        assert first.leads()
        assert not second.leads()


async def test_a_leader_that_stopped_renewing_is_replaced_after_the_lease_and_not_before(replicas):
    _, clock, _, (first, second) = replicas
    await first.round()
    await second.round()
    clock.now += DURATION_S - 1
    await second.round()
    assert not second.leads()
    clock.now += 2
    await second.round()
    assert second.leads()
    assert not first.leads()
    await first.round()
    assert not first.leads()


async def test_a_released_lease_is_taken_at_once(replicas):
    _, _, _, (first, second) = replicas
    await first.round()
    await second.round()
    await first.release()
    assert not first.leads()
    await second.round()
    assert second.leads()


async def test_an_api_server_that_does_not_answer_ends_no_lease_before_its_time(replicas):
    _, clock, clients, (first, _) = replicas
    await first.round()
    clients[0].faults.append(("get", "leases", "before", UnavailableError("away")))
    clock.now += 2
    await first.round()
    assert first.leads()
    clock.now += DURATION_S
    assert not first.leads()


async def test_of_two_that_try_at_once_one_leads(replicas):
    cluster, _, _, (first, second) = replicas
    lease = await cluster.create(LEASES, "graflow", {"metadata": {"name": "lease"}, "spec": {}})
    await first.round()
    assert cluster.peek(LEASES, "graflow", "lease") != lease
    await second.round()
    assert [first.leads(), second.leads()].count(True) == 1


async def test_a_replica_looks_at_the_very_moment_when_a_lease_that_nobody_renews_runs_out(
    replicas,
):
    _, clock, _, (first, second) = replicas
    await first.round()
    await second.round()
    assert (first.pause_s(), second.pause_s()) == (RENEW_S, LOOK_S)
    clock.now += DURATION_S - 0.25
    await second.round()
    clock.now += second.pause_s()
    assert clock.now == 100.0 + DURATION_S
    await second.round()
    assert second.leads()


async def test_a_lease_is_let_go_though_a_renewal_was_still_on_its_way(replicas):
    _, _, (client, _), (first, second) = replicas
    await first.round()
    await second.round()
    client.faults.append(("replace", "leases", "before", ConflictError("a renewal was first")))
    await first.release()
    await second.round()
    assert second.leads()
