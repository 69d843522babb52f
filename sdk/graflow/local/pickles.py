"""A run at rest as bytes, and back.

Functions of the program's own file travel by value, as they were; imported modules are imported
again. What a task hands over at run time is part of the state.
"""

import io
import pickle
from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import FunctionType
from typing import Any, Final

import cloudpickle

from graflow.compile.captured import blame
from graflow.compile.pickles import of_imported_task
from graflow.dsl.copies import Frozen
from graflow.dsl.flow import Executable, ParallelGroup
from graflow.dsl.graph import TaskGraph
from graflow.dsl.program import Program, carrying_of
from graflow.dsl.services import Services
from graflow.dsl.task import TaskWrapper
from graflow.exceptions import CheckpointError
from graflow.local.rest import Rest
from graflow.machine.codec import UnreadableStateError, decode, encode
from graflow.machine.plan_codec import decode_plan, encode_plan
from graflow.machine.state import Error, Failure, State

KEPT_IN: Final = "cannot be kept in a checkpoint"

_SERVICES: Final = ("llm_client", "prompt_manager", "agents")
"""What a program gives to its runs and a checkpoint keeps where it can; all else of that kind is of
one process: handlers, a tracer."""


def dumped(rest: Rest) -> bytes:
    """Return a run as bytes.

    Raises:
        CheckpointError: If a value or a task cannot be pickled; names it.
    """
    form = {**_program_form(rest.program), **_state_form(rest)}
    try:
        return _dump(form)
    except Exception as error:
        raise _culprit(rest, error) from error


def loaded(data: bytes) -> Rest:
    """Return what `dumped` was given. This runs code that is in the bytes.

    Raises:
        CheckpointError: If the program's modules are not there, or have changed too much.
    """
    try:
        form = pickle.loads(data)  # noqa: S301 - a checkpoint is code, as its page says
        program = _program(form)
        state = decode(program.plan, form["state"])
    except UnreadableStateError as error:
        raise CheckpointError(str(error)) from error
    except Exception as error:
        raise CheckpointError(
            f"the checkpoint is whole, but it cannot be read here: {type(error).__name__}: {error};"
            " go on where the modules of the program can be imported, as they were"
        ) from error
    return Rest(program, state, form["channel"], form["session_id"])


def _program_form(program: Program) -> dict[str, Any]:
    return {
        "name": program.name,
        "plan": encode_plan(program.plan),
        "nodes": dict(program.graph.items()),
        "edges": program.graph.edges,
        "defaults": program.defaults,
        "deadline_s": program.deadline_s,
        "profile": program.profile,
        "trace_id": program.services.trace_id,
        "config": dict(program.services.config),
        "services": dict(_services(program.services)),
    }


def _state_form(rest: Rest) -> dict[str, Any]:
    return {
        "state": encode(_without_details(rest.state)),
        "channel": rest.channel,
        "session_id": rest.session_id,
    }


def _program(form: Mapping[str, Any]) -> Program:
    graph = TaskGraph()
    for key, node in form["nodes"].items():
        graph.add_node(node, key)
    for before, after in form["edges"]:
        graph.add_edge(before, after)
    services = Services(
        session_id=form["session_id"],
        trace_id=form["trace_id"],
        config=form["config"],
        **{name: pickle.loads(data) for name, data in form["services"].items()},  # noqa: S301 - see above
    )
    nodes = dict(graph.items())
    return Program(
        form["name"],
        decode_plan(form["plan"]),
        {key: node for key, node in nodes.items() if isinstance(node, TaskWrapper)},
        graph,
        {key: carrying_of(node) for key, node in nodes.items() if isinstance(node, ParallelGroup)},
        services,
        form["defaults"],
        form["profile"],
        form["deadline_s"],
    )


def _services(services: Services) -> Iterator[tuple[str, bytes]]:
    """Yield what of the services can be kept; the program gives the rest again."""
    for name in _SERVICES:
        try:
            yield name, _dump(getattr(services, name))
        except Exception:  # noqa: BLE001, S112 - clients hold connections, and raise what they like
            continue


def _without_details(state: State) -> State:
    """Return a state whose errors are words: no exception is needed, and not all can be pickled."""
    bare = state.copy()
    bare.failure = _bare_failure(bare.failure)
    for number, activation in bare.activations.items():
        bare.activations[number] = activation._replace(error=_bare(activation.error))
    for scope in bare.scopes.values():
        scope.failure = _bare_failure(scope.failure)
    return bare


def _bare_failure(failure: Failure | None) -> Failure | None:
    return failure and replace(failure, error=replace(failure.error, detail=None))


def _bare(error: Error | None) -> Error | None:
    return error and replace(error, detail=None)


def _dump(value: object) -> bytes:
    buffer = io.BytesIO()
    _Pickler(buffer, protocol=pickle.HIGHEST_PROTOCOL).dump(value)
    return buffer.getvalue()


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle ships no types
    def reducer_override(self, obj: Any) -> Any:  # noqa: ANN401 - as pickle has it
        if type(obj) is FunctionType and (found := of_imported_task(obj)):
            return found
        return super().reducer_override(obj)


def _culprit(rest: Rest, error: Exception) -> CheckpointError:
    """Return the error that names what of a run cannot be pickled."""
    for words, value in _values(rest):
        if failure := _failure(value):
            kind = f"{type(value).__module__}.{type(value).__qualname__}"
            return CheckpointError(
                f"the value of {words} (a {kind}) {KEPT_IN}: {failure}; keep what it is made from"
            )
    for key, node in _nodes(rest):
        if failure := _failure(node):
            form = node.portable() if isinstance(node, TaskWrapper) else node
            return CheckpointError(str(blame(key, form, _dump, failure, KEPT_IN)))
    return CheckpointError(f"the run {KEPT_IN}: {type(error).__name__}: {error}")


def _failure(value: object) -> Exception | None:
    try:
        _dump(value)
    except Exception as error:  # noqa: BLE001 - user objects raise what they like when pickled
        return error
    return None


def _values(rest: Rest) -> Iterator[tuple[str, object]]:
    for key in rest.channel.keys():  # noqa: SIM118 - no dict
        yield f"channel key {key!r}", rest.channel.get(key)
    for scope in rest.state.scopes.values():
        for task, found in scope.results.items():
            yield f"task {task!r}", _held(found[-1].value)
    for activation in rest.state.activations.values():
        yield f"next_iteration of task {activation.node!r}", _held(activation.again)
        for key, value in activation.kept:
            yield f"step {key!r} of task {activation.node!r}", _held(value)


def _held(value: object) -> object:
    return value.held if isinstance(value, Frozen) and not value.pickled else None


def _nodes(rest: Rest) -> Iterator[tuple[str, Executable]]:
    yield from rest.program.graph.items()
    for scope in rest.state.scopes.values():
        yield from scope.plan.payload.items() if scope.plan else ()
