"""Why the API server would not make a pod, read from its words. Pure.

Rights, quotas, admission: all of them are a 403, and each asks for something else.
"""

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

from graflow.machine import reasons
from graflow.machine.state import Error
from graflow_operator.cluster_errors import (
    ClusterError,
    InvalidError,
    NotFoundError,
    UnavailableError,
)

_SIGNS = (
    # Words of the API server, the most telling first.
    ("denied the request", reasons.ADMISSION_DENIED),
    ("denied request", reasons.ADMISSION_DENIED),
    ("violates PodSecurity", reasons.POD_SECURITY),
    ("failed quota", reasons.QUOTA_EXCEEDED),
    ("being terminated", reasons.NAMESPACE_TERMINATING),
    ("cannot create resource", reasons.FORBIDDEN),
    ("cannot get resource", reasons.FORBIDDEN),
    ("cannot set blockOwnerDeletion", reasons.FORBIDDEN),
    ("error looking up service account", reasons.CONFIG_MISSING),
    ("no PriorityClass with name", reasons.CONFIG_MISSING),
    ("RuntimeClass", reasons.CONFIG_MISSING),
)
_NO_WEBHOOK = ("failed calling webhook", "failed to call webhook")
_QUOTA = re.compile(
    r"exceeded quota: \S+, requested: (?P<asked>\S+), used: \S+, limited: (?P<limit>\S+)"
)
_QUANTITY = re.compile(r"^(?P<number>[0-9.]+(?:[eE][-+]?[0-9]+)?)(?P<unit>[numkKMGTPEi]*)$")
_UNITS: Mapping[str, Decimal] = {
    **{unit: Decimal(1000) ** n for n, unit in enumerate(["n", "u", "m", "", "k"], start=-3)},
    **{unit: Decimal(1000) ** n for n, unit in enumerate("MGTPE", start=2)},
    **{f"{unit}i": Decimal(1024) ** n for n, unit in enumerate("KMGTPE", start=1)},
}


def denial(error: ClusterError) -> Error | None:
    """Return why a pod was not made, and surely was not; None if that is not known."""
    words = str(error)
    if isinstance(error, UnavailableError):
        away = any(sign in words for sign in _NO_WEBHOOK)
        return Error(reasons.WEBHOOK_UNAVAILABLE, words) if away else None
    if "exceeded quota" in words:
        fits = _fits_an_empty_quota(words)
        return Error(reasons.QUOTA_USED if fits else reasons.QUOTA_EXCEEDED, words)
    for sign, reason in _SIGNS:
        if sign in words:
            return Error(reason, words)
    if isinstance(error, NotFoundError):
        return Error(reasons.NAMESPACE_TERMINATING, words)
    if isinstance(error, InvalidError):
        return Error(reasons.POD_INVALID, words)
    return Error(reasons.POD_REFUSED, words)


def _fits_an_empty_quota(words: str) -> bool:
    """Whether a pod that broke a quota only has to wait for others to end."""
    found = _QUOTA.findall(words)
    return bool(found) and all(
        asked <= limit
        for wanted, limited in found
        for name, limit in _quantities(limited).items()
        if (asked := _quantities(wanted).get(name)) is not None
    )


def _quantities(text: str) -> dict[str, Decimal]:
    """Return `pods=1,requests.cpu=500m` as numbers."""
    pairs = (part.partition("=") for part in text.split(","))
    return {name: amount for name, _, said in pairs if (amount := quantity(said)) is not None}


def quantity(text: str) -> Decimal | None:
    """Return a quantity of Kubernetes as a number; None if it is none.

    >>> quantity("500m"), quantity("1Gi"), quantity("2k"), quantity("much")
    (Decimal('0.500'), Decimal('1073741824'), Decimal('2000'), None)
    """
    found = _QUANTITY.match(text)
    try:
        return Decimal(found["number"]) * _UNITS[found["unit"]] if found else None
    except (InvalidOperation, KeyError):
        return None
