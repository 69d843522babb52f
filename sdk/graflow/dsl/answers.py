"""How a question of a running task comes to its answer: the same on every host."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from inspect import iscoroutine
from typing import TYPE_CHECKING, Any, Final

from graflow.dsl.asking import Parked, Recorded, TaskOver, asking_of
from graflow.dsl.feedback import FeedbackResponse, GoTo, response_of
from graflow.dsl.missing import MISSING
from graflow.dsl.questions import Question, checked_key, question_of
from graflow.exceptions import FeedbackTimeoutError, QuestionChangedError, QuestionError

if TYPE_CHECKING:
    from graflow.dsl.context import TaskExecutionContext
    from graflow.dsl.feedback import FeedbackHandler

RESPONSE: Final = ".__feedback_response__"
"""Behind a channel key: where the whole response is."""


def ask(
    context: "TaskExecutionContext",
    handler: "FeedbackHandler | None",
    channel: tuple[object, object],
    **asked: Any,  # noqa: ANN401 - what `question_of` takes
) -> FeedbackResponse:
    """Ask, and return the answer; see `AsksPeople.request_feedback`."""
    key = _channel_key(*channel)
    question = question_of(**asked)
    if isinstance(question.on_timeout, GoTo):
        context.check_target(question.on_timeout.task)
    if handler is not None and not context.known.calls_handlers:
        raise QuestionError(
            "handler is given, and on a cluster nobody would be told if its pod were lost in that "
            "moment; leave it out, and let the operator tell people: `notifications` of its chart"
        )
    asking = asking_of(context)
    question = replace(question, key=asking.key(question.key or None))
    try:
        found = _answered(context, question, handler)
    except Parked:
        asking.parked = True
        raise
    except FeedbackTimeoutError as error:
        asking.timed_out.add(error.feedback_id)
        raise
    response = _response(context, question, found)
    if key is not None:
        context.get_channel().set(key, response.value)
        context.get_channel().set(key + RESPONSE, response.to_dict())
    return response


def step(context: "TaskExecutionContext", key: object, fn: Callable[[], object]) -> Any:  # noqa: ANN401 - what the function returns
    """Call a function once for all attempts; see `AsksPeople.step`."""
    name = checked_key(key)
    if not callable(fn):
        raise QuestionError(f"step {name!r} is given {fn!r}; give a function without arguments")
    with asking_of(context).step(name):
        found = context.known.kept(name)
        if found is not MISSING:
            return found
        found = fn()
        if iscoroutine(found):
            found.close()
            raise QuestionError(
                f"step {name!r} is given an `async def`, and keeps values; give a function that "
                "returns one, as lambda: asyncio.run(…)"
            )
        context.known.keep(name, found)
        return found


def refused_to_policy(group: str, key: str) -> QuestionError:
    """Return why the policy of a group may not ask: its group is over but for its word."""
    return QuestionError(
        f"the policy of group {group!r} asks {key!r}, and only tasks may ask; let a task behind "
        "the group do so"
    )


def _answered(
    context: "TaskExecutionContext", question: Question, handler: "FeedbackHandler | None"
) -> Recorded:
    """Return the question with its answer: the one that it has, or the one that comes."""
    before = context.known.recorded(question.key)
    if before is not None and before.sha256 != question.sha256:
        raise QuestionChangedError(question.key, context.task_id)
    if before is not None and before.answer is not None:
        return before
    return context.known.ask(question, handler)


def _response(
    context: "TaskExecutionContext", question: Question, found: Recorded
) -> FeedbackResponse:
    answer = found.answer or {}
    if target := _elsewhere(question, answer):
        context.jump(target, f"nobody has answered question {question.key!r} in time")
        asking_of(context).over = True
        raise TaskOver(context)
    if answer.get("expired") and not answer.get("default"):
        why = answer.get("reason") or ""
        raise FeedbackTimeoutError(found.feedback_id, question.timeout_s, why)
    return response_of(found.feedback_id, question.type, answer)


def _elsewhere(question: Question, answer: Mapping[str, Any]) -> str | None:
    """Return the task that the deadline leads to, once it has passed."""
    target: str | None = answer.get("goto")
    then = question.on_timeout
    if target is None and isinstance(then, GoTo) and answer.get("expired"):
        return None if answer.get("reason") else str(then.task)
    return target


def _channel_key(key: object, write: object) -> str | None:
    """Return where to write the answer; None: nowhere."""
    if not write:
        return None
    if not isinstance(key, str) or not key:
        raise QuestionError(
            f"channel_key is {key!r}, and write_to_channel is set; say where with channel_key=…"
        )
    return key
