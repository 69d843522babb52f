"""Questions that a program asks: what may be asked, and what tells questions apart."""

import hashlib

import pytest

from graflow.questions import digest

SHOWN = {"type": "selection", "prompt": "Which?", "options": ["a", "b"]}


def test_the_digest_is_of_what_is_shown_and_of_nothing_else():
    canonical = b'{"options":["a","b"],"prompt":"Which?","type":"selection"}'
    assert digest(SHOWN) == hashlib.sha256(canonical).hexdigest()
    assert digest(SHOWN) == digest({**SHOWN, "metadata": {"by": "me"}, "schema": None})


@pytest.mark.parametrize(
    "changed",
    [
        {"type": "multi_selection"},
        {"prompt": "Which one?"},
        {"options": ["b", "a"]},
        {"payload": {"text": "a is cheaper"}},
        {"schema": {"type": "object"}},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_a_question_in_other_words_has_another_digest(changed):
    assert digest({**SHOWN, **changed}) != digest(SHOWN)


def test_the_digest_bears_the_way_through_an_api_server():
    sent = {"type": "custom", "prompt": "How much?", "schema": {"minimum": 1.0, "maximum": 2.5}}
    back = {"prompt": "How much?", "schema": {"maximum": 2.5, "minimum": 1}, "type": "custom"}
    assert digest(sent) == digest(back)
