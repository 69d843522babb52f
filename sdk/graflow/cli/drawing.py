"""Pictures of a plan: Mermaid, Graphviz and plain text."""

import json
from collections.abc import Iterator

from graflow.machine.plan import GroupPlan, NodePlan, Plan


def mermaid(plan: Plan) -> str:
    """Return the plan as a Mermaid flowchart."""
    numbers = {node.id: f"n{number}" for number, node in enumerate(plan.nodes)}
    lines = ["flowchart TD"]
    for node in _outer(plan):
        lines += _mermaid_node(plan, node, numbers, "  ")
    lines += [f"  {numbers[before]} --> {numbers[after]}" for before, after in plan.edges]
    return "\n".join(lines)


def dot(plan: Plan) -> str:
    """Return the plan in Graphviz' language."""
    lines = ["digraph {", "  compound=true", "  node [shape=box]"]
    for node in _outer(plan):
        lines += _dot_node(plan, node, "  ")
    lines += [f"  {_quoted(before)} -> {_quoted(after)}" for before, after in plan.edges]
    return "\n".join([*lines, "}"])


def ascii_art(plan: Plan) -> str:
    """Return the plan as an indented outline: each node once, later visits by name only."""
    lines: list[str] = []
    drawn: set[str] = set()
    for start in plan.start:
        lines += _outline(plan, start, drawn)
    off_flow = [node.id for node in _outer(plan) if node.id not in drawn]
    if off_flow:
        lines += ["", "only reached by jumps:", *(f"  {name}" for name in off_flow)]
    return "\n".join(lines)


def _outer(plan: Plan) -> Iterator[NodePlan]:
    return (node for node in plan.nodes if node.id not in plan.group_of)


def _mermaid_node(
    plan: Plan, node: NodePlan, numbers: dict[str, str], indent: str
) -> Iterator[str]:
    label = node.id.replace('"', "#quot;")
    if not isinstance(node, GroupPlan):
        yield f'{indent}{numbers[node.id]}["{label}"]'
        return
    yield f'{indent}subgraph {numbers[node.id]}["{label}"]'
    for member in node.members:
        yield from _mermaid_node(plan, plan.by_id[member], numbers, indent + "  ")
    yield f"{indent}end"


def _dot_node(plan: Plan, node: NodePlan, indent: str) -> Iterator[str]:
    if not isinstance(node, GroupPlan):
        yield f"{indent}{_quoted(node.id)}"
        return
    yield f"{indent}subgraph {_quoted(f'cluster_{node.id}')} {{"
    yield f"{indent}  label={_quoted(node.id)}"
    yield f"{indent}  {_quoted(node.id)} [shape=point]"
    for member in node.members:
        yield from _dot_node(plan, plan.by_id[member], indent + "  ")
    yield f"{indent}}}"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _outline(plan: Plan, start: str, drawn: set[str]) -> list[str]:
    """Draw depth first without recursion: a chain may have thousands of links."""
    lines: list[str] = []
    todo: list[tuple[str, str, str]] = [(start, "", "")]
    while todo:
        name, head, tail = todo.pop()
        if name in drawn:
            lines.append(f"{head}{name} (above)")
            continue
        drawn.add(name)
        node = plan.by_id[name]
        lines.append(f"{head}{name}" + (" (parallel)" if isinstance(node, GroupPlan) else ""))
        below = [(member, "|| ", "|  ") for member in getattr(node, "members", ())]
        after = plan.successors[name]
        if len(after) == 1 and not below:
            todo.append((after[0], f"{tail}-> ", f"{tail}"))
            continue
        below += [(one, "-> ", "   ") for one in after]
        todo += [(one, tail + mark, tail + rest) for one, mark, rest in reversed(below)]
    return lines
