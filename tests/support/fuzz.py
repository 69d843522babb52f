"""What comes from outside when nobody means well: any JSON, and valid documents with damage."""

import copy
import json

from hypothesis import settings
from hypothesis import strategies as st

few = settings(max_examples=max(20, settings().max_examples // 4))
"""For tests whose examples take long."""

WORDS = (
    "",
    "a",
    "b",
    "name",
    "../x",
    "true",
    "0",
    "-1",
    "1e999",
    "é\u0000",
    "x" * 300,
    "$(a)",
    "٣",
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([2**31, 2**63, -(2**63) - 1, 10**400, 0.5, -0.0, 1e308]),
    st.sampled_from(WORDS),
    st.text(max_size=8),
)
json_values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=8,
)


def nested(depth):
    """Return a list in a list, that deep; Hypothesis itself cannot draw such things."""
    found = 1
    for _ in range(depth):
        found = [found]
    return found


def places(document, path=()):
    """Yield the path of every value in a document."""
    yield path
    items = (
        document.items()
        if isinstance(document, dict)
        else enumerate(document)
        if isinstance(document, list)
        else ()
    )
    for key, value in items:
        yield from places(value, (*path, key))


@st.composite
def mutated(draw, document, most=3, values=json_values):
    """A valid document in which some values are others, gone, doubled, moved, or unknown."""
    found = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, most))):
        path = draw(st.sampled_from([*places(found)]))
        found = _damaged(draw, found, path, values)
    return found


def _damaged(draw, document, path, values):
    if not path:
        return draw(values) if draw(st.integers(0, 9)) == 0 else document
    *before, last = path
    home = document
    for part in before:
        home = home[part]
    match draw(st.integers(0, 5)):
        case 0:
            del home[last]
        case 1 if isinstance(home, dict):
            home[draw(st.sampled_from(WORDS))] = draw(values)
        case 1:
            home.append(copy.deepcopy(home[last]))
        case 2:
            others = [*places(document)]
            home[last] = copy.deepcopy(_at(document, draw(st.sampled_from(others))))
        case 3 if isinstance(home[last], int | float):
            home[last] = draw(st.sampled_from([0, -1, 1, 2, 10**6, 2**63, 0.1]))
        case _:
            home[last] = draw(values)
    return document


def _at(document, path):
    for part in path:
        document = document[part]
    return document


@st.composite
def bodies(draw, document):
    """The bytes of a request: valid but for damage, any JSON, or no JSON at all."""
    match draw(st.integers(0, 9)):
        case 0:
            return draw(st.binary(max_size=40))
        case 1:
            return draw(
                st.sampled_from(
                    [
                        b"[" * 900 + b"]" * 900,
                        b"[" * 50_000,
                        b'{"a":' * 50_000,
                        b"NaN",
                        b"\xff\xfe{}",
                    ]
                )
            )
        case 2:
            return json.dumps(draw(json_values)).encode(errors="surrogatepass")
        case _:
            return json.dumps(draw(mutated(document))).encode(errors="surrogatepass")
