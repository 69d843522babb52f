"""Fail when a product module or function outgrows what a reader can hold.

Modules stay at or below 500 lines and functions at or below 60: the tail is what makes code hard to
follow, so it is seen the day it grows.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

MODULE_LINES = 500
FUNCTION_LINES = 60
ROOTS = ("sdk", "operator", "runner-image", "tools")


def findings(path: Path) -> Iterator[str]:
    """Yield what is too long in a file."""
    text = path.read_text()
    if (lines := text.count("\n")) > MODULE_LINES:
        yield f"{path}: {lines} lines; split it by concept (at most {MODULE_LINES})"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            size = (node.end_lineno or node.lineno) - node.lineno + 1
            if size > FUNCTION_LINES:
                yield (
                    f"{path}:{node.lineno}: {node.name} has {size} lines; "
                    f"give its steps names of their own (at most {FUNCTION_LINES})"
                )


def main() -> int:
    """Print every finding; return 1 when there are any."""
    found = [
        f for root in ROOTS for path in sorted(Path(root).rglob("*.py")) for f in findings(path)
    ]
    print("\n".join(found) if found else "sizes: every module and function is within its bounds")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
