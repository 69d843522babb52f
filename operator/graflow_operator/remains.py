"""What the channel of an ended run leaves in the store, removed, whoever ended the run.

The commit that ends a run says that there may be segments, and another one says that there are none
any more. So a crash in between is found by the next operator in the list that it begins with, and
nothing of the store has to be listed but of runs of which that is not known.
"""

import logging
from collections.abc import Callable, Coroutine
from typing import Any

from graflow.store import StoreError
from graflow_operator.channel_log import Log
from graflow_operator.cluster import Object
from graflow_operator.cluster_errors import ClusterError, NotFoundError
from graflow_operator.commits import Commits, SupersededError
from graflow_operator.parts import Parts
from graflow_operator.refs import RunRef

log = logging.getLogger(__name__)


class Remains:
    """Clears up behind the channels of ended runs."""

    def __init__(self, parts: Parts, errand: Callable[[Coroutine[Any, Any, None]], None]) -> None:
        self._parts = parts
        self._errand = errand
        self._under_way: set[str] = set()
        """Uids of runs."""

    def seen(self, workflow: Object) -> None:
        """Take note of an ended run that nobody drives."""
        uid = workflow["metadata"]["uid"]
        if has_remains(workflow) and uid not in self._under_way and self._parts.storage:
            self._under_way.add(uid)
            self._errand(self._clear(workflow))

    async def _clear(self, workflow: Object) -> None:
        run = RunRef.of(workflow)
        try:
            await self._clear_now(run, workflow)
        except NotFoundError:
            pass  # all that it has in the store goes with it
        except (StoreError, ClusterError, SupersededError) as error:
            words = "the next comparison tries again"
            log.warning("%s: its channel is not cleared away: %s; %s", run, error, words)
        finally:
            self._under_way.discard(run.uid)

    async def _clear_now(self, run: RunRef, workflow: Object) -> None:
        storage, status = self._parts.storage, workflow["status"]
        if storage is None:
            return
        cursor = status["cursor"]
        channel = {name: said for name, said in cursor["channel"].items() if name != "chain"}
        await Log(storage, self._parts.store_keys(run)).forget_all(channel)
        commits = Commits(self._parts.cluster, workflow)
        await commits.write({**status, "cursor": {**cursor, "channel": channel}})


def has_remains(workflow: Object) -> bool:
    """Whether there may be segments in the store of an ended run."""
    cursor = (workflow.get("status") or {}).get("cursor") or {}
    return bool((cursor.get("channel") or {}).get("chain"))
