"""Pictures of a graph as text: an outline, Mermaid, and Graphviz' language."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

NONE: Mapping[str, str] = {}


@dataclass(frozen=True)
class Picture:
    """What there is to draw."""

    nodes: Sequence[str]
    """Ids of tasks and groups, in order of declaration."""

    edges: Sequence[tuple[str, str]]
    """(from, to), in the order in which they were drawn."""

    start: Sequence[str]
    """Where a run begins."""

    members: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Members of each group."""

    @cached_property
    def successors(self) -> Mapping[str, Sequence[str]]:
        """The nodes that edges of a node lead to."""
        found: dict[str, list[str]] = {node: [] for node in self.nodes}
        for before, after in self.edges:
            found[before].append(after)
        return found

    @cached_property
    def outer(self) -> Sequence[str]:
        """The nodes that are no members of a group."""
        inner = {member for members in self.members.values() for member in members}
        return [node for node in self.nodes if node not in inner]


def outline(picture: Picture) -> str:
    """Return the graph as indented text: each node once, later visits by name only."""
    lines: list[str] = []
    drawn: set[str] = set()
    for start in picture.start:
        lines += _walk(picture, start, drawn)
    rest: list[str] = []
    for node in picture.outer:
        if node not in drawn:
            rest += _walk(picture, node, drawn)
    if rest:
        lines += ["", "only reached by jumps:", *(f"  {line}" for line in rest)]
    return "\n".join(lines)


def mermaid(
    picture: Picture,
    *,
    title: str | None = None,
    colors: Mapping[str, str] = NONE,
    wrap_words: int | None = None,
) -> str:
    """Return the graph as a Mermaid flowchart.

    Args:
        picture: What to draw.
        title: Shown above it.
        colors: Fill colours by node.
        wrap_words: Words of a name after which its label goes on in the next line.
    """
    numbers = {node: f"n{number}" for number, node in enumerate(picture.nodes)}
    lines = ["---", f"title: {json.dumps(title, ensure_ascii=False)}", "---"] if title else []
    lines.append("flowchart TD")
    for node in picture.outer:
        lines += _mermaid_node(picture, node, numbers, wrap_words, "  ")
    lines += [f"  {numbers[before]} --> {numbers[after]}" for before, after in picture.edges]
    lines += [f"  style {numbers[node]} fill:{colors[node]}" for node in numbers if node in colors]
    return "\n".join(lines)


def dot(
    picture: Picture, *, labels: Mapping[str, str] = NONE, colors: Mapping[str, str] = NONE
) -> str:
    """Return the graph in Graphviz' language.

    Args:
        picture: What to draw.
        labels: What to write instead of ids.
        colors: Fill colours by node.
    """
    lines = ["digraph {", "  compound=true", "  node [shape=box]"]
    for node in picture.outer:
        lines += _dot_node(picture, node, labels, colors, "  ")
    lines += [f"  {_quoted(before)} -> {_quoted(after)}" for before, after in picture.edges]
    return "\n".join([*lines, "}"])


def _mermaid_node(
    picture: Picture, node: str, numbers: Mapping[str, str], wrap_words: int | None, indent: str
) -> Iterator[str]:
    label = node.replace('"', "#quot;")
    if wrap_words:
        label = _wrapped(label, wrap_words)
    if node not in picture.members:
        yield f'{indent}{numbers[node]}["{label}"]'
        return
    yield f'{indent}subgraph {numbers[node]}["{label}"]'
    for member in picture.members[node]:
        yield from _mermaid_node(picture, member, numbers, wrap_words, indent + "  ")
    yield f"{indent}end"


def _wrapped(label: str, words: int) -> str:
    found = label.split(" ")
    lines = [" ".join(found[n : n + words]) for n in range(0, len(found), words)]
    return "<br/>".join(lines)


def _dot_node(
    picture: Picture,
    node: str,
    labels: Mapping[str, str],
    colors: Mapping[str, str],
    indent: str,
) -> Iterator[str]:
    traits = [f"label={_quoted(labels[node])}"] if node in labels else []
    if node in colors:
        traits += ["style=filled", f"fillcolor={_quoted(colors[node])}"]
    if node not in picture.members:
        yield f"{indent}{_quoted(node)}" + (f" [{', '.join(traits)}]" if traits else "")
        return
    yield f"{indent}subgraph {_quoted(f'cluster_{node}')} {{"
    yield f"{indent}  label={_quoted(labels.get(node, node))}"
    yield f"{indent}  {_quoted(node)} [shape=point]"
    for member in picture.members[node]:
        yield from _dot_node(picture, member, labels, colors, indent + "  ")
    yield f"{indent}}}"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _walk(picture: Picture, start: str, drawn: set[str]) -> list[str]:
    """Draw depth first without recursion: a chain may have thousands of links."""
    lines: list[str] = []
    todo: list[tuple[str, str, str]] = [(start, "", "")]
    while todo:
        name, head, tail = todo.pop()
        if name in drawn:
            lines.append(f"{head}{name} (above)")
            continue
        drawn.add(name)
        members = picture.members.get(name)
        lines.append(f"{head}{name}" + ("" if members is None else " (parallel)"))
        below = [(member, "|| ", "|  ") for member in members or ()]
        after = picture.successors[name]
        if len(after) == 1 and not below:
            todo.append((after[0], f"{tail}-> ", f"{tail}"))
            continue
        below += [(one, "-> ", "   ") for one in after]
        todo += [(one, tail + mark, tail + rest) for one, mark, rest in reversed(below)]
    return lines
