"""`graflow status`, `why`, `watch`, `result`, `logs`, `list`: commands that look at runs."""

import json
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from graflow.cli.options import output_option, where_options
from graflow.cli.told import tell_json, tell_list
from graflow.exceptions import GraflowError

if TYPE_CHECKING:
    from graflow.cluster.run import Run
    from graflow.cluster.workflows import Workflows


@click.command()
@click.argument("name")
@output_option("text", "wide", "json", default="text", help="Form of the output.")
@click.option(
    "--transitions",
    is_flag=True,
    help="Show all that the tasks have decided while they ran, and nothing else.",
)
@where_options
def status(
    name: str,
    output: str,
    transitions: bool,  # noqa: FBT001 - click gives it by name
    namespace: str | None,
    context: str | None,
) -> None:
    """Show a run: its tasks, what they wait for, why it failed.

    \b
      graflow status etl-7f3k9
      graflow status etl-7f3k9 -o json | jq .phase
      graflow status etl-7f3k9 --transitions     jumps, passes, new tasks, and why
    """  # noqa: D301 - \b keeps click from filling the lines
    # Imported here, as in all commands: `graflow --help` starts in no time.
    from graflow.cli.show import show_status, show_transitions, utc_now  # noqa: PLC0415

    run = run_named(name, namespace, context)
    if transitions:
        moves = run.transitions()
        none = f"no task of {run.name} has decided anything while it ran"
        tell_list(moves, output, entry=lambda one: one.manifest(), show=show_transitions, none=none)
        return
    found = run.status()
    if output == "json":
        head = {"name": run.name, "namespace": run.namespace, "uid": run.uid}
        tell_json(head | found.manifest())
        return
    show_status(run.name, run.namespace, found, wide=output == "wide", now=utc_now())


@click.command()
@click.argument("name")
@click.argument("task", required=False)
@output_option("text", "json", default="text", help="Form of the output.")
@where_options
def why(
    name: str, task: str | None, output: str, namespace: str | None, context: str | None
) -> None:
    """Say why a run does not go on, or what it failed by.

    Of a run that goes on: what each task waits for, since when and until when, in the words of the
    scheduler, the node or the API server, and what to do about it. Of one that failed: what failed
    first, each of its attempts, and the last lines that it printed, also when its pods are gone.

    \b
      graflow why etl-7f3k9             the whole run
      graflow why etl-7f3k9 load        one task of it
      graflow why etl-7f3k9 -o json | jq .failure.log
    """  # noqa: D301 - \b keeps click from filling the lines
    from graflow.cli.show import utc_now  # noqa: PLC0415
    from graflow.cli.show_why import show_why  # noqa: PLC0415

    found = run_named(name, namespace, context).why(task)
    if output == "json":
        tell_json(found.manifest())
    else:
        show_why(found, now=utc_now())


@click.command()
@click.argument("name")
@click.option("--logs", is_flag=True, help="Show what the tasks print, too.")
@where_options
def watch(name: str, logs: bool, namespace: str | None, context: str | None) -> None:  # noqa: FBT001 - click gives it by name
    """Wait for the end of a run and say how it goes.

    Ends with 0 if the run succeeded and with 1 if it did not.
    """
    from graflow.cli.progress import Waiting  # noqa: PLC0415

    run = run_named(name, namespace, context)
    if error := run.failure(Waiting(show_logs=logs).wait(run)):
        raise error


@click.command()
@click.argument("name")
@output_option("text", "json", default="text", help="Form of the output.")
@click.option(
    "--unpickle",
    is_flag=True,
    help="Open a value that is no JSON, with the modules of this folder. This runs code that the "
    "run has written: only for a run that you trust.",
)
@where_options
def result(
    name: str,
    output: str,
    unpickle: bool,  # noqa: FBT001 - click gives it by name
    namespace: str | None,
    context: str | None,
) -> None:
    """Print the value of a run that has ended.

    \b
      graflow result etl-7f3k9
      graflow result etl-7f3k9 -o json | jq '.[0]'
    """  # noqa: D301 - \b keeps click from filling the lines
    from graflow.cluster.values import Pickled  # noqa: PLC0415
    from graflow.values import is_json  # noqa: PLC0415

    run = run_named(name, namespace, context)
    value = _unpickled(run) if unpickle else run.result()
    if isinstance(value, Pickled):
        click.echo(f"the value is pickled ({value.size} bytes); --unpickle opens it", err=True)
        value = {"pickle": {"sha256": value.sha256, "size": value.size}}
    if output == "text" and (isinstance(value, str) or not is_json(value)):
        click.echo(str(value) if isinstance(value, str) else repr(value))
        return
    click.echo(json.dumps(value, ensure_ascii=False, default=repr))


def _unpickled(run: "Run") -> object:
    """Return the value of a run, whose classes may be in modules beside the program.

    Raises:
        GraflowError: If it cannot be opened here.
    """
    sys.path.insert(0, str(Path.cwd()))
    try:
        return run.result(unpickle=True)
    except (ImportError, AttributeError) as error:
        raise GraflowError(
            f"the value of {run.name} cannot be opened here: {error}; call `graflow result` in the "
            "folder of the program, with the packages that it imports"
        ) from error
    finally:
        sys.path.pop(0)


@click.command()
@click.argument("name")
@click.argument("task", required=False)
@click.option("-f", "--follow", is_flag=True, help="Go on until the run has ended.")
@where_options
def logs(
    name: str,
    task: str | None,
    follow: bool,  # noqa: FBT001 - click gives it by name
    namespace: str | None,
    context: str | None,
) -> None:
    """Print what the tasks of a run have printed, or one TASK.

    \b
      graflow logs etl-7f3k9            every line begins with [<task>]
      graflow logs etl-7f3k9 load       that task's own words
      graflow logs etl-7f3k9 -f         as it is printed
    """  # noqa: D301 - \b keeps click from filling the lines
    for line in run_named(name, namespace, context).logs(task, follow=follow):
        click.echo(line)


@click.command("list")
@output_option("text", "json", default="text", help="Form of the output.")
@where_options
def list_(output: str, namespace: str | None, context: str | None) -> None:
    """List the runs of a namespace, the newest first."""
    from graflow.cli.show import show_list, utc_now  # noqa: PLC0415

    workflows = _workflows(namespace, context)
    found = workflows.all()
    tell_list(
        found,
        output,
        entry=lambda one: _head(one["metadata"], one.get("status") or {}),
        show=partial(show_list, now=utc_now()),
        none=f"no workflows in namespace {workflows.namespace}",
    )


def _head(metadata: dict[str, str], status: dict[str, object]) -> dict[str, object]:
    kept = ("phase", "reason", "progress", "startTime", "completionTime")
    return {
        "name": metadata["name"],
        "created": metadata["creationTimestamp"],
        **{key: status[key] for key in kept if key in status},
    }


def _workflows(namespace: str | None, context: str | None) -> "Workflows":
    from graflow.cluster.submit import Target  # noqa: PLC0415

    return Target(context=context, namespace=namespace).workflows()


def run_named(
    name: str, namespace: str | None, context: str | None, *, uid: str | None = None
) -> "Run":
    """Return the run that the options of a command mean; with a uid it may be deleted."""
    from graflow.cluster.run import Run  # noqa: PLC0415

    workflows = _workflows(namespace, context)
    return Run.named(workflows, name) if uid is None else Run(workflows, name, uid)
