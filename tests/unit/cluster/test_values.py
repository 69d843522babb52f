"""Values of a run as this machine gets them."""

import base64
import hashlib
import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from graflow.api.cut import value_ref
from graflow.cluster.apiserver import ApiServer
from graflow.cluster.errors import ValueLostError
from graflow.cluster.handout import Handout
from graflow.cluster.values import Pickled, Values
from graflow.machine.state import GroupValue


@pytest.fixture
def values(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> Values:
    monkeypatch.setenv("GRAFLOW_SERVICE", "ops/graflow")
    return Values(Handout(server, "team", "etl"))


def blob(data: bytes, encoding: str) -> dict[str, Any]:
    sha256 = hashlib.sha256(data).hexdigest()
    return {"blob": {"sha256": sha256, "size": len(data), "encoding": encoding}}


def inline(value: object) -> dict[str, str]:
    return {"pickle": base64.b64encode(pickle.dumps(value)).decode()}


@pytest.mark.parametrize("value", [None, 0, "text", [1, None], {"a": {"b": None}}])
def test_json_comes_back_as_it_is(values: Values, value: object) -> None:
    assert values.open({"json": value}, unpickle=False) == value


def test_a_pickled_value_stays_closed_unless_it_is_asked_for(values: Values) -> None:
    closed = values.open(inline({1, 2}), unpickle=False)
    assert isinstance(closed, Pickled)
    assert "result(unpickle=True)" in repr(closed)
    assert values.open(inline({1, 2}), unpickle=True) == {1, 2}


def test_unpickling_is_never_done_unasked(values: Values, tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "ran",))

    values.open({"group": {"a": inline(Bomb())}}, unpickle=False)
    assert not (tmp_path / "ran").exists()


def test_the_value_of_a_group_is_a_dict_in_the_order_of_its_members(values: Values) -> None:
    group = {"group": {"b": {"json": 1}, "a": {"group": {"c": inline((2,))}}}}
    opened = values.open(group, unpickle=True)
    assert opened == {"b": 1, "a": {"c": (2,)}}
    assert list(opened) == ["b", "a"]


def test_what_is_in_the_store_comes_through_the_operator(fake: Any, values: Values) -> None:
    data = json.dumps(["large"]).encode()
    fake.answers = [data]
    assert values.open(blob(data, "json"), unpickle=False) == ["large"]
    assert fake.requests[0][1] == (
        "/api/v1/namespaces/ops/services/https:graflow:http/proxy/user/v1/namespaces/team/workflows/etl"
        f"/values/{hashlib.sha256(data).hexdigest()}"
    )
    assert fake.headers[0]["X-Graflow-Token"] == "t0ken"


def test_a_large_pickle_is_not_even_fetched_unless_it_is_asked_for(
    fake: Any, values: Values
) -> None:
    data = pickle.dumps({1})
    fake.answers = [data]
    assert isinstance(values.open(blob(data, "pickle"), unpickle=False), Pickled)
    assert fake.requests == []
    assert values.open(blob(data, "pickle"), unpickle=True) == {1}


def test_other_bytes_than_the_run_recorded_are_refused(fake: Any, values: Values) -> None:
    fake.answers = [pickle.dumps("evil")]
    with pytest.raises(ValueLostError, match="changed in the store"):
        values.open(blob(pickle.dumps("good"), "pickle"), unpickle=True)


@pytest.mark.parametrize(("spoken", "scheme"), [("https", "https:"), ("http", ""), (None, "")])
def test_the_operator_is_found_by_its_label_and_asked_in_what_it_speaks(
    fake: Any, values: Values, monkeypatch: pytest.MonkeyPatch, spoken: str | None, scheme: str
) -> None:
    monkeypatch.delenv("GRAFLOW_SERVICE")
    port = {"name": "http"} | ({"appProtocol": spoken} if spoken else {})
    metadata = {"namespace": "graflow-system", "name": "operator"}
    found = {"items": [{"metadata": metadata, "spec": {"ports": [{"name": "metrics"}, port]}}]}
    fake.answers = [(200, found), b"1"]
    assert values.open(blob(b"1", "json"), unpickle=False) == 1
    assert "app.kubernetes.io%2Fname%3Dgraflow" in fake.requests[0][1]
    where = f"/namespaces/graflow-system/services/{scheme}operator:http/proxy/"
    assert where in fake.requests[1][1]


