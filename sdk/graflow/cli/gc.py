"""`graflow gc`: what nothing refers to in the store."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from graflow.cli.options import output_option, where_options
from graflow.cli.told import tell_json

if TYPE_CHECKING:
    from graflow.cluster.garbage import Collected


@click.command()
@click.option("--delete", is_flag=True, help="Delete what is found; without it, only look.")
@click.option(
    "--unmarked",
    is_flag=True,
    help="With --delete: also what no mark says the owner of. Only where no other cluster uses the "
    "bucket.",
)
@output_option("text", "json", default="text", help="Form of the output.")
@where_options
def gc(
    *,
    delete: bool,
    unmarked: bool,
    output: str,
    namespace: str | None,
    context: str | None,
) -> None:
    """Find what nothing refers to in the store, and delete it.

    Of runs that have ended: values, states and checkpoints that nothing leads to. Of Workflows that
    are deleted: all that they had, where the operator is not set to do that by itself or could not.
    Of a run that goes on nothing is ever touched.

    It is the operator that looks and deletes: you need no access to the store, but may have to be
    allowed to list, and with --delete to delete, the Workflows of the namespace.

    \b
      graflow gc -n team                what is there, and how large it is
      graflow gc -n team --delete       deletes it, and says what
      graflow gc -n team -o json | jq '[.found[].bytes] | add'
    """  # noqa: D301 - \b keeps click from filling the lines
    # Imported here, as in all commands: `graflow --help` starts in no time.
    from graflow.cluster.garbage import collect  # noqa: PLC0415
    from graflow.cluster.submit import Target  # noqa: PLC0415

    if unmarked and not delete:
        raise click.UsageError("--unmarked goes with --delete; without it all are shown")
    target = Target(context=context, namespace=namespace)
    where = target.workflows().namespace
    collected = collect(target.server(), where, delete=delete, unmarked=unmarked)
    if output == "json":
        found = [asdict(one) for one in collected.found]
        told = {"found": found, "goingOn": collected.going_on}
        tell_json(told)
    else:
        _show(collected, where, delete=delete)


def _show(collected: "Collected", namespace: str, *, delete: bool) -> None:
    """Print a line for each run, and say what is left alone and what it is in all."""
    from graflow.cli.show import show_garbage  # noqa: PLC0415
    from graflow.compile.bundle import size_text  # noqa: PLC0415

    garbage = [one for one in collected.found if not one.left]
    if garbage:
        show_garbage(garbage)
    for one in collected.found:
        if one.left:
            click.echo(f"left alone: {one.name or one.uid}: {one.left}", err=True)
    if collected.going_on:
        click.echo(f"not looked at: runs that go on, {collected.going_on}", err=True)
    if not garbage:
        click.echo(f"nothing in the store of namespace {namespace} is left over", err=True)
        return
    kept = [one for one in garbage if not one.deleted]
    for verb, some in (("deleted", [one for one in garbage if one.deleted]), ("found", kept)):
        if some:
            count, size = sum(one.objects for one in some), sum(one.bytes for one in some)
            what = "object" if count == 1 else "objects"
            click.echo(f"{verb}: {count} {what}, {size_text(size)}", err=True)
    if kept:
        way = "--unmarked deletes them, too" if delete else "--delete deletes them"
        click.echo(way, err=True)
