"""The command `graflow`."""

import sys
from typing import NoReturn

import click

from graflow import __version__
from graflow.cli.exits import MEANINGS, Exit, exit_of
from graflow.cli.gc import gc
from graflow.cli.go_on import checkpoints, fork, resume
from graflow.cli.look import list_, logs, result, status, watch, why
from graflow.cli.people import answer, inbox
from graflow.cli.picture import graph
from graflow.cli.send import compile_, run, submit
from graflow.cli.shell import completion
from graflow.cli.steer import cancel, suspend, unsuspend
from graflow.exceptions import GraflowError

EXIT_CODES = "\n".join(f"  {code:<4d} {meaning}" for code, meaning in MEANINGS.items())


class Graflow(click.Group):
    """The group of all commands, which turns errors into one line and an exit code."""

    def invoke(self, ctx: click.Context) -> object:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except GraflowError as error:
            click.echo(f"graflow: {error}", err=True)
            ctx.exit(exit_of(error))
        except KeyboardInterrupt:
            click.echo("", err=True)
            ctx.exit(Exit.INTERRUPTED)


@click.group(
    cls=Graflow,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=f"\b\nExit codes:\n{EXIT_CODES}",
)
@click.version_option(__version__, message="graflow %(version)s")
def cli() -> None:
    """Run workflows written in Python: on this machine, or as pods on Kubernetes.

    \b
      graflow run workflow.py             on this machine, as `python workflow.py` does
      graflow submit workflow.py --wait   the very same file, each task a pod
      graflow status etl-7f3k9            what it does
      graflow why etl-7f3k9               what it waits for, or why it failed
    """  # noqa: D301 - \b keeps click from filling the lines


for command in (run, submit, compile_, status, why, watch, result, logs, list_, graph):
    cli.add_command(command)
for command in (suspend, unsuspend, cancel, checkpoints, resume, fork, inbox, answer, gc):
    cli.add_command(command)
cli.add_command(completion)


def main() -> NoReturn:
    """Run the command line and end the process with its exit code."""
    try:
        cli.main(prog_name="graflow")
    except BrokenPipeError:  # `graflow logs X | head`
        sys.stderr.close()
    raise SystemExit(Exit.OK)
