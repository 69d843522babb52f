"""Options that several commands have."""

import json
import re
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import click

LONGEST_S = 2_147_483_647

Command = TypeVar("Command", bound=Callable[..., Any])


class Duration(click.ParamType[int]):
    """Seconds, or a number with s, m, h or d behind it."""

    name = "duration"
    _units = MappingProxyType({"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400})
    _form = re.compile(r"^(?P<number>\d{1,9})(?P<unit>[smhd]?)$")

    def __init__(self, *, least: int) -> None:
        """Take the shortest one, in seconds."""
        self._least = least

    def convert(
        self,
        value: Any,  # noqa: ANN401 - click's own signature
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> int:
        """Return it in seconds."""
        found = self._form.match(str(value))
        if found is None:
            self.fail(f"{value!r} is no time; write seconds, or 90m, 12h, 7d", param, ctx)
        seconds = int(found["number"]) * self._units[found["unit"]]
        if not self._least <= seconds <= LONGEST_S:
            self.fail(f"{value!r} is not between {self._least} s and {LONGEST_S} s", param, ctx)
        return seconds


class Value(click.ParamType[tuple[str, object]]):
    """A name and a value: JSON where it can be read as that, and text otherwise."""

    name = "value"

    def __init__(self, form: str) -> None:
        """Take what it looks like, for people."""
        self._form = form

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """Return what it looks like."""
        del param, ctx
        return self._form

    def convert(
        self,
        value: Any,  # noqa: ANN401 - click's own signature
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> tuple[str, object]:
        """Return both."""
        if isinstance(value, tuple):  # click converts twice
            return value
        name, equals, text = str(value).partition("=")
        if not name or not equals:
            self.fail(f"{value!r} is not of the form {self._form}", param, ctx)
        try:
            return name, json.loads(text, parse_constant=_refused)
        except (ValueError, RecursionError):
            return name, text


def _refused(constant: str) -> object:
    """Say that NaN and Infinity, which Python reads, are no JSON."""
    raise ValueError(constant)


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


_SENDING = (
    click.option("--no-files", is_flag=True, help="Send the code alone, not the files beside it."),
    click.option(
        "--include",
        multiple=True,
        metavar="PATTERN",
        help="Send this file, folder or pattern too, whatever .gitignore says and even if it "
        "looks like a secret. May be given several times.",
    ),
    click.option(
        "--ttl",
        type=Duration(least=0),
        help="Delete the run, its pods and values this long after its end: 3600, 90m, 12h, 7d.",
    ),
    click.option(
        "--checkpoint-every",
        type=click.IntRange(min=1),
        metavar="N",
        help="Take a checkpoint after every N results of tasks and groups, for `graflow fork`.",
    ),
    click.option(
        "--deadline",
        type=Duration(least=1),
        help="Stop the run after this long, as failed; the program's own deadline when not given.",
    ),
    click.option("--profile", help="RunnerProfile of all tasks that name none."),
    click.option("--image", help="Image of all tasks that name none."),
    click.option("--name", help="Name of the Workflow; by default a new one."),
)


def sending_options(command: Callable[..., None]) -> Callable[..., None]:
    """Take what the sender of a program may choose, as `options`."""

    @wraps(command)
    def with_options(  # noqa: PLR0913 - one parameter for each option
        *args: Any,  # noqa: ANN401 - passed on
        name: str | None,
        image: str | None,
        profile: str | None,
        include: tuple[str, ...],
        no_files: bool,
        deadline: int | None,
        ttl: int | None,
        checkpoint_every: int | None,
        **others: Any,  # noqa: ANN401 - passed on
    ) -> None:
        # Imported here, as in all commands: `graflow --help` starts in no time.
        from graflow.compile.program import Options  # noqa: PLC0415

        options = Options(
            name=name,
            image=image,
            profile=profile,
            include=include,
            files=not no_files,
            deadline_s=deadline,
            ttl_s=ttl,
            checkpoint_every=checkpoint_every,
        )
        command(*args, options=options, **others)

    for option in _SENDING:
        with_options = option(with_options)
    return with_options


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
