"""Where in a spec each node and each edge is written, so that problems can point there."""

from collections.abc import Iterator
from typing import TypeAlias

from graflow.api.workflow import GroupSpec, TaskSpec, WorkflowSpec
from graflow.machine.check import Problem

Edge: TypeAlias = tuple[str, str]


def entries(spec: WorkflowSpec) -> Iterator[tuple[str, TaskSpec | GroupSpec]]:
    """Yield all tasks and groups, each with its field."""
    for number, task in enumerate(spec.tasks):
        yield f"spec.tasks[{number}]", task
    for number, group in enumerate(spec.groups):
        yield f"spec.groups[{number}]", group


class Fields:
    """The fields of a spec by what is written there."""

    def __init__(self, spec: WorkflowSpec) -> None:
        self.nodes: dict[str, str] = {}
        """Field of each task and group, by id; of the first one, where an id occurs twice."""

        self.edges: dict[Edge, str] = {}
        """Field of each edge, in the order of the `after` lists."""

        for field, node in entries(spec):
            self.nodes.setdefault(node.name, field)
            for number, before in enumerate(node.after):
                self.edges.setdefault((before, node.name), f"{field}.after[{number}]")

    def place(self, problem: Problem) -> Problem:
        """Return a problem of a plan as one of the spec: with its field, and in the spec's words.

        A plan's problem quotes the ids that it is about; the first field that has them all is
        where it is.
        """
        candidates: dict[str, tuple[str, ...]] = {}
        if problem.field == "edges":
            candidates = {field: edge for edge, field in self.edges.items()}
        elif problem.field == "groups":
            groups = ((f, i) for i, f in self.nodes.items() if f.startswith("spec.groups"))
            candidates = {field: (node,) for field, node in groups}
        message = problem.message.replace("pass start_node", "set spec.start")
        for field, ids in candidates.items():
            if all(repr(node) in message for node in ids):
                return Problem(field, message)
        return Problem(f"spec.{problem.field}", message)
