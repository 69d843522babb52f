"""Clients, agents and prompts of a program, by value, for its pods."""

from collections.abc import Iterator

from graflow.compile.errors import CaptureError
from graflow.compile.files import Selection
from graflow.compile.functions import pickle_all
from graflow.dsl.program import Program
from graflow.dsl.services import Services

_ID = ""  # an id that no task has, in what pickling says


def pickle_services(program: Program, selection: Selection) -> bytes | None:
    """Return the pickle of what a program gives to its runs; None if that is nothing.

    Raises:
        CaptureError: If something of it cannot travel; says what.
    """
    form = program.services.portable()
    if not form:
        return None
    try:
        return pickle_all({_ID: form}, selection)[_ID].code
    except CaptureError:
        for what, part in _parts(program.services):
            try:
                pickle_all({_ID: part}, selection)
            except CaptureError as error:
                told = str(error).removeprefix(f"task {_ID!r} ")
                raise CaptureError(f"{what} {told}") from error
        raise


def _parts(services: Services) -> Iterator[tuple[str, object]]:
    """Yield what is given, each with words for it."""
    yield "the llm_client", services.llm_client
    yield "the prompt_manager", services.prompt_manager
    for name, agent in services.agents.items():
        yield (
            (
                f"agent {name!r} (give a function that makes it instead: the pod calls it, as in "
                f"register_llm_agent({name!r}, lambda context: …))"
            ),
            agent,
        )
