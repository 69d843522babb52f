"""Help, completion, the reference page, and how soon the command line starts."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from graflow.cli.drawing import ascii_art, dot, mermaid
from graflow.cli.exits import MEANINGS, Exit
from graflow.cli.main import cli
from graflow.cli.reference import page
from graflow.machine.plan import GroupPlan, Plan, TaskPlan

REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "cli.md"


@pytest.mark.parametrize("name", ["", *cli.commands])
def test_every_command_explains_itself_without_cut_words(runner: CliRunner, name: str) -> None:
    shown = runner.invoke(cli, [*([name] if name else []), "--help"])
    assert shown.exit_code == 0
    assert "..." not in shown.stdout.replace("]...", "")


def test_every_exit_code_has_a_meaning() -> None:
    assert set(MEANINGS) == set(Exit)


def test_the_reference_page_is_what_the_commands_say() -> None:
    assert REFERENCE.read_text() == page(), "run python -m graflow.cli.reference"


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


PLAN = Plan(
    nodes=(
        *(TaskPlan(name) for name in ("a", "b", "c", "after_b", 'e "x"', "off")),
        GroupPlan("G", ("b", "c")),
    ),
    edges=(("a", "G"), ("b", "after_b"), ("G", 'e "x"'), ('e "x"', "a")),
    start=("a",),
)


def test_an_outline_shows_groups_branches_and_loops() -> None:
    assert ascii_art(PLAN).splitlines() == [
        "a",
        "-> G (parallel)",
        "|| b",
        "|  -> after_b",
        "|| c",
        '-> e "x"',
        "   -> a (above)",
        "",
        "only reached by jumps:",
        "  off",
    ]


def test_mermaid_draws_a_group_around_its_members() -> None:
    lines = mermaid(PLAN).splitlines()
    start = lines.index('  subgraph n6["G"]')
    assert lines[start + 1 : start + 4] == ['    n1["b"]', '    n2["c"]', "  end"]
    assert '  n4["e #quot;x#quot;"]' in lines
    assert "  n0 --> n6" in lines


def test_dot_quotes_names() -> None:
    assert '  "G" -> "e \\"x\\""' in dot(PLAN).splitlines()
