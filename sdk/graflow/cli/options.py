"""Options that several commands have."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def file_argument(command: Command) -> Command:
    """Take the program's file."""
    kind = click.Path(exists=True, dir_okay=False, path_type=Path)
    return click.argument("file", type=kind)(command)


def program_arguments(command: Command) -> Command:
    """Take the program's own arguments, after `--`."""
    return click.argument("args", nargs=-1, metavar="[-- ARGS]...")(command)


def where_options(command: Command) -> Command:
    """Take the namespace and the kubeconfig's context."""
    for option in (
        click.option("--context", help="Context of the kubeconfig; by default the current one."),
        click.option("-n", "--namespace", help="Namespace; by default the context's own."),
    ):
        command = option(command)
    return command


def sending_options(command: Command) -> Command:
    """Take what the sender of a program may choose."""
    for option in (
        click.option(
            "--no-files", is_flag=True, help="Send the code alone, not the files beside it."
        ),
        click.option(
            "--include",
            multiple=True,
            metavar="PATTERN",
            help="Send this file, folder or pattern too, whatever .gitignore says and even if it "
            "looks like a secret. May be given several times.",
        ),
        click.option("--image", help="Image of all tasks that name none."),
        click.option("--name", help="Name of the Workflow; by default a new one."),
    ):
        command = option(command)
    return command


def output_option(*choices: str, default: str, help: str) -> Callable[[Command], Command]:  # noqa: A002 - click's word
    """Take the form of the output."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice(choices),
        default=default,
        show_default=True,
        help=help,
    )
