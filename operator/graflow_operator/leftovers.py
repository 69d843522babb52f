"""Pods of runs that exist no more, and that our finalizer would keep for ever."""

import logging
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from graflow.api import names
from graflow_operator import removal
from graflow_operator.cluster import WORKFLOWS, Object
from graflow_operator.cluster_errors import ClusterError, NotFoundError
from graflow_operator.facts import PodFact
from graflow_operator.objects import is_leaving
from graflow_operator.parts import Parts
from graflow_operator.refs import AttemptRef, RunRef, controllers

log = logging.getLogger(__name__)


class Leftovers:
    """Lets go of pods whose outcome is nobody's any more."""

    def __init__(
        self,
        parts: Parts,
        errand: Callable[[Coroutine[Any, Any, None]], None],
        exists: Callable[[Object, PodFact], None],
    ) -> None:
        """Take what does errands, and what is told of a pod whose run exists all the same."""
        self._parts = parts
        self._errand = errand
        self._exists = exists
        self._asked: set[str] = set()
        """Uids of pods whose runs are being looked for."""

    def seen(self, fact: PodFact) -> None:
        """Take note of a pod whose run nobody drives."""
        if fact.held and fact.deleting and fact.uid not in self._asked:
            self._asked.add(fact.uid)
            self._errand(self._look_for_its_run(fact))

    async def _look_for_its_run(self, fact: PodFact) -> None:
        """Let go of a pod if its run is gone, as the API server says and no list that is older."""
        run = RunRef(fact.namespace, fact.workflow, fact.run)
        try:
            workflow = await self._parts.cluster.get(WORKFLOWS, run.namespace, run.name)
        except NotFoundError:
            workflow = None
        except ClusterError as error:
            log.warning("%s: %s; the next comparison looks again", run, error)
            return
        finally:
            self._asked.discard(fact.uid)
        if workflow is not None and workflow["metadata"]["uid"] == run.uid:
            self._exists(workflow, fact)
        else:
            await self.let_go(run, [fact])

    async def let_go(self, run: RunRef, facts: Iterable[PodFact]) -> None:
        """Stop pods of a run that is gone, or on its way, and take our finalizer off them."""
        cluster = self._parts.cluster
        for fact in facts:
            end = removal.release if fact.deleting else removal.remove
            try:
                await end(cluster, run.namespace, fact)
            except ClusterError as error:
                words = "the next comparison tries again"
                log.warning("%s: pod %s is not let go: %s; %s", run, fact.name, error, words)

    async def let_go_of_strays(self, pods: Iterable[Object]) -> None:
        """Let go of pods on their way out that have lost their owner, by `--cascade=orphan`."""
        for pod in pods:
            metadata = pod["metadata"]
            finalizers = tuple(metadata.get("finalizers", ()))
            if names.OUTCOME_FINALIZER not in finalizers or controllers(pod):
                continue
            if is_leaving(pod):
                run = RunRef(metadata["namespace"], "", "")
                fact = PodFact(
                    name=metadata["name"],
                    uid=metadata["uid"],
                    run="",
                    attempt=AttemptRef(0, 0),
                    version=0,
                    deleting=True,
                    finalizers=finalizers,
                )
                await self.let_go(run, [fact])
