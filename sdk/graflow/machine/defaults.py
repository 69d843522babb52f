"""Limits of a program that names none. Apart from the plan, which pods need not import."""

from typing import Final

MAX_STEPS: Final = 10_000
MAX_CYCLES: Final = 10
MAX_LOSSES: Final = 5