@pytest.mark.parametrize(("instance", "asked"), [("", "plain"), ("blue", "blue"), ("green", "red")])
def test_of_several_operators_that_of_the_run_is_asked_or_else_any(
    fake: Any, values: Values, monkeypatch: pytest.MonkeyPatch, instance: str, asked: str
) -> None:
    monkeypatch.delenv("GRAFLOW_SERVICE")
    labels = {"red": {"graflow.dev/operator": "red"}, "plain": {"graflow.dev/operator": ""}}
    labels["blue"] = {"graflow.dev/operator": "blue"}
    found = [
        {"metadata": {"namespace": "ops", "name": name, "labels": labels[name]}} for name in labels
    ]
    fake.answers = [(200, {"items": found}), b"1"]
    of_run = Values(replace(values.handout, instance=instance))
    assert of_run.open(blob(b"1", "json"), unpickle=False) == 1
    assert f"/namespaces/ops/services/{asked}:http/proxy/" in fake.requests[1][1]


def test_an_operator_that_speaks_plain_http_can_be_named_as_such(
    fake: Any, values: Values, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAFLOW_SERVICE", "ops/http:mine")
    fake.answers = [b"1"]
    assert values.open(blob(b"1", "json"), unpickle=False) == 1
    assert "/namespaces/ops/services/mine:http/proxy/" in fake.requests[0][1]


@pytest.mark.parametrize(
    ("answer", "words"),
    [((200, {"items": []}), "no Service has the label"), ((403, {}), "may not list Services")],
)
def test_an_operator_that_is_not_found_can_be_named(
    fake: Any, values: Values, monkeypatch: pytest.MonkeyPatch, answer: Any, words: str
) -> None:
    monkeypatch.delenv("GRAFLOW_SERVICE")
    fake.answers = [answer]
    with pytest.raises(ValueLostError, match=f"{words}.*GRAFLOW_SERVICE"):
        values.open(blob(b"1", "json"), unpickle=False)


def test_who_may_not_reach_the_operator_is_told_who_can_let_them(fake: Any, values: Values) -> None:
    refused = 'User "ann" cannot get resource "services/proxy" in the namespace "ops"'
    fake.answers = [(403, {"message": refused})]
    with pytest.raises(ValueLostError, match=rf"{refused}; .* rbac\.valueReaders"):
        values.open(blob(b"1", "json"), unpickle=False)


def test_who_signs_in_with_a_certificate_is_told_how_to_get_a_token(
    fake: Any, values: Values, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(values.handout.server, "token", str)
    with pytest.raises(ValueLostError, match=r"GRAFLOW_TOKEN.*kubectl create token"):
        values.open(blob(b"1", "json"), unpickle=False)
    monkeypatch.setenv("GRAFLOW_TOKEN", "other")
    fake.answers = [b"1"]
    assert values.open(blob(b"1", "json"), unpickle=False) == 1
    assert fake.headers[0]["X-Graflow-Token"] == "other"


def test_a_form_of_a_later_release_is_refused_in_words(values: Values) -> None:
    with pytest.raises(ValueLostError, match="newer release"):
        values.open({"arrow": ""}, unpickle=True)


def from_api_server(value: Any) -> Any:
    """What an API server makes of JSON: it sorts keys, and numbers become int64 or doubles."""
    if isinstance(value, dict):
        return {key: from_api_server(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [from_api_server(item) for item in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return int(value)
    if type(value) is int and not -(2**63) <= value < 2**63:
        return from_api_server(float(value))
    return value


@pytest.mark.parametrize(
    "value",
    [1.0, -0.0, 1e16, 2**63, -(2**63) - 1, 10**300, 0.1, {"b": 1, "a": [2.0, {"z": 0, "y": 1}]}],
)
def test_a_value_in_a_status_has_its_type_its_digits_and_its_order(
    values: Values, value: object
) -> None:
    told = from_api_server(value_ref({"json": value}, 2400))
    assert repr(values.open(told, unpickle=False)) == repr(value)
    again = from_api_server(value_ref(told, 2400))  # as the next status takes it over
    assert repr(values.open(again, unpickle=False)) == repr(value)


def test_the_members_of_a_group_keep_their_order_in_a_status(values: Values) -> None:
    group = GroupValue((("zeta", {"json": 1.0}), ("alpha", {"json": 2})))
    told = from_api_server(value_ref(group, 2400))
    assert repr(values.open(told, unpickle=False)) == "{'zeta': 1.0, 'alpha': 2}"


def test_a_value_that_fits_once_is_in_a_status_once(values: Values) -> None:
    value = {"b": "x" * 700, "a": 1}
    told = value_ref({"json": value}, 1000)
    assert told is not None
    assert list(told) == ["exact"]
    assert list(values.open(told, unpickle=False)) == ["b", "a"]
