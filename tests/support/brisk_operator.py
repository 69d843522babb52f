"""The operator as it is, but less patient.

It compares what it remembers with what exists every few seconds, where what takes three comparisons
takes three minutes otherwise, and gives up sooner on a store that says nothing.
"""

import dataclasses
import sys

import pytest

from graflow.store import s3
from graflow_operator import __main__, settings

RESYNC_S = 2.0
STORE_S = 2


def main():
    """Run the operator and return its exit code."""
    read = settings.read

    def briskly(*args, **kwargs):
        return dataclasses.replace(read(*args, **kwargs), resync_s=RESYNC_S)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settings, "read", briskly)
        patch.setattr(s3, "READ_TIMEOUT_S", STORE_S)
        return __main__.main()


if __name__ == "__main__":
    sys.exit(main())
