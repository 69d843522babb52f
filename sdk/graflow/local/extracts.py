"""What people and other programs can read of a checkpoint: Graflow's own keys, and some of ours."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from graflow.local.rest import Rest
from graflow.machine.plan import TaskPlan
from graflow.machine.scopes import identity, node_of
from graflow.machine.state import RUN_SCOPE, Activation, Phase, State

SCHEMA: Final = "1.0"


def state_extract(rest: Rest, resuming_task_id: str | None) -> dict[str, Any]:
    """Return where a run stands, as JSON. Values are in the checkpoint alone."""
    state = rest.state
    run = state.scopes.get(RUN_SCOPE)
    return {
        "schema_version": SCHEMA,
        "session_id": rest.session_id,
        "trace_id": rest.program.services.trace_id or rest.session_id,
        "start_node": rest.program.plan.start[0],
        "steps": state.steps,
        "completed_tasks": _completed(state),
        "cycle_counts": dict(run.counts) if run else {},
        "backend": {"channel": "memory"},
        "pending_tasks": [*_alive(rest)],
        "resuming_task_id": resuming_task_id,
        "workflow": rest.program.name,
        "phase": state.phase.value,
        "message": state.message,
        "seq": state.seq,
        "waiting_for_others": sorted({node for s in state.scopes.values() for node in s.tokens}),
        "channel_keys": rest.channel.keys(),
    }


def _completed(state: State) -> list[str]:
    """Return the tasks and groups that have results, those inside open groups among them."""
    places = [
        (found[-1].completed, task)
        for scope in state.scopes.values()
        for task, found in scope.results.items()
    ]
    return list(dict.fromkeys(task for _, task in sorted(places)))


def _alive(rest: Rest) -> Iterator[dict[str, Any]]:
    for activation in rest.state.activations.values():
        node = node_of(rest.program.plan, rest.state, activation)
        retries = node.retry.max_attempts - 1 if isinstance(node, TaskPlan) else 0
        yield {
            "task_id": activation.node,
            "status": _status(rest.state, activation),
            "created_at": datetime.fromtimestamp(activation.since, UTC).isoformat(),
            "retry_count": activation.failures,
            "max_retries": retries,
            "last_error": activation.error.message if activation.error else None,
            "where": identity(rest.state, activation),
        }


def _status(state: State, activation: Activation) -> str:
    """Return what an activation waits for: nothing, people, its turn, or what it holds."""
    if activation.phase is Phase.PARKED:
        return "waiting"
    if activation.phase is Phase.HOLDING:
        return "holding"
    queue = state.scopes[activation.scope].queues[activation.node]
    return "ready" if queue[0] == activation.number else "queued"
