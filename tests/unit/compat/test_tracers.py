"""Tracers hear of runs on this machine: workflow, tasks, groups, and what tasks ask for."""

import re
import sys
import types
import xml.etree.ElementTree as ET

import pytest

from graflow.core.context import ExecutionContext
from graflow.core.engine import WorkflowEngine
from graflow.core.task import Task, TaskWrapper, parallel
from graflow.core.workflow import workflow
from graflow.exceptions import ConfigError, GraflowRuntimeError, MissingPackageError
from graflow.local.tracing import TracerWarning
from graflow.trace import ConsoleTracer, NoopTracer, Tracer


class Told(Tracer):
    """Writes down what it hears, with its clones in the same list."""

    def __init__(self, heard=None, branch=""):
        super().__init__()
        self.heard = [] if heard is None else heard
        self.branch = branch

    def clone(self, trace_id):
        return Told(self.heard, self.branch + ">")

    def note(self, *what):
        self.heard.append((self.branch + str(what[0]), *what[1:]))

    def on_task_queued(self, task, context):
        self.note("queued", task.task_id)

    def on_parallel_group_start(self, group_id, member_ids, context):
        super().on_parallel_group_start(group_id, member_ids, context)
        self.note("group", group_id, member_ids)

    def on_parallel_group_end(self, group_id, member_ids, context, results=None):
        self.note("group end", group_id, results)

    def on_dynamic_task_added(self, task_id, parent_task_id=None, *args):
        self.note("added", task_id, parent_task_id, args[0])

    def _output_trace_start(self, name, trace_id, metadata):
        self.note("trace", name, metadata["start_node"])

    def _output_trace_end(self, name, output, metadata):
        self.note("trace end", name, output, metadata.get("error_type"), metadata["steps"])

    def _output_span_start(self, name, parent_name, metadata):
        self.note("span", name, parent_name, metadata["handler_type"])

    def _output_span_end(self, name, output, metadata):
        self.note("span end", name, output, (metadata or {}).get("error_type"))

    def _output_event(self, name, parent_span, metadata):
        self.note("event", name)

    def _output_attach_to_trace(self, trace_id, parent_span_id):
        self.note("attached", trace_id)


def test_a_chain_is_a_trace_of_the_workflows_name_with_a_span_for_each_task_and_its_value():
    with workflow("etl", tracer=(tracer := Told())) as wf:
        TaskWrapper("a", lambda: 1) >> TaskWrapper("b", lambda a: a + 1)
        wf.execute()
    assert tracer.heard == [
        ("trace", "etl", "a"),
        ("queued", "a"),
        ("span", "a", None, "direct"),
        ("span end", "a", 1, None),
        ("queued", "b"),
        ("span", "b", None, "direct"),
        ("span end", "b", 2, None),
        ("trace end", "etl", 2, None, 2),
    ]


def test_a_failed_attempt_is_a_failed_span_each_and_a_failed_run_ends_its_trace():
    def fail():
        raise OSError("no route")

    with workflow("w", tracer=(tracer := Told())) as wf:
        TaskWrapper("a", fail, max_retries=1)
        with pytest.raises(GraflowRuntimeError):
            wf.execute()
    ends = [heard for heard in tracer.heard if "end" in heard[0]]
    assert ends == [
        ("span end", "a", None, "OSError"),
        ("span end", "a", None, "OSError"),
        ("trace end", "w", None, "RetryLimitExceededError", 1),
    ]


def test_branches_are_told_to_clones_and_name_their_group_as_parent():
    with workflow("w", tracer=(tracer := Told())) as wf:
        chain = TaskWrapper("b", lambda: 2) >> TaskWrapper("b2", lambda b: b * 2)
        group = parallel(TaskWrapper("a", lambda: 1), chain).with_execution("direct")
        group >> Task("end")
        wf.execute()
    assert [heard for heard in tracer.heard if "queued" not in heard[0]][1:-3] == [
        ("group", "ParallelGroup_1", ["a", "b"]),
        (">span", "a", "ParallelGroup_1", "direct"),
        (">span end", "a", 1, None),
        (">span", "b", "ParallelGroup_1", "direct"),
        (">span end", "b", 2, None),
        (">span", "b2", "ParallelGroup_1", "direct"),
        (">span end", "b2", 4, None),
        ("group end", "ParallelGroup_1", {"a": 1, "b": 4}),
    ]


