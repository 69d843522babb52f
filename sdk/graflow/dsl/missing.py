"""The word for "there is no such value", in places where None is a value."""

from enum import Enum
from typing import Final


class Missing(Enum):
    """Type of `MISSING`."""

    MISSING = "missing"


MISSING: Final = Missing.MISSING
"""No value at all; a task that returned None has the value None."""
