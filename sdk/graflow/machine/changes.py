"""What differs between two states, as JSON: so that to persist a move costs what the move changed.

For every state that folds make of another, `applied(encode(before), [changes(before, after)])` is
`encode(after)`. What differs is found by identity, for folds share whatever they leave alone; that
something is found to differ which does not costs a few bytes and is no error.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import takewhile
from typing import Any, TypeAlias, TypeVar

from graflow.machine.codec import (
    Json,
    encode_activation,
    encode_frame,
    encode_header,
    encode_result,
    encode_scope,
    encode_sent,
    encode_token,
    encode_transition,
    place_of_result,
)
from graflow.machine.state import Result, Scope, State, Token

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")
Document: TypeAlias = dict[str, Any]


def changes(before: State, after: State) -> Document:
    """Return what folds have made of a state, as `applied` takes it."""
    new = [t for t in after.transitions if t.number > before.transitions_made]
    activations = [
        encode_activation(one, before.activations.get(number))
        for number, one in after.activations.items()
        if before.activations.get(number) is not one
    ]
    scopes = {
        str(number): _scope_changes(before.scopes.get(number), scope)
        for number, scope in after.scopes.items()
        if before.scopes.get(number) is not scope
    }
    found = {
        "run": encode_header(after, before),
        "transitions": [encode_transition(one) for one in new],
        "kept": len(after.transitions) if new else None,
        "activations": activations,
        "activationsGone": _gone(before.activations, after.activations),
        "starting": moves(before.starting, after.starting),
        "scopes": {number: scope for number, scope in scopes.items() if scope},
        "scopesGone": _gone(before.scopes, after.scopes),
    }
    return {key: value for key, value in found.items() if value}


def applied(document: Json, made: Iterable[Json]) -> Document:
    """Return the document of a state after changes, which are in the order in which they were made.

    Raises:
        LookupError, TypeError, ValueError, AttributeError: If these are no changes of that state.
    """
    opened = _open(document)
    for one in made:
        _apply(opened, one)
    return _closed(opened)


def moves(before: Iterable[K], after: Iterable[K]) -> list[list[K]]:
    """Return what has left a sequence from which things are taken and to whose end they are put.

    Returns:
        What is to be taken out, and what to be put behind the rest; nothing if both are the same.

    >>> moves([1, 2, 3], [2, 4, 1])
    [[1, 3], [4, 1]]
    """
    rest, gone, new = iter(before), [], []
    left = iter(after)
    for key in left:
        for other in rest:
            if other == key:
                break
            gone.append(other)
        else:
            new = [key, *left]
    gone += rest
    return [gone, new] if gone or new else []


def move(known: dict[K, Any], made: Sequence[Sequence[K]]) -> None:
    """Do with the keys of a mapping what `moves` has found."""
    gone, new = made
    for key in gone:
        del known[key]
    known.update(dict.fromkeys(new))


def _gone(before: Mapping[int, object], after: Mapping[int, object]) -> list[int]:
    return sorted(before.keys() - after.keys())


def _scope_changes(before: Scope | None, after: Scope) -> Document:
    """Return what a scope has become; the whole of one that is new."""
    if before is None or not _grows(before, after):
        return {"new": encode_scope(after)}
    counts = {node: after.counts[node] for node in _latest(before.counts, after.counts)}
    results = [
        _more_results(task, before.results.get(task, ()), after.results[task])
        for task in _latest(before.results, after.results)
    ]
    found = {
        "frame": encode_frame(after, before),
        "counts": counts,
        "results": results,
        **_token_changes(before.tokens, after.tokens),
    }
    return {key: value for key, value in found.items() if value}


def _latest(before: dict[str, T], after: dict[str, T]) -> list[str]:
    """Return which keys have another value, where what changes comes to the end each time.

    So this does not look at the many that have not changed.
    """
    changed = takewhile(lambda key: before.get(key) is not after[key], reversed(after))
    return [*changed][::-1]


def _grows(before: Scope, after: Scope) -> bool:
    """Whether nothing is missing of what a scope never loses."""
    return after.counts.keys() >= before.counts.keys() and (
        after.results.keys() >= before.results.keys()
    )


def _more_results(task: str, before: Sequence[Result], after: Sequence[Result]) -> list[Any]:
    """Return what the results of an id have become: how many of the old ones stay, and new ones."""
    kept = len(before) if before and before[0] is after[0] else 0
    return [task, kept, [encode_result(result) for result in after[kept:]]]


def _token_changes(
    before: Mapping[str, tuple[Token, ...]], after: Mapping[str, tuple[Token, ...]]
) -> Document:
    """Return which nodes have other tokens, and where there is only more on the same ones."""
    gone, new = moves(before, after) or ([], [])
    fresh = set(new)
    put = [[node, [encode_token(token) for token in after[node]]] for node in new]
    more = []
    for node, tokens in after.items():
        known = before.get(node, ())
        if node in fresh or known is tokens:
            continue
        if len(known) != len(tokens) or not all(map(_same, known, tokens)):
            put.append([node, [encode_token(token) for token in tokens]])
            continue
        for place, (old, token) in enumerate(zip(known, tokens, strict=True)):
            if added := token.sent[len(old.sent) :]:
                more.append([node, place, encode_sent(added)])
    return {"tokensGone": gone, "tokens": put, "sent": more}


def _same(before: Token, after: Token) -> bool:
    """Whether a token is another one to which things may have come since."""
    if before.round != after.round or before.explicit != after.explicit:
        return False
    old, new = before.sent, after.sent
    if before.again is not after.again or len(new) < len(old):
        return False
    # Nothing is ever taken from it, so if both ends are the same, what lies between is too.
    return not old or (old[0] is new[0] and old[-1] is new[len(old) - 1])


def _open(document: Json) -> Document:
    """Return a document in which everything is found by its number."""
    activations = {one["number"]: one for one in document["activations"]}
    return {
        **document,
        "activations": activations,
        "starting": dict.fromkeys(document["starting"]),
        "scopes": {**document["scopes"]},
        "opened": {},
    }


def _closed(opened: Document) -> Document:
    scopes = opened["scopes"] | {
        number: _closed_scope(scope) for number, scope in opened.pop("opened").items()
    }
    order = sorted(scopes, key=int)
    activations = [one for _, one in sorted(opened["activations"].items())]
    return {
        **opened,
        "activations": activations,
        "starting": list(opened["starting"]),
        "scopes": {number: scopes[number] for number in order},
    }


def _apply(opened: Document, made: Json) -> None:
    opened |= made.get("run", {})
    if "transitions" in made:
        kept = made["kept"]
        opened["transitions"] = [*opened["transitions"], *made["transitions"]][-kept:]
    activations = opened["activations"]
    for number in made.get("activationsGone", ()):
        del activations[number]
    for one in made.get("activations", ()):
        full = activations.get(one["number"], {}) | one
        activations[one["number"]] = {key: v for key, v in full.items() if v or key == "number"}
    if "starting" in made:
        move(opened["starting"], made["starting"])
    for number in made.get("scopesGone", ()):
        del opened["scopes"][str(number)]
        opened["opened"].pop(str(number), None)
    for number, change in made.get("scopes", {}).items():
        _apply_to_scope(opened, number, change)


def _apply_to_scope(opened: Document, number: str, made: Json) -> None:
    if "new" in made:
        opened["scopes"][number] = made["new"]
        opened["opened"].pop(number, None)
        return
    scope = opened["opened"].get(number)
    if scope is None:
        scope = opened["opened"][number] = _opened_scope(opened["scopes"][number])
    scope |= made.get("frame", {})
    scope["counts"] |= made.get("counts", {})
    results, tokens = scope["results"], scope["tokens"]
    for task, kept, rows in made.get("results", ()):
        results[task] = [*results.get(task, ())[:kept], *([task, *row] for row in rows)]
    for node in made.get("tokensGone", ()):
        del tokens[node]
    for node, rows in made.get("tokens", ()):
        tokens[node] = [_opened_token(row) for row in rows]
    for node, place, sent in made.get("sent", ()):
        tokens[node][place][2].extend(sent)


def _opened_scope(scope: Json) -> Document:
    results: dict[str, list[Any]] = {}
    tokens: dict[str, list[Any]] = {}
    for row in scope["results"]:
        results.setdefault(row[0], []).append(row)
    for row in scope["tokens"]:
        tokens.setdefault(row[0], []).append(_opened_token(row))
    return {**scope, "counts": {**scope["counts"]}, "results": results, "tokens": tokens}


def _opened_token(row: Sequence[Any]) -> list[Any]:
    node, round_, sent, *rest = row
    return [node, round_, [*sent], *rest]


def _closed_scope(scope: Document) -> Document:
    rows = [row for found in scope["results"].values() for row in found]
    return {
        **scope,
        "counts": dict(sorted(scope["counts"].items())),
        "results": sorted(rows, key=place_of_result),
        "tokens": [token for tokens in scope["tokens"].values() for token in tokens],
    }
