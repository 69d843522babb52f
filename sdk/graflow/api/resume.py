"""Where a run begins that goes on from another one."""

from collections.abc import Collection
from difflib import get_close_matches
from itertools import islice
from typing import Annotated, Any, TypeAlias

from pydantic import Field

from graflow.api.model import PRESERVE, AnyObject, Id, ObjectName, SpecModel

MAX_CHANGES = 100
"""Most keys, results and tasks that one fork names, each for itself."""

_Values: TypeAlias = Annotated[
    dict[str, Any], Field(max_length=MAX_CHANGES, json_schema_extra={PRESERVE: True})
]
_ExactValues: TypeAlias = Annotated[dict[str, AnyObject], Field(max_length=MAX_CHANGES)]


NEAREST = 3
"""Checkpoints that are named where another one was asked for."""


def nearest(seq: int, known: Collection[int]) -> str:
    """Return the way out for a checkpoint that there is not, of some that there are.

    >>> nearest(5, {1, 4, 7, 90}), nearest(5, {12})
    ('the nearest are 1, 4, 7', 'the nearest is 12')
    """
    near = sorted(sorted(known, key=lambda one: abs(one - seq))[:NEAREST])
    return f"the nearest {'is' if len(near) == 1 else 'are'} {', '.join(map(str, near))}"


MOST_KEYS, KEY_CHARS = 1000, 63
"""Of keys that are looked through for the nearest: to compare many, or long ones, takes long."""


def key_told(key: str, value: str, known: Collection[str] | None) -> str:
    """Return what is different where a fork sets a key of the channel.

    Args:
        key: The key.
        value: What it is from now on, as it is shown.
        known: The keys that there were; None: that cannot be known.

    >>> key_told("rate", "2", ["rate"])
    "channel key 'rate' is 2"
    >>> key_told("raet", "2", ["rate"])
    "channel key 'raet', which is new (did you mean 'rate'?), is 2"
    >>> key_told("mode", "2", ["rate"])
    "channel key 'mode', which is new, is 2"
    """
    if known is None or key in known:
        return f"channel key {key!r} is {value}"
    short = islice((one for one in known if len(one) <= KEY_CHARS), MOST_KEYS)
    near = get_close_matches(key[:KEY_CHARS], [*short], n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    return f"channel key {key!r}, which is new{hint}, is {value}"


class ResumeFrom(SpecModel):
    """The run to go on from, and what is to be different.

    The new run gets copies of what it needs, so the other one may be deleted afterwards.
    """

    name: ObjectName
    """Name of that run's Workflow, in the same namespace."""

    uid: Annotated[str, Field(max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")] | None = (
        None
    )
    """The uid of that Workflow. When not given, that of the one which has the name. With it, a run
    whose Workflow is deleted can be named as long as its objects are in the store."""

    checkpoint: int | None = Field(default=None, ge=0)
    """Sequence number of the checkpoint to go on from, as `graflow checkpoints NAME`
    lists them. When not given, the latest state of the run, which must have ended."""

    set: _Values | None = None
    """Keys of the channel that are given other values before the run goes on, with any JSON as
    value; at most 100, and 64 KiB in all."""

    exact_set: _ExactValues | None = None
    """More such keys, written as in `spec.exactInput`. The SDK writes this."""

    results: _Values | None = None
    """Results that tasks are to have had, by id of the task, with any JSON as value; at most 100,
    and 64 KiB in all."""

    exact_results: _ExactValues | None = None
    """More such results, written as in `spec.exactInput`. The SDK writes this."""

    rerun: tuple[Id, ...] = Field(default=(), max_length=MAX_CHANGES)
    """Ids of tasks and groups that are to run again, as if a task had jumped to each: with what
    comes after them."""
