import ssl
import subprocess

import pytest


@pytest.fixture
def certificate(operator, tmp_path):
    """Makes the operator speak TLS, and returns the PEM of its authority."""
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-keyout", str(key), "-out", str(cert), "-subj", "/CN=127.0.0.1"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    operator.use_tls(context)
    return cert.read_text()


def test_an_operator_with_its_own_authority_is_trusted_by_it_alone(operator, runners, certificate):
    assert operator.url.startswith("https://")
    assert runners.run(GRAFLOW_CA=certificate).process.returncode == 0
    assert len(operator.reports) == 1


def test_an_operator_that_nobody_vouches_for_is_told_nothing(operator, runners, certificate):
    runner = runners.run(GRAFLOW_CLAIM_PATIENCE_SECONDS="0.05")
    assert runner.process.returncode == 69
    assert "CERTIFICATE_VERIFY_FAILED" in runner.stderr
    assert operator.calls == []


def test_a_redirect_to_plain_http_is_not_followed(operator, runners, certificate):
    to = operator.url.replace("https", "http") + "/runner/v1/claim"
    operator.next("claim", lambda r: r.answer(307, {}, Location=to))
    runner = runners.run(GRAFLOW_CA=certificate)
    assert runner.process.returncode == 0
    assert "which is no https address" in runner.stderr
