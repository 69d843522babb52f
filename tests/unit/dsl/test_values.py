"""C4: values cross processes as JSON where that keeps them equal, otherwise as cloudpickle."""

import collections
import enum
import json
import math
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graflow.dsl.copies import UncopyableValueWarning, Warned, freeze
from graflow.values import ValueNotSerializableError, decode, encode


class Colour(enum.StrEnum):
    RED = "red"


class Text(str):
    __slots__ = ()


def same(left, right):
    """Equal, of the same types all the way down, NaN included."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return list(left) == list(right) and all(
            same(k, r) and same(left[k], right[r]) for k, r in zip(left, right, strict=True)
        )
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, float):
        return math.copysign(1, left) == math.copysign(1, right) and (
            left == right or (math.isnan(left) and math.isnan(right))
        )
    return left == right


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**7_000), 2**7_000)
    | st.floats()
    | st.text()
    | st.text(st.characters(categories=["Cs"]), max_size=2)
    | st.binary()
    | st.sampled_from([Colour.RED, Text("t"), 2**70, -(2**7_000), -0.0])
)
keys = st.text() | st.integers() | st.booleans() | st.none() | st.sampled_from([Colour.RED])
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(keys, inner)
        | st.dictionaries(st.text(), inner).map(collections.OrderedDict)
    ),
    max_leaves=10,
)


@given(values)
def test_c4_a_value_comes_back_equal_with_the_same_types(value):
    encoded = encode(value)
    assert same(decode(encoded.encoding, encoded.data), value)


@given(values)
def test_c4_json_is_used_exactly_where_it_keeps_the_value(value):
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        kept = same(json.loads(text.encode()), value)
    except (TypeError, ValueError):
        kept = False
    assert encode(value).encoding == ("json" if kept else "pickle")


@pytest.mark.parametrize(
    "value",
    [
        (1, 2),
        [(1,)],
        {1: "a"},
        {"a": {True: 1}},
        float("nan"),
        [float("inf")],
        Colour.RED,
        {Colour.RED: 1},
        Text("t"),
        collections.OrderedDict(a=1),
        collections.defaultdict(list),
        b"bytes",
        {1, 2},
        "\ud800",
        2**20_000,
    ],
    ids=lambda value: type(value).__name__,
)
def test_c4_what_json_would_change_is_pickled(value):
    assert encode(value).encoding == "pickle"


@pytest.mark.parametrize(
    ("value", "data"),
    [
        (None, b"null"),
        (True, b"true"),
        (2**70, b"1180591620717411303424"),
        (1.0, b"1.0"),
        ({"a": [1, "é"], "b": {}}, '{"a":[1,"é"],"b":{}}'.encode()),
    ],
)
def test_c4_plain_values_are_json(value, data):
    encoded = encode(value)
    assert (encoded.encoding, encoded.data) == ("json", data)


def test_what_contains_itself_or_is_very_deep_is_pickled():
    loop = []
    loop += [loop, loop]
    deep = []
    for _ in range(300):
        deep = [deep]
    assert encode(loop).encoding == "pickle"
    assert decode("pickle", encode(deep).data) == deep


def test_functions_and_classes_of_the_program_go_by_value():
    def double(x):
        return x * 2

    encoded = encode({"f": double})
    assert decode(encoded.encoding, encoded.data)["f"](4) == 8


def test_what_cannot_go_is_named_by_its_type():
    with pytest.raises(ValueNotSerializableError, match=r"type _thread\.lock cannot go"):
        encode(threading.Lock())


def test_an_unknown_encoding_is_refused():
    with pytest.raises(ValueError, match="encoding 'yaml' is not known"):
        decode("yaml", b"")


class OneWayError(Exception):
    """Pickled with one argument, made of two."""

    def __init__(self, left, right):
        super().__init__(f"{left} and {right}")


def test_a_value_that_cannot_be_loaded_is_refused_where_it_was_made():
    with pytest.raises(ValueNotSerializableError, match=r"OneWayError cannot go to another"):
        encode(OneWayError(1, 2))


def test_c1_a_value_that_cannot_be_loaded_is_shared_as_it_is_with_a_warning():
    error = OneWayError(1, 2)
    with pytest.warns(UncopyableValueWarning, match="the value of task 'make'"):
        frozen = freeze(error, "task 'make'", Warned())
    assert frozen.thaw() is error
