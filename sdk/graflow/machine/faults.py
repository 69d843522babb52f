"""Every reason with its class, its meaning and what to do about it.

The runner does not import this: its start is what every task waits for.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from graflow.machine.cluster_faults import CONFIGURATION_FAULTS, INFRASTRUCTURE_FAULTS
from graflow.machine.fault import Fault, FaultKind
from graflow.machine.user_faults import USER_FAULTS
from graflow.machine.waits import WAITS

__all__ = ["FAULTS", "Fault", "FaultKind", "of"]

FAULTS: Final[Mapping[str, Fault]] = MappingProxyType(
    {
        fault.reason: fault
        for fault in (*USER_FAULTS, *INFRASTRUCTURE_FAULTS, *CONFIGURATION_FAULTS, *WAITS)
    }
)
"""All of them, by reason: first those of users, then of infrastructure and configuration."""


def of(reason: str) -> Fault:
    """Return what a reason is; of one that nobody knows, that it is the program's own.

    >>> of("OOMKilled").kind
    <FaultKind.USER: 'User'>
    >>> of("Evicted").kind
    <FaultKind.INFRASTRUCTURE: 'Infrastructure'>
    >>> of("").kind
    <FaultKind.USER: 'User'>
    """
    return FAULTS.get(reason) or Fault(
        reason, FaultKind.USER, "The task says so itself.", "Read its message and its log."
    )
