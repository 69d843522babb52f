"""Each way to fail that the page on people lists names tests that exist, in the file it links."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "concepts" / "people.md"
ROW = re.compile(r"^\| (\d+)\. .* \| .* \| (.*) \|$", re.MULTILINE)
HELD = re.compile(r"\]\((\S+\.py)\): (\*[^*]+\*(?:, \*[^*]+\*)*)")
FAILURES = 22


def rows() -> dict[int, str]:
    """Return what holds each way to fail, by its number."""
    return {int(number): held for number, held in ROW.findall(PAGE.read_text())}


def named(held: str) -> Iterator[tuple[Path, str]]:
    """Yield the file and the name of each test that a row names."""
    for file, sentences in HELD.findall(held):
        for sentence in re.findall(r"\*([^*]+)\*", sentences):
            yield (PAGE.parent / file).resolve(), "test_" + sentence.replace(" ", "_")


def functions_of(file: Path) -> set[str]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, kinds)}


def test_every_way_to_fail_is_listed_once_in_order() -> None:
    assert [int(number) for number, _ in ROW.findall(PAGE.read_text())] == [*range(1, FAILURES + 1)]


def test_every_way_to_fail_names_a_test_that_exists() -> None:
    for number, held in rows().items():
        found = [*named(held)]
        assert len(found) == held.count("*") / 2 > 0, f"row {number}: {held}"
        for file, name in found:
            assert name in functions_of(file), f"row {number}: {file.name} has no {name}"
