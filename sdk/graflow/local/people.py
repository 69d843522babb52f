"""What the tasks of a run on this machine ask people, and keep for their later attempts."""

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

from graflow.dsl.asking import Parked, Recorded
from graflow.dsl.copies import Warned, freeze
from graflow.dsl.missing import MISSING
from graflow.exceptions import FeedbackTimeoutError
from graflow.local.deadline import Deadline
from graflow.local.nodes import Nodes
from graflow.local.views import thaw
from graflow.machine.events import Event, QuestionAnswered, QuestionAsked, ValueKept
from graflow.machine.scopes import identity
from graflow.machine.state import Activation, Phase
from graflow.machine.state import Question as Noted

if TYPE_CHECKING:  # what runs that ask nobody do without
    from graflow.dsl.feedback import FeedbackHandler, FeedbackRequest
    from graflow.dsl.questions import Question
    from graflow.local.manager import FeedbackManager

Note: TypeAlias = Callable[[Event, Activation], None]


@dataclass(frozen=True, slots=True)
class Waiting:
    """A question that is open when a run is suspended."""

    feedback_id: str
    task_id: str
    prompt: str
    timeout: float | None


class RunPeople:
    """See `graflow.dsl.asking.People`; here for every activation of one run."""

    def __init__(self, nodes: Nodes, session_id: str, mutex: threading.Lock, note: Note) -> None:
        """Take what the run is made of.

        Args:
            nodes: Its tasks and state.
            session_id: Its id.
            mutex: Held while the state changes.
            note: Folds a fact about an activation whose attempt runs.
        """
        self._nodes = nodes
        self.session_id = session_id
        self._mutex = mutex
        self._note = note
        self._warned = Warned()
        self._open: dict[str, tuple[FeedbackRequest, Activation]] = {}
        """By id: questions of this process that nobody has answered, and who asks."""
        self._lapsed: set[str] = set()
        """Ids of those whose time is over: a retry does not wait for them again."""

    @cached_property
    def manager(self) -> "FeedbackManager":
        """Where questions are answered from outside."""
        from graflow.local.manager import FeedbackManager  # noqa: PLC0415 - few runs ask

        return FeedbackManager(backend_config=self._nodes.program.services.config)

    @property
    def calls_handlers(self) -> bool:
        """Return True: whoever runs the program waits for what they say."""
        return True

    def recorded(self, activation: Activation, key: str) -> Recorded | None:
        """Return what an activation has asked under a key, if it has."""
        return self._noted(activation, key)

    def _noted(self, activation: Activation, key: str) -> Recorded | None:
        """Return a question as it stands in the state of the run."""
        with self._mutex:
            found = self._nodes.state.activations.get(activation.number, activation)
        for known in found.questions:
            if known.key == key:
                return Recorded(known.name, known.digest, known.answer)
        return None

    def ask(
        self,
        activation: Activation,
        question: "Question",
        handler: "FeedbackHandler | None",
        limit: Deadline | None,
    ) -> Recorded:
        """Ask, and wait outside of the time that the task has; see `People.ask`."""
        self.check(question)
        begun = self._begun(activation, question)
        with nullcontext() if limit is None else limit.paused():
            found = self._answered(activation, question, begun, handler)
        number, key = activation.number, question.key
        self._note(QuestionAnswered(number, key, found.answer, time.time()), activation)
        return found

    def check(self, question: "Question") -> None:
        """Refuse what a cluster would not ask.

        Raises:
            QuestionError: Names what is wrong, and the way out.
        """
        from graflow.local.rules import check_asked  # noqa: PLC0415 - models are large

        check_asked(question)

    def kept(self, activation: Activation, key: str) -> object:
        """Return what an activation has kept under a key, or `MISSING`."""
        with self._mutex:
            found = self._nodes.state.activations.get(activation.number, activation)
        return next((thaw(value) for known, value in found.kept if known == key), MISSING)

    def keep(self, activation: Activation, key: str, value: object) -> None:
        """Keep a value for the later attempts of an activation."""
        frozen = freeze(value, f"step {key!r} of task {activation.node!r}", self._warned)
        number, attempt = activation.number, activation.attempt
        self._note(ValueKept(number, attempt, key, frozen, time.time()), activation)

    def let_go(self) -> bool:
        """Leave the question that is on the terminal open; return False if there is none."""
        from graflow.local.console import let_go  # noqa: PLC0415 - few runs ask

        return let_go()

    def waiting(self) -> list[Waiting]:
        """Return the questions that are open, in the order in which they were asked.

        A task that has gone on without an answer waits for none.
        """
        activations = self._nodes.state.activations
        return [
            Waiting(one.feedback_id, one.task_id, one.prompt, one.timeout)
            for one, asking in self._open.values()
            if activations.get(asking.number, asking).phase is Phase.PARKED
        ]

    def withdraw(self) -> None:
        """Take back what nobody is to answer any more: the run has ended."""
        for feedback_id in tuple(self._open):
            self.manager.withdraw(feedback_id)
        if self._open:
            self.let_go()

    def suspended(self, checkpoint: Mapping[str, Any]) -> None:
        """Say in what is asked where the run goes on from."""
        for one in self.waiting():
            kept = self.manager.get_request(one.feedback_id)
            if kept is not None:
                kept.metadata.update(checkpoint)
                self.manager.store_request(kept)

    def _begun(self, activation: Activation, question: "Question") -> Recorded:
        """Return the question as it stands in the state of the run, in which it is now.

        Raises:
            Parked: If the run, or the branch, has failed meanwhile: nobody is asked.
        """
        found = self._noted(activation, question.key)
        if found is None:
            from graflow.dsl.feedback import new_feedback_id  # noqa: PLC0415 - few tasks ask

            noted = Noted(question.key, question.sha256, None, new_feedback_id())
            number, attempt = activation.number, activation.attempt
            self._note(QuestionAsked(number, attempt, noted, time.time()), activation)
            found = self._noted(activation, question.key)
        if found is None:
            raise Parked
        return found

    def _answered(
        self,
        activation: Activation,
        question: "Question",
        begun: Recorded,
        handler: "FeedbackHandler | None",
    ) -> Recorded:
        """Wait, and return the question with its answer."""
        from graflow.local.waits import wait_for  # noqa: PLC0415 - few tasks ask

        request = self._request(activation, question, begun.feedback_id)
        feedback_id = request.feedback_id
        self._open[feedback_id] = request, activation
        if feedback_id in self._lapsed and self.manager.get_response(feedback_id) is None:
            raise FeedbackTimeoutError(feedback_id, question.timeout_s)
        try:
            answer = wait_for(self.manager, request, question, handler)
        except FeedbackTimeoutError:
            if self._nodes.state.phase.ended:  # that is why: what the task does is for nobody
                raise Parked from None
            self._lapsed.add(feedback_id)
            raise
        del self._open[feedback_id]
        return begun._replace(answer=answer)

    def _request(
        self, activation: Activation, question: "Question", feedback_id: str
    ) -> "FeedbackRequest":
        from graflow.dsl.feedback import FeedbackRequest  # noqa: PLC0415 - few tasks ask

        with self._mutex:
            where = identity(self._nodes.state, activation)
        return FeedbackRequest(
            feedback_id=feedback_id,
            task_id=activation.node,
            session_id=self.session_id,
            feedback_type=question.type,
            prompt=question.prompt,
            options=list(question.options) if question.options else None,
            metadata={"where": where, **question.metadata},
            timeout=question.timeout_s,
            key=question.key,
            schema=dict(question.schema) if question.schema else None,
            payload=dict(question.payload) if question.payload else None,
            sha256=question.sha256,
        )
