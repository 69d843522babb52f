"""What waits for people: questions, answers, and attempts that let their runner go (section 9)."""

from collections.abc import Collection

from graflow.machine.events import QuestionAnswered
from graflow.machine.fold import Fold
from graflow.machine.state import Activation, Phase, Question, Value


def ask(step: Fold, task: Activation, question: Question) -> bool:
    """Note a question of a task that runs; where nothing goes on, nobody is asked any more."""
    if step.halted(task.scope):
        return False
    if any(known.key == question.key for known in task.questions):
        return False
    step.put(task, task.phase, questions=(*task.questions, question._replace(at=step.at)))
    return True


def answer(step: Fold, task: Activation | None, given: QuestionAnswered) -> bool:
    """Note what came of an open question; who has parked to wait for it goes on at once."""
    if task is None or not task.is_asking:
        return False
    questions = tuple(
        known._replace(answer=given.answer, lapsed=given.lapsed)
        if known.key == given.key and known.answer is None
        else known
        for known in task.questions
    )
    if questions == task.questions:
        return False
    step.put(
        task, Phase.STARTING if task.phase is Phase.PARKED else task.phase, questions=questions
    )
    return True


def park(step: Fold, task: Activation, waits_for: Collection[str]) -> bool:
    """Let an attempt end without an outcome; the next one begins when there is an answer.

    One that came while the runner was on its way out begins it at once, whatever else is open.
    """
    changes = {"attempt": task.attempt + 1, "claim": "", "parks": task.parks + 1}
    if step.halted(task.scope):
        step.put(task, Phase.PENDING, **changes)
        step.unsettled[task.scope] = None
    else:
        news = any(asked.key in waits_for and asked.answer is not None for asked in task.questions)
        waits = task.is_asking and not news
        step.put(task, Phase.PARKED if waits else Phase.STARTING, **changes)
    return True


def keep(step: Fold, task: Activation, key: str, value: Value) -> bool:
    """Keep a value of a task that runs for its later attempts."""
    if any(known == key for known, _ in task.kept):
        return False
    step.put(task, task.phase, kept=(*task.kept, (key, value)))
    return True
