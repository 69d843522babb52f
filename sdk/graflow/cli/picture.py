"""`graflow graph`."""

from collections.abc import Callable, Mapping
from pathlib import Path

import click

from graflow import drawing
from graflow.cli.options import output_option, program_arguments, where_options
from graflow.drawing import Picture
from graflow.machine.plan import GroupPlan, Plan

FORMS: Mapping[str, Callable[[Picture], str]] = {
    "ascii": drawing.outline,
    "mermaid": drawing.mermaid,
    "dot": drawing.dot,
}


@click.command()
@click.argument("source", metavar="FILE|NAME")
@program_arguments
@output_option("ascii", "mermaid", "dot", default="ascii", help="Form of the picture.")
@where_options
def graph(
    source: str, args: tuple[str, ...], output: str, namespace: str | None, context: str | None
) -> None:
    """Draw the workflow of a program, or of a run.

    A program is run up to its first execute(), and no further.

    \b
      graflow graph workflow.py
      graflow graph workflow.py -o mermaid > workflow.mmd
      graflow graph etl-7f3k9 -o dot | dot -Tsvg > etl.svg
    """  # noqa: D301 - \b keeps click from filling the lines
    # Imported here, as in all commands: `graflow --help` starts in no time.
    from graflow.cli.send import captured  # noqa: PLC0415
    from graflow.cluster.plans import plan_in  # noqa: PLC0415
    from graflow.cluster.submit import Target  # noqa: PLC0415

    if Path(source).is_file() or source.endswith(".py"):
        if not Path(source).is_file():
            raise click.UsageError(f"there is no file {source!r}")
        plans: list[Plan] = []
        captured(Path(source), args, lambda program, _: plans.append(program.plan))
        plan = plans[0]
    else:
        workflows = Target(context=context, namespace=namespace).workflows()
        plan = plan_in(workflows.get(source), workflows)
    click.echo(FORMS[output](_picture(plan)))


def _picture(plan: Plan) -> Picture:
    groups = {node.id: node.members for node in plan.nodes if isinstance(node, GroupPlan)}
    return Picture(tuple(plan.by_id), tuple(dict.fromkeys(plan.edges)), plan.start, groups)
