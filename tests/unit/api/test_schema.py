"""What pydantic says, as Kubernetes wants it; and what cannot be said there is refused."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from graflow.api.model import PRESERVE, SpecModel
from graflow.api.schema import SchemaError, structural


class Leaf(SpecModel):
    """A leaf."""

    colour: Literal["green"] = "green"
    """Its colour."""


class Root(SpecModel):
    """A root."""

    deep_metres: int | None = None
    """How deep."""


class Tree(SpecModel):
    """A tree."""

    leaf: Leaf
    """One leaf, said here."""

    leaves: tuple[Leaf, ...] = Field(default=(), max_length=5)
    """More
    leaves."""

    tall_metres: int | None = Field(default=None, ge=1)
    """How tall."""

    name: str = Field(default="oak", max_length=9)
    """What it is called."""

    anything: Annotated[dict[str, Any], Field(json_schema_extra={PRESERVE: True})] | None = None
    """All the rest."""

    tags: dict[str, Annotated[str, Field(max_length=3)]] = Field(default={}, max_length=2)
    """Tags."""

    root: Root = Root()
    """What holds it."""


PROPERTIES = structural(Tree)["properties"]


def test_references_are_inlined_and_the_fields_own_words_win():
    leaf = PROPERTIES["leaf"]
    assert leaf["description"] == "One leaf, said here."
    assert leaf["properties"]["colour"]["enum"] == ["green"]
    assert PROPERTIES["leaves"]["items"]["description"] == "A leaf."


def test_optional_types_lose_their_null_and_null_is_no_default():
    assert PROPERTIES["tallMetres"] == {
        "description": "How tall.",
        "type": "integer",
        "minimum": 1,
        "format": "int64",
    }


def test_defaults_are_told_and_not_stored():
    assert PROPERTIES["name"]["description"] == "What it is called. Default: oak."
    assert "default" not in PROPERTIES["name"]


def test_an_object_none_of_whose_fields_has_a_default_has_none():
    assert PROPERTIES["root"]["description"] == "What holds it."


def test_docstrings_become_one_paragraph_and_titles_go():
    assert PROPERTIES["leaves"]["description"] == "More leaves."
    assert not [field for field in PROPERTIES.values() if "title" in field]


def test_lists_are_atomic_and_closed_objects_do_not_say_so():
    assert PROPERTIES["leaves"]["x-kubernetes-list-type"] == "atomic"
    assert "additionalProperties" not in PROPERTIES["leaf"]


def test_free_objects_are_preserved_and_maps_keep_their_values_schema():
    assert PROPERTIES["anything"] == {
        "description": "All the rest.",
        "type": "object",
        PRESERVE: True,
    }
    assert PROPERTIES["tags"]["additionalProperties"] == {"type": "string", "maxLength": 3}


class Recursive(SpecModel):
    """Contains itself."""

    inner: "Recursive | None" = None
    """Itself."""


class Choice(SpecModel):
    """Of two types."""

    value: int | Annotated[str, Field(max_length=3)]
    """One or the other."""


class Exclusive(SpecModel):
    """Has an exclusive bound, which is a boolean in Kubernetes."""

    value: int = Field(gt=0)
    """A number."""


class UnboundedText(SpecModel):
    """Has a text of any length."""

    value: str
    """A text."""


class UnboundedList(SpecModel):
    """Has a list of any length."""

    value: tuple[int, ...]
    """A list."""


class UnboundedMap(SpecModel):
    """Has a map of any size."""

    value: dict[str, int]
    """A map."""


class Pair(SpecModel):
    """Has a tuple of fixed form."""

    value: tuple[int, int]
    """Two numbers."""


class LookAround(BaseModel):
    """Has a pattern that only some engines know."""

    model_config = ConfigDict(use_attribute_docstrings=True, regex_engine="python-re")

    value: str = Field(pattern=r"^(?!x)", max_length=3)
    """A text."""


class Mute(SpecModel):
    """Has a field that says nothing."""

    value: int


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (Recursive, "Recursive.inner: Recursive contains itself"),
        (Choice, "Choice.value: a choice of types is not structural"),
        (Exclusive, "Exclusive.value: 'exclusiveMinimum' is not in Kubernetes' schemas"),
        (UnboundedText, "UnboundedText.value: a string without max_length"),
        (UnboundedList, "UnboundedList.value: a list without max_length"),
        (UnboundedMap, "UnboundedMap.value: a map without max_length"),
        (Pair, "Pair.value: 'prefixItems' is not in Kubernetes' schemas"),
        (LookAround, "LookAround.value: the API server's patterns know no look-around"),
        (Mute, "Mute.value: has no description"),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_what_no_structural_schema_can_say_is_refused_by_field(model, words):
    with pytest.raises(SchemaError) as caught:
        structural(model)
    assert words in str(caught.value)
