"""Scripts: Python source that is the body of a function."""

import ast
import keyword
import linecache
from collections.abc import Callable, Sequence
from typing import Any

from graflow.machine import reasons
from graflow_runner.errors import AttemptError


def compiled(source: str, params: Sequence[str], *, task: str) -> Callable[..., Any]:
    """Return the function `def main(<params>)` whose body is the source.

    Lines keep their numbers, and tracebacks show them. Classes that the script defines are
    pickled by value, like those of a program: its module is called `__main__`.

    Args:
        source: What the spec says.
        params: Names of the parameters, all required.
        task: The task's id, for messages and tracebacks.

    Raises:
        AttemptError: If it is no Python, or a parameter's name is none; with line and words.
    """
    for name in params:
        if not name.isidentifier() or keyword.iskeyword(name):
            raise AttemptError(
                reasons.INVALID,
                f"params of task {task!r}: {name!r} cannot be the name of a variable",
            )
    filename = f"<script of {task}>"
    lines = source.splitlines(keepends=True)
    linecache.cache[filename] = (len(source), None, lines, filename)
    try:
        module = ast.parse(f"def main({', '.join(params)}): pass")
        main = module.body[0]
        assert isinstance(main, ast.FunctionDef)  # noqa: S101  # for the type checker
        main.body = ast.parse(source, filename).body or main.body
        code = compile(module, filename, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        raise AttemptError(
            reasons.INVALID, f"the script of task {task!r} is no Python: {error}"
        ) from error
    names: dict[str, Any] = {"__name__": "__main__", "__file__": filename}
    exec(code, names)  # noqa: S102  # running the user's script is what it is for
    function: Callable[..., Any] = names["main"]
    return function
