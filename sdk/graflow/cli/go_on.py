"""`graflow checkpoints`, `resume`, `fork`: go on from where a run stood."""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from graflow.cli.look import run_named
from graflow.cli.options import Value, output_option, program_arguments, where_options
from graflow.cli.told import tell_list

if TYPE_CHECKING:
    from graflow.cluster.forks import Fork
    from graflow.cluster.run import Run
    from graflow.compile.program import Compiled

Command = Callable[..., None]


def beginning_options(command: Command) -> Command:
    """Take what is said about the Workflow that is created, about its end, and where."""
    command = output_option("text", "json", default="text", help="Form of the output.")(
        where_options(command)
    )
    for option in (
        click.option("--quiet", is_flag=True, help="With --wait: do not show what tasks print."),
        click.option("--wait", is_flag=True, help="Wait for its end; exit with 1 if it fails."),
        click.option("--name", "new", help="Name of the new Workflow; by default a free one."),
    ):
        command = option(command)
    return command


def values_option(option: str, name: str, form: str, what: str) -> Callable[[Command], Command]:
    """Take values by name."""
    words = f"{what}: JSON, or else text. May be given several times."
    return click.option(option, name, multiple=True, type=Value(form), help=words)


@click.command()
@click.argument("name")
@click.option("--all", "all_", is_flag=True, help="Show all of them, not just the last 10.")
@output_option("text", "json", default="text", help="Form of the output.")
@where_options
def checkpoints(
    name: str,
    all_: bool,  # noqa: FBT001 - click gives it by name
    output: str,
    namespace: str | None,
    context: str | None,
) -> None:
    """List the checkpoints of a run, the oldest first.

    A checkpoint is taken where a task calls ctx.checkpoint(), after every so many results with
    `graflow submit --checkpoint-every`, and at the end of a run. `graflow fork` goes on from one.

    \b
      graflow checkpoints etl-7f3k9                      the last 10
      graflow checkpoints etl-7f3k9 --all -o json | jq '.[].seq'
      graflow fork etl-7f3k9 --at 12                     a new run, from one of them
    """  # noqa: D301 - \b keeps click from filling the lines
    # Imported here, as in all commands: `graflow --help` starts in no time.
    from graflow.cli.show import show_checkpoints  # noqa: PLC0415

    run = run_named(name, namespace, context)
    found = run.checkpoints(newest=not all_)
    none = f"workflow {name} has no checkpoint yet"
    tell_list(found, output, entry=lambda one: one.manifest(), show=show_checkpoints, none=none)


@click.command()
@click.argument("name")
@beginning_options
def resume(  # noqa: PLR0913 - one parameter for each option
    name: str,
    *,
    new: str | None,
    wait: bool,
    quiet: bool,
    output: str,
    namespace: str | None,
    context: str | None,
) -> None:
    """Go on where a run has ended that failed or was cancelled.

    It goes on as another run, whose name is printed: with the same code, the same channel, and all
    results that there were. What had succeeded does not run again; what had failed, and what was
    under way, begins anew. The run that it goes on from stays as it is, and may be deleted.

    A run that is only suspended goes on with `graflow unsuspend`. One that has succeeded has
    nothing left to run: `graflow fork` runs a part of it again, or goes on with other code.

    \b
      graflow resume etl-7f3k9                     prints etl-7f3k9-resumed-1
      graflow resume etl-7f3k9 --wait              and shows what its tasks print
    """  # noqa: D301 - \b keeps click from filling the lines
    run = run_named(name, namespace, context)
    begun = run.resume(name=new)
    _begun(run, begun, output)
    if wait:
        _wait(begun, quiet=quiet)


@click.command()
@click.argument("name")
@click.option(
    "--at",
    type=click.IntRange(min=0),
    metavar="SEQ",
    help="Checkpoint to go on from, as `graflow checkpoints NAME` lists them. By default the state "
    "in which the run has ended, or the newest checkpoint of one that goes on.",
)
@values_option("--set", "keys", "KEY=VALUE", "Give a key of the channel another value")
@values_option("--result", "results", "TASK=VALUE", "Let a task have had another result")
@click.option(
    "--rerun",
    multiple=True,
    metavar="TASK",
    help="Run a task or group again, with what comes after it. May be given several times.",
)
@click.option(
    "--file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Go on with the code of this program; arguments after -- are its own.",
)
@click.option(
    "--uid",
    help="Uid of a run whose Workflow is deleted, while the store still has it; with --file, since"
    " its code is deleted too. `graflow status -o json` has shown it.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be different; print the YAML.")
