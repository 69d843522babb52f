"""Objects by key: where values, outcomes and states too large for the cluster are kept."""

from graflow.store.base import MOST_SIGNED_S, ObjectStore, require_conditional_put
from graflow.store.errors import (
    ObjectCorruptError,
    ObjectMissingError,
    StoreError,
    StoreRefusedError,
    StoreUnavailableError,
    StoreUnfitError,
)

__all__ = [
    "MOST_SIGNED_S",
    "ObjectCorruptError",
    "ObjectMissingError",
    "ObjectStore",
    "StoreError",
    "StoreRefusedError",
    "StoreUnavailableError",
    "StoreUnfitError",
    "require_conditional_put",
]
