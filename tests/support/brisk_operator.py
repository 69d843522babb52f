"""The operator as it is, but that it compares what it remembers with what exists every few seconds.

What takes three comparisons takes three minutes otherwise.
"""

import dataclasses
import sys

import pytest

from graflow_operator import __main__, settings

RESYNC_S = 2.0


def main():
    """Run the operator and return its exit code."""
    read = settings.read

    def briskly(*args, **kwargs):
        return dataclasses.replace(read(*args, **kwargs), resync_s=RESYNC_S)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settings, "read", briskly)
        return __main__.main()


if __name__ == "__main__":
    sys.exit(main())
