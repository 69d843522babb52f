"""Every error of a store.

* StoreError
  + ObjectMissingError      there is no object of that key
  + ObjectCorruptError      the object is not the one that was written
  + StoreUnavailableError   no answer, or one that says "later"; trying again may help
  + StoreRefusedError       the store said no (credentials, rights); trying again does not help
  + StoreUnfitError         the store lacks something that correctness rests on
"""


class StoreError(Exception):
    """The store did not do what was asked."""


class ObjectMissingError(StoreError):
    """There is no object of that key."""

    def __init__(self, key: str) -> None:
        super().__init__(f"the store has no object {key!r}")
        self.key = key


class ObjectCorruptError(StoreError):
    """The object's bytes are not those that its key names."""

    def __init__(self, key: str, expected: str, found: str) -> None:
        super().__init__(
            f"object {key!r} is corrupt: its bytes have sha256 {found}, and {expected} were"
            " written; somebody or something changed it in the store"
        )
        self.key = key
        self.expected = expected
        self.found = found


class StoreUnavailableError(StoreError):
    """The store did not answer, or asked to come back later."""


class StoreRefusedError(StoreError):
    """The store answered no."""


class StoreUnfitError(StoreError):
    """The store cannot keep a promise that runs depend on."""
