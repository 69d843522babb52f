"""What needs no service: addresses that are signed here."""

import json
from datetime import UTC, datetime, timedelta
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


def test_lasting_credentials_end_no_address(store):
    store.presign("PUT", "a", expires_s=60)
    assert store.credentials_last_s() is None


def test_temporary_credentials_say_when_they_end(monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    ends = datetime.now(UTC) + timedelta(hours=2)
    found = {"Version": 1, "AccessKeyId": "k", "SecretAccessKey": "s", "SessionToken": "t"}
    (tmp_path / "said").write_text(json.dumps({**found, "Expiration": ends.isoformat()}))
    (tmp_path / "config").write_text(f"[default]\ncredential_process = cat {tmp_path}/said\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    store = S3Store(S3Location("bucket", "http://store.example:7070"))
    assert "X-Amz-Security-Token=t" in store.presign("PUT", "a", expires_s=60)
    assert 7000 < store.credentials_last_s() <= 7200
