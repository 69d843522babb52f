"""`graflow suspend`, `unsuspend`, `cancel`: hold a run up, let it go on, end it."""

from typing import TYPE_CHECKING, Any

import click

from graflow.cli.options import where_options

if TYPE_CHECKING:
    from graflow.cluster.run import Run


@click.command()
@click.argument("name")
@where_options
def suspend(name: str, namespace: str | None, context: str | None) -> None:
    """Let a run start nothing more until it is unsuspended.

    What runs goes on to its end, and its results are kept. A deadline of the run goes on counting.
    """
    run, spec, ended = _found(name, namespace, context)
    if ended:
        _say(f"workflow {name} has ended already: {ended}; there is nothing to suspend")
    elif spec.get("suspend"):
        _say(f"workflow {name} is suspended already")
    else:
        run.suspend()
        _say(f"workflow {name} is suspended; `graflow unsuspend {_where(run)}` lets it go on")


@click.command()
@click.argument("name")
@where_options
def unsuspend(name: str, namespace: str | None, context: str | None) -> None:
    """Let a suspended run go on where it was."""
    run, spec, ended = _found(name, namespace, context)
    if ended:
        _say(f"workflow {name} has ended already: {ended}; there is nothing to go on with")
    elif not spec.get("suspend"):
        _say(f"workflow {name} is not suspended")
    else:
        run.unsuspend()
        _say(f"workflow {name} goes on")


@click.command()
@click.argument("name")
@click.option("--reason", metavar="TEXT", help="Why, for whoever looks at the run later.")
@click.option("--wait", is_flag=True, help="Wait until the run has ended and no pod of it runs.")
@where_options
def cancel(
    name: str,
    reason: str | None,
    wait: bool,  # noqa: FBT001 - click gives it by name
    namespace: str | None,
    context: str | None,
) -> None:
    """End a run now. What runs is stopped.

    Pods get SIGTERM, so that `finally` blocks run, and SIGKILL after their grace period, 30 seconds
    unless their settings say otherwise. A run that has ended already stays as it is: that is said,
    and the exit code is 0, since nothing of it runs.

    \b
      graflow cancel etl-7f3k9
      graflow cancel etl-7f3k9 --reason "wrong input" --wait
    """  # noqa: D301 - \b keeps click from filling the lines
    run, spec, ended = _found(name, namespace, context)
    if ended:
        _say(f"workflow {name} has ended already: {ended}; there is nothing to cancel")
    elif spec.get("cancel"):
        _say(f"workflow {name} was asked to end before")
    else:
        run.cancel(reason)
        _say(f"workflow {name} is asked to end")
    if wait:
        _wait(run)


def _wait(run: "Run") -> None:
    status = run.wait()
    _say(f"workflow {run.name} has ended: {status.phase or 'Refused'}; waiting for its pods")
    run.wait_for_pods()
    _say(f"no pod of {run.name} runs any more")


def _found(name: str, namespace: str | None, context: str | None) -> "tuple[Run, Any, str]":
    """Return a run, its spec, and how it has ended; "" if it has not."""
    # Imported here, as in all commands: `graflow --help` starts in no time.
    from graflow.cluster.failures import is_over  # noqa: PLC0415
    from graflow.cluster.run import Run, status_of  # noqa: PLC0415
    from graflow.cluster.submit import Target  # noqa: PLC0415

    workflows = Target(context=context, namespace=namespace).workflows()
    found = workflows.get(name)
    status = status_of(found)
    ended = (status.phase or "Refused") if is_over(status) else ""
    return Run.of(workflows, found), found.get("spec") or {}, ended


def _where(run: "Run") -> str:
    return f"{run.name} -n {run.namespace}"


def _say(words: str) -> None:
    click.echo(words, err=True)
