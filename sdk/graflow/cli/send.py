"""`graflow run`, `submit` and `compile`: the commands that run a program."""

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from graflow.cli.exits import Exit
from graflow.cli.options import (
    file_argument,
    program_arguments,
    sending_options,
    where_options,
)

if TYPE_CHECKING:
    from graflow.cluster.host import ClusterHost, StoppingHost
    from graflow.cluster.run import Run
    from graflow.compile.program import Compiled, Options
    from graflow.dsl.program import Program
    from graflow.local.resumed import GoingOn


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@file_argument
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
@click.option(
    "--isolated",
    is_flag=True,
    help="Give every attempt copies of globals and closures, as pods do.",
)
@click.option(
    "--resume",
    metavar="PATH",
    help="Go on from a checkpoint of this program, a file or s3://bucket/key.",
)
def run(file: Path, args: tuple[str, ...], *, isolated: bool, resume: str | None) -> None:
    """Run a program on this machine, as `python FILE` does.

    \b
      graflow run workflow.py
      graflow run workflow.py --rows 100      arguments after FILE are the program's own
      graflow run --isolated workflow.py      tasks share nothing but results and the channel
      graflow run --resume kept.pkl workflow.py

    With --resume the first workflow that the program runs goes on from where the checkpoint was
    taken, with its tasks as they are in the program now. A checkpoint is code: use only your own.
    """  # noqa: D301 - \b keeps click from filling the lines
    # Imported here, as in all commands: `graflow --help` starts in no time.
    from graflow.cli.programs import run_file  # noqa: PLC0415
    from graflow.local import LocalHost  # noqa: PLC0415

    if resume is not None:
        from graflow.local.resumed import GoingOn  # noqa: PLC0415

        host = GoingOn(resume, isolated=isolated)
        with _must_execute(file, host):
            run_file(file, args, host)
        return
    run_file(file, args, LocalHost(isolated=True) if isolated else None)


@click.command()
@file_argument
@program_arguments
@click.option(
    "--wait", is_flag=True, help="Wait for the result, and let the program go on with it."
)
@click.option("--quiet", is_flag=True, help="With --wait: do not show what the tasks print.")
@click.option("--dry-run", is_flag=True, help="Only list what would be sent.")
@sending_options
@where_options
def submit(  # noqa: PLR0913 - one parameter for each option
    file: Path,
    args: tuple[str, ...],
    *,
    wait: bool,
    quiet: bool,
    dry_run: bool,
    options: "Options",
    namespace: str | None,
    context: str | None,
) -> None:
    """Run a program whose workflow runs as pods on a cluster.

    It is the very file that `python FILE` runs. Its execute() sends the workflow, with the code of
    the tasks and the files beside the program, to the cluster. With --wait, execute() returns the
    result and the program goes on; without, the program ends there, and the name of the run is
    printed.

    \b
      graflow submit workflow.py                   prints the name of the run
      graflow submit workflow.py --wait            shows what the tasks print, then goes on
      graflow submit workflow.py --dry-run         lists what would be sent
      graflow submit workflow.py --include .env    sends a file that looks like a secret
      graflow submit workflow.py --deadline 2h --ttl 7d
      graflow submit workflow.py -- --rows 100     arguments after -- are the program's own
    """  # noqa: D301 - \b keeps click from filling the lines
    from graflow.cli.programs import run_file  # noqa: PLC0415
    from graflow.cli.progress import Waiting, tell_begun, tell_parcel  # noqa: PLC0415
    from graflow.cluster.host import ClusterHost  # noqa: PLC0415
    from graflow.cluster.submit import Target  # noqa: PLC0415

    if dry_run:
        tell_parcel(compiled(file, args, options))
        return
    stdout = sys.stdout

    def begun(compiled: "Compiled", run: "Run") -> None:
        tell_begun(compiled, run)
        if not wait:
            click.echo(run.name, file=stdout)
            click.echo("the program ends here; --wait lets it go on with the result", err=True)

    target = Target(context=context, namespace=namespace)
    waiting = Waiting(show_logs=not quiet).wait if wait else None
    host = ClusterHost(target, options, begun=begun, wait=waiting)
    # Nothing but the run's name may be in $(graflow submit FILE).
    aside = contextlib.nullcontext() if wait else contextlib.redirect_stdout(sys.stderr)
    with aside, _must_execute(file, host):
        run_file(file, args, host)


@click.command("compile")
@file_argument
@program_arguments
@sending_options
@click.option("-n", "--namespace", help="Namespace to write into the objects.")
def compile_(
    file: Path,
    args: tuple[str, ...],
    *,
    options: "Options",
    namespace: str | None,
) -> None:
    """Print what a program becomes on a cluster, as YAML.

    The program is run up to its first execute(), and no further. What comes out is its CodeBundle
    and its Workflow, named after the workflow: the same program gives the same text.

    \b
      graflow compile workflow.py | kubectl apply --server-side -f -
      graflow compile workflow.py --name nightly > nightly.yaml
    """  # noqa: D301 - \b keeps click from filling the lines
    import yaml  # noqa: PLC0415

    from graflow.cli.progress import tell_files  # noqa: PLC0415

    made = compiled(file, args, options)
    tell_files(made)
    documents = [made.bundle.resource(), made.workflow]
    if namespace:
        for document in documents:
            document["metadata"]["namespace"] = namespace
    width = sys.maxsize  # the zip is one word of half a megabyte
    click.echo(yaml.safe_dump_all(documents, sort_keys=False, width=width), nl=False)


def captured(
    file: Path,
    args: tuple[str, ...],
    take: "Callable[[Program, Mapping[str, object] | None], None]",
) -> None:
    """Run a program up to its first execute(), and hand over what it would have executed.

    Raises:
        click.UsageError: If it executes nothing.
        GraflowError: If it drew what cannot run.
    """
    from graflow.cli.programs import run_file  # noqa: PLC0415
    from graflow.cluster.host import StoppingHost  # noqa: PLC0415

    host = StoppingHost(take)
    with contextlib.redirect_stdout(sys.stderr), _must_execute(file, host):
        run_file(file, args, host, failed=Exit.INVALID)


def compiled(file: Path, args: tuple[str, ...], options: "Options") -> "Compiled":
    """Compile a program while it stands at its first execute()."""
    from graflow.compile.program import compile_program  # noqa: PLC0415

    found: list[Compiled] = []

    def take(program: "Program", initial_channel: "Mapping[str, object] | None") -> None:
        found.append(compile_program(program, options, initial_channel=initial_channel))

    captured(file, args, take)
    return found[0]


@contextlib.contextmanager
def _must_execute(file: Path, host: "ClusterHost | StoppingHost | GoingOn") -> Iterator[None]:
    """Let a program run to where its host stops it, and refuse one that never gets there.

    Raises:
        click.UsageError: If it executes nothing.
    """
    from graflow.cluster.host import ProgramStopped  # noqa: PLC0415

    try:
        yield
    except ProgramStopped:
        return
    except SystemExit as end:
        if end.code or host.used:
            raise
    if not host.used:
        raise click.UsageError(
            f"{file} came to its end without executing a workflow; call wf.execute() in it, where "
            f"`python {file}` gets there too"
        )
