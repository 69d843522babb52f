"""One run on a cluster, seen from this machine."""

import contextlib
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

from graflow.api.bundle import BundleDamagedError
from graflow.api.errors import InvalidWorkflow
from graflow.api.workflow_status import CheckpointStatus, Transition, WorkflowStatus
from graflow.cluster import checkpoints, history, kept, logs
from graflow.cluster.channel import keys_left
from graflow.cluster.creation import create, numbered
from graflow.cluster.errors import (
    NotFinishedError,
    NotFoundError,
    ValueLostError,
    WaitTimeoutError,
)
from graflow.cluster.failures import failure, is_over
from graflow.cluster.forks import (
    Changes,
    Fork,
    checked_at,
    forked,
    forked_after_deletion,
    resumed,
)
from graflow.cluster.handout import Handout
from graflow.cluster.plans import plan_in
from graflow.cluster.values import Values
from graflow.cluster.why import Seen, Why, why
from graflow.cluster.workflows import Object, Workflows
from graflow.compile.program import Options, compile_program
from graflow.dsl.workflow import WorkflowContext
from graflow.exceptions import GraflowError

Progress = Callable[[WorkflowStatus], None]
TRIES = 3


def status_of(found: Object) -> WorkflowStatus:
    """Return the status of a Workflow object; an empty one before any operator has seen it."""
    return WorkflowStatus.model_validate(found.get("status") or {})


