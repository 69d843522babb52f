"""The channel that a run has left, as a channel of this machine."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from graflow.api.workflow_status import ChannelCursor
from graflow.cluster.errors import ClusterError, ValueLostError
from graflow.cluster.handout import Handout
from graflow.cluster.values import Values
from graflow.dsl.memory_channel import MemoryChannel
from graflow.ledger import wire
from graflow.ledger.runs import Run, Runs
from graflow.ledger.state import Entry, State


@dataclass(frozen=True, slots=True)
class _Remote:
    """A value that is fetched when it is asked for."""

    ref: Mapping[str, Any]
    values: Values

    def thaw(self) -> Any:  # noqa: ANN401 - any value
        """Return the value. Whoever made the run trusts what its tasks pickled."""
        return self.values.open(self.ref, unpickle=True)


def left(
    cursor: ChannelCursor | None, initial: Mapping[str, object], handout: Handout
) -> MemoryChannel:
    """Return the channel of a run that has ended.

    Args:
        cursor: What its status says of it; None: no task used it.
        initial: The keys that it had from the beginning.
        handout: Reads what is not in the status.

    Raises:
        ValueLostError: If it cannot be read.
    """
    if cursor is None:
        return MemoryChannel("run", initial=initial)
    if cursor.state is None and cursor.key is None:
        raise ValueLostError(
            f"the channel of workflow {handout.workflow!r} can be read when the run has ended"
        )
    try:
        kept = wire.unpack(handout.kept(cursor, "channel", "the channel"))
    except ValueError as error:
        raise ValueLostError(
            f"the channel of workflow {handout.workflow!r} cannot be read: {error}"
        ) from error
    values = Values(handout)
    entries = {key: _opened(entry, values) for key, entry in kept.entries.items()}
    return MemoryChannel.of("run", State(entries))


def keys_left(
    cursor: ChannelCursor | None, initial: Iterable[str], handout: Handout
) -> list[str] | None:
    """Return the keys of such a channel; None if it cannot be read now."""
    try:
        return left(cursor, dict.fromkeys(initial), handout).keys()
    except ClusterError:
        return None


def _opened(entry: Entry, values: Values) -> Entry:
    """Return an entry with its values where they are; it stays, whatever its time was."""
    content = entry.content
    if isinstance(content, Runs):
        content = Runs.of(*(Run(run.length, _Remote(run.items, values)) for run in content))
    elif isinstance(content, Mapping):
        content = _Remote(content, values)
    return Entry(content, entry.kind)
