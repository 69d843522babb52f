"""What is raised when a resource makes no sense."""

from collections.abc import Iterable

from graflow.machine.check import Problem


class InvalidWorkflow(Exception):  # noqa: N818 - the word that users read
    """The resource as written cannot run; `problems` are all the reasons."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(words(self.problems))


def words(problems: Iterable[Problem]) -> str:
    """Return problems as people read them everywhere: a line for each."""
    return "\n".join(sentence(problem) for problem in problems)


def sentence(problem: Problem) -> str:
    """Return a problem as one line: where, and what.

    A problem of the object as a whole has no field.
    """
    return f"{problem.field}: {problem.message}" if problem.field else problem.message
