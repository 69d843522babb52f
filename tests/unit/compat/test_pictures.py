"""Graflow's drawing functions and what graphs tell of themselves, with nothing installed for it."""

import os
import sys
import types

import pytest

from graflow.core.graph import TaskGraph
from graflow.core.task import Task, TaskWrapper
from graflow.core.workflow import WorkflowContext, workflow
from graflow.exceptions import GraflowError, MissingPackageError
from graflow.utils import graph as pictures


@pytest.fixture
def wf():
    with workflow("etl") as made:
        Task("a") >> (Task("b") | Task("c")).set_group_name("both") >> Task("d")
    return made


OUTLINE = "a\n-> both (parallel)\n|| b\n|| c\n-> d"


def test_a_graph_and_a_workflow_are_drawn_as_an_outline(wf):
    assert str(wf.graph) == OUTLINE
    assert pictures.draw_ascii(wf) == pictures.draw_ascii(wf.graph) == OUTLINE


def test_a_loop_without_a_start_is_drawn_and_what_only_jumps_reach_is_said():
    with workflow("loop") as wf:
        Task("agent") >> Task("tool") >> wf.graph.get_node("agent")
        Task("help")
    assert str(wf.graph) == "agent\n-> tool\n-> agent (above)\n\nonly reached by jumps:\n  help"


def test_an_empty_graph_and_one_of_lone_tasks_are_drawn():
    assert str(TaskGraph()) == ""
    with workflow("w") as wf:
        Task("x")
        Task("y")
    assert str(wf.graph) == "x\ny"


def test_show_info_prints_the_outline_and_the_cycles(wf, capsys):
    wf.show_info()
    assert capsys.readouterr().out == (
        f"=== Workflow 'etl' Information ===\n{OUTLINE}\nNo cycles detected\n"
    )
    wf.add_edge("d", "a")
    wf.show_info()
    assert "Cycles detected: [['a', 'both', 'd']]" in capsys.readouterr().out


def test_visualize_dependencies_prints_what_comes_after_each_node(wf, capsys):
    wf.visualize_dependencies()
    assert capsys.readouterr().out.splitlines() == [
        "=== Workflow 'etl' Dependencies ===",
        "a >> both",
        "b (no dependencies)",
        "c (no dependencies)",
        "both >> d",
        "d (no dependencies)",
    ]


def test_the_functions_print_the_same(wf, capsys):
    pictures.show_graph_info(wf)
    pictures.visualize_dependencies(wf)
    pictures.draw_task_graph(wf, title="My flow")
    out = capsys.readouterr().out
    for text in ("=== Graph Information ===", "a >> both", f"=== My flow ===\n{OUTLINE}"):
        assert text in out


def test_every_cycle_is_found_once_from_its_first_node():
    graph = TaskGraph()
    for name in "abcde":
        graph.add_node(Task(name))
    for edge in ("ab", "bc", "ca", "cb", "dd", "de"):
        graph.add_edge(*edge)
    assert graph.detect_cycles() == [["a", "b", "c"], ["b", "c"], ["d"]]


def test_the_cycle_of_ten_thousand_nodes_is_found_without_recursion():
    graph = TaskGraph()
    names = [f"t{n}" for n in range(10_000)]
    for name in names:
        graph.add_node(Task(name))
    for before, after in zip(names, [*names[1:], names[0]], strict=True):
        graph.add_edge(before, after)
    (found,) = graph.detect_cycles()
    assert len(found) == 10_000


def test_mermaid_and_dot_take_graflows_arguments(wf):
    text = pictures.draw_mermaid(wf, "Title", node_colors={"a": "#fff"}, wrap_label_n_words=1)
    assert text.splitlines()[:4] == ["---", 'title: "Title"', "---", "flowchart TD"]
    assert "fill:#fff" in text
    assert "fill" not in pictures.draw_mermaid(wf, node_colors={"a": "#fff"}, with_styles=False)
    assert 'label="start"' in pictures.draw_dot(wf, node_labels={"a": "start"})


def test_a_networkx_graph_is_drawn_too():
    graph = types.SimpleNamespace(nodes=["a", 2], edges=[("a", 2)])
    assert pictures.draw_ascii(graph) == "a\n-> 2"


def test_the_part_of_a_workflow_around_a_task_is_built(wf):
    with wf:
        Task("x") >> Task("y")
    part = pictures.build_graph(wf.graph.get_node("b"), wf)
    assert set(part.nodes) == {"a", "b", "c", "both", "d"}
    assert ("both", "d") in part.edges
    with WorkflowContext("other"):
        lone = TaskWrapper("lone", print)
        assert pictures.build_graph(lone).nodes == ["lone"]


def test_png_without_graphviz_says_what_to_install(wf, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingPackageError, match=r"Graphviz' program dot; .*package graphviz"):
        pictures.draw_png(wf)


@pytest.fixture
def dot(tmp_path, monkeypatch):
    """A program that stands in for Graphviz: it writes back what it was given."""

    def install(script):
        program = tmp_path / "dot"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    return install


def test_png_is_what_graphviz_makes_of_the_graph(wf, dot, tmp_path):
    dot('echo "$1"; exec cat')
    text = f"-Tpng\n{pictures.draw_dot(wf)}".encode()
    assert pictures.draw_png(wf) == text
    assert pictures.draw_png(wf, output_path=str(tmp_path / "out.png")) is None
    assert (tmp_path / "out.png").read_bytes() == text


def test_png_tells_what_graphviz_complained_about(wf, dot):
    dot("echo 'no fonts' >&2; exit 3")
    with pytest.raises(GraflowError, match="failed: no fonts"):
        pictures.draw_png(wf)


def test_networkx_is_asked_for_by_name(wf, monkeypatch):
    monkeypatch.setitem(sys.modules, "networkx", None)
    with pytest.raises(MissingPackageError, match=r"nx_graph\(\) needs networkx; pip install"):
        wf.graph.nx_graph()

    class DiGraph:
        def add_nodes_from(self, nodes):
            self.nodes = dict(nodes)

        def add_edges_from(self, edges):
            self.edges = list(edges)

    monkeypatch.setitem(sys.modules, "networkx", types.SimpleNamespace(DiGraph=DiGraph))
    made = wf.graph.nx_graph()
    assert made.nodes["a"]["task"] is wf.graph.get_node("a")
    assert ("a", "both") in made.edges
