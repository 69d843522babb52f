"""Names of objects. Every key of the product is built here, under `<namespace>/<run uid>/`.

Beside them there are the runs' marks, under `.graflow/runs/<owner>/`, which no namespace can be
called: who has made a run, and that it has something in the store. And there is how runs with a
`runId` have ended, under `.graflow/ids/<namespace>/`, which outlives them.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import TypeGuard

MARKS = ".graflow/runs/"
"""What the keys of all marks begin with."""

IDS = ".graflow/ids/"
"""What the keys of all that is recorded of `runId`s begin with."""

_MARK = re.compile(rf"^{re.escape(MARKS)}[^/]+/(?P<namespace>[^/]+)/(?P<uid>[^/]+)$")

_BATCH = re.compile(r"[0-9]{12}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SEGMENT = re.compile(r"[0-9]{1,20}-[0-9a-f]{64}")
_BY_CONTENT = re.compile(
    r"^(?:[^./][^/]*/[^/]+/(?:blobs/|(?:state|changes|history|channel|checkpoints)/[^/]*-)"
    r"|\.graflow/ids/[^/]+/[0-9a-f]{64}\.(?:blobs/|ends/[^/]+/))(?P<sha256>[0-9a-f]{64})(?:\.jsonl)?$"
)


@dataclass(frozen=True, slots=True)
class RunKeys:
    """The keys of one run. Uids are never used twice, so neither is a prefix."""

    namespace: str
    uid: str

    @property
    def prefix(self) -> str:
        """What every key of this run begins with."""
        return f"{self.namespace}/{self.uid}/"

    def mark(self, owner: str) -> str:
        """Return where the run's mark is.

        Args:
            owner: What tells the installation that made the run from others that use the bucket.
        """
        return f"{MARKS}{owner}/{self.namespace}/{self.uid}"

    def owns(self, key: object) -> bool:
        """Whether a key that was read somewhere is one of this run."""
        return isinstance(key, str) and key.startswith(self.prefix) and ".." not in key.split("/")

    def blob(self, sha256: str) -> str:
        """Return where the value with this content is."""
        return f"{self.prefix}blobs/{sha256}"

    def outcome(self, activation: int, attempt: int) -> str:
        """Return where an attempt that cannot reach the operator leaves its outcome."""
        return f"{self.prefix}outcomes/{activation}/{attempt}"

    def outcome_value(self, activation: int, attempt: int) -> str:
        """Return where such an attempt leaves a value that its outcome has no room for."""
        return f"{self.outcome(activation, attempt)}.value"

    def log(self, activation: int, attempt: int) -> str:
        """Return where the end of the log of an attempt is that did not succeed."""
        return f"{self.prefix}logs/{activation}/{attempt}"

    def state(self, seq: int, sha256: str) -> str:
        """Return where a state too large for the Workflow's status is.

        The content is part of the name: two writers of one sequence number never overwrite each
        other, and only the status that names one of them makes it true.
        """
        return f"{self.prefix}state/{seq}-{sha256}"

    def checkpoint(self, name: str) -> str:
        """Return where a checkpoint is, named `<seq>-<sha256>` as states are."""
        return f"{self.checkpoints}{name}"

    @property
    def checkpoints(self) -> str:
        """What the keys of all checkpoints begin with."""
        return f"{self.prefix}checkpoints/"

    def changes(self, segment: str) -> str:
        """Return where changes since a state are, named `<seq>-<sha256>` as states are."""
        return f"{self.prefix}changes/{segment}"

    def history(self, segment: str) -> str:
        """Return where a segment of the run's history is, named `<seq>-<sha256>` as states are."""
        return f"{self.prefix}history/{segment}.jsonl"

    @property
    def channels(self) -> str:
        """What every key of the run's channel begins with."""
        return f"{self.prefix}channel/"

    def segment(self, seq: int) -> str:
        """Return where the batch of the channel's operations with this number is.

        The name says nothing of the content: it is written once, by whoever comes first, which is
        what decides between two writers.
        """
        return f"{self.channels}{seq:012}"

    def segment_in(self, key: str) -> int | None:
        """Return the number of the batch that a key of the run is for; None if it is another key.

        >>> keys = RunKeys("team", "u1")
        >>> keys.segment_in(keys.segment(7)), keys.segment_in(keys.channel(7, "ab" * 32))
        (7, None)
        """
        number = key.removeprefix(self.channels)
        return int(number) if _BATCH.fullmatch(number) else None

    def channel(self, seq: int, sha256: str) -> str:
        """Return where the channel as it was after that batch is; see `state` for the name."""
        return f"{self.segment(seq)}-{sha256}"


@dataclass(frozen=True, slots=True)
class IdKeys:
    """The keys of what is recorded of a `runId` of a namespace."""

    namespace: str
    run_id: str

    @property
    def completion(self) -> str:
        """Where it is recorded how the run with this id has ended."""
        return f"{IDS}{self.namespace}/{hashlib.sha256(self.run_id.encode()).hexdigest()}"

    def blob(self, sha256: str) -> str:
        """Return where the value with this content is that the run has ended with."""
        return f"{self.completion}.blobs/{sha256}"

    @property
    def ends(self) -> str:
        """What the keys of all ends begin with."""
        return f"{self.completion}.ends/"

    def end(self, uid: str, sha256: str) -> str:
        """Return where it is that a run of this id was about to end with this content.

        Several of one run contradict each other; the status that names one of them makes it true.
        """
        return f"{self.ends}{uid}/{sha256}"


def is_sha256(text: object) -> TypeGuard[str]:
    """Whether a text that was read somewhere can be the SHA-256 of something."""
    return isinstance(text, str) and _SHA256.fullmatch(text) is not None


def segment_name(seq: int, data: bytes) -> str:
    """Return the name `<seq>-<sha256>` of bytes that were made at a sequence number of the run.

    >>> is_segment(segment_name(7, b"what a run has done"))
    True
    """
    return f"{seq}-{hashlib.sha256(data).hexdigest()}"


def is_segment(name: object) -> TypeGuard[str]:
    """Whether a name that was read somewhere is of the form `<seq>-<sha256>`."""
    return isinstance(name, str) and _SEGMENT.fullmatch(name) is not None


def sha256_of(key: str) -> str | None:
    """Return the SHA-256 that the bytes of an object have, where its key is made of it.

    >>> sha256_of(RunKeys("team", "u1").state(7, "ab" * 32)) == "ab" * 32
    True
    >>> sha256_of(RunKeys("team", "u1").segment(7)) is None
    True
    """
    found = _BY_CONTENT.match(key)
    return found["sha256"] if found else None


def mark_of(key: str) -> RunKeys | None:
    """Return the keys of the run whose mark this is; None if it is no mark.

    >>> mark_of(RunKeys("team", "u1").mark("c1"))
    RunKeys(namespace='team', uid='u1')
    """
    found = _MARK.match(key)
    return RunKeys(found["namespace"], found["uid"]) if found else None
