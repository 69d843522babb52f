"""A service that is unwell: each fault is one of the store's errors, in words that help."""

from types import SimpleNamespace

import pytest

from graflow.store import (
    ObjectMissingError,
    StoreError,
    StoreRefusedError,
    StoreUnavailableError,
    StoreUnfitError,
    require_conditional_put,
)
from graflow.store import s3 as s3_module
from graflow.store.s3 import S3Location, S3Store
from support import faulty_proxy as faults
from support.faulty_proxy import FaultyProxy, s3_error, says
from support.small_s3 import SmallS3

KEY = "team/uid/blobs/one"
SECRET = "5ecre7"
CALLS = {
    "get": lambda store: store.get(KEY),
    "chunks": lambda store: list(store.chunks(KEY)),
    "size": lambda store: store.size(KEY),
    "put": lambda store: store.put(KEY, b"more"),
    "put_if_absent": lambda store: store.put_if_absent("team/uid/new", b"more"),
    "list": lambda store: list(store.list("team/")),
    "delete": lambda store: store.delete(KEY),
}
AWAY = {
    "black hole": faults.black_hole,
    "connection reset": faults.reset,
    "slow down": s3_error(503, "SlowDown", Retry_After="1"),
    "internal error": s3_error(500, "InternalError"),
    "a proxy's 404": says(404, "<html>no such host</html>", Content_Type="text/html"),
    "a proxy's 502": says(502, "<html>bad gateway</html>", Content_Type="text/html"),
}
REFUSED = {
    "unknown key": s3_error(403, "InvalidAccessKeyId"),
    "wrong secret": s3_error(403, "SignatureDoesNotMatch"),
    "expired token": s3_error(400, "ExpiredToken"),
    "no bucket": s3_error(404, "NoSuchBucket"),
}


@pytest.fixture(scope="module")
def served():
    """Serve a bucket; to make a client takes longer than all else here."""
    small = SmallS3("bucket")
    with pytest.MonkeyPatch.context() as patch, FaultyProxy(small) as proxy:
        patch.setenv("AWS_ACCESS_KEY_ID", "key")
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        patch.setattr(s3_module, "READ_TIMEOUT_S", 0.2)
        stores = []
        for tries in (1, 3):
            patch.setattr(s3_module, "TRIES", tries)
            stores.append(S3Store(S3Location("bucket", proxy.url)))
        yield small, proxy, *stores


@pytest.fixture
def small(served):
    small = served[0]
    small.objects.clear()
    small.objects[KEY] = b"one"
    small.ignores_conditions = False
    return small


@pytest.fixture
def proxy(served):
    return served[1]


@pytest.fixture
def store(served, small):
    """Tries once."""
    return served[2]


@pytest.fixture
def patient(served, small):
    """Tries three times."""
    return served[3]


def says_where(error, proxy):
    words = str(error)
    return proxy.url in words and "'bucket'" in words and SECRET not in words


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("fault", AWAY)
def test_a_service_that_cannot_is_away_and_named(proxy, store, fault, call):
    with proxy.fault(AWAY[fault]), pytest.raises(StoreUnavailableError) as found:
        CALLS[call](store)
    assert says_where(found.value, proxy)


def test_a_time_out_that_is_told_as_a_bad_request_is_no_refusal(proxy, store):
    with proxy.fault(s3_error(400, "RequestTimeout")), pytest.raises(StoreUnavailableError):
        store.put(KEY, b"more")


@pytest.mark.parametrize("call", CALLS)
def test_a_service_that_is_down_is_away_and_named(proxy, store, call):
    with proxy.down(), pytest.raises(StoreUnavailableError) as found:
        CALLS[call](store)
    assert says_where(found.value, proxy)
    CALLS[call](store)


@pytest.mark.parametrize("call", sorted(CALLS.keys() - {"size"}))
@pytest.mark.parametrize("fault", REFUSED)
def test_a_service_that_says_no_has_refused_and_is_named(proxy, store, fault, call):
    with proxy.fault(REFUSED[fault]), pytest.raises(StoreRefusedError) as found:
        CALLS[call](store)
    assert says_where(found.value, proxy)


def test_the_size_of_an_object_is_not_known_where_there_is_no_bucket(proxy, store):
    """An answer to HEAD has no body that could say which of the two is missing."""
    with proxy.fault(s3_error(404, "NoSuchBucket")), pytest.raises(StoreRefusedError):
        store.size(KEY)


def test_a_call_is_tried_as_often_after_many_that_have_failed(proxy, patient, monkeypatch):
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None))
    tries = set()
    with proxy.fault(s3_error(503, "SlowDown")):
        for _ in range(60):
            before = len(proxy.asked)
            with pytest.raises(StoreUnavailableError):
                patient.get(KEY)
            tries.add(len(proxy.asked) - before)
    assert tries == {3}


def test_only_the_service_itself_says_that_there_is_no_object(store):
    with pytest.raises(ObjectMissingError):
        store.get("team/uid/none")
    assert store.size("team/uid/none") is None


@pytest.mark.parametrize("call", ["get", "chunks"])
@pytest.mark.parametrize("act", [faults.cuts_answer, faults.loses_answer])
def test_half_an_object_is_none(proxy, store, call, act):
    with proxy.fault(act), pytest.raises(StoreUnavailableError):
        CALLS[call](store)


def test_a_list_that_is_no_xml_is_no_empty_list(proxy, store):
    with proxy.fault(says(200, "<html>hello", Content_Type="text/html")), pytest.raises(StoreError):
        list(store.list("team/"))


def test_a_write_whose_answer_was_lost_is_made_once(proxy, small, patient):
    with proxy.fault(faults.loses_answer, times=1):
        assert patient.put_if_absent("team/uid/new", b"more") is False
    assert small.objects["team/uid/new"] == b"more"


@pytest.mark.parametrize("lost", range(4))
def test_a_fit_store_is_fit_whichever_answer_is_lost(proxy, lost, patient):
    seen = []

    def nth(asked):
        seen.append(asked)
        return len(seen) == lost + 1

    with proxy.fault(faults.loses_answer, where=nth):
        require_conditional_put(patient)


def test_a_store_that_ignores_conditions_is_refused(small, store):
    small.ignores_conditions = True
    with pytest.raises(StoreUnfitError, match="If-None-Match"):
        require_conditional_put(store)


def test_a_password_in_the_address_is_not_told():
    assert (
        str(S3Location("b", "https://me:5ecre7@s3.example:9"))
        == "bucket 'b' at https://s3.example:9"
    )
    assert str(S3Location("b", region="eu-west-1")) == "bucket 'b' at AWS S3, eu-west-1"
