"""What the examples become on a cluster."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from graflow.cli.main import cli

EXAMPLES = Path(__file__).parents[2] / "examples"
PROGRAMS = sorted(EXAMPLES.glob("*/workflow.py"))


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.parent.name)
def test_an_example_compiles_to_the_workflow_that_was_reviewed(
    program: Path, golden: Callable[[str, str], None]
) -> None:
    compiled = CliRunner().invoke(cli, ["compile", str(program)])
    assert compiled.exit_code == 0, compiled.stderr
    bundle, workflow = yaml.safe_load_all(compiled.stdout)
    # The code's hash changes with every release of Python and cloudpickle; the plan does not.
    assert workflow["spec"]["bundle"] == {
        "name": bundle["metadata"]["name"],
        "sha256": bundle["spec"]["sha256"],
    }
    workflow["spec"]["bundle"] = {"name": "<code>", "sha256": "<sha256>"}
    text = yaml.safe_dump(workflow, sort_keys=False)
    golden(f"{program.parent.name}.workflow.yaml", text)


def test_every_golden_file_belongs_to_an_example() -> None:
    kept = {file.name for file in Path(__file__).parent.glob("*.workflow.yaml")}
    assert kept == {f"{program.parent.name}.workflow.yaml" for program in PROGRAMS}
