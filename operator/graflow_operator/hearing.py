"""Whether the watches still tell of what changes. Pure.

A watch can fall silent without an end: a connection that nobody closed, a task that died unseen.
Comparisons find everything a minute later, so nothing would be lost, and nobody would notice.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

ROUNDS = 2
"""Comparisons in a row during which a watch may be silent although it has something to tell."""


@dataclass
class Hearing:
    """What one watch has told, against what lists show."""

    what: str
    """The plural of the kind that it watches."""

    _heard: dict[str, int] = field(default_factory=dict)
    """The latest version that was told, by uid."""

    _absent: set[str] = field(default_factory=set)
    """What the last list did not show."""

    _told: bool = True
    _silent: int = 0

    def heard(self, uid: str, version: int) -> None:
        """Take note of what the watch has told."""
        self._told = True
        self._heard[uid] = max(version, self._heard.get(uid, 0))

    def listed(self, versions: Iterable[tuple[str, int]]) -> str:
        """Take note of what a list shows; return in words why the watch is dead, if it is.

        Args:
            versions: Uid and version of every object there is.
        """
        there = dict(versions)
        # What one list does not show may have been made while it was read.
        absent = self._heard.keys() - there.keys()
        for uid in absent & self._absent:
            del self._heard[uid]
        self._absent = absent
        behind = any(version > self._heard.get(uid, 0) for uid, version in there.items())
        self._silent = self._silent + 1 if behind and not self._told else 0
        self._told = not behind
        if self._silent < ROUNDS:
            return ""
        return f"the watch of {self.what} has told nothing of what {self._silent + 1} lists show"