def test_branches_in_threads_are_told_whole_before_what_follows_the_group():
    with workflow("w", tracer=(tracer := Told())) as wf:
        parallel(*(Task(f"t{n}") for n in range(20))) >> Task("end")
        wf.execute()
    names = [heard[0] for heard in tracer.heard]
    assert names.count(">span end") == 20
    end = names.index("group end")
    assert max(n for n, name in enumerate(names) if name == ">span end") < end
    assert tracer.heard.index(("span", "end", None, "direct")) > end
    assert set(tracer.get_execution_order()) == {"w", "end", *(f"t{n}" for n in range(20))}


def test_a_failed_group_ends_without_results():
    def fail():
        raise ValueError("boom")

    with workflow("w", tracer=(tracer := Told())) as wf:
        TaskWrapper("a", fail) | Task("b")
        with pytest.raises(GraflowRuntimeError):
            wf.execute()
    assert ("group end", "ParallelGroup_1", None) in tracer.heard


def test_new_tasks_and_passes_are_told_with_who_asked():
    def go(ctx, n=2):
        if n:
            ctx.next_iteration(n - 1)
        else:
            ctx.next_task(TaskWrapper("extra", lambda: 1))

    with workflow("w", tracer=(tracer := Told())) as wf:
        TaskWrapper("go", go, inject_context=True)
        wf.execute()
    assert [heard for heard in tracer.heard if heard[0] == "added"] == [
        ("added", "go", "go", True),
        ("added", "go", "go", True),
        ("added", "extra", "go", False),
    ]
    assert ("span", "extra", "go", "direct") in tracer.heard


def test_a_tracer_may_look_at_the_run_in_every_call():
    class Looks(NoopTracer):
        seen = ()

        def clone(self, trace_id):
            return self

        def on_task_end(self, task, context, result=None, error=None):
            value = context.get_result("a"), context.completed_tasks, context.is_completed()
            self.seen = (*self.seen, (task.task_id, *value, context.get_channel().get("k")))

        def on_task_queued(self, task, context):
            assert context.get_result("nothing") is None

    with workflow("w", tracer=(tracer := Looks())) as wf:
        TaskWrapper("a", lambda: 1) >> TaskWrapper("b", lambda a: a)
        wf.execute(initial_channel={"k": 5})
    assert tracer.seen == (("a", 1, ["a"], False, 5), ("b", 1, ["a", "b"], False, 5))


def test_a_tracer_that_raises_is_told_nothing_more_and_the_run_goes_on():
    class Broken(NoopTracer):
        calls = 0

        def on_task_start(self, task, context):
            self.calls += 1
            raise OSError("no collector")

    with workflow("w", tracer=(tracer := Broken())) as wf:
        TaskWrapper("a", lambda: 1) >> TaskWrapper("b", lambda a: a + 1)
        with pytest.warns(TracerWarning, match="Broken raised OSError: no collector"):
            assert wf.execute() == 2
    assert tracer.calls == 1


def test_low_level_contexts_take_a_tracer_and_an_id_of_the_trace():
    with workflow("w") as wf:
        Task("a")
    context = ExecutionContext(
        wf.graph, "a", session_id="s1", trace_id="t1", tracer=(tracer := NoopTracer())
    )
    WorkflowEngine().execute(context)
    graph = tracer.export_runtime_graph()
    assert graph["nodes"][0]["metadata"]["trace_id"] == "t1"
    assert (context.session_id, context.trace_id) == ("s1", "t1")
    child = ExecutionContext(wf.graph, "a", parent_context=context)
    assert child.trace_id == "t1"


