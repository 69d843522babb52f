"""Golden files: what was written before, or with `--update-golden` what is written now."""

from collections.abc import Callable
from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write the golden files anew instead of comparing with them",
    )


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare text with a golden file beside the tests."""

    def compare(name: str, text: str) -> None:
        file = Path(__file__).parent / name
        if request.config.getoption("--update-golden"):
            file.write_text(text)
        assert file.exists(), f"{file} is missing; pytest tests/golden --update-golden writes it"
        assert text == file.read_text(), "pytest tests/golden --update-golden accepts the change"

    return compare
