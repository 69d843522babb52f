"""The channel's values, operations and state as JSON: on the way to a pod, and in the store.

A value on the wire is `{"json": …}`, `{"number": text}` for numbers that JSON has not, `{"list":
[{"n": count, "of": value}]}` for a list in runs, or anything else with one key, which is passed on
as it is: `{"pickle": base64}`, `{"blob": …}`.
"""

import json
import math
import zlib
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from graflow.ledger.runs import Run, Runs
from graflow.ledger.state import (
    Add,
    Answer,
    Caller,
    Clear,
    Delete,
    End,
    Entry,
    Extend,
    Lock,
    Op,
    Owner,
    Set,
    State,
    Unlock,
    put,
)

Json: TypeAlias = dict[str, Any]

FORMAT = 1
MAX_BYTES = 256 * 1024 * 1024
"""Of a state unpacked; more is no state of ours."""

MAX_JSON_BITS = 8_000
"""Larger whole numbers travel as text: Python refuses to read more than 4 300 digits."""

MAX_KEY_CHARS = 1024
OVERHEAD_BYTES = 100
"""What a key, or what is added to a list, takes besides its text, about."""

SHAPELESS = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError)
"""What reading a document raises, besides ValueError, that has not the form it should have."""

_MAX_KIND_CHARS = 200


class BadCallError(Exception):
    """Something that is no operation; the message says why."""


# -- values ---------------------------------------------------------------------------------------


def number(value: float) -> Json:
    """Return a number on the wire; every int and float comes back as it was."""
    if type(value) is int and value.bit_length() > MAX_JSON_BITS:
        return {"number": hex(value)}
    if type(value) is float and not math.isfinite(value):
        return {"number": value.hex()}
    return {"json": value}


def entry(value: object, kind: str = "object", check: Callable[[Any], Json] | None = None) -> Entry:
    """Return the entry of a value on the wire.

    Args:
        value: The value.
        kind: Name of its type, where the value does not say it.
        check: Returns a value of a known form, or raises; None: it is trusted.

    Raises:
        BadCallError: If it is no value.
    """
    if not isinstance(value, dict) or len(value) != 1:
        raise BadCallError("a value is an object with exactly one of json, number, list, …")
    size = len(json.dumps(value))
    match value:
        case {"json": list(items)}:
            return Entry(Runs.of(Run(len(items), value)), "list", size)
        case {"json": content}:
            is_number = type(content) in (int, float)
            return Entry(content if is_number else value, type(content).__name__, size)
        case {"number": str(text)}:
            found = _number(text)
            return Entry(found, type(found).__name__, size)
        case {"list": list(runs)}:
            return Entry(Runs.of(*(_run(one, check) for one in runs)), "list", size)
        case _:
            return Entry(check(value) if check else value, str(kind)[:_MAX_KIND_CHARS], size)


def _number(text: str) -> int | float:
    try:
        if text.lstrip("-").startswith("0x") and "." not in text and "p" not in text:
            return int(text, 16)
        return float.fromhex(text)
    except (ValueError, OverflowError) as error:
        raise BadCallError(f"{text[:80]!r} is no number: {error}") from error


def _run(one: object, check: Callable[[Any], Json] | None) -> Run:
    match one:
        case {"n": int(count), "of": items} if count >= 0 and not isinstance(count, bool):
            if isinstance(items, dict) and isinstance(items.get("json"), list):
                count = len(items["json"])
            return Run(count, check(items) if check else items)
        case _:
            raise BadCallError("a run of a list is an object with its count `n` and its items `of`")


def _sized(key: str, found: Entry) -> Entry:
    return found._replace(size=found.size + len(key) + OVERHEAD_BYTES)


def value_of(found: Entry) -> Json:
    """Return an entry's value on the wire; what is JSON as a whole is told as such."""
    content = found.content
    if type(content) in (int, float):
        return number(content)
    if not isinstance(content, Runs):
        return dict(content)
    runs: list[Json] = []
    for run in content:
        items = run.items
        if "json" in items and runs and "json" in runs[-1]["of"]:
            runs[-1]["of"]["json"].extend(items["json"])
            runs[-1]["n"] += run.length
        elif "json" in items:
            runs.append({"n": run.length, "of": {"json": list(items["json"])}})
        else:
            runs.append({"n": run.length, "of": items})
    if not runs:
        return {"json": []}
    if len(runs) == 1 and "json" in runs[0]["of"]:
        return dict(runs[0]["of"])
    return {"list": runs}


# -- operations -----------------------------------------------------------------------------------


def op_of(  # noqa: C901, PLR0911 - a table
    body: Mapping[str, Any], check: Callable[[Any], Json] | None = None
) -> Op:
    """Return the operation in a document.

    Args:
        body: The document.
        check: See `entry`.

    Raises:
        BadCallError: If it is none.
    """
    match body.get("op"):
        case "set":
            kind = body.get("type", "object")
            found = entry(body.get("value"), kind, check)
            return Set(key_in(body), _sized(key_in(body), found), _ttl(body))
        case "delete":
            return Delete(key_in(body))
        case "clear":
            return Clear()
        case "append" | "prepend" as which:
            added = entry(body.get("items"), check=check)
            runs = tuple(added.content) if isinstance(added.content, Runs) else ()
            if len(runs) != 1:
                raise BadCallError("field `items` is one run of a list that is not empty")
            size = added.size + OVERHEAD_BYTES
            return Extend(key_in(body), runs[0], which == "prepend", size, _ttl(body))
        case "add":
            amount = entry(body.get("amount")).content
            if type(amount) not in (int, float):
                raise BadCallError("field `amount` is a number on the wire")
            return Add(key_in(body), amount)
        case "lock":
            return Lock(key_in(body))
        case "unlock":
            return Unlock(key_in(body), _whole(body, "ticket"), body.get("unlessHeld") is True)
        case "end":
            return End(frozenset((int(a), int(n)) for a, n in body["attempts"]))
        case other:
            raise BadCallError(f"the channel has no operation {str(other)[:80]!r}")


