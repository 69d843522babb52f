"""What a graph looks like in words, for `show_info()` and `visualize_dependencies()`."""

from graflow.drawing import Picture, outline
from graflow.dsl.cycles import cycles


def summary(picture: Picture) -> str:
    """Return the outline of a graph, and its cycles."""
    found = cycles(picture.successors)
    told = f"Cycles detected: {found}" if found else "No cycles detected"
    return f"{outline(picture)}\n{told}"


def dependencies(picture: Picture) -> str:
    """Return one line for each node: what comes after it."""
    lines = []
    for name in picture.nodes:
        after = picture.successors[name]
        lines.append(" >> ".join((name, *after)) if after else f"{name} (no dependencies)")
    return "\n".join(lines)
