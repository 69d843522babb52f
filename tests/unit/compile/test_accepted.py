"""What is accepted and ignored on a cluster says so; what would change what runs is refused."""

import threading
import warnings
from pathlib import Path
from typing import Any

import pytest

from graflow.compile.accepted import IgnoredOnClusterWarning
from graflow.compile.errors import CaptureError, UnsupportedError
from graflow.compile.place import Place
from graflow.compile.program import Options, compile_program
from graflow.core.context import ExecutionContext
from graflow.core.engine import WorkflowEngine
from graflow.core.handlers.direct import DirectTaskHandler
from graflow.core.task import TaskWrapper, parallel
from graflow.core.workflow import workflow
from graflow.dsl.host import use_host
from graflow.dsl.program import Program
from graflow.trace import NoopTracer


def told(program: Program, tmp_path: Path) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        compile_program(program, Options(), where=Place(tmp_path, "w.py"))
    assert {warning.category for warning in caught} <= {IgnoredOnClusterWarning}
    assert {warning.filename for warning in caught} <= {__file__}, "the program's own line"
    return [str(warning.message) for warning in caught]


class Compiling:
    """A host that compiles what a program executes."""

    def __init__(self, tmp_path: Path) -> None:
        self.tmp_path = tmp_path
        self.told: list[str] = []

    def execute(
        self, program: Program, *, initial_channel: object, ret_context: bool
    ) -> tuple[None, ExecutionContext]:
        del initial_channel, ret_context
        self.told = told(program, self.tmp_path)
        return None, ExecutionContext(program.graph)


def test_a_program_that_asks_for_nothing_of_the_kind_is_told_nothing(tmp_path: Path) -> None:
    with workflow("w") as wf:
        parallel(TaskWrapper("a", print), TaskWrapper("b", print)).with_execution("threading")
    assert told(wf.program(), tmp_path) == []


def test_each_thing_that_is_ignored_is_named_once(tmp_path: Path) -> None:
    with workflow("w", tracer=NoopTracer()) as wf:
        wf.set_redis_client(object())
        group = TaskWrapper("a", print, handler_type="docker") | TaskWrapper("b", print)
        group.with_execution("redis", {"thread_count": 2})
        TaskWrapper("c", print, handler_type="docker")
    found = told(wf.program(), tmp_path)
    assert [words.removeprefix("ignored on a cluster: ").split(";")[0] for words in found] == [
        "the tracer, a NoopTracer",
        "set_redis_client(…)",
        "the handler 'docker' of 'a', 'c'",
        "the backend 'redis' of group 'ParallelGroup_1'",
        "the thread_count 2 of group 'ParallelGroup_1'",
    ]


def test_what_a_context_is_given_is_named_too(tmp_path: Path) -> None:
    with workflow("w") as wf:
        TaskWrapper("a", print)
    context = ExecutionContext(
        wf.graph, "a", config={"a": 1}, channel_backend="redis", session_id="s", trace_id="t"
    )
    host = Compiling(tmp_path)
    with use_host(host):
        context.execute()
    assert [words.removeprefix("ignored on a cluster: ") for words in host.told] == [
        "config={'a': 1}",
        "session_id='s'",
        "trace_id='t'",
        "channel_backend='redis'",
    ]


@pytest.mark.parametrize("name", ["direct", "gpu"])
def test_a_handler_of_the_programs_own_is_refused_with_the_way_out(
    name: str, tmp_path: Path
) -> None:
    with workflow("w") as wf:
        TaskWrapper("a", print, handler_type=name)
    engine = WorkflowEngine()
    engine.register_handler(name, DirectTaskHandler())
    with (
        use_host(Compiling(tmp_path)),
        pytest.raises(UnsupportedError, match="each task has a pod"),
    ):
        engine.execute(ExecutionContext.create(wf.graph))


class Agent:
    """An agent that holds what cannot travel."""

    def __init__(self, **held: Any) -> None:
        self.held = held

    def run(self, text: str) -> str:
        return text


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        (Agent(lock=threading.Lock()), r"agent 'x' \(give a function that makes it instead.*lock"),
        (lambda _: _LOCK, r"agent 'x' .*the variable '_LOCK' \(a _thread.lock\)"),
    ],
)
def test_an_agent_that_cannot_travel_is_named_with_the_way_out(
    agent: Any, words: str, tmp_path: Path
) -> None:
    with workflow("w") as wf:
        TaskWrapper("a", print)
        wf.register_llm_agent("fine", Agent())
        wf.register_llm_agent("x", agent)
    with pytest.raises(CaptureError, match=words):
        told(wf.program(), tmp_path)


_LOCK = threading.Lock()
