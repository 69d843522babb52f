"""Pictures of a workflow: text, Mermaid, Graphviz, and PNG where Graphviz is installed.

A graph is whatever knows its nodes and edges: a `TaskGraph`, a workflow, or a networkx graph.
Nothing here uses the network; a Mermaid picture is drawn by whatever shows the text.
"""

import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NoReturn, Protocol, TypeAlias

from graflow import drawing
from graflow.drawing import NONE, Picture
from graflow.dsl import show
from graflow.dsl.flow import Executable
from graflow.dsl.graph import TaskGraph
from graflow.dsl.workflow import WorkflowContext, current_workflow_context
from graflow.exceptions import GraflowError, MissingPackageError


class NetworkxGraph(Protocol):
    """What is asked of a `networkx.DiGraph`."""

    @property
    def nodes(self) -> Iterable[object]:
        """Its nodes."""

    @property
    def edges(self) -> Iterable[tuple[object, object]]:
        """Its edges."""


Graph: TypeAlias = TaskGraph | WorkflowContext | NetworkxGraph


def build_graph(start_node: Executable, context: WorkflowContext | None = None) -> TaskGraph:
    """Return the part of a workflow that hangs together with a node.

    Args:
        start_node: The node; what leads to it belongs to the part as well.
        context: The workflow; by default the current one.
    """
    whole = (context or current_workflow_context()).graph.copy()
    whole.add_node(start_node, skip_if_exists=True)
    beside = _neighbours(whole)
    part: dict[str, None] = {}
    todo = [start_node.task_id]
    while todo:
        name = todo.pop()
        if name not in part:
            part[name] = None
            todo.extend(beside[name])
    for name in whole.nodes:
        if name not in part:
            whole.remove_node(name)
    return whole


def draw_ascii(graph: Graph) -> str:
    """Return a graph as an indented outline."""
    return drawing.outline(_picture(graph))


def draw_mermaid(
    graph: Graph,
    title: str = "Graph",
    *,
    with_styles: bool = True,
    node_colors: Mapping[str, str] | None = None,
    wrap_label_n_words: int = 9,
) -> str:
    """Return a graph as a Mermaid flowchart.

    Args:
        graph: What to draw.
        title: Shown above it; empty: none.
        with_styles: Whether colours are written.
        node_colors: Fill colours by node.
        wrap_label_n_words: Words of a name after which its label goes on in the next line.
    """
    colors = node_colors if with_styles and node_colors else NONE
    return drawing.mermaid(
        _picture(graph), title=title, colors=colors, wrap_words=wrap_label_n_words
    )


def draw_dot(
    graph: Graph,
    node_labels: Mapping[str, str] | None = None,
    node_colors: Mapping[str, str] | None = None,
) -> str:
    """Return a graph in Graphviz' language; arguments as those of `draw_png`."""
    return drawing.dot(_picture(graph), labels=node_labels or NONE, colors=node_colors or NONE)


def draw_png(
    graph: Graph,
    output_path: str | Path | None = None,
    node_labels: Mapping[str, str] | None = None,
    node_colors: Mapping[str, str] | None = None,
) -> bytes | None:
    """Draw a graph with Graphviz' program `dot`.

    Args:
        graph: What to draw.
        output_path: File to write; None: the bytes are returned.
        node_labels: What to write instead of ids.
        node_colors: Fill colours by node.

    Raises:
        MissingPackageError: If there is no program `dot`.
        GraflowError: If it fails.
    """
    program = shutil.which("dot")
    if program is None:
        raise MissingPackageError(
            "Graphviz' program dot",
            "draw_png()",
            "install your system's package graphviz, or use draw_dot() or draw_mermaid()",
        )
    text = draw_dot(graph, node_labels, node_colors)
    done = subprocess.run(  # noqa: S603 - the program that was found, with text from here
        [program, "-Tpng"], input=text.encode(), capture_output=True, check=False
    )
    if done.returncode != 0:
        raise GraflowError(f"{program} failed: {done.stderr.decode(errors='replace').strip()}")
    if output_path is None:
        return done.stdout
    Path(output_path).write_bytes(done.stdout)
    return None


def draw_task_graph(graph: Graph, title: str = "Task Graph") -> None:
    """Print a graph as an indented outline under a title."""
    print(f"=== {title} ===\n{draw_ascii(graph)}")  # noqa: T201 - what it is for


def visualize_dependencies(graph: Graph) -> None:
    """Print what comes after each node."""
    print(f"=== Dependencies ===\n{show.dependencies(_picture(graph))}")  # noqa: T201 - what it is for


def show_graph_info(graph: Graph) -> None:
    """Print the outline of a graph, and its cycles."""
    print(f"=== Graph Information ===\n{show.summary(_picture(graph))}")  # noqa: T201 - what it is for


def _picture(graph: Graph) -> Picture:
    if isinstance(graph, WorkflowContext):
        graph = graph.graph
    if isinstance(graph, TaskGraph):
        return graph.picture()
    nodes = [str(node) for node in graph.nodes]
    edges = [(str(before), str(after)) for before, after in graph.edges]
    entered = {after for _, after in edges}
    start = [node for node in nodes if node not in entered]
    return Picture(nodes, edges, start or nodes[:1])


def _neighbours(graph: TaskGraph) -> Mapping[str, list[str]]:
    """Return for each node those that an edge or a group connects it with."""
    beside: dict[str, list[str]] = {name: [] for name in graph.nodes}
    groups = ((name, m) for name in graph.nodes for m in graph.get_parallel_group_members(name))
    for one, other in (*graph.edges, *groups):
        beside.setdefault(one, []).append(other)
        beside.setdefault(other, []).append(one)
    return beside


_ABSENT = {
    "draw_mermaid_png": "it asked a server on the internet; use draw_png() or draw_mermaid()",
    "create_agraph": "it needed pygraphviz; use draw_dot() or draw_png()",
}


def __getattr__(name: str) -> NoReturn:
    """Say why a name of Graflow's is not here."""
    why = f": {_ABSENT[name]}" if name in _ABSENT else ""
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}{why}")
