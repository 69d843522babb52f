"""Functions and what they are given of one value (A1), for tests on every host."""

import sys
import textwrap
from types import ModuleType
from typing import Any

import pytest

PROGRAM = """
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Optional, TypedDict, Union
from graflow import task

@dataclass
class Point:
    x: int

class Row(TypedDict):
    a: int

@task
def send():
    return {sent}

@task
def take({parameter}):
    return {name}

got = {got}
"""

# Parameter, the value that its only predecessor sends, and what the parameter is given.
CASES = [
    ("data", "{'data': [1, 2, 3]}", "{'data': [1, 2, 3]}"),
    ("users: int", "{'users': 1200}", "1200"),
    ("users: int", "7", "7"),
    ("users: int", "{'users': 'many'}", "{'users': 'many'}"),
    ("users: int", "{'other': 1}", "{'other': 1}"),
    ("users: dict", "{'users': {'a': 1}}", "{'users': {'a': 1}}"),
    ("users: Any", "{'users': 1}", "{'users': 1}"),
    ("users: Optional[int]", "{'users': None}", "None"),
    ("users: int | None", "{'users': 3}", "3"),
    ("users: Union[int, str]", "{'users': 'one'}", "'one'"),
    ("users: list[int]", "{'users': [1, 2]}", "[1, 2]"),
    ("users: list[int]", "{'users': ['a']}", "{'users': ['a']}"),
    ("users: dict[str, int]", "{'users': {'a': 1}}", "{'a': 1}"),
    ("users: dict[str, int]", "{'users': 1}", "{'users': 1}"),
    ("users: tuple[int, ...]", "{'users': (1, 2)}", "(1, 2)"),
    ("users: Annotated[int, 'positive']", "{'users': 1}", "1"),
    ("mode: Literal['fast', 'slow']", "{'mode': 'fast'}", "'fast'"),
    ("mode: Literal['fast', 'slow']", "{'mode': 'other'}", "{'mode': 'other'}"),
    ("row: Row", "{'row': {'a': 1}}", "{'a': 1}"),
    ("row: Row", "{'a': 1, 'row': 2}", "{'a': 1, 'row': 2}"),
    ("point: Point", "{'point': Point(1)}", "Point(1)"),
    ("point: Point", "Point(2)", "Point(2)"),
    ("points: list[Point]", "{'points': [Point(1)]}", "[Point(1)]"),
    ("users: int, /", "{'users': 1200}", "1200"),
    ("*, users: int", "{'users': 1200}", "1200"),
    ("users: int, *others, limit=1, **more", "{'users': 1200}", "1200"),
]
NAMES = [f"{parameter} <- {sent}" for parameter, sent, _ in CASES]

A2_MESSAGE = (
    "task 'take' has no value for 'extrct', 'limits'; the value of 'extract' can fill one "
    "parameter, not 2: name them after tasks or channel keys; results: extract; "
    "channel keys: limit, other; did you mean 'extract'?; did you mean 'limit'?"
)
"""Of a task with these two parameters after a task `extract`, in a run with these two keys."""


def program(case: tuple[str, str, str], *, texts: bool) -> dict[str, Any]:
    """Run the module of a case and return its globals: `send`, `take` and `got`.

    Args:
        case: One of `CASES`.
        texts: Whether annotations are texts, as `from __future__ import annotations` makes them.
    """
    parameter, sent, got = case
    name = parameter.lstrip("*, ").partition(":")[0].partition(",")[0]
    source = PROGRAM.format(parameter=parameter, sent=sent, name=name, got=got)
    future = "from __future__ import annotations\n" if texts else ""
    module = ModuleType("program_of_a_case")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, module.__name__, module)  # dataclasses look for it
        exec(future + textwrap.dedent(source), module.__dict__)
    return module.__dict__
