"""Moments as the Kubernetes API writes them."""

from datetime import UTC, datetime


def rfc3339(seconds: float) -> str | None:
    """Return seconds since the epoch in RFC 3339, to the millisecond; None for 0, which is never.

    >>> rfc3339(1_700_000_000.25)
    '2023-11-14T22:13:20.250Z'
    """
    if not seconds:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
