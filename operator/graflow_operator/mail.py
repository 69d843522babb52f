"""What each of an actor's letters does: to the draft of its run, or to what is known of pods."""

from graflow_operator.folding import Draft
from graflow_operator.letters import (
    Answered,
    Ask,
    Call,
    Claim,
    Judged,
    Keep,
    Letter,
    ProfileAwaited,
    ProfileFound,
    Refused,
    Report,
    Save,
    Unstartable,
)
from graflow_operator.refusals import Refusals
from graflow_operator.verdicts import unstartable


def folded(draft: Draft, letter: Letter, refused: Refusals, now: float) -> Exception | None:
    """Fold a letter; return why its sender is to be turned away, if it is.

    Args:
        draft: The run under change.
        letter: What came.
        refused: Pods that could not be made; changed too.
        now: Seconds since the epoch.
    """
    match letter:
        case Refused(attempt=attempt, error=error, after_s=after_s, of_all=of_all):
            refused.add(attempt, error, now, after_s, of_all=of_all)
        case ProfileAwaited(attempt=attempt, error=error):
            refused.await_profile(attempt, error, now)
        case ProfileFound(attempt=attempt):
            refused.profile_found(attempt)
        case Unstartable(attempt=attempt, error=error):
            draft.judged(attempt, unstartable(error))
        case Claim() | Report() | Save() | Ask() | Keep():
            return _called(draft, letter)
        case Answered():
            draft.answered(letter)
        case Judged() if draft.claim_of(letter.attempt) != letter.claim:
            pass  # its runner has come meanwhile, or somebody else has gone on with the run
        case _:
            draft.judged(letter.attempt, letter.verdict, letter.log)
    return None


def _called(draft: Draft, letter: Call) -> Exception | None:
    """Fold what a runner says that waits for an answer; return why it is turned away, if it is."""
    match letter:
        case Claim():
            return draft.claimed(letter)
        case Report():
            return draft.reported(letter)
        case Save():
            return draft.saved(letter)
        case Ask():
            return draft.asked(letter)
        case Keep():
            return draft.kept(letter)
