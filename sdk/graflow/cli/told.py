"""How commands print what they have found: JSON for programs, tables for people."""

import json
from collections.abc import Callable, Sequence
from typing import TypeVar

import click

T = TypeVar("T")


def tell_json(value: object) -> None:
    """Print a document on stdout."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def tell_list(
    found: Sequence[T],
    output: str,
    *,
    entry: Callable[[T], object],
    show: Callable[[Sequence[T]], None],
    none: str,
) -> None:
    """Print what was found; an empty list is a word on stderr, and for programs `[]`.

    Args:
        found: What there is.
        output: "json" or "text".
        entry: Makes JSON of one.
        show: Prints all of them for people.
        none: What people are told where there is nothing.
    """
    if output == "json":
        tell_json([entry(one) for one in found])
    elif found:
        show(found)
    else:
        click.echo(none, err=True)
