"""A program made ready for a cluster: its CodeBundle and its Workflow."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graflow.api.names import dns_form
from graflow.compile.accepted import check_accepted
from graflow.compile.bundle import Bundle, Contents, pack
from graflow.compile.files import Selection, nothing, select
from graflow.compile.functions import pickle_all
from graflow.compile.place import Place, place
from graflow.compile.services import pickle_services
from graflow.compile.spec import Rest, workflow_of, written
from graflow.dsl.flow import ParallelGroup
from graflow.dsl.plans import Defaults
from graflow.dsl.program import Program

NAME_CHARS = 50  # room for what makes it unique, within the 63 of a label


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """What whoever sends a program may choose."""

    name: str | None = None
    """Name of the Workflow; one made from the workflow's own name when not given."""

    image: str | None = None
    """Image of all tasks that name none."""

    profile: str | None = None
    """RunnerProfile of all tasks that name none; the program's own when not given."""

    include: tuple[str, ...] = ()
    """Files that travel whatever the rules say."""

    files: bool = True
    """Whether the files beside the program travel."""

    deadline_s: int | None = None
    """Longest time of the whole run, in seconds; the program's own when not given."""

    ttl_s: int | None = None
    """Seconds after its end at which the run is deleted; never when not given."""

    checkpoint_every: int | None = None
    """Results of tasks and groups after which a checkpoint is taken, each time."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """What a program becomes."""

    workflow: dict[str, Any]
    """The Workflow resource, named after the workflow."""

    bundle: Bundle

    root: Path
    """The folder that the files are from."""

    tasks: tuple[str, ...]
    """Ids of the tasks."""


def compile_program(
    program: Program,
    options: Options,
    *,
    initial_channel: Mapping[str, object] | None = None,
    where: Place | None = None,
) -> Compiled:
    """Make a program ready for a cluster.

    Args:
        program: What the program has drawn.
        options: What the sender chose.
        initial_channel: Channel keys to set before the start.
        where: Where the program is; by default, where the one that runs in this process is.

    Raises:
        CompileError: If its code or files cannot travel.
        GraphCompilationError: If its plan cannot run.
    """
    check_accepted(program)
    where = where or place()
    selection = _selection(where, options)
    fields = written(program)
    contents = Contents(
        where.program,
        fields,
        _defaults(program.defaults),
        pickle_services(program, selection),
    )
    bundle = pack(pickle_all(_forms(program), selection), selection, contents)
    workflow = workflow_of(
        options.name or resource_name(program.name),
        program,
        fields,
        Rest(
            image=options.image,
            profile=options.profile,
            input=initial_channel,
            deadline_s=options.deadline_s,
            ttl_s=options.ttl_s,
            checkpoint_every=options.checkpoint_every,
        ),
        bundle={"name": bundle.name, "sha256": bundle.sha256},
    )
    return Compiled(workflow, bundle, where.root, tuple(program.tasks))


def _forms(program: Program) -> dict[str, object]:
    """Return all that is code: the tasks, and the policies of the program's own."""
    forms: dict[str, object] = {name: task.portable() for name, task in program.tasks.items()}
    for name, node in program.graph.items():
        if isinstance(node, ParallelGroup) and node.judge is not None:
            forms[name] = node.judge
    return forms


def _defaults(defaults: Defaults) -> dict[str, int]:
    """Return what tasks that say nothing get, for those that other tasks make."""
    given = {"maxCycles": defaults.max_cycles, "maxRetries": defaults.max_retries}
    usual = Defaults()
    known = {"maxCycles": usual.max_cycles, "maxRetries": usual.max_retries}
    return {name: number for name, number in given.items() if number != known[name]}


def resource_name(workflow: str) -> str:
    """Return the name of Workflow resources of a workflow, to which something unique is added.

    >>> resource_name("etl_pipeline")
    'etl-pipeline'
    """
    return dns_form(workflow, limit=NAME_CHARS)


def _selection(where: Place, options: Options) -> Selection:
    if not options.files or (not where.program and not options.include):
        return nothing(where.root)
    return select(where.root, include=options.include)
