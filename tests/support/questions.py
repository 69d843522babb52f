"""Questions to people and answers to them, for tests: small ones, and any."""

from typing import Any

from hypothesis import strategies as st

from graflow.api.feedback import FeedbackRequestSpec
from graflow.api.feedback_status import FeedbackRequestStatus, Response
from graflow.questions import FeedbackType, digest

AT = "2026-11-30T15:00:00Z"
DEADLINE = "2026-11-30T16:00:00Z"
OF_TYPE: dict[str, dict[str, Any]] = {
    "approval": {},
    "text": {},
    "selection": {"options": ["red", "blue"]},
    "multi_selection": {"options": ["red", "blue"]},
    "custom": {"schema": {"type": "object", "properties": {"n": {"type": "integer"}}}},
}
ANSWER_OF: dict[str, dict[str, Any]] = {
    "approval": {"approved": True},
    "text": {"text": "because"},
    "selection": {"selected": "red"},
    "multi_selection": {"selectedMultiple": ["blue"]},
    "custom": {"custom": {"n": 1}},
}
"""A good answer to a question of each type."""


def spec(kind: str = "approval", **more: Any) -> FeedbackRequestSpec:
    """Return the spec of a question."""
    return FeedbackRequestSpec.model_validate(raw_spec(kind, **more))


def raw_spec(kind: str = "approval", **more: Any) -> dict[str, Any]:
    """Return the same as the API server has it."""
    asked = {"type": kind, "prompt": "Well?", **OF_TYPE[kind], **more}
    where = {"workflow": {"name": "w", "uid": "u"}, "task": "t", "activation": 1, "key": "q1"}
    return {**where, **asked, "sha256": digest(asked)}


def response(asked: FeedbackRequestSpec, by: str = "ann", **said: Any) -> Response:
    """Return what somebody says to a question; a good answer when nothing is given."""
    head = {"by": by, "at": AT, "how": "API", "sha256": asked.sha256}
    return Response.model_validate({**head, **(said or ANSWER_OF[asked.type.value])})


def status(*responses: Response, **more: Any) -> FeedbackRequestStatus:
    """Return the status of an open question."""
    return FeedbackRequestStatus(phase="Pending", responses=responses, **more)


@st.composite
def asked_and_answered(draw: st.DrawFn) -> tuple[FeedbackRequestSpec, list[Response]]:
    """Any question, and anything that people may have said to it, good or not."""
    kind = draw(st.sampled_from([one.value for one in FeedbackType]))
    needed = draw(st.integers(1, 3)) if kind == "approval" else 1
    barred = {"submitter": "ann", "submitterMayAnswer": draw(st.booleans())}
    asked = spec(kind, approvals=needed, **barred)
    said = st.one_of(
        st.fixed_dictionaries({"approved": st.booleans()}),
        st.fixed_dictionaries({"text": st.sampled_from(["", "words"])}),
        st.fixed_dictionaries({"selected": st.sampled_from(["red", "green"])}),
        st.fixed_dictionaries({"selectedMultiple": st.lists(st.sampled_from(["red", "green"]))}),
        st.fixed_dictionaries({"custom": st.sampled_from([{}, {"n": 1}, {"n": "one"}])}),
        st.just(ANSWER_OF[kind]),
    )
    people = st.sampled_from(["ann", "bob", "cleo", "dan"])
    given = draw(st.lists(st.tuples(people, said, st.booleans()), max_size=8))
    made = [response(asked, by, **words) for by, words, _ in given]
    return asked, [
        one if fits else one.model_copy(update={"sha256": "0" * 64})
        for one, (_, _, fits) in zip(made, given, strict=True)
    ]
