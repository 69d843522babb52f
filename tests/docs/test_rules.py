"""Every rule that users are told has a test that carries its number."""

import ast
import re
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "concepts" / "state-machine.md"
RULE = re.compile(r"[A-Z]\d+")


def rules_told() -> list[str]:
    """The numbers that stand in bold at the beginning of the page's items."""
    return re.findall(rf"^\s*- \*\*({RULE.pattern})\b", PAGE.read_text(), re.MULTILINE)


def rules_tested() -> Iterator[str]:
    """The numbers in names and docstrings: `test_r3_…` and `Barriers wait (G1)`."""
    for file in TESTS.rglob("test_*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield from RULE.findall(ast.get_docstring(node) or "")
                words = node.name.removeprefix("test_").upper().split("_")
                yield from takewhile(RULE.fullmatch, words)


def test_every_rule_that_is_told_has_a_test_of_its_number() -> None:
    told = rules_told()
    assert told, f"{PAGE} lists its rules as `- **R1** …`"
    assert sorted(set(told) - set(rules_tested())) == []


def test_every_rule_is_told_once() -> None:
    told = rules_told()
    assert sorted(rule for rule in set(told) if told.count(rule) > 1) == []