@pytest.fixture
def traced():
    with workflow("w", tracer=(tracer := NoopTracer())) as wf:
        TaskWrapper("a", lambda: {"x": 1}) >> (Task("b") | Task("c")).set_group_name("g")
        wf.execute()
    return tracer


def test_the_runtime_graph_has_all_tasks_members_of_groups_too(traced):
    graph = traced.export_runtime_graph("json")
    assert {node["id"]: node["status"] for node in graph["nodes"]} == dict.fromkeys(
        ("w", "a", "b", "c"), "completed"
    )
    assert {(e["source"], e["target"], e["relation"]) for e in graph["edges"]} == {
        ("g", "b", "parallel-member"),
        ("g", "c", "parallel-member"),
    }
    assert graph["execution_order"][:2] == ["w", "a"]
    task = graph["nodes"][1]
    assert task["metadata"]["output"] == "{'x': 1}"
    assert re.match(r"\d{4}-\d\d-\d\dT", task["start_time"])


def test_the_runtime_graph_is_exported_as_graphml(traced):
    root = ET.fromstring(traced.export_runtime_graph("graphml")["graphml"])
    tag = "{http://graphml.graphdrawing.org/xmlns}"
    assert [node.get("id") for node in root.iter(f"{tag}node")] == ["w", "a", "b", "c"]
    assert len(list(root.iter(f"{tag}edge"))) == 2


def test_a_form_that_is_not_known_is_refused_and_a_graph_that_is_not_kept_is_none(traced):
    with pytest.raises(ConfigError, match="format 'svg' is not known; it is dict, json or graphml"):
        traced.export_runtime_graph("svg")
    assert NoopTracer(enable_runtime_graph=False).export_runtime_graph() is None


def test_the_runtime_graph_as_networkx_says_what_to_install(traced, monkeypatch):
    monkeypatch.setitem(sys.modules, "networkx", None)
    with pytest.raises(MissingPackageError, match=r"networkx.*export_runtime_graph"):
        traced.get_runtime_graph()
    monkeypatch.setitem(sys.modules, "networkx", fake_networkx())
    made = traced.get_runtime_graph()
    assert set(made.nodes) == {"w", "a", "b", "c"}
    assert made.edges["g", "b"] == {"relation": "parallel-member"}


def fake_networkx():
    class DiGraph:
        def __init__(self):
            self.nodes, self.edges = {}, {}

        def add_node(self, name, **facts):
            self.nodes[name] = facts

        def add_edge(self, before, after, **facts):
            self.edges[before, after] = facts

    return types.SimpleNamespace(DiGraph=DiGraph)


def test_the_console_tracer_prints_a_line_for_everything_indented(capsys):
    def fail():
        raise ValueError("boom")

    tracer = ConsoleTracer(enable_colors=False)
    with workflow("w", tracer=tracer) as wf:
        group = (Task("a") | TaskWrapper("b", fail)).with_execution("direct", policy="best_effort")
        Task("first") >> group.set_group_name("g")
        wf.execute()
    lines = [
        re.sub(r"\[[\d:.]+\] | \(.*\)", "", line) for line in capsys.readouterr().out.splitlines()
    ]
    assert lines == [
        "→ TRACE START: w",
        "  → SPAN START: first",
        "  ✓ SPAN END: first",
        "  ⚡ EVENT: parallel_group_start: g",
        "    → SPAN START: a",
        "    ✓ SPAN END: a",
        "    → SPAN START: b",
        "    ✗ SPAN END: b - ERROR: boom",
        "  ⚡ EVENT: parallel_group_end: g",
        "✓ TRACE END: w",
    ]


def test_the_console_tracer_can_be_coloured_and_quiet(capsys):
    tracer = ConsoleTracer(show_metadata=False, indent_size=4)
    tracer.trace_start("w", "id")
    tracer.event("hello", metadata={"members": 2})
    out = capsys.readouterr().out
    assert "\033[96m" in out
    assert "    \033[93m⚡" in out
    assert "members" not in out