class Run:
    """One execution of a workflow on a cluster."""

    def __init__(self, workflows: Workflows, name: str, uid: str, instance: str = "") -> None:
        """Refer to a run; `submit` and `Run.named` make these."""
        self._workflows = workflows
        self.name = name
        """Name of the Workflow resource."""
        self.uid = uid
        """Tells it from others that had this name before."""
        self._instance = instance

    @classmethod
    def of(cls, workflows: Workflows, found: Object) -> "Run":
        """Return the run of a Workflow object as the API server gave it."""
        metadata, spec = found["metadata"], found.get("spec") or {}
        instance = str(spec.get("operator") or "")
        return cls(workflows, str(metadata["name"]), str(metadata["uid"]), instance)

    @classmethod
    def named(cls, workflows: Workflows, name: str) -> "Run":
        """Return a run that exists already.

        Raises:
            NotFoundError: If there is no Workflow of that name.
        """
        return cls.of(workflows, workflows.get(name))

    @property
    def namespace(self) -> str:
        """Namespace of the Workflow resource."""
        return self._workflows.namespace

    def status(self) -> WorkflowStatus:
        """Return where the run stands now.

        Raises:
            ClusterError: If that cannot be known.
        """
        return status_of(self._mine(self._workflows.get(self.name)))

    def why(self, task: str | None = None) -> Why:
        """Return what the run waits for, or what it failed by.

        Args:
            task: Only this task.

        Raises:
            NotFoundError: If there is no such task.
            ClusterError: If that cannot be known.
        """
        found = self._mine(self._workflows.get(self.name))
        try:
            plan = plan_in(found, self._workflows)
        except (InvalidWorkflow, BundleDamagedError, GraflowError):
            plan = None  # it was refused, or its bundle is not there
        return why(Seen(found, plan, datetime.now(UTC)), task)

    def changes(self, timeout_s: float | None = None) -> Iterator[WorkflowStatus]:
        """Yield where the run stands now and after each change, until it is over.

        Raises:
            WaitTimeoutError: If it is not over after this many seconds.
            ClusterError: If it is deleted meanwhile, or the API server stays away.
        """
        limit = math.inf if timeout_s is None else timeout_s
        end = time.monotonic() + limit
        for found in self._workflows.changes(self.name, timeout_s=limit):
            status = status_of(self._mine(found))
            yield status
            if is_over(status):
                return
            if time.monotonic() >= end:
                break
        raise WaitTimeoutError(
            f"workflow {self.name!r} has not ended after {limit:g} seconds; it goes on, and "
            f"`graflow status {self.name} -n {self.namespace}` shows how it stands"
        )

    def wait(
        self, timeout_s: float | None = None, on_progress: Progress | None = None
    ) -> WorkflowStatus:
        """Wait until the run is over, whichever way, and return its last status.

        Args:
            timeout_s: How long to wait, in seconds; without end when not given.
            on_progress: Called with the status now and after each change.

        Raises:
            WaitTimeoutError: If the time is over and the run is not.
            ClusterError: If it is deleted meanwhile, or the API server stays away.
        """
        status = WorkflowStatus()
        for status in self.changes(timeout_s):
            if on_progress:
                on_progress(status)
        return status

    def result(self, *, unpickle: bool = False) -> Any:  # noqa: ANN401 - whatever the run gives
        """Return the run's value.

        Args:
            unpickle: Whether to open a value that is no JSON, which runs code that the run has
                written. Otherwise such a value comes back as `Pickled`.

        Raises:
            NotFinishedError: If the run has not ended; `wait` first.
            GraflowRuntimeError: If it failed; with the remote traceback.
            RefusedError: If it was never accepted.
            ClusterError: If the value cannot be read.
        """
        return self.result_in(self.status(), unpickle=unpickle)

    def failure(self, status: WorkflowStatus) -> GraflowError | None:
        """Return the exception of a run that did not end well, given its last status."""
        return failure(self.name, status)

    def result_in(self, status: WorkflowStatus, *, unpickle: bool) -> Any:  # noqa: ANN401 - as above
        """Return the run's value, given its last status."""
        if error := self.failure(status):
            raise error
        if not is_over(status):
            raise NotFinishedError(
                f"workflow {self.name!r} is {status.phase or 'Pending'} and has no result yet; "
                f"wait for its end with `graflow watch {self.name} -n {self.namespace}` or "
                "run.wait()"
            )
        if status.result is None:
            raise ValueLostError(f"workflow {self.name!r}: {status.message or 'it has no result'}")
        return self.values().open(status.result, unpickle=unpickle)

    def values(self) -> Values:
        """Return what reads the values of this run."""
        return Values(self.handout)

    @property
    def handout(self) -> Handout:
        """What reads that of the run which is in the store."""
        return Handout(self._workflows.server, self.namespace, self.name, self._instance)

    def transitions(self) -> tuple[Transition, ...]:
        """Return all that the tasks of the run have decided so far, the oldest first.

        With no store there are only the last ones, as in the status.

        Raises:
            ClusterError: If that cannot be known.
        """
        status, tries = self.status(), TRIES
        while status.cursor is not None and status.cursor.history is not None:
            try:
                told = history.all_of(self.handout, status.cursor.history)
            except ValueLostError:  # while the run goes on, a longer segment may replace it
                tries -= 1
                if not tries:
                    raise
                status = self.status()
            else:  # the latest are in the status alone until there are more than that shows
                latest = told[-1].sequence if told else 0
                return (*told, *(one for one in status.transitions if one.sequence > latest))
        return status.transitions

    def checkpoints(self, *, newest: bool = False) -> tuple[CheckpointStatus, ...]:
        """Return the checkpoints of the run, the oldest first.

        Args:
            newest: Only the last ten, which its status shows.

        Raises:
            ClusterError: If that cannot be known.
        """
        status = self.status()
        named = status.cursor.checkpoint if status.cursor else None
        return status.checkpoints if newest or not named else checkpoints.all_of(self.handout)

    def resume(self, *, name: str | None = None) -> "Run":
        """Go on where the run has ended that failed or was cancelled, and return what goes on.

        It is another run. What had succeeded does not run again; what had not begins anew.

        Args:
            name: Of the new Workflow; one that is free when not given.

        Raises:
            NotFinishedError: If the run has not ended.
            RefusedError: If it has succeeded, or never began.
            ClusterError: If the cluster does not take it.
        """
        found = self._mine(self._workflows.get(self.name))
        return self.begin(resumed(found, self._bundle(found), status_of(found)), name)

    def forked(self, changes: Changes) -> Fork:
        """Return what goes on from this run with changes, ready to `begin`.

        With the code among the changes its Workflow may be deleted, while the store still has it.

        Raises:
            NotFoundError: If there is no such checkpoint, or no Workflow, and no code is given.
            NotFinishedError: If the run goes on and has no checkpoint yet.
            GraflowError: If it makes no sense, or that cannot be known.
        """
        try:
            found = self._mine(self._workflows.get(self.name))
        except NotFoundError:
            return forked_after_deletion(self.name, self.uid, changes)
        status = status_of(found)
        if changes.at is not None:
            older = partial(checkpoints.all_of, self.handout)
            with contextlib.suppress(ValueLostError):  # the operator looks again, and says so
                checked_at(self.name, changes.at, status.checkpoints, older)
        keys = self._keys(found["spec"], status) if changes.set and changes.at is None else None
        return forked(found, self._bundle(found), status, changes, keys)

    def fork(  # noqa: PLR0913 - one keyword for each thing that may be different
        self,
        at: int | None = None,
        *,
        set: Mapping[str, object] | None = None,  # noqa: A002 - as the command and the spec say it
        results: Mapping[str, object] | None = None,
        rerun: Iterable[str] = (),
        workflow: WorkflowContext | None = None,
        name: str | None = None,
    ) -> "Run":
        """Begin another run from a checkpoint of this one, with changes, and return it.

        This one stays as it is.

        Args:
            at: Sequence number of the checkpoint. When not given, the latest state of a run that
                has ended, and the newest checkpoint of one that goes on.
            set: Channel keys that are given other values.
            results: Results that tasks are to have had, by id.
            rerun: Ids of tasks that run again, with what comes after them.
            workflow: What the program is from now on.
            name: Of the new Workflow; one that is free when not given.

        Raises:
            NotFoundError: If there is no such checkpoint.
            NotFinishedError: If the run goes on and has no checkpoint yet.
            GraflowError: If it makes no sense, or the cluster does not take it.
        """
        code = compile_program(workflow.program(), Options()) if workflow else None
        changes = Changes(
            at=at, set=set or {}, results=results or {}, rerun=tuple(rerun), code=code
        )
        return self.begin(self.forked(changes), name)

    def begin(self, fork: Fork, name: str | None = None) -> "Run":
        """Create what goes on from this run.

        Args:
            fork: As `forked` gives it.
            name: Of the new Workflow; one that is free when not given.

        Raises:
            ConflictError: If there is a Workflow of that name.
            ClusterError: If the cluster does not take it.
        """
        names = [name] if name else numbered(fork.base)
        made = create(fork.workflow, fork.bundle, self._workflows, names)
        return Run.of(self._workflows, made)

    def _keys(self, spec: Mapping[str, Any], status: WorkflowStatus) -> list[str] | None:
        """Return the keys of the run's channel where it has ended; None if that is not known."""
        if not is_over(status):
            return None
        cursor = status.cursor.channel if status.cursor else None
        initial = (*(spec.get("input") or ()), *(spec.get("exactInput") or ()))
        return keys_left(cursor, initial, self.handout)

    def _bundle(self, found: Object) -> Object | None:
        """Return the CodeBundle of a Workflow, if it has one.

        Raises:
            NotFoundError: If it is gone.
        """
        named = (found["spec"].get("bundle") or {}).get("name")
        try:
            return self._workflows.bundle(named) if named else None
        except NotFoundError as error:
            raise NotFoundError(
                f"the code of workflow {self.name!r} is gone: there is no CodeBundle {named!r};"
                f" apply it again, as `graflow compile` writes it"
            ) from error

    def logs(
        self,
        task: str | None = None,
        *,
        follow: bool = False,
        over: Callable[[], bool] | None = None,
        labelled: bool = True,
    ) -> Iterator[str]:
        """Yield what the tasks have printed, line by line, without line ends.

        Args:
            task: Only this task.
            follow: Go on until the run is over, with the lines in the order in which they come.
            over: Says whether the run is over, for who knows that anyway; means `follow`.
            labelled: Whether lines of all tasks begin with `[<task>] `.
        """
        if follow and over is None:
            over = self._is_over
        label = labelled and task is None
        which = logs.Which(self._workflows.server, self.namespace, self.uid, task)
        return logs.lines(which, label=label, over=over, kept=lambda: self._kept(task))

    def _kept(self, task: str | None) -> Iterator[str]:
        """Yield the last lines of attempts that failed and whose pods are gone.

        Raises:
            NotFoundError: If there are none of the task.
        """
        status = self.status()
        found = False
        for attempt in kept.attempts(status, task):
            if lines := kept.lines(self.handout, status, attempt):
                found = True
                yield from lines
        if not found and task is not None:
            self.why(task)  # a task that there is not is named with the nearest
            raise NotFoundError(
                f"task {task!r} has no pod, and nothing of what it printed was kept: it has not "
                f"begun, it waits for a person, or its pods were deleted; `graflow why {self.name} "
                f"{task} -n {self.namespace}` says more"
            )

    def cancel(self, reason: str | None = None) -> None:
        """Ask for the run to end now; what runs is stopped.

        Args:
            reason: Why, for people: the run's message once it is cancelled.
        """
        said = {"cancelReason": reason} if reason else {}
        self._workflows.change(self.name, {"cancel": True, **said})

    def suspend(self) -> None:
        """Ask that nothing more starts; what runs goes on to its end."""
        self._workflows.change(self.name, {"suspend": True})

    def unsuspend(self) -> None:
        """Let the run go on where it was suspended."""
        self._workflows.change(self.name, {"suspend": False})

    def wait_for_pods(self) -> None:
        """Wait until no pod of the run runs any more.

        Raises:
            ClusterError: If that cannot be seen.
        """
        which = logs.Which(self._workflows.server, self.namespace, self.uid)
        while any(logs.is_alive(pod) for pod in which.pods()):
            time.sleep(logs.LOOK_S)

    def __repr__(self) -> str:
        return f"Run({self.name!r}, namespace={self.namespace!r})"

    def _is_over(self) -> bool:
        return is_over(self.status())

    def _mine(self, found: Object) -> Object:
        if found["metadata"]["uid"] != self.uid:
            raise NotFoundError(
                f"workflow {self.name!r} was deleted; the one of that name now is another"
            )
        return found
