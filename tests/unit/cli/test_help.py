"""Help, completion, the reference page, and how soon the command line starts."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from graflow.cli.errors_page import errors_page
from graflow.cli.exits import MEANINGS, Exit
from graflow.cli.failures_page import failures_page
from graflow.cli.main import cli
from graflow.cli.reference import page
from graflow.machine import reasons

REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "cli.md"


@pytest.mark.parametrize("name", ["", *cli.commands])
def test_every_command_explains_itself_without_cut_words(runner: CliRunner, name: str) -> None:
    shown = runner.invoke(cli, [*([name] if name else []), "--help"])
    assert shown.exit_code == 0
    assert "..." not in shown.stdout.replace("]...", "")


def test_every_exit_code_has_a_meaning() -> None:
    assert set(MEANINGS) == set(Exit)


def test_the_reference_pages_are_what_the_code_says() -> None:
    assert REFERENCE.read_text() == page(), "run python -m graflow.cli.reference"
    assert (REFERENCE.parent / "errors.md").read_text() == errors_page()
    assert (REFERENCE.parent / "failures.md").read_text() == failures_page()


def test_reasons_with_exceptions_of_their_own_name_them() -> None:
    lines = errors_page().splitlines()
    assert "| `CycleLimitExceeded` | `CycleLimitExceededError` |" in lines
    assert "| `ParallelGroupFailed` | `ParallelGroupError` |" in lines


def test_each_reason_has_a_row_and_what_to_do_about_it() -> None:
    lines = failures_page().splitlines()
    words = {word for name, word in vars(reasons).items() if name.isupper()}
    rows = [line.split("`")[1] for line in lines if line.startswith("| [`")]
    advice = [line.split("`")[1] for line in lines if line.startswith("- <a id=")]
    assert set(rows) == words
    assert rows == advice


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_shells_can_complete_commands(runner: CliRunner, shell: str) -> None:
    assert "_GRAFLOW_COMPLETE" in runner.invoke(cli, ["completion", shell]).stdout


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from graflow.cli.main import cli\n"
        "try:\n    cli(['--help'])\nexcept SystemExit:\n    pass\n"
        "print(*sorted({'kubernetes', 'pydantic', 'rich', 'yaml', 'boto3'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines()[-1] == ""
