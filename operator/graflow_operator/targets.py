"""Who is told of questions to people: targets as the settings name them, addresses in Secrets.

Addresses and keys are read from mounted files whenever they are used, so a changed Secret counts
at once, and nothing else ever knows them.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from graflow_operator.outbox import EVENTS

KINDS = ("webhook", "slack")
EXAMPLE = '[{"name": "ops", "type": "slack", "namespaces": ["team-a"], "events": ["Asked"]}]'
URL_FILE, HMAC_FILE = "url", "hmac"
MOST = 20
"""Targets that there can be: a status has room for so many entries."""

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?")
MOST_SECRET_BYTES = 4096


class TargetUnusableError(Exception):
    """Where a target is cannot be told; the message says why, without what is secret."""


@dataclass(frozen=True, slots=True)
class Target:
    """One place that is told."""

    name: str
    kind: str
    """One of KINDS."""

    namespaces: tuple[str, ...] = ()
    """Of which requests; none: of all."""

    events: tuple[str, ...] = ()
    """What of them; none: everything."""

    def wants(self, namespace: str, event: str) -> bool:
        """Whether it is to be told of an event in a namespace."""
        return (not self.namespaces or namespace in self.namespaces) and (
            not self.events or event in self.events
        )


@dataclass(frozen=True, slots=True)
class Address:
    """Where a target is. Never shown, logged or kept."""

    url: str
    key: bytes
    """What notifications are signed with; empty: they are not."""

    def __repr__(self) -> str:
        return "<Address>"


def targets_of(text: str) -> tuple[Target, ...]:
    """Return the targets that a setting names, as JSON.

    Raises:
        ValueError: If it cannot be; the message says what can.
    """
    found = json.loads(text) if text else []
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise ValueError(f"it must be a list, such as {EXAMPLE}")
    targets = tuple(_target(one) for one in found)
    if len({one.name for one in targets}) < len(targets):
        raise ValueError("two targets have one name; give each its own")
    if len(targets) > MOST:
        raise ValueError(f"it has {len(targets)} targets; there can be {MOST}")
    return targets


def _target(given: Mapping[str, Any]) -> Target:
    name, kind = given.get("name"), given.get("type")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(f"name is {name!r}; it must be a name such as ops, of 40 letters at most")
    if kind not in KINDS:
        raise ValueError(f"type of {name} is {kind!r}; it must be one of {', '.join(KINDS)}")
    events = tuple(given.get("events") or ())
    for event in events:
        if event not in EVENTS:
            raise ValueError(f"events of {name} has {event!r}; there are {', '.join(EVENTS)}")
    return Target(name, kind, tuple(given.get("namespaces") or ()), events)


def address_of(folder: str, target: Target) -> Address:
    """Return where a target is now.

    Raises:
        TargetUnusableError: If its Secret is not there, or has no address in it.
    """
    url = _secret(folder, target, URL_FILE)
    key = _secret(folder, target, HMAC_FILE, needed=False)
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        usable = False
    if not usable:
        raise TargetUnusableError("its Secret holds no URL; it must begin with https://")
    return Address(url, key.encode())


def _secret(folder: str, target: Target, name: str, *, needed: bool = True) -> str:
    path = Path(folder) / target.name / name
    try:
        with path.open("rb") as file:
            return file.read(MOST_SECRET_BYTES).decode().strip()
    except FileNotFoundError:
        if needed:
            raise TargetUnusableError("its Secret is not there, or has no such key") from None
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise TargetUnusableError(f"its Secret cannot be read: {type(error).__name__}") from None
