"""What Kubernetes says of pods, told apart: whose fault, and which budget it spends (F2)."""

import pytest

from graflow.cli import failures_page
from graflow.machine import faults, reasons
from graflow.machine.faults import FaultKind
from graflow_operator import actor, gate, hands, profiles, restarts, takings, verdicts
from graflow_operator.facts import Taken, of_pod
from graflow_operator.stuck import Pending, telling
from graflow_operator.verdicts import Failed, Lost, Succeeded
from graflow_runner import exitcodes
from support.statuses import AFTER, ENDED, PENDING, STARTED, Row, pod, terminated, waiting

rows = pytest.mark.parametrize("row", ENDED, ids=lambda row: row.what)


def verdict_on(row: Row):
    fact = of_pod(pod(row.status, resources=row.resources, **row.metadata))
    assert fact.ended is not None
    if row.container:
        return verdicts.of_container("p", fact.ended)
    return verdicts.of_runner("p", fact.ended, claimed=row.claimed)


@rows
def test_f2_an_end_is_told_by_its_reason_in_the_words_of_whoever_knows(row):
    verdict = verdict_on(row)
    assert verdict.error.reason == row.reason
    assert row.words in verdict.error.message
    assert " p" in verdict.error.message


@rows
def test_f2_what_an_end_spends_follows_from_the_class_of_its_reason(row):
    verdict = verdict_on(row)
    kind = faults.of(row.reason).kind
    assert isinstance(verdict, Lost if kind is FaultKind.INFRASTRUCTURE else Failed)


@pytest.mark.parametrize("row", PENDING, ids=lambda row: row.what)
def test_why_a_pod_does_not_run_yet_is_told_in_the_words_of_whoever_knows(row):
    fact = of_pod(pod(row.status))
    assert fact.pending.reason == row.reason
    assert row.words in fact.pending.message
    assert fact.ended is None


def test_every_fault_of_the_infrastructure_that_a_pod_can_show_is_in_the_table():
    shown = {row.reason for row in ENDED}
    lost = {f.reason for f in faults.FAULTS.values() if f.kind is FaultKind.INFRASTRUCTURE}
    # What a runner says itself when it is told to stop, and what only Events tell of a pod.
    assert lost - shown == {"Interrupted", "SandboxFailed"}


def test_a_container_that_ended_well_before_its_pod_was_taken_away_has_its_result():
    status = terminated(0, "Completed", '{"n": 1}', phase="Succeeded")
    fact = of_pod(pod(status, deletionTimestamp="2026-03-01T10:00:40Z"))
    assert verdicts.of_container("p", fact.ended) == Succeeded({"json": {"n": 1}})


def test_a_pod_that_is_gone_is_told_by_who_took_it():
    by = Taken("PreemptionByScheduler", "preempting")
    assert verdicts.gone("p", claimed=True, taken=by).error.reason == "Preempted"
    assert verdicts.gone("p", claimed=True, taken=Taken()).error.reason == "PodDeleted"
    assert verdicts.gone("p", claimed=True).error.reason == "PodLost"


def test_a_disruption_that_nobody_has_heard_of_yet_is_an_eviction():
    assert takings.taken("p", Taken("EvictionByTheMoon", "full")).reason == "Evicted"


@pytest.mark.parametrize("claimed", [True, False])
def test_an_attempt_that_nobody_had_claimed_spends_nothing_when_its_pod_is_gone(claimed):
    assert verdicts.gone("p", claimed=claimed).spends is claimed


def test_a_wait_counts_from_when_the_kubelet_took_the_pod_not_from_its_creation():
    made = pod(waiting("ImagePullBackOff", "no"), creationTimestamp="2026-02-01T00:00:00Z")
    assert of_pod(made).pending.since == of_pod(made).started_at > of_pod(made).created_at


def test_a_wait_behind_init_containers_counts_from_their_end():
    done = {"type": "Initialized", "status": "True", "lastTransitionTime": AFTER}
    late = of_pod(pod(waiting("ImagePullBackOff", "no", conditions=[done]))).pending.since
    soon = of_pod(pod(waiting("ImagePullBackOff", "no"))).pending.since
    assert late - soon == 11
    assert STARTED < AFTER


def test_why_an_image_was_not_pulled_stays_told_while_the_kubelet_waits_for_the_next_try():
    why = Pending("ImagePull", "no such image", "ErrImagePull", 1.0)
    later = Pending("ImagePull", "Back-off pulling", "ImagePullBackOff", 1.0)
    assert telling(why, later) is why
    assert telling(None, later) is later
    assert telling(later, why) is why
    other = Pending("ConfigMissing", "no secret", "CreateContainerConfigError", 1.0)
    assert telling(why, other) is other


PACES = {
    reasons.QUOTA_EXCEEDED: (gate.FIRST_S, gate.MOST_S),
    reasons.QUOTA_USED: (gate.FIRST_S, gate.MOST_S),
    reasons.FORBIDDEN: (gate.FIRST_S, gate.MOST_S),
    reasons.WEBHOOK_UNAVAILABLE: (gate.FIRST_S, gate.MOST_S),
    reasons.PROFILE_MISSING: (profiles.FRESH_S,),
    reasons.PROFILE_INVALID: (profiles.FRESH_S,),
    reasons.BUNDLE_MISSING: (actor.BUNDLE_S,),
    reasons.STORE_UNAVAILABLE: (actor.PAUSE_S, actor.MOST_PAUSE_S),
    reasons.STATE_UNREADABLE: (actor.PAUSE_S, actor.MOST_PAUSE_S),
    reasons.OPERATOR_FAILED: (restarts.PACE.initial_s, restarts.PACE.max_s),
}


@pytest.mark.parametrize("reason", PACES)
def test_the_page_of_failures_tells_the_pace_that_the_operator_keeps(reason):
    first, *most = PACES[reason]
    fault = faults.of(reason)
    words = f"{first:g} s, doubling up to {most[0]:g} s" if most else f"every {first:g} s"
    if reason == reasons.OPERATOR_FAILED:
        words += ", each up to half longer or shorter"
    assert (fault.pace or failures_page.PACES[fault.kind]) == words


def test_the_page_of_failures_tells_how_long_a_runner_may_be_silent():
    assert f"{hands.MUTE_S:g} s of silence" in faults.of(reasons.RUNNER_FAILED).seen


def test_the_operator_reads_the_exit_codes_that_the_runner_has():
    known = {"BAD_ENVIRONMENT", "FENCED", "UNREACHABLE", "INTERNAL"}
    assert {name: getattr(verdicts, f"EXIT_{name}") for name in known} == {
        name: getattr(exitcodes, name) for name in known
    }
    assert verdicts.EXIT_BUNDLE == exitcodes.BUNDLE_UNUSABLE
