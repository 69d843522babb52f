"""Runs that go on from a checkpoint: as a context, or behind `execute()` of a program (K3)."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from graflow.dsl.copies import Warned, freeze
from graflow.dsl.execution import ExecutionContext
from graflow.dsl.handler import TaskHandler
from graflow.dsl.host import current_host
from graflow.dsl.memory_channel import MemoryChannel
from graflow.dsl.program import Program
from graflow.exceptions import CheckpointError
from graflow.local.checkpoints import read
from graflow.local.host import LocalHost, alive
from graflow.local.outcome import LocalOutcome
from graflow.local.rest import Rest
from graflow.machine.plan import GroupPlan, Plan
from graflow.machine.state import GroupValue, State, Value

if TYPE_CHECKING:
    from graflow.machine.state import RunPhase


class ResumedContext(ExecutionContext):
    """A context that has been read, and shows where the run stood until it goes on.

    Its channel may be changed before. `max_steps` may be raised, and `start_node`, if it is set,
    runs again besides what was alive.
    """

    rest: Rest
    """What it goes on from, as often as it is executed."""

    changed: Mapping[str, object]
    """Results to be put in the place of recorded ones."""

    rerun: tuple[str, ...]
    """Tasks to run again."""

    begun = False
    """Whether it has been executed."""

    @classmethod
    def of(cls, rest: Rest, results: Mapping[str, object], rerun: Iterable[str]) -> Self:
        """Return the context of a run at rest."""
        outcome = LocalOutcome(rest)
        context = cls.of_run(rest.program, outcome)
        context.rest, context.changed, context.rerun = rest, dict(results), tuple(rerun)
        return context

    @property
    def phase(self) -> "RunPhase":
        """Where the run stands that it goes on from."""
        return self.rest.state.phase

    def is_completed(self) -> bool:
        """Return whether the run had ended."""
        return self.phase.ended

    def program(self, handlers: Mapping[str, TaskHandler] | None = None) -> Program:
        """Return what a host would run: that of the checkpoint."""
        program = self.rest.program
        return replace(
            program,
            plan=replace(program.plan, max_steps=self.max_steps),
            services=self._services(handlers or {}),
        )

    def run_with(self, handlers: Mapping[str, TaskHandler]) -> Any:  # noqa: ANN401 - the value of the run
        """Go on with handlers; see `execute`."""
        if not isinstance(current_host(), LocalHost):
            raise CheckpointError(
                "a checkpoint of this machine goes on on this machine; run the program with python"
                " or `graflow run`"
            )
        rest = self._resting(handlers)
        self.outcome = self.error = None
        self.begun = True
        return self._left_by(
            lambda: LocalHost().go_on(
                rest,
                results=frozen_results(rest.program.plan, self.changed),
                rerun=self._again(),
                ret_context=True,
            )
        )

    def at_rest(self) -> Rest:
        """Return the run as it would go on, with what is to be changed; as read if that is nothing.

        Raises:
            CheckpointError: If it cannot be changed like that.
        """
        rest, again = self._resting({}), self._again()
        if not (self.changed or again):
            return rest
        return alive(rest, frozen_results(rest.program.plan, self.changed), again)

    def _resting(self, handlers: Mapping[str, TaskHandler]) -> Rest:
        program = self.program(handlers)
        return replace(self.rest, program=program, channel=self.rest.channel.copied())

    def _again(self) -> tuple[str, ...]:
        """Return the tasks to run again."""
        before = self.rest.program.plan.start[0]
        again = () if self.start_node in (None, before) else (str(self.start_node),)
        return (*self.rerun, *again)


class GoingOn(LocalHost):
    """Goes on from a checkpoint with the first run of a program, whose tasks are those of now.

    Args:
        path: Of the checkpoint; read when the program has begun, whose modules it may need.
        isolated: See `LocalHost`.
    """

    def __init__(self, path: str, *, isolated: bool = False) -> None:
        super().__init__(isolated=isolated)
        self._path = path
        self.used = False
        """Whether a program has executed a workflow."""

    def execute(
        self,
        program: Program,
        *,
        initial_channel: Mapping[str, object] | None = None,
        ret_context: bool = False,
    ) -> Any:  # noqa: ANN401 - the value of the run
        """Go on, or run what the program executes after that.

        Raises:
            CheckpointError: If the program runs another workflow first, or that is no checkpoint.
        """
        if self.used:
            return super().execute(
                program, initial_channel=initial_channel, ret_context=ret_context
            )
        self.used = True
        rest, _ = read(self._path)
        if program.name != rest.program.name:
            raise CheckpointError(
                f"the checkpoint is of workflow {rest.program.name!r}, and the program runs"
                f" {program.name!r} first; go on with the program that took it"
            )
        services = replace(program.services, session_id=rest.session_id)
        rest = replace(rest, program=replace(program, services=services))
        return self.go_on(rest, ret_context=ret_context)


def before_its_start(context: ExecutionContext) -> Rest:
    """Return the run of a context that has not begun."""
    channel = MemoryChannel()
    for key in context.channel.keys():  # noqa: SIM118 - no dict
        channel.set(key, context.channel.get(key))
    session_id = context.session_id or os.urandom(16).hex()
    return Rest(context.program(), State(), channel, session_id)


def frozen_results(plan: Plan, results: Mapping[str, object]) -> dict[str, Value]:
    """Return results as the machine has them: those of groups are dicts by member."""
    warned = Warned()
    found: dict[str, Value] = {}
    for name, value in results.items():
        if isinstance(plan.by_id.get(name), GroupPlan) and isinstance(value, Mapping):
            branches = ((m, freeze(v, f"task {m!r}", warned)) for m, v in value.items())
            found[name] = GroupValue(tuple(branches))
        else:
            found[name] = freeze(value, f"task {name!r}", warned)
    return found
