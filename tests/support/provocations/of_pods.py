"""Pods of running tasks that somebody takes away, with a real kubelet to stop them."""

from graflow.machine import reasons
from support.crowd import SOFT
from support.provoked import lost, provoked

SLOT = "example.com/slot"


def left_behind(place, name, marks=None):
    """Return what came of a run whose attempts left marks one after the other: these, if given."""
    outcome = place.ended(name)
    if outcome.run == "Succeeded":
        left = place.result(name)
        assert marks in (None, left)
        attempts = [abs(mark) for mark in left]
        assert attempts == sorted(attempts), "an attempt went on when the next one had begun"
        assert set(attempts) == {1, 2}
    return outcome


@provoked("deleted pod", how="`kubectl delete pod`", ends=lost(reasons.POD_DELETED))
def deleted_pod(town, name):
    town.home.begin(name)
    town.home.kubectl("delete", "pod", town.home.at_work(name), "--wait=false")
    return left_behind(town.home, name, SOFT)


@provoked(
    "pod deleted by force",
    how="`kubectl delete pod --force`: its container runs on for a while",
    ends=lost(reasons.POD_DELETED),
)
def pod_deleted_by_force(town, name):
    town.home.begin(name, pod={"terminationGracePeriodSeconds": 20})
    pod = town.home.at_work(name)
    town.home.kubectl("delete", "pod", pod, "--force", "--grace-period=0", "--wait=false")
    return left_behind(town.home, name)


@provoked("eviction", how="`POST …/pods/NAME/eviction`", ends=lost(reasons.EVICTED))
def eviction(town, name):
    town.home.begin(name)
    town.home.evict(town.home.at_work(name))
    return left_behind(town.home, name, SOFT)


@provoked(
    "preemption",
    how="a pod of a higher PriorityClass needs the only slot, for a while",
    ends=lost(reasons.PREEMPTED, waited=(reasons.UNSCHEDULABLE,)),
)
def preemption(town, name):
    one = {"resources": {"limits": {SLOT: "1"}}}
    important = {"value": 1000, "description": "for a test"}
    classes = ("scheduling.k8s.io/v1", "PriorityClass", f"{town.home.namespace}-high", important)
    with town.capacity(town.node, {SLOT: "1"}), town.lasting(classes):
        town.home.begin(name, pod=one)
        town.home.at_work(name)
        town.home.begin(f"{name}-first", pod={**one, "priorityClassName": classes[2]})
        town.home.waits(name, reasons.UNSCHEDULABLE)
        town.home.kubectl("delete", "workflows.graflow.dev", f"{name}-first", "--wait=false")
        return left_behind(town.home, name, SOFT)


@provoked(
    "drain",
    how="`kubectl drain` of its node, uncordoned later",
    ends=lost(reasons.EVICTED, waited=(reasons.UNSCHEDULABLE,)),
    alone=True,
)
def drain(town, name):
    town.home.begin(name)
    town.home.at_work(name)
    only = f"--pod-selector=graflow.dev/workflow={name}"
    try:
        town.home.kubectl("drain", town.node, only, "--timeout=60s")
        town.home.waits(name, reasons.UNSCHEDULABLE)
    finally:
        town.home.kubectl("uncordon", town.node)
    return left_behind(town.home, name, SOFT)


@provoked(
    "kubelet that stands still",
    how="SIGSTOP, until the attempt is lost; its container runs on meanwhile",
    ends=lost(reasons.NODE_LOST, waited=(reasons.UNSCHEDULABLE,)),
    alone=True,
)
def kubelet_that_stands_still(town, name):
    town.home.begin(name)
    town.home.at_work(name)
    with town.paused("kubelet"):
        # 50 s until the node counts as not ready, and then the operator's own patience.
        town.home.waits(name, reasons.UNSCHEDULABLE, seconds=200)
    return left_behind(town.home, name)


@provoked(
    "runner killed before it has claimed",
    how="`kill -9` from outside while no operator answers",
    ends=lost(reasons.RUNNER_FAILED),
    alone=True,
)
def runner_killed_before_it_has_claimed(town, name):
    gate = "example.com/gate"
    town.home.begin(name, pod={"schedulingGates": [{"name": gate}]})
    pod = town.home.pod(name)
    with town.no_operator():
        town.home.ungate(pod)
        town.home.kill(pod, town.image)
    town.home.ungate(town.home.pod(name, 2))
    return town.home.ended(name)
