"""What needs no service: addresses that are signed here."""

from urllib.parse import parse_qs, urlsplit

import pytest

from graflow.store.s3 import S3Location, S3Store


@pytest.fixture
def store(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    return S3Store(S3Location("bucket", "http://store.example:7070"))


def test_a_write_once_address_signs_the_condition(store):
    url = urlsplit(store.presign("PUT", "ns/uid/outcomes/1/1", expires_s=60, only_if_absent=True))
    assert url.netloc == "store.example:7070"
    assert url.path == "/bucket/ns/uid/outcomes/1/1"
    assert parse_qs(url.query)["X-Amz-SignedHeaders"] == ["host;if-none-match"]


def test_a_read_address_signs_nothing_but_the_host(store):
    url = urlsplit(store.presign("GET", "a", expires_s=60))
    assert parse_qs(url.query)["X-Amz-SignedHeaders"] == ["host"]
    assert parse_qs(url.query)["X-Amz-Expires"] == ["60"]
