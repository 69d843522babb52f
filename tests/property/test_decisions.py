"""What any responses decide, whatever they are and in whatever order they come."""

from hypothesis import given
from hypothesis import strategies as st

from graflow.api.answering import check_response, decide, may_answer, uncounted
from graflow.api.feedback_status import FeedbackPhase
from graflow.api.settling import settled
from graflow.questions import FeedbackType
from support.questions import asked_and_answered, response, spec, status


@given(asked_and_answered())
def test_a_decision_never_changes_by_later_responses(case):
    asked, responses = case
    decisions = [decide(asked, responses[:n]) for n in range(len(responses) + 1)]
    made = [one for one in decisions if one is not None]
    assert all(one == made[0] for one in made)
    assert decisions == [*[None] * (len(decisions) - len(made)), *made]


@given(asked_and_answered(), st.randoms(use_true_random=False))
def test_any_order_of_responses_decides_by_what_counts_and_by_nothing_else(case, random):
    asked, responses = case
    random.shuffle(responses)
    decision = decide(asked, responses)
    counted = [one for one in responses if uncounted(asked, one) is None]
    assert decision == decide(asked, counted)
    if asked.type is not FeedbackType.APPROVAL:
        assert (decision is not None) == bool(counted)
    if decision is not None:
        assert {*decision.answer.responded_by} <= {one.by for one in counted}


@given(asked_and_answered())
def test_it_takes_as_many_different_people_to_approve_or_one_to_reject(case):
    asked, responses = case
    counted = [one for one in responses if uncounted(asked, one) is None]
    approvers = {one.by for one in counted if one.approved}
    rejected = any(one.approved is False for one in counted)
    decision = decide(asked, responses)
    if asked.type is FeedbackType.APPROVAL:
        assert (decision is not None) == (rejected or len(approvers) >= asked.approvals)
    if decision is not None and decision.answer.approved:
        people = decision.answer.responded_by
        assert len(people) == len({*people}) == asked.approvals


@given(st.integers(2, 5), st.integers(1, 9))
def test_the_same_person_counts_once_however_often_they_approve(needed, times):
    asked = spec(approvals=needed)
    others = [response(asked, f"p{n}") for n in range(needed - 1)]
    again = [response(asked, "p0")] * times
    assert decide(asked, [*others, *again]) is None
    assert may_answer(asked, status(*others), "p0", ()) is not None
    decision = decide(asked, [*others, *again, response(asked, "new")])
    assert decision is not None
    assert decision.answer.approved is True


@given(asked_and_answered())
def test_an_answer_is_one_that_somebody_could_have_given(case):
    asked, responses = case
    decision = decide(asked, responses)
    if decision is not None:
        given_by = decision.answer.responded_by[-1]
        said = {name: getattr(decision.answer, name) for name in ("approved", "text", "custom")}
        assert any(
            one.by == given_by and {name: getattr(one, name) for name in said} == said
            for one in responses
            if check_response(asked, one) == ()
        )


@given(asked_and_answered())
def test_what_is_settled_is_not_settled_again(case):
    asked, responses = case
    after = settled(asked, status(*responses), 1.0)
    if after is not None:
        assert after.phase is FeedbackPhase.ANSWERED
        assert after.responses == tuple(responses)
        assert settled(asked, after, 2.0) is None
