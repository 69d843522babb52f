"""The pod's termination message: the outcome's copy that needs no network."""

import os
from typing import Final

from graflow_runner.environment import say

MAX_BYTES: Final = 3584
"""The kubelet cuts at 4 096 bytes without a word; this leaves room."""


def write(path: str, message: bytes) -> None:
    """Replace the termination message, in one write, so that no half of it is ever read.

    The file is the kubelet's; where it does not exist there is no kubelet, and none is made.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_TRUNC)
        try:
            os.write(descriptor, message)
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        pass
    except OSError as error:
        say(f"the termination message cannot be written: {error}")
