"""Pods that cannot be made, or whose containers cannot: what is named is missing or not allowed."""

from dataclasses import replace

from graflow.machine import reasons
from support.provoked import Outcome, provoked, stuck, waits

RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
SECRET = {"secretKeyRef": {"name": "password", "key": "word"}}
NOWHERE = "example.com/nowhere"
NONSENSE = {"operator": "Nonsense"}


@provoked("missing image", how="`pod.image` that no node has", ends=stuck(reasons.IMAGE_PULL))
def missing_image(town, name):
    town.home.begin(name, "quick", pod={"image": "localhost/no-such-image:1"})
    return town.home.ended(name)


@provoked("image without a name", how="`pod.image: 'no such image'`", ends=stuck("ImagePull"))
def image_without_a_name(town, name):
    town.home.begin(name, "quick", pod={"image": "no such image"})
    return town.home.ended(name)


@provoked("missing Secret", how="`secretKeyRef` in `pod.env`", ends=stuck(reasons.CONFIG_MISSING))
def missing_secret(town, name):
    town.home.begin(name, "quick", pod={"env": [{"name": "PASSWORD", "valueFrom": SECRET}]})
    return town.home.ended(name)


@provoked(
    "Secret that comes later",
    how="`secretKeyRef` in `pod.env`; somebody creates it meanwhile",
    ends=waits(reasons.CONFIG_MISSING),
)
def secret_that_comes_later(town, name):
    late = {"secretKeyRef": {"name": "late", "key": "word"}}
    town.home.begin(name, "quick", pod={"env": [{"name": "PASSWORD", "valueFrom": late}]})
    town.home.waits(name, reasons.CONFIG_MISSING)
    town.home.kubectl("create", "secret", "generic", "late", "--from-literal=word=x")
    return town.home.ended(name)


@provoked(
    "volume of a missing Secret",
    how="`pod.volumes`; the kubelet tells it in Events alone",
    ends=stuck(reasons.CONFIG_MISSING),
)
def volume_of_a_missing_secret(town, name):
    volume = {"name": "word", "secret": {"secretName": "no-such-secret"}}
    mount = {"name": "word", "mountPath": "/word"}
    town.home.begin(name, "quick", pod={"volumes": [volume], "volumeMounts": [mount]})
    return town.home.ended(name)


@provoked(
    "missing service account",
    how="`pod.serviceAccountName` that the namespace has not",
    ends=stuck(reasons.CONFIG_MISSING),
)
def missing_service_account(town, name):
    town.home.begin(name, "quick", pod={"serviceAccountName": "nobody"})
    return town.home.ended(name)


@provoked(
    "missing priority class",
    how="`pod.priorityClassName` that the cluster has not",
    ends=stuck(reasons.CONFIG_MISSING),
)
def missing_priority_class(town, name):
    town.home.begin(name, "quick", pod={"priorityClassName": "no-such-class"})
    return town.home.ended(name)


@provoked("missing profile", how="`profile: nowhere`", ends=stuck(reasons.PROFILE_MISSING))
def missing_profile(town, name):
    town.home.begin(name, "quick", profile="nowhere")
    return town.home.ended(name)


@provoked(
    "profile that comes later",
    how="`profile: late`; somebody creates it meanwhile",
    ends=waits(reasons.PROFILE_MISSING),
)
def profile_that_comes_later(town, name):
    town.home.begin(name, "quick", profile="late")
    town.home.waits(name, reasons.PROFILE_MISSING)
    profile(town, "late", {})
    return town.home.ended(name)


def profile(town, name, spec):
    """Create a RunnerProfile."""
    kind = {"apiVersion": "graflow.dev/v1alpha1", "kind": "RunnerProfile"}
    town.home.apply({**kind, "metadata": {"name": name}, "spec": spec})


@provoked(
    "quota that is too small",
    how="1Gi of memory asked for, ResourceQuota of 512Mi",
    ends=stuck(reasons.QUOTA_EXCEEDED),
)
def quota_that_is_too_small(town, name):
    place = town.place()
    quota(place, {"requests.memory": "512Mi"})
    place.begin(name, "quick", pod={"resources": {"requests": {"memory": "1Gi"}}})
    return place.ended(name)


