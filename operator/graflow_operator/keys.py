"""Keys: one master key of the installation, one key per run, one per attempt.

A run's key comes from the master key and an attempt's from its run's, so none but the master key
is kept. What a runner sends is signed with its attempt's key.
"""

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from graflow.api import names

MASTER_BYTES = 32


@dataclass(frozen=True, slots=True)
class Replaced:
    """A master key of before."""

    data: bytes = field(repr=False)
    at: float
    """When there was a new one, in seconds since the epoch: no pod of a later run has its keys."""


@dataclass(frozen=True, slots=True)
class MasterKey:
    """The installation's secret."""

    data: bytes = field(repr=False)
    replaced: tuple[Replaced, ...] = ()
    """Those of before that pods may still have keys of, the last one first."""

    @property
    def id(self) -> str:
        """Which key it is, in eight characters that give nothing away."""
        return hashlib.sha256(b"graflow key id\n" + self.data).hexdigest()[:8]

    def of_run(self, uid: str) -> bytes:
        """Return the key that a run's new pods get."""
        return _of_run(self.data, uid)

    def any_of_run(self, uid: str) -> list[bytes]:
        """Return the keys that pods of a run may have, the one of new pods first."""
        return [self.of_run(uid), *(_of_run(one.data, uid) for one in self.replaced)]


def _of_run(data: bytes, uid: str) -> bytes:
    return hmac.digest(data, uid.encode(errors="replace"), "sha256")


def new_master() -> MasterKey:
    """Return a key that nobody knows yet."""
    return MasterKey(secrets.token_bytes(MASTER_BYTES))


def of_attempt(run_key: bytes, activation: int, attempt: int, claim: str) -> bytes:
    """Return the key of an attempt, known only to the pod whose claim was committed."""
    return hmac.digest(run_key, f"attempt\n{activation}\n{attempt}\n{claim}".encode(), "sha256")


@dataclass(frozen=True, slots=True)
class Call:
    """What a runner signs of one request."""

    method: str
    path: str
    claim: str
    number: str
    body: bytes


def mac_of_call(key: bytes, call: Call) -> str:
    """Return the signature of one call of a runner, in hex."""
    digest = hashlib.sha256(call.body).hexdigest()
    text = f"{call.method}\n{call.path}\n{call.claim}\n{call.number}\n{digest}"
    return hmac.digest(key, text.encode(errors="replace"), "sha256").hex()


def mac_of_document(key: bytes, document: Mapping[str, Any]) -> str:
    """Return the signature of an outcome, its own field `mac` left out, in hex."""
    rest = {name: value for name, value in document.items() if name != "mac"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"))
    return hmac.digest(key, text.encode(), "sha256").hex()


def equal(one: str, other: str) -> bool:
    """Whether two signatures are the same, told in a time that says nothing about them."""
    return hmac.compare_digest(one.encode(errors="replace"), other.encode(errors="replace"))


def master_secret(name: str, namespace: str, key: MasterKey) -> dict[str, Any]:
    """Return the Secret that keeps the master key."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace, "labels": secret_labels()},
        "type": "Opaque",
        "stringData": master_data(key),
    }


def master_data(key: MasterKey) -> dict[str, str]:
    """Return what the Secret of the master key holds."""
    replaced = "".join(f"{one.data.hex()} {one.at}\n" for one in key.replaced)
    return {names.SECRET_KEY: key.data.hex()} | (
        {names.SECRET_REPLACED: replaced} if replaced else {}
    )


def run_secret(name: str, owner: Mapping[str, Any], namespace: str, key: bytes) -> dict[str, Any]:
    """Return the Secret from which a run's pods get their key; it goes when the Workflow goes."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": secret_labels() | {names.LABEL_RUN: owner["uid"]},
            "ownerReferences": [dict(owner)],
        },
        "type": "Opaque",
        "immutable": True,
        "stringData": {names.SECRET_KEY: key.hex()},
    }


def secret_labels() -> dict[str, str]:
    """Return the labels of every Secret of the operator's."""
    return {names.LABEL_APP_NAME: names.OPERATOR_APP, names.LABEL_MANAGED_BY: names.MANAGED_BY}
