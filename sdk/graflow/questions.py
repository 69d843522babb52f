"""Questions to people: what each may be, and what makes two of them the same. On every host."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, Final

MAX_KEY_CHARS: Final = 63
MAX_PROMPT_BYTES: Final = 8 * 1024
MAX_OPTIONS: Final = 100
MAX_OPTION_CHARS: Final = 500
MAX_SCHEMA_BYTES: Final = 16 * 1024
MAX_PAYLOAD_BYTES: Final = 32 * 1024
"""Of what is part of the question itself; a larger one goes where values go."""

MAX_METADATA_BYTES: Final = 4 * 1024
MAX_TEXT_BYTES: Final = 32 * 1024
"""Of an answer in words, or in JSON."""

MAX_QUESTION_BYTES: Final = 128 * 1024
"""Of all that a question says: whoever looks after many has each of them in memory."""

MAX_QUESTIONS: Final = 100
"""Of one activation; each is an object that stays as long as its run."""

MAX_STEPS: Final = 1000
"""Values that one activation keeps for its later attempts; each of them has all in its order."""

MOST_RESPONSES: Final = 50
MOST_NAMED: Final = 100
"""Users, and groups, that one question names."""

LEAST_S: Final = 0.001
LONGEST_S: Final = 10 * 365 * 24 * 3600
"""Ten years: longer than anybody waits, and short enough to add to any date. None is longer."""

LEAST_REMINDER_S: Final = 60
"""Between reminders: each is a write, and a message to everybody who is told."""

KEY: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
"""What tells the questions, or the steps, of one activation apart."""

AUTOMATIC_KEY: Final = re.compile(r"q[0-9]+")
"""Of questions that the program gave none: `q1`, `q2`, … in the order of the calls."""


class FeedbackType(Enum):
    """What kind of answer a question wants."""

    APPROVAL = "approval"
    """Yes or no, with a reason."""

    TEXT = "text"
    SELECTION = "selection"
    """One of the options."""

    MULTI_SELECTION = "multi_selection"
    """Any of the options, or none."""

    CUSTOM = "custom"
    """JSON that a schema describes."""

    @property
    def has_options(self) -> bool:
        """Whether the answer is chosen from options."""
        return self in (FeedbackType.SELECTION, FeedbackType.MULTI_SELECTION)


_NO_KEY: Final = re.compile(r"[^A-Za-z0-9._-]+")
_DIGITS: Final = 16
"""Of a hash that tells keys apart."""


ANSWERS: Final[Mapping[FeedbackType, tuple[str, str]]] = {
    FeedbackType.APPROVAL: ("approved", "approved"),
    FeedbackType.TEXT: ("text", "text"),
    FeedbackType.SELECTION: ("selected", "selected"),
    FeedbackType.MULTI_SELECTION: ("selected_multiple", "selectedMultiple"),
    FeedbackType.CUSTOM: ("custom_data", "custom"),
}
"""By type, what the answer is called in programs and between processes."""

FIELDS: Final[Mapping[str, str]] = {**dict(ANSWERS.values()), "reason": "reason"}
"""All that a person can say: what it is called in programs, and between processes."""


def digest(shown: Mapping[str, Any]) -> str:
    """Return the sha256 of what is shown of a question, in hex: an answer counts for that alone.

    Args:
        shown: `type`, `prompt`, `options`, `schema` and `payload` as JSON; None: there is none.
            Other keys are no part of it.

    >>> digest({"type": "text", "prompt": "Why?"}) == digest({"prompt": "Why?", "type": "text"})
    True
    """
    parts = ("type", "prompt", "options", "schema", "payload")
    canonical = {name: _plain(shown[name]) for name in parts if shown.get(name) is not None}
    return hashlib.sha256(json_bytes(canonical)).hexdigest()


def key_of(shown: Sequence[str], *parts: object) -> str:
    """Return a key that stands for some parts: two are the same only if all parts are.

    Args:
        shown: What it begins with, for people, as far as it fits.
        parts: JSON values.

    >>> key_of(("review", "approve", "q1"), "review", 1, "approve#1", "q1")
    'review.approve.q1-cbb00eb172e0a0e4'
    >>> len(key_of(("r" * 100,), "r" * 100))
    63
    """
    told_apart = hashlib.sha256(json_bytes(parts)).hexdigest()[:_DIGITS]
    words = _NO_KEY.sub("-", ".".join(shown))[: MAX_KEY_CHARS - _DIGITS - 1]
    return f"{words.lstrip('._-')}-{told_apart}".lstrip("-")


def json_bytes(value: object) -> bytes:
    """Return the one form of a JSON value.

    Raises:
        ValueError: If it is none; a TypeError too.
    """
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode()


def _plain(value: object) -> object:
    """Return JSON as it is once an API server has had it, which writes 1.0 as 1."""
    match value:
        case float() if value.is_integer():
            return int(value)
        case Mapping():
            return {name: _plain(one) for name, one in value.items()}
        case list() | tuple():
            return [_plain(one) for one in value]
        case _:
            return value