def body_of(op: Op) -> Json:  # noqa: PLR0911 - a table
    """Return the document that `op_of` makes the operation of."""
    match op:
        case Set(key=key, entry=found, ttl=ttl):
            return {
                "op": "set",
                "key": key,
                "value": value_of(found),
                "type": found.kind,
                "ttl": ttl,
            }
        case Delete(key=key):
            return {"op": "delete", "key": key}
        case Clear():
            return {"op": "clear"}
        case Extend(key=key, run=run, front=front, ttl=ttl):
            items = value_of(Entry(Runs.of(run), "list"))
            return {
                "op": "prepend" if front else "append",
                "key": key,
                "items": items,
                "ttl": ttl,
            }
        case Add(key=key, amount=amount):
            return {"op": "add", "key": key, "amount": number(amount)}
        case Lock(key=key):
            return {"op": "lock", "key": key}
        case Unlock(key=key, ticket=ticket, unless_held=unless_held):
            return {"op": "unlock", "key": key, "ticket": ticket, "unlessHeld": unless_held}
        case End(attempts=attempts):
            return {"op": "end", "attempts": sorted(attempts)}


def key_in(body: Mapping[str, Any]) -> str:
    """Return the key that an operation or a question is about.

    Raises:
        BadCallError: If there is none.
    """
    key = body.get("key")
    if not isinstance(key, str) or len(key) > MAX_KEY_CHARS:
        raise BadCallError(f"field `key` is a text of at most {MAX_KEY_CHARS} characters")
    return key


def _ttl(body: Mapping[str, Any]) -> float | None:
    ttl = body.get("ttl")
    if ttl is None:
        return None
    if isinstance(ttl, bool) or not isinstance(ttl, int | float) or not math.isfinite(ttl):
        raise BadCallError("field `ttl` is a number of seconds")
    return ttl


def _whole(body: Mapping[str, Any], field: str) -> int:
    value = body.get(field)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise BadCallError(f"field `{field}` is a whole number")
    return value


# -- answers --------------------------------------------------------------------------------------


def document_of(answer: Answer) -> Json:
    """Return an answer as JSON."""
    if answer.error:
        return {"error": answer.error, "message": answer.message}
    value = answer.value
    return {"answer": number(value) if type(value) in (int, float) else {"json": value}}  # type: ignore[arg-type]  # mypy does not narrow by type()


def answer_of(document: Mapping[str, Any]) -> Answer:
    """Return the answer in a document that `document_of` made."""
    if "error" in document:
        return Answer(error=document["error"], message=document.get("message", ""))
    content = entry(document["answer"]).content
    return Answer(content["json"] if isinstance(content, dict) else content)


def _recorded(document: Mapping[str, Any]) -> Answer:
    """Return an answer that was kept to be given again; only reads, which are not, give lists."""
    found = answer_of(document)
    if isinstance(found.value, Runs):
        raise BadCallError("no operation answers with a list")
    return found


# -- states ---------------------------------------------------------------------------------------


def pack(state: State) -> bytes:
    """Return a state as bytes; equal states give equal bytes."""
    document = {
        "format": FORMAT,
        "clock": state.clock,
        "entries": [
            [key, value_of(found), found.kind, found.expires]
            for key, found in state.entries.items()
        ],
        "locks": [
            [key, [[*owner.caller, owner.ticket] for owner in owners]]
            for key, owners in state.locks.items()
        ],
        "seen": [
            [*caller, last, document_of(answer)] for caller, (last, answer) in state.seen.items()
        ],
    }
    return zlib.compress(json.dumps(document, separators=(",", ":")).encode(), level=6)


def unpack(data: bytes) -> State:
    """Return the state that `pack` was given.

    Raises:
        ValueError: If it is damaged or of another version.
    """
    try:
        document = json.loads(zlib.decompressobj().decompress(data, MAX_BYTES))
        if document["format"] != FORMAT:
            raise ValueError(f"the channel has format {document['format']!r}, not {FORMAT}")
        state = State(clock=document["clock"])
        for key, value, kind, expires in document["entries"]:
            put(state, key, _sized(key, entry(value, kind))._replace(expires=expires))
        for key, owners in document["locks"]:
            state.locks[key] = tuple(Owner(Caller(a, n, s), t) for a, n, s, t in owners)
        for activation, attempt, stream, last, answer in document["seen"]:
            state.seen[Caller(activation, attempt, stream)] = (last, _recorded(answer))
    except (zlib.error, BadCallError, *SHAPELESS) as error:
        raise ValueError(f"the channel cannot be read: {error!r}") from error
    return state