@beginning_options
@program_arguments
def fork(  # noqa: PLR0913 - one parameter for each option
    name: str,
    *,
    at: int | None,
    keys: tuple[tuple[str, object], ...],
    results: tuple[tuple[str, object], ...],
    rerun: tuple[str, ...],
    file: Path | None,
    uid: str | None,
    dry_run: bool,
    new: str | None,
    wait: bool,
    quiet: bool,
    output: str,
    namespace: str | None,
    context: str | None,
    args: tuple[str, ...],
) -> None:
    """Begin another run from a checkpoint of a run, with changes.

    What had succeeded by then does not run again, unless --rerun says so. The run that it goes on
    from stays as it is, whether it goes on or has ended; status.resumedFrom of the new one says
    where it comes from and what is different.

    \b
      graflow checkpoints etl-7f3k9                        what can be gone on from
      graflow fork etl-7f3k9 --at 12                       prints etl-7f3k9-fork-1
      graflow fork etl-7f3k9 --at 12 --set rate=0.5 --set mode=slow
      graflow fork etl-7f3k9 --result load='{"rows": 3}'   as if load had returned that
      graflow fork etl-7f3k9 --rerun report --wait         report again, and what comes after it
      graflow fork etl-7f3k9 --file fixed.py --dry-run     which tasks have other code?
      graflow fork etl-7f3k9 --uid 0a1b2c3d-… --file etl.py   it was deleted by mistake
    """  # noqa: D301 - \b keeps click from filling the lines
    from graflow.cluster.forks import Changes  # noqa: PLC0415

    run = run_named(name, namespace, context, uid=uid)
    changes = Changes(
        at=at,
        set=_once(keys, "--set"),
        results=_once(results, "--result"),
        rerun=rerun,
        code=_code(file, args),
    )
    made = run.forked(changes)
    for sentence in made.changes:
        click.echo(sentence, err=True)
    if dry_run:
        _tell_parcel(made, new or made.base, with_code=file is not None)
        return
    begun = run.begin(made, new)
    _begun(run, begun, output, made.changes)
    if wait:
        _wait(begun, quiet=quiet)


def _once(given: tuple[tuple[str, object], ...], option: str) -> dict[str, object]:
    found = dict(given)
    if len(found) != len(given):
        names = [name for name, _ in given]
        twice = next(name for name in names if names.count(name) > 1)
        raise click.UsageError(f"{option} gives {twice!r} twice; once will do")
    return found


def _code(file: Path | None, args: tuple[str, ...]) -> "Compiled | None":
    """Compile the program that a run is to go on with."""
    from graflow.cli.progress import tell_files  # noqa: PLC0415
    from graflow.cli.send import compiled  # noqa: PLC0415
    from graflow.compile.program import Options  # noqa: PLC0415

    if file is None:
        if args:
            raise click.UsageError("arguments after -- are those of the program that --file names")
        return None
    found = compiled(file, args, Options())
    tell_files(found)
    return found


def _tell_parcel(fork: "Fork", name: str, *, with_code: bool) -> None:
    """Print on stdout what would be created, for `kubectl apply --server-side`."""
    import yaml  # noqa: PLC0415

    workflow: Mapping[str, Any] = {
        "apiVersion": fork.workflow["apiVersion"],
        "kind": fork.workflow["kind"],
        "metadata": {"name": name},
        "spec": fork.workflow["spec"],
    }
    documents = [fork.bundle, workflow] if with_code else [workflow]
    width = sys.maxsize  # the zip is one word of half a megabyte
    click.echo(yaml.safe_dump_all(documents, sort_keys=False, width=width), nl=False)


def _begun(source: "Run", run: "Run", output: str, changes: tuple[str, ...] = ()) -> None:
    """Say on stdout which run it is that goes on."""
    click.echo(f"workflow {run.name} goes on from {source.name}", err=True)
    if output == "json":
        told = {"name": run.name, "namespace": run.namespace, "uid": run.uid}
        from_ = {"name": source.name, "uid": source.uid}
        click.echo(json.dumps({**told, "from": from_, "changes": changes}, ensure_ascii=False))
    else:
        click.echo(run.name)


def _wait(run: "Run", *, quiet: bool) -> None:
    from graflow.cli.progress import Waiting  # noqa: PLC0415

    if error := run.failure(Waiting(show_logs=not quiet).wait(run)):
        raise error
