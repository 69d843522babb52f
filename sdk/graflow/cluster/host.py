"""The host of a program that `graflow submit` runs: its `execute()` goes to a cluster."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from graflow.api.workflow_status import WorkflowStatus
from graflow.cluster.channel import left
from graflow.cluster.errors import ValueLostError
from graflow.cluster.run import Run
from graflow.cluster.state import ended_in
from graflow.cluster.submit import Target, send
from graflow.compile.program import Compiled, Options, compile_program
from graflow.dsl.channel import Channel
from graflow.dsl.checkpoints import CheckpointMetadata
from graflow.dsl.execution import ExecutionContext
from graflow.dsl.missing import MISSING
from graflow.dsl.program import Program
from graflow.local.views import RunChannel
from graflow.machine.codec import encode_value
from graflow.machine.results import of_run
from graflow.machine.state import Result


class ProgramStopped(BaseException):
    """Ends a program at its `execute()`: no `except Exception` of its own may hold it up."""


class ClusterHost:
    """Sends what a program executes to a cluster."""

    def __init__(
        self,
        target: Target,
        options: Options,
        *,
        begun: Callable[[Compiled, Run], None],
        wait: Callable[[Run], WorkflowStatus] | None,
    ) -> None:
        """Take where programs go and what is done about their runs.

        Args:
            target: Where they go.
            options: What their sender chose.
            begun: Called when a run was created.
            wait: Waits for a run and returns its last status. None: the program ends where it
                would wait.
        """
        self._target = target
        self._options = options
        self._begun = begun
        self._wait = wait
        self.used = False
        """Whether the program came to an `execute()`."""

    def execute(
        self,
        program: Program,
        *,
        initial_channel: Mapping[str, object] | None,
        ret_context: bool,
    ) -> Any:  # noqa: ANN401 - the value of the run
        """Send a program, and return its value once it has ended.

        Raises:
            ProgramStopped: If nobody waits for the end.
            GraflowRuntimeError: If the run fails; with the remote traceback.
            GraflowError: If the program cannot be sent.
        """
        self.used = True
        compiled = compile_program(program, self._options, initial_channel=initial_channel)
        exact = self._options.name is not None
        run = send(compiled, self._target.workflows(), exact=exact)
        self._begun(compiled, run)
        if self._wait is None:
            raise ProgramStopped
        status = self._wait(run)
        # The program made the run itself: it trusts what it pickled.
        value = run.result_in(status, unpickle=True)
        if not ret_context:
            return value
        return value, ExecutionContext.of_run(
            program,
            ClusterOutcome(run, status, program, initial_channel or {}),
        )


class StoppingHost:
    """Takes what a program executes first, and ends the program there."""

    def __init__(self, take: Callable[[Program, Mapping[str, object] | None], None]) -> None:
        """Take what is done with the program and its initial channel, while it stands there."""
        self._take = take
        self.used = False
        """Whether the program came to an `execute()`."""

    def execute(
        self,
        program: Program,
        *,
        initial_channel: Mapping[str, object] | None,
        ret_context: bool,
    ) -> Any:  # noqa: ANN401 - never returns
        """Hand over the program.

        Raises:
            ProgramStopped: Always.
        """
        del ret_context
        self.used = True
        self._take(program, initial_channel)
        raise ProgramStopped


@dataclass(frozen=True)
class ClusterOutcome:
    """What is known here of a run that has ended on a cluster."""

    run: Run
    status: WorkflowStatus
    program: Program
    initial: Mapping[str, object] = field(default_factory=dict)
    """The keys that its channel had from the beginning."""

    @property
    def session_id(self) -> str:
        """Uid of the Workflow."""
        return self.run.uid

    @cached_property
    def channel(self) -> Channel:
        """What the run has left of its channel, as a channel of this machine.

        Raises:
            ValueLostError: If it cannot be read.
        """
        cursor = self.status.cursor.channel if self.status.cursor else None
        return RunChannel(left(cursor, self.initial, self.run.handout), self.result)

    @cached_property
    def _results(self) -> Mapping[str, Result]:
        """The results of the run by id, in the order of completion.

        Raises:
            ValueLostError: If the state that they are in cannot be read.
        """
        return of_run(ended_in(self.status.cursor, self.program.plan, self.run.handout))

    @property
    def completed_tasks(self) -> Sequence[str]:
        """Ids of the tasks and groups that succeeded, in the order of their latest completion.

        Raises:
            ValueLostError: If that cannot be read.
        """
        return tuple(self._results)

    @property
    def steps(self) -> int:
        """How many activations there were."""
        return self.status.counts.steps if self.status.counts else 0

    @property
    def message(self) -> str:
        """Why the run ended, if a task or somebody said so."""
        return self.status.message or ""

    @property
    def last_checkpoint(self) -> tuple[str, CheckpointMetadata] | None:
        """The newest checkpoint of the run: its number and its path, if it was given one."""
        if not self.status.checkpoints:
            return None
        newest = self.status.checkpoints[-1]
        metadata = CheckpointMetadata(
            checkpoint_id=str(newest.seq),
            session_id=self.session_id,
            created_at=newest.time,
            steps=self.steps,
            backend={"channel": "operator"},
            user_metadata=newest.metadata or {},
        )
        return newest.path or str(newest.seq), metadata

    def result(self, task_id: str, /) -> object:
        """Return the latest result of a task or a group, or `MISSING`.

        Raises:
            ValueLostError: If it cannot be read.
        """
        # Small results of the newest tasks are in the status, too.
        told = next((task.result for task in self.status.tasks if task.name == task_id), None)
        try:
            found = self._results.get(task_id)
        except ValueLostError:
            if told is None:
                raise
            found = None
        if found is None:
            return MISSING if told is None else self.run.values().open(told, unpickle=True)
        return self.run.values().open(encode_value(found.value), unpickle=True)
