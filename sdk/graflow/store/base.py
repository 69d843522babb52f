"""What is asked of a store, and the proof at start-up that it can do it."""

import secrets
from collections.abc import Iterator
from typing import Literal, Protocol

from graflow.store.errors import StoreUnfitError

Method = Literal["GET", "PUT"]
MOST_SIGNED_S = 7 * 86_400
"""For how long S3 signs at most, in seconds."""


class ObjectStore(Protocol):
    """Bytes by key. Every call blocks; all may be made from several threads at once.

    Raises:
        StoreError: By every method; see `graflow.store.errors` for the kinds.
    """

    def get(self, key: str) -> bytes:
        """Return the object; `ObjectMissingError` if there is none."""

    def chunks(self, key: str) -> Iterator[bytes]:
        """Return the object piece by piece, for what is too large to hold."""

    def size(self, key: str) -> int | None:
        """Return the object's size in bytes; None if there is none."""

    def put(self, key: str, data: bytes) -> None:
        """Write the object, whether or not there was one."""

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Write the object unless there is one, and say whether there is none but this now.

        False may also mean that an earlier try of the very same call was written and its answer
        lost: whoever needs to know reads the object and compares.
        """

    def copy(self, source: str, target: str) -> None:
        """Write the bytes of one object under another key too, whether or not there was one.

        `ObjectMissingError` if there is no source. A target that is seen is whole.
        """

    def list(self, prefix: str) -> Iterator[str]:
        """Return the keys that begin with the prefix, in order."""

    def delete(self, key: str) -> None:
        """Remove the object; that there is none is no error."""

    def presign(
        self, method: Method, key: str, *, expires_s: int, only_if_absent: bool = False
    ) -> str | None:
        """Return a URL that allows one method on one key for so many seconds.

        With `only_if_absent` a PUT must carry `If-None-Match: *` and never replaces anything.
        None where objects have no address of their own (memory, folder).
        """

    def credentials_last_s(self) -> float | None:
        """Return for how many seconds what was signed last is believed at most.

        None where nothing but the signature itself ends that.
        """


def require_conditional_put(store: ObjectStore) -> None:
    """Prove that the store never replaces an object that was to be written only if absent.

    Raises:
        StoreUnfitError: If it does; who wrote an outcome first could not be told then.
    """
    key = f".graflow/probe-{secrets.token_hex(8)}"
    try:
        # Whether it is said to be the first does not count: the answer may have been lost once.
        store.put_if_absent(key, b"first")
        second = store.put_if_absent(key, b"second")
        kept = store.get(key)
    finally:
        store.delete(key)
    if second or kept != b"first":
        raise StoreUnfitError(
            "the store ignores 'If-None-Match: *' on PUT, so two writers of one outcome could not"
            " be told apart; use a store with conditional writes (AWS S3, MinIO, Ceph, versitygw)"
        )
