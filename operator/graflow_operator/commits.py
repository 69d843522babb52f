"""One commit: the state, the summary for people, in one guarded write of the Workflow's status."""

import time
from collections.abc import Mapping
from typing import Any

from graflow.store import ObjectMissingError
from graflow_operator import metrics
from graflow_operator.cluster import WORKFLOWS, Cluster, Object
from graflow_operator.cluster_errors import ConflictError, UnavailableError
from graflow_operator.objects import version_of
from graflow_operator.refs import RunRef
from graflow_operator.snapshot import UnreadableSnapshotError

MOST_CONFLICTS = 5
"""In a row before a pause: whoever answers so without end is no busy neighbour."""


class SupersededError(Exception):
    """Somebody else has committed to this run; `workflow` is how it stands now."""

    def __init__(self, workflow: Object) -> None:
        super().__init__("the run's state was committed by somebody else")
        self.workflow = workflow


class Commits:
    """Reads and writes where a run stands. Keeps the Workflow object as it was seen last."""

    def __init__(self, cluster: Cluster, workflow: Object) -> None:
        self._cluster = cluster
        self.workflow = workflow
        self.run = RunRef.of(workflow)

    @property
    def status(self) -> Object:
        """The status as it was seen last."""
        found: Object = self.workflow.get("status") or {}
        return found

    @property
    def cursor(self) -> Object | None:
        """Where the state is that was committed last; None before the first commit."""
        found: Object | None = self.status.get("cursor")
        return found

    def take(self, seen: Object) -> None:
        """Take over an object that a watch showed, if it is newer and its state is the same."""
        same = (seen.get("status") or {}).get("cursor") == self.cursor
        if same and version_of(seen) > version_of(self.workflow):
            self.workflow = seen

    async def missing(self, error: ObjectMissingError) -> Exception:
        """Return why what the cursor names is not there: it is old, or somebody removed that."""
        fresh = await self._cluster.get(WORKFLOWS, self.run.namespace, self.run.name)
        same = (fresh.get("status") or {}).get("cursor") == self.cursor
        if fresh["metadata"]["uid"] != self.run.uid or not same:
            return SupersededError(fresh)
        return UnreadableSnapshotError(
            f"{error.key} is gone from the store, and the run's state is in it; put it back from a"
            " copy of the bucket"
        )

    async def write(self, status: Mapping[str, Any]) -> None:
        """Make a status true, if the run stands where we think it does.

        A conflict that is not about the state (somebody changed the spec) is overcome here; a lost
        answer is looked into: what counts is what the object says. If it says that nothing was
        written, the caller tries again, after a pause: an API server that answers reads and takes
        no write (etcd is full, a webhook is away) must not be asked as fast as it can say no.

        Raises:
            SupersededError: If somebody else moved the run on.
            ClusterError: If it is not known whether the status was written, or it was refused.
        """
        began = time.monotonic()
        result = "failed"
        try:
            await self._write(status, began)
            result = "committed"
        except SupersededError:
            result = "superseded"
            raise
        finally:
            metrics.COMMITS.observe(time.monotonic() - began, result)

    async def _write(self, status: Mapping[str, Any], began: float) -> None:
        base = self.cursor
        conflicts = 0
        while True:
            try:
                await self._patch(status)
            except (ConflictError, UnavailableError) as error:
                metrics.COMMITS.observe(time.monotonic() - began, "conflict")
                fresh = await self._cluster.get(WORKFLOWS, self.run.namespace, self.run.name)
                if fresh["metadata"]["uid"] != self.run.uid:
                    raise SupersededError(fresh) from None
                found = (fresh.get("status") or {}).get("cursor")
                if found not in (base, status.get("cursor")):
                    raise SupersededError(fresh) from None
                self.workflow = fresh
                if found == status.get("cursor") and found != base:
                    break
                conflicts += 1
                if isinstance(error, UnavailableError) or conflicts == MOST_CONFLICTS:
                    raise
            else:
                break

    async def _patch(self, status: Mapping[str, Any]) -> None:
        version = self.workflow["metadata"]["resourceVersion"]
        patch = {"metadata": {"resourceVersion": version}, "status": dict(status)}
        answer = await self._cluster.patch_status(
            WORKFLOWS, self.run.namespace, self.run.name, patch
        )
        # As the API server keeps it: what it prunes could not be taken out again.
        self.workflow = answer
