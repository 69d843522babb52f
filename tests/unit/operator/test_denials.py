"""The API server's words about a pod that it does not make, told apart."""

import pytest

from graflow_operator.cluster_errors import (
    ForbiddenError,
    InvalidError,
    NotFoundError,
    UnavailableError,
    error_of,
)
from graflow_operator.denials import denial, quantity

ROWS = [
    (
        "the quota is used up",
        ForbiddenError(
            'pods "etl-a-x" is forbidden: exceeded quota: small, requested: pods=1,'
            " used: pods=10, limited: pods=10"
        ),
        "QuotaUsed",
    ),
    (
        "the quota is none",
        ForbiddenError(
            'pods "etl-a-x" is forbidden: exceeded quota: none, requested: pods=1,'
            " used: pods=0, limited: pods=0"
        ),
        "QuotaExceeded",
    ),
    (
        "one of two is too much",
        ForbiddenError(
            'pods "x" is forbidden: exceeded quota: q, requested: limits.memory=2Gi,pods=1,'
            " used: limits.memory=0,pods=3, limited: limits.memory=1Gi,pods=3"
        ),
        "QuotaExceeded",
    ),
    (
        "the second of two quotas is too small",
        ForbiddenError(
            'pods "x" is forbidden: exceeded quota: a, requested: pods=1, used: pods=1,'
            " limited: pods=1, exceeded quota: b, requested: requests.cpu=1, used:"
            " requests.cpu=0, limited: requests.cpu=500m"
        ),
        "QuotaExceeded",
    ),
    (
        "the quota wants requests",
        ForbiddenError('pods "x" is forbidden: failed quota: q: must specify limits.cpu for: task'),
        "QuotaExceeded",
    ),
    (
        "a webhook says no",
        ForbiddenError('admission webhook "v.example.com" denied the request: no'),
        "AdmissionDenied",
    ),
    (
        "a webhook says no with another code",
        InvalidError('admission webhook "v.example.com" denied the request: no'),
        "AdmissionDenied",
    ),
    (
        "a policy says no",
        InvalidError(
            "pods \"x\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied"
            " request: failed expression"
        ),
        "AdmissionDenied",
    ),
    (
        "Pod Security",
        ForbiddenError('pods "x" is forbidden: violates PodSecurity "restricted:latest": x'),
        "PodSecurity",
    ),
    (
        "no rights",
        ForbiddenError(
            'pods is forbidden: User "system:serviceaccount:graflow-system:graflow" cannot create'
            ' resource "pods" in API group "" in the namespace "team"'
        ),
        "Forbidden",
    ),
    (
        "the namespace goes",
        ForbiddenError(
            'pods "x" is forbidden: unable to create new content in namespace team because it is'
            " being terminated"
        ),
        "NamespaceTerminating",
    ),
    ("the namespace is gone", NotFoundError('namespaces "team" not found'), "NamespaceTerminating"),
    (
        "no such service account",
        ForbiddenError(
            'pods "x" is forbidden: error looking up service account team/trainer: serviceaccount'
            ' "trainer" not found'
        ),
        "ConfigMissing",
    ),
    (
        "no such priority class",
        ForbiddenError('pods "x" is forbidden: no PriorityClass with name high was found'),
        "ConfigMissing",
    ),
    (
        "no such runtime class",
        ForbiddenError('pods "x" is forbidden: pod rejected: RuntimeClass "gvisor" not found'),
        "ConfigMissing",
    ),
    (
        "a LimitRange",
        ForbiddenError(
            'pods "x" is forbidden: maximum memory usage per Container is 1Gi, but limit is 2Gi'
        ),
        "PodRefused",
    ),
    (
        "no pod",
        InvalidError('Pod "x" is invalid: spec.containers[0].image: Required value'),
        "PodInvalid",
    ),
    (
        "a webhook is away",
        UnavailableError(
            'Internal error occurred: failed calling webhook "v.example.com": failed to call'
            " webhook: Post: connection refused"
        ),
        "WebhookUnavailable",
    ),
]


@pytest.mark.parametrize(("what", "error", "reason"), ROWS, ids=[row[0] for row in ROWS])
def test_f2_a_denial_is_told_by_its_reason_in_the_api_servers_words(what, error, reason):
    found = denial(error)
    assert (found.reason, found.message) == (reason, str(error))


def test_no_answer_is_no_denial_for_nobody_knows_whether_there_is_a_pod():
    assert denial(UnavailableError("POST /pods: timed out")) is None


@pytest.mark.parametrize(
    ("text", "number"),
    [("1", 1), ("500m", 0.5), ("1Ki", 1024), ("2G", 2e9), ("1e3", 1000), ("0", 0)],
)
def test_quantities_are_numbers(text, number):
    assert float(quantity(text)) == number


@pytest.mark.parametrize("text", ["", "much", "1Q", "1.2.3", "-"])
def test_what_is_no_quantity_is_none(text):
    assert quantity(text) is None


def test_a_denial_says_when_to_come_back_if_the_api_server_does():
    error = error_of(403, {"message": "not yet ready to handle request"}, "7")
    assert error.retry_after_s == 7
