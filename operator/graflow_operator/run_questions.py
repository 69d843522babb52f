"""What the tasks of one run ask of people: committed, made an object, and told what comes of it."""

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from graflow.machine.due import asks
from graflow.machine.state import Activation, Question, State
from graflow.store import ObjectMissingError
from graflow_operator import asking, strictjson
from graflow_operator.cluster import FEEDBACK_REQUESTS
from graflow_operator.cluster_errors import AlreadyExistsError
from graflow_operator.desk import Desk
from graflow_operator.dispatch import Dispatch
from graflow_operator.letters import Answered, ChangedQuestionError, Json
from graflow_operator.objects import is_leaving
from graflow_operator.parts import Parts
from graflow_operator.program import Program
from graflow_operator.refs import AttemptRef, RunRef
from graflow_operator.replies import Replies, question_of
from graflow_operator.values import ValueRef, settle

FOREIGN_S = 30.0
"""Between two looks whether an object of a question's name that is none of ours is gone."""

LEAVING_S = 1.0
"""Between two looks whether the object of a question that is being deleted is gone."""

log = logging.getLogger(__name__)
Holder = Callable[[AttemptRef, str], tuple[Program, State, Activation]]


class RunQuestions:
    """The questions of one run.

    Args:
        parts: Of the operator.
        run: Whose they are.
        desk: Where the run's letters come in.
        dispatch: Sends off whoever makes objects.
        holder: Says what a runner may read of, or why it may not.
    """

    def __init__(
        self, parts: Parts, run: RunRef, desk: Desk, dispatch: Dispatch, holder: Holder
    ) -> None:
        self._parts = parts
        self._run = run
        self._desk = desk
        self._dispatch = dispatch
        self._holder = holder
        self._replies = Replies()
        self._state = State()
        self._submitter: str | None = None
        self._made: set[tuple[int, str]] = set()
        """Those whose objects are there: activation and key."""

        self._early: list[Answered] | None = []
        """What was told before it is known where the run stands; None: it is known."""

    # -- what runners ask -------------------------------------------------------------------------

    async def ask(
        self, attempt: AttemptRef, claim: str, question: Question, within_s: float
    ) -> Json:
        """Ask a person, and wait a moment for what comes of it.

        Returns:
            `name` of the object, the `answer` as a value, None if there is none yet, and whether
            one is `awaited`: nobody is asked where the task's scope has failed.

        Raises:
            ChangedQuestionError: If it was asked in other words before.
            FencedError: If the caller does not hold the attempt any more.
            NotYetError: If that is not known yet.
        """
        _, _, activation = self._holder(attempt, claim)
        question = question._replace(name=asking.name_of(self._run, activation, question.key))
        await self._desk.ask(attempt, claim, question)
        which = (attempt.activation, question.key)
        known = question_of(self._state, *which)
        if known is not None and known.digest != question.digest:
            raise ChangedQuestionError(
                f"question {question.key!r} was asked in other words before, and an answer counts"
                " for what was shown: keep what it says with ctx.step, or give each a key"
            )
        if known is not None and known.answer is None:
            await self._replies.wait(which, within_s)
            known = question_of(self._state, *which)
        answer = known.answer if known else None
        return {
            "name": question.name,
            "answer": answer,
            "awaited": known is not None and answer is None,
        }

    async def keep(self, attempt: AttemptRef, claim: str, key: str, value: ValueRef) -> Json:
        """Keep a value for the later attempts of an activation; returns when that is committed.

        Raises:
            FencedError: If the caller does not hold the attempt any more.
            NotYetError: If that is not known yet.
        """
        self._holder(attempt, claim)
        return await self._desk.keep(attempt, claim, key, value)

    # -- what becomes of them ---------------------------------------------------------------------

    def is_open(self, activation: int, key: str) -> bool:
        """Whether somebody is still to answer, according to what is committed."""
        if self._state.phase.ended or activation not in self._state.asking:
            return False
        question = question_of(self._state, activation, key)
        return question is not None and question.answer is None

    def is_over(self, activation: int) -> bool:
        """Whether an activation has ended. What has ended stays so, however old the state is."""
        known = self._early is None and activation <= self._state.steps
        return known and activation not in self._state.activations

    def answered(self, letter: Answered) -> None:
        """Take note of what came of a question; told again, it changes nothing."""
        if self._early is not None:
            self._early.append(letter)
        elif self.is_open(letter.activation, letter.key):
            which = ("answer", (letter.activation, letter.key))
            self._dispatch.send(which, partial(self._take, letter))

    async def _take(self, letter: Answered) -> None:
        keys = self._parts.store_keys(self._run)
        kept = await settle({"json": letter.answer}, self._parts.storage, keys)
        lapsed = bool(letter.answer.get("expired"))
        self._desk.deliver(replace(letter, answer=kept, lapsed=lapsed))

    def gone(self, activation: int, key: str) -> None:
        """Take note that the object of a question is gone; while that is open it is made anew."""
        self._made.discard((activation, key))
        self._ask()

    def committed(self, state: State) -> None:
        """Take note of where the run stands, and tell those who wait for it."""
        self._state = state
        self._replies.look(state)

    def act(self, program: Program, state: State) -> None:
        """See to it that every question that is open is there to be answered."""
        self._state, self._submitter = state, program.spec.submitter
        self._ask()

    def _ask(self) -> None:
        state = self._state
        early, self._early = self._early or (), None
        for letter in early:
            self.answered(letter)
        for command in () if state.phase.ended else asks(state):
            which = (command.activation, command.key)
            if which not in self._made:
                self._dispatch.send(("ask", which), partial(self._make, which))

    async def _make(self, which: tuple[int, str]) -> None:
        state, activation = self._state, self._state.activations.get(which[0])
        question = question_of(state, *which)
        if activation is None or question is None or not self.is_open(*which):
            return
        asked = await self._json(question.asked)
        instance = self._parts.settings.instance
        submitter = self._submitter
        body = asking.request(self._run, instance, submitter, state, activation, question, asked)
        cluster, namespace = self._parts.cluster, self._run.namespace
        try:
            await cluster.create(FEEDBACK_REQUESTS, namespace, body)
        except AlreadyExistsError:
            found = await cluster.get(FEEDBACK_REQUESTS, namespace, question.name)
            if not asking.is_same(found, body):
                words = (
                    "FeedbackRequest %s/%s is not ours; question %r of %s waits until it is gone"
                )
                log.warning(words, namespace, question.name, question.key, self._run)
                await self._parts.sleep(FOREIGN_S)
                return
            if is_leaving(found):
                await self._parts.sleep(LEAVING_S)
                return
        self._made.add(which)

    async def _json(self, value: ValueRef) -> Any:  # noqa: ANN401  whatever it says
        if "json" in value:
            return value["json"]
        key = self._parts.store_keys(self._run).blob(value["blob"]["sha256"])
        if self._parts.storage is None:
            raise ObjectMissingError(key)
        return strictjson.loads(await self._parts.storage.get(key))
