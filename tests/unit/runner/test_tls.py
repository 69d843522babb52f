import os
import socket
import ssl
import time

import pytest

from graflow_operator import certificates
from graflow_operator.certificates import Lifetimes
from graflow_runner import early
from unit.runner.fake_operator import POD_UID, RUN, RUN_KEY

DAY = 86_400.0
LIFETIMES = Lifetimes(20 * DAY, 2 * DAY, 60.0)


@pytest.fixture
def authority():
    """An authority of the operator's kind, ten days old."""
    return certificates.fresh(time.time() - 10 * DAY, LIFETIMES)


@pytest.fixture
def speak(operator, tmp_path):
    """Makes the operator show a certificate."""

    def use(authority, *, now=None, hosts=("127.0.0.1",)):
        made = certificates.leaf(authority, hosts, now or time.time(), LIFETIMES)
        (tmp_path / "leaf.crt").write_text(made.certificate)
        (tmp_path / "leaf.key").write_text(made.key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "leaf.crt", tmp_path / "leaf.key")
        operator.use_tls(context)

    return use


@pytest.fixture
def certificate(authority, speak):
    """Makes the operator speak TLS, and returns the PEM of its authority."""
    speak(authority)
    return authority.bundle


def test_an_operator_with_its_own_authority_is_trusted_by_it_alone(operator, runners, certificate):
    assert operator.url.startswith("https://")
    assert runners.run(GRAFLOW_CA=certificate).process.returncode == 0
    assert len(operator.reports) == 1


def test_an_operator_that_nobody_vouches_for_is_told_nothing(operator, runners, certificate):
    runner = runners.run(GRAFLOW_CLAIM_PATIENCE_SECONDS="0.05")
    assert runner.process.returncode == 69
    assert "CERTIFICATE_VERIFY_FAILED" in runner.stderr
    assert operator.calls == []


def refused(operator, runners, ca):
    runner = runners.run(GRAFLOW_CLAIM_PATIENCE_SECONDS="0.05", GRAFLOW_CA=ca)
    assert runner.process.returncode == 69
    assert operator.calls == []
    assert "has no certificate that GRAFLOW_CA vouches for" in runner.stderr
    assert "its authority was replaced after this pod was made" in runner.stderr
    assert RUN_KEY not in runner.stderr
    return runner.stderr


def test_an_operator_of_another_authority_is_told_nothing_and_words_say_why(
    operator, runners, certificate
):
    other = certificates.fresh(time.time(), LIFETIMES)
    said = refused(operator, runners, other.bundle)
    assert "unable to get local issuer certificate" in said


def test_a_certificate_that_has_ended_is_not_believed(operator, runners, authority, speak):
    speak(authority, now=time.time() - 3 * DAY)
    assert "certificate has expired" in refused(operator, runners, authority.bundle)


def test_a_certificate_for_another_address_is_not_believed(operator, runners, authority, speak):
    speak(authority, hosts=("10.0.0.1", "graflow"))
    assert "IP address mismatch" in refused(operator, runners, authority.bundle)


def test_a_pod_that_knows_only_the_last_authority_believes_its_successor(
    operator, runners, authority, speak
):
    now = time.time()
    announced = certificates.advanced(authority, now - 120.0, LIFETIMES, asked=True)
    speak(certificates.advanced(announced, now, LIFETIMES))
    assert runners.run(GRAFLOW_CA=authority.bundle).process.returncode == 0


def test_a_redirect_to_plain_http_is_not_followed(operator, runners, certificate):
    to = operator.url.replace("https", "http") + "/runner/v1/claim"
    operator.next("claim", lambda r: r.answer(307, {}, Location=to))
    runner = runners.run(GRAFLOW_CA=certificate)
    assert runner.process.returncode == 0
    assert "which is no https address" in runner.stderr


def test_who_helped_with_the_claim_is_gone_before_user_code_runs(operator, runners, certificate):
    script = """
import os
try:
    return os.waitpid(-1, os.WNOHANG)
except ChildProcessError:
    return "no child"
"""
    operator.order["call"] = {"script": script, "params": []}
    assert runners.run(GRAFLOW_CA=certificate).process.returncode == 0
    assert operator.reports[0]["value"] == {"json": "no child"}
    assert len(operator.claims) == 1


def claimed_early(operator, ca):
    """Send an early claim, and return all that came back."""
    environ = {
        "GRAFLOW_API": operator.url,
        "GRAFLOW_CA": ca,
        "GRAFLOW_POD_NAME": "p",
        "GRAFLOW_POD_UID": POD_UID,
        "GRAFLOW_NAMESPACE": "ns",
        "GRAFLOW_RUN": RUN,
    }
    descriptor, nonce, helper = early.send(environ, RUN_KEY)
    with socket.socket(fileno=descriptor) as connection, connection.makefile("rb") as stream:
        answer = stream.read()
    assert os.waitpid(helper, 0) == (helper, 0)
    return answer, nonce


def test_the_claim_is_under_way_before_the_second_stage_has_started(operator, certificate):
    answer, nonce = claimed_early(operator, certificate)
    assert answer.startswith(b"HTTP/1.1 200")
    assert [claim["nonce"] for claim in operator.claims] == [nonce]


def test_an_early_claim_is_not_sent_to_whom_nobody_vouches_for(operator, certificate, authority):
    other = certificates.fresh(time.time(), LIFETIMES)
    assert claimed_early(operator, other.bundle)[0] == b""
    assert operator.calls == []


def test_an_early_claim_is_not_sent_to_whom_has_a_certificate_for_another_address(
    operator, authority, speak
):
    speak(authority, hosts=("graflow",))
    assert claimed_early(operator, authority.bundle)[0] == b""
    assert operator.calls == []
