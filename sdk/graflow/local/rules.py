"""The rules of answering, which are those of a cluster, for questions of this machine."""

import json

from pydantic import ValidationError

from graflow.api.answering import check_content
from graflow.api.asking import InvalidQuestionError, check_question
from graflow.api.errors import words
from graflow.api.feedback import Question
from graflow.api.feedback_status import Content
from graflow.dsl import questions
from graflow.dsl.feedback import FeedbackRequest, FeedbackResponse, answer_of
from graflow.exceptions import QuestionError


def check_asked(question: questions.Question) -> None:
    """Refuse what a cluster would not ask, by the same rules.

    Raises:
        QuestionError: Names what is wrong, and the way out.
    """
    try:
        # Who submits the program to a cluster is not known here: anybody but who is named.
        check_question(question.portable(), submitter="")
    except InvalidQuestionError as error:
        raise QuestionError(str(error).replace("onDeadline.default", "on_timeout")) from None


def objection(request: FeedbackRequest, response: FeedbackResponse) -> str:
    """Return why a response is no answer to a question, "" if it is one."""
    said = answer_of(response)
    fields = {one.alias or name for name, one in Content.model_fields.items()}
    try:
        data = json.dumps({name: said[name] for name in fields & said.keys()}, allow_nan=False)
        # Strict: "no" is a text, and must not become a yes or a no here and the other one there.
        content = Content.model_validate_json(data, strict=True)
    except (TypeError, RecursionError) as error:
        return f"the answer is no JSON: {error}"
    except ValidationError as error:
        return "; ".join(
            f"{'.'.join(map(str, one['loc'])) or 'the answer'} is {one['input']!r}: {one['msg']}"
            for one in error.errors(include_url=False)
        )
    except ValueError as error:  # which a ValidationError is too
        return f"the answer is no JSON: {error}"
    # Not checked again: what programs of Graflow's own ask may be less than a cluster wants.
    question = Question.model_construct(
        type=request.feedback_type,
        options=tuple(request.options or ()),
        json_schema=request.schema or {"type": "object"},
    )
    return words(check_content(question, content))