@provoked(
    "quota that is used up",
    how="ResourceQuota of one pod, and another pod, which goes later",
    ends=waits(reasons.QUOTA_USED),
)
def quota_that_is_used_up(town, name):
    place = town.place()
    quota(place, {"pods": "1"})
    gates = [{"name": "example.com/never"}]
    container = {"name": "idle", "image": town.image}
    spec = {"schedulingGates": gates, "containers": [container]}
    place.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "idle"}, "spec": spec})
    place.begin(name, "quick")
    place.waits(name, reasons.QUOTA_USED)
    place.kubectl("delete", "pod", "idle", "--wait=false")
    return place.ended(name)


def quota(place, hard):
    """Limit what a namespace may use."""
    spec = {"hard": hard}
    place.apply(
        {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"}, "spec": spec}
    )
    # Until its controller has counted, the API server refuses every pod, with other words.
    place.kubectl("wait", "--for=jsonpath={.status.hard}", "resourcequota/few", "--timeout=60s")


@provoked(
    "Pod Security",
    how="`runAsUser: 0` in a namespace that enforces `restricted`",
    ends=stuck(reasons.POD_SECURITY),
)
def pod_security(town, name):
    place = town.place(RESTRICTED)
    place.begin(name, "quick", pod={"securityContext": {"runAsNonRoot": False, "runAsUser": 0}})
    return place.ended(name)


@provoked(
    "admission policy that says no",
    how="a ValidatingAdmissionPolicy against all pods of the namespace",
    ends=stuck(reasons.ADMISSION_DENIED),
)
def admission_policy_that_says_no(town, name):
    place = town.place()
    policy = {
        "matchConstraints": {"resourceRules": [{**PODS, "operations": ["CREATE"]}]},
        "validations": [{"expression": "false", "message": "no pods here"}],
    }
    binding = {
        "policyName": place.namespace,
        "validationActions": ["Deny"],
        "matchResources": {"namespaceSelector": only(place)},
    }
    with town.lasting(
        (ADMISSION, "ValidatingAdmissionPolicy", place.namespace, {"spec": policy}),
        (ADMISSION, "ValidatingAdmissionPolicyBinding", place.namespace, {"spec": binding}),
    ):
        place.closes(town.image)
        place.begin(name, "quick")
        return place.ended(name)


@provoked(
    "webhook that is down",
    how="a ValidatingWebhookConfiguration of pods that nobody serves, which goes later",
    ends=waits(reasons.WEBHOOK_UNAVAILABLE),
)
def webhook_that_is_down(town, name):
    place = town.place()
    webhook = {
        "name": "down.example.com",
        "clientConfig": {"url": "https://127.0.0.1:1/"},
        "rules": [{**PODS, "operations": ["CREATE"]}],
        "namespaceSelector": only(place),
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "timeoutSeconds": 1,
    }
    kind = "ValidatingWebhookConfiguration"
    with town.lasting((ADMISSION, kind, place.namespace, {"webhooks": [webhook]})):
        place.closes(town.image)
        place.begin(name, "quick")
        place.waits(name, reasons.WEBHOOK_UNAVAILABLE)
    return place.ended(name)


ADMISSION = "admissionregistration.k8s.io/v1"
PODS = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}


def only(place):
    """Return a selector of one namespace."""
    return {"matchLabels": {"kubernetes.io/metadata.name": place.namespace}}


@provoked(
    "pod that is malformed",
    how="a toleration with the operator `Nonsense`",
    ends=Outcome(reasons.INVALID, "Failed", attempts=0, failures=0, losses=0),
)
def pod_that_is_malformed(town, name):
    town.home.begin(name, "quick", pod={"tolerations": [NONSENSE]})
    return town.home.ended(name)


@provoked(
    "profile of malformed pods",
    how="the same in a RunnerProfile that is created after the run",
    ends=replace(stuck(reasons.POD_INVALID), waited=(reasons.PROFILE_MISSING, "PodInvalid")),
)
def profile_of_malformed_pods(town, name):
    town.home.begin(name, "quick", profile="malformed")
    town.home.waits(name, reasons.PROFILE_MISSING)
    profile(town, "malformed", {"tolerations": [NONSENSE]})
    return town.home.ended(name)


@provoked(
    "node that comes later",
    how="a `nodeSelector` that no node fits, until one gets the label",
    ends=waits(reasons.UNSCHEDULABLE),
)
def node_that_comes_later(town, name):
    town.home.begin(name, "quick", pod={"nodeSelector": {NOWHERE: name}})
    town.home.waits(name, reasons.UNSCHEDULABLE)
    with town.labelled(town.node, {NOWHERE: name}):
        return town.home.ended(name)
