"""What the tasks of a run that another task executes ask people, and keep: that task does it."""

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from graflow.dsl.asking import Parked, Recorded, asking_of
from graflow.dsl.context import TaskExecutionContext
from graflow.dsl.missing import MISSING
from graflow.local.nodes import Nodes
from graflow.local.people import Note, RunPeople
from graflow.machine.scopes import identity
from graflow.machine.state import Activation
from graflow.questions import key_of

if TYPE_CHECKING:  # what runs that ask nobody do without
    from graflow.dsl.feedback import FeedbackHandler
    from graflow.dsl.questions import Question


class InnerPeople(RunPeople):
    """Asks through the task around the run, under keys that tell the run and its tasks apart.

    So the question is where that task's host has its questions, in a pod too, and the next attempt
    of that task, which executes the workflow again, has the answer.
    """

    def __init__(
        self,
        nodes: Nodes,
        session_id: str,
        mutex: threading.Lock,
        note: Note,
        around: TaskExecutionContext,
    ) -> None:
        """Take what the run is made of, and the task that executes it."""
        super().__init__(nodes, session_id, mutex, note)
        self._around = around.known
        self._workflow = asking_of(around).executed(nodes.program.name)

    @property
    def calls_handlers(self) -> bool:
        """Whether the host of the task around calls them."""
        return self._around.calls_handlers

    def check(self, question: "Question") -> None:
        """Leave that to the host of the task around."""
        del question

    def recorded(self, activation: Activation, key: str) -> Recorded | None:
        """Return what an activation has asked under a key, in an earlier attempt around it too."""
        found = self._around.recorded(self._key(activation, key))
        return found or self._noted(activation, key)

    def kept(self, activation: Activation, key: str) -> object:
        """Return what an activation has kept under a key, or `MISSING`."""
        found = self._around.kept(self._key(activation, key))
        return super().kept(activation, key) if found is MISSING else found

    def keep(self, activation: Activation, key: str, value: object) -> None:
        """Keep a value for the later attempts, of the task around too."""
        self._around.keep(self._key(activation, key), value)

    def _answered(
        self,
        activation: Activation,
        question: "Question",
        begun: Recorded,
        handler: "FeedbackHandler | None",
    ) -> Recorded:
        del begun  # only in the state of this run, which then knows who waits
        key = self._key(activation, question.key)
        return self._around.ask(replace(question, key=key, is_inside=True), handler)

    def _key(self, activation: Activation, key: str) -> str:
        """Return the key in the task around.

        Raises:
            Parked: If the run, or the branch, has failed meanwhile: this attempt is for nobody.
        """
        with self._mutex:
            state = self._nodes.state
            if activation.number not in state.activations:
                raise Parked
            shown = self._workflow[0], activation.node, key
            return key_of(shown, *self._workflow, identity(state, activation), key)
