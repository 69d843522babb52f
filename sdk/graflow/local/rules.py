"""The rules of answering, which are those of a cluster, for questions of this machine."""

from pydantic import ValidationError

from graflow.api.answering import check_content
from graflow.api.errors import words
from graflow.api.feedback import Question
from graflow.api.feedback_status import Content
from graflow.dsl.feedback import FeedbackRequest, FeedbackResponse, answer_of


def objection(request: FeedbackRequest, response: FeedbackResponse) -> str:
    """Return why a response is no answer to a question, "" if it is one."""
    said = answer_of(response)
    fields = {one.alias or name for name, one in Content.model_fields.items()}
    try:
        content = Content.model_validate({name: said[name] for name in fields & said.keys()})
    except ValidationError as error:
        return "; ".join(
            f"{'.'.join(map(str, one['loc']))} is {one['input']!r}: {one['msg']}"
            for one in error.errors(include_url=False)
        )
    # Not checked again: what programs of Graflow's own ask may be less than a cluster wants.
    question = Question.model_construct(
        type=request.feedback_type,
        options=tuple(request.options or ()),
        json_schema=request.schema or {"type": "object"},
    )
    return words(check_content(question, content))
