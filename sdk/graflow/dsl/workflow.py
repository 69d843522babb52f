"""`with workflow("name") as wf:`: where tasks and operators draw, and how it is run."""

import os
from types import TracebackType
from typing import Any, Self

from graflow.dsl import current
from graflow.dsl.checks import named
from graflow.dsl.current import Node, Place
from graflow.dsl.execution import initial_keys
from graflow.dsl.flow import Executable, ParallelGroup
from graflow.dsl.graph import TaskGraph
from graflow.dsl.host import current_host, submit_to_cluster
from graflow.dsl.program import Program, freeze_program
from graflow.machine.plan import DEFAULT_MAX_STEPS


class WorkflowContext:
    """A workflow. What is made and drawn inside its `with` belongs to it."""

    def __init__(self, name: str) -> None:
        self.name = named("a workflow's name", name)
        self.graph = TaskGraph()
        self._groups = 0
        self._outside: list[Place | None] = []

    @classmethod
    def of(cls, name: str, graph: TaskGraph) -> "WorkflowContext":
        """Return the workflow of a run, for its tasks to look at; for hosts."""
        made = cls(name)
        made.graph = graph
        return made

    def __enter__(self) -> Self:
        self._outside.append(current.place())
        current.set_place(Place(drawing=self, workflow=self))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        current.set_place(self._outside.pop())

    def register(self, node: Node, /) -> None:
        """Make a node part of the workflow, unless it is already.

        Raises:
            DuplicateTaskError: If another node has its id.
        """
        if not isinstance(node, Executable):
            raise TypeError(f"{node!r} is neither a task nor a group")
        if self.graph.has_node(node.task_id) and self.graph.get_node(node.task_id) is node:
            return
        self.graph.add_node(node)
        if isinstance(node, ParallelGroup):
            node.registered(self)

    def connect(self, before: Node, after: Node, /) -> None:
        """Draw an edge between two nodes of the workflow."""
        self.graph.add_edge(before.task_id, after.task_id)

    def has_node(self, task_id: str, /) -> bool:
        """Return whether the id is taken."""
        return self.graph.has_node(task_id)

    def has_edges(self, node: Node, /, *, outgoing_only: bool) -> bool:
        """Return whether edges begin (or also end) at the node."""
        if self.graph.successors(node.task_id):
            return True
        return not outgoing_only and bool(self.graph.predecessors(node.task_id))

    def add_node(
        self,
        name: str,
        task: Executable,
        skip_if_exists: bool = False,  # noqa: FBT001, FBT002 - Graflow's own signature
    ) -> None:
        """Add a node under a name; see `TaskGraph.add_node`."""
        self.graph.add_node(task, name, skip_if_exists)

    def add_edge(self, before: str, after: str) -> None:
        """Draw an edge between nodes given by id."""
        self.graph.add_edge(before, after)

    def rename_node(self, old: str, new: str, /) -> None:
        """Give a node another id in this workflow."""
        self.graph.rename_node(old, new)

    def remove_node(self, task_id: str, /) -> None:
        """Take out a node and its edges."""
        self.graph.remove_node(task_id)

    def clear(self) -> None:
        """Take out everything."""
        self.graph.clear()

    def get_next_group_name(self) -> str:
        """Return the next free `ParallelGroup_<n>`."""
        while True:
            self._groups += 1
            name = f"ParallelGroup_{self._groups}"
            if not self.graph.has_node(name):
                return name

    def program(self, start_node: str | None = None, max_steps: int = DEFAULT_MAX_STEPS) -> Program:
        """Return what a host would run.

        Raises:
            GraphCompilationError: If the workflow as drawn cannot run.
        """
        return freeze_program(self.name, self.graph, start_node=start_node, max_steps=max_steps)

    def execute(
        self,
        start_node: str | None = None,
        max_steps: int = DEFAULT_MAX_STEPS,
        ret_context: bool = False,  # noqa: FBT001, FBT002 - Graflow's own signature
        initial_channel: dict[str, object] | None = None,
    ) -> Any:  # noqa: ANN401 - the value of the run
        """Run the workflow and return its value: that of its end (R6).

        Args:
            start_node: Where to begin; None: at every node without a predecessor (B7).
            max_steps: Activations after which the run fails.
            ret_context: Return `(value, ExecutionContext)`.
            initial_channel: Channel keys that are set before it begins.

        Raises:
            GraphCompilationError: If the workflow as drawn cannot run.
            GraflowRuntimeError: If the run fails; the original error is its `cause`.
        """
        return current_host().execute(
            self.program(start_node, max_steps),
            initial_channel=initial_keys(initial_channel),
            ret_context=ret_context,
        )

    def submit(self, namespace: str | None = None, wait: bool = False) -> Any:  # noqa: ANN401, FBT001, FBT002 - a graflow.cluster.Run
        """Send the workflow to the cluster of the current kubeconfig.

        Args:
            namespace: Where it runs; None: the kubeconfig's own.
            wait: Return when it has ended.

        Returns:
            The run, with `.wait() .result() .status() .logs()`.
        """
        return submit_to_cluster(self.program(), namespace=namespace, wait=wait)

    def __getstate__(self) -> dict[str, object]:
        """Travel without the places to go back to."""
        return {**self.__dict__, "_outside": []}

    def __repr__(self) -> str:
        return f"workflow({self.name!r})"


def workflow(name: str) -> WorkflowContext:
    """Make a workflow: what is made and drawn in its `with` belongs to it."""
    return WorkflowContext(name)


def current_workflow_context() -> WorkflowContext:
    """Return the workflow that the present code belongs to, made if there is none (B3).

    Inside `with workflow(…)` that one; inside a running task the workflow of its run; elsewhere the
    thread's ambient workflow.
    """
    found = current.workflow(create=True)
    if not isinstance(found, WorkflowContext):
        raise TypeError(f"{found!r} is not a workflow")
    return found


def get_current_workflow_context(
    create_if_not_exist: bool = False,  # noqa: FBT001, FBT002 - Graflow's own signature
) -> WorkflowContext | None:
    """Return the workflow that the present code belongs to, or None."""
    found = current.workflow(create=create_if_not_exist)
    return found if isinstance(found, WorkflowContext) else None


def require_workflow_context() -> WorkflowContext:
    """Return the workflow that the present code belongs to.

    Raises:
        RuntimeError: If there is none.
    """
    found = get_current_workflow_context()
    if found is None:
        raise RuntimeError("no workflow here; write with workflow(…) as wf:")
    return found


def set_current_workflow_context(context: WorkflowContext) -> None:
    """Make a workflow this thread's ambient one."""
    current.set_ambient(context)


def clear_workflow_context() -> None:
    """Forget this thread's ambient workflow."""
    current.set_ambient(None)


def _nameless() -> WorkflowContext:
    return WorkflowContext(os.urandom(16).hex())


current.set_factory(_nameless)
