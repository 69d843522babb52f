"""What stays: pods whose outcome is recorded, and objects of runs that are deleted. Pure."""

from dataclasses import dataclass
from enum import StrEnum


class Keep(StrEnum):
    """Which pods stay after their outcome was recorded."""

    ON_COMMIT = "OnCommit"
    """None."""

    KEEP_FAILED = "KeepFailed"
    """All until the run has ended; then those that failed for long, the others for a while."""

    KEEP = "Keep"
    """All, until their Workflow goes."""


class DeletedRuns(StrEnum):
    """What becomes of what deleted runs have in the store."""

    DELETE = "Delete"
    KEEP = "Keep"


@dataclass(frozen=True, slots=True)
class PodPolicy:
    """How long pods stay."""

    keep: Keep = Keep.KEEP_FAILED
    failed_s: float = 86_400.0
    """With KeepFailed: how long after the end of its run a pod stays that failed, in seconds."""

    succeeded_s: float = 600.0
    """With KeepFailed: the same of other pods, so that the log of what has just run can be read."""

    keep_logs: bool = True
    """Whether the last lines of attempts that fail are kept, whatever becomes of pods."""

    def goes_at(self, ended_at: float, *, failed: bool) -> float | None:
        """Return when a pod of an ended run goes, in seconds since the epoch; None: never."""
        match self.keep:
            case Keep.KEEP:
                return None
            case Keep.ON_COMMIT:
                return ended_at
            case _:
                return ended_at + (self.failed_s if failed else self.succeeded_s)

    def next_at(self, ended_at: float, now: float) -> float | None:
        """Return when pods of an ended run may go next, whichever it has; None: no more."""
        times = (self.goes_at(ended_at, failed=failed) for failed in (False, True))
        return min((at for at in times if at is not None and at >= now), default=None)
