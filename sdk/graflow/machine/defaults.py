"""Limits of a program that names none. Apart from the plan, which pods need not import."""

from typing import Final

DEFAULT_MAX_STEPS: Final = 10_000
DEFAULT_MAX_CYCLES: Final = 10
DEFAULT_MAX_LOSSES: Final = 5
