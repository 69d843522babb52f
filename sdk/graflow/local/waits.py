"""How a question of this machine comes to its answer: at the terminal, or from outside."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from graflow.dsl.asking import Parked
from graflow.dsl.feedback import (
    AnswerWith,
    Escalate,
    FeedbackHandler,
    FeedbackRequest,
    FeedbackResponse,
    GoTo,
    answer_of,
    now,
    valued,
)
from graflow.dsl.questions import Question
from graflow.exceptions import FeedbackTimeoutError
from graflow.local.console import LeftOpenError, Terminal, TooLateError, terminal
from graflow.local.manager import FeedbackManager, check_fits, tell


def wait_for(
    manager: FeedbackManager,
    request: FeedbackRequest,
    question: Question,
    handler: FeedbackHandler | None,
) -> Mapping[str, Any]:
    """Ask, and return the answer as it goes between processes, or what the deadline says.

    Raises:
        Parked: If whoever is at the terminal does not answer now.
        FeedbackTimeoutError: If nobody has answered in time, and nothing is said for that.
    """
    try:
        return answer_of(_response(manager, _in_all(request, question), handler))
    except FeedbackTimeoutError as error:
        if error.why:  # it was withdrawn, and that is no deadline
            raise
        match question.on_timeout:
            case AnswerWith(value=value):
                by_default = {"respondedBy": ["default"], "respondedAt": now()}
                answer = {**valued(question.type, value), **by_default, "default": True}
            case GoTo(task=task):
                answer = {"goto": task}
            case _:
                raise FeedbackTimeoutError(error.feedback_id, question.timeout_s) from None
    manager.withdraw(request.feedback_id)
    return {**answer, "expired": True}


def _in_all(request: FeedbackRequest, question: Question) -> FeedbackRequest:
    """Return the question with the time that those who are asked later have as well."""
    end = question.on_timeout
    if not isinstance(end, Escalate) or request.timeout is None:
        return request
    return replace(request, timeout=request.timeout + (end.seconds or request.timeout))


def _response(
    manager: FeedbackManager, request: FeedbackRequest, handler: FeedbackHandler | None
) -> FeedbackResponse:
    at = terminal()
    if at is None:
        return manager.answer_to(request, handler)
    tell(handler, "on_request_created", request)
    response = _typed(at, request, handler)
    tell(handler, "on_response_received", request, response)
    return response


def _typed(
    at: Terminal, request: FeedbackRequest, handler: FeedbackHandler | None
) -> FeedbackResponse:
    try:
        return at.ask(request, lambda response: check_fits(request, response))
    except LeftOpenError:
        raise Parked from None
    except TooLateError:
        tell(handler, "on_request_timeout", request)
        raise FeedbackTimeoutError(request.feedback_id, request.timeout) from None
