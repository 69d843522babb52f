"""`with workflow("name") as wf:`: where tasks and operators draw, and how it is run."""

import os
from collections import Counter
from collections.abc import Callable, Iterable
from hashlib import sha256
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from graflow.dsl import current, show
from graflow.dsl.checks import named, seconds
from graflow.dsl.current import Node, Place
from graflow.dsl.execution import initial_keys
from graflow.dsl.flow import Executable, ParallelGroup
from graflow.dsl.graph import TaskGraph
from graflow.dsl.host import current_host, submit_to_cluster
from graflow.dsl.program import Program, freeze_program
from graflow.dsl.services import Services, checked_provider
from graflow.machine.defaults import DEFAULT_MAX_STEPS

if TYPE_CHECKING:  # packages above this layer, some of them optional
    from graflow.llm.agents.base import LLMAgent
    from graflow.prompts.base import PromptManager
    from graflow.trace.base import Tracer


class WorkflowContext:
    """A workflow. What is made and drawn inside its `with` belongs to it."""

    def __init__(
        self,
        name: str,
        tracer: "Tracer | None" = None,
        prompt_manager: "PromptManager | None" = None,
        *,
        profile: str | None = None,
        deadline: float | None = None,
    ) -> None:
        """Take what every run of the workflow is given.

        Args:
            name: Of the workflow.
            tracer: Is told what happens in its runs.
            prompt_manager: For `ctx.prompt_manager`; by default one for `./prompts`.
            profile: RunnerProfile of tasks that name none, on a cluster.
            deadline: Longest time of a whole run, in seconds; then it is stopped and has failed.
        """
        self.name = named("a workflow's name", name)
        self.graph = TaskGraph()
        self._tracer = tracer
        self._prompt_manager = prompt_manager
        self._profile = None if profile is None else named("profile", profile)
        self._deadline_s = None if deadline is None else seconds("deadline", deadline)
        self._agents: dict[str, Any] = {}
        self._redis_client: Any = None
        self._mark = ""
        self._counts: Counter[str] = Counter()
        self._handed_over: set[str] = set()
        self._outside: list[Place | None] = []

    @classmethod
    def nameless(cls, task: str) -> "WorkflowContext":
        """Return an empty workflow.

        Args:
            task: The identity of the running task that builds in it, if one does: what it makes
                gets automatic ids that nobody else's has (T7), the same on every host.
        """
        made = cls(os.urandom(16).hex())
        made._mark = sha256(task.encode()).hexdigest()[:8] if task else ""
        return made

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
        if node.task_id in self._handed_over:
            self.graph.remove_node(node.task_id)
            self._handed_over.remove(node.task_id)
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
        return self.next_id("ParallelGroup")

    def next_id(self, base: str, /) -> str:
        """Return the next free `<base>_<n>`."""
        while True:
            self._counts[base] += 1
            name = "_".join(part for part in (base, str(self._counts[base]), self._mark) if part)
            if not self.graph.has_node(name):
                return name

    def hand_over(self, task_ids: Iterable[str], /) -> None:
        """Let others have the ids of nodes that have gone elsewhere (T7)."""
        self._handed_over.update(task_ids)

    def register_llm_agent(
        self, name: str, agent_or_factory: "LLMAgent | Callable[[Any], LLMAgent]"
    ) -> None:
        """Give an agent to the tasks that ask for it: `@task(inject_llm_agent=name)`.

        Args:
            name: What tasks call it.
            agent_or_factory: An agent, or a function that is given the run's context and returns
                one; it is called in each run, and only if a task asks.

        Raises:
            ConfigError: If it is neither.
        """
        named("an agent's name", name)
        self._agents[name] = checked_provider(name, agent_or_factory)

    def set_redis_client(self, redis_client: Any) -> None:  # noqa: ANN401 - a redis.Redis
        """Keep a client for programs that ask for it again; nothing here uses it."""
        self._redis_client = redis_client

    def get_redis_client(self) -> Any:  # noqa: ANN401 - a redis.Redis
        """Return the client that was kept, or None."""
        return self._redis_client

    def show_info(self) -> None:
        """Print the graph as an outline, and its cycles."""
        text = show.summary(self.graph.picture())
        print(f"=== Workflow {self.name!r} Information ===\n{text}")  # noqa: T201 - what it is for

    def visualize_dependencies(self) -> None:
        """Print what comes after each node."""
        text = show.dependencies(self.graph.picture())
        print(f"=== Workflow {self.name!r} Dependencies ===\n{text}")  # noqa: T201 - what it is for

    def program(self, start_node: str | None = None, max_steps: int = DEFAULT_MAX_STEPS) -> Program:
        """Return what a host would run.

        Raises:
            GraphCompilationError: If the workflow as drawn cannot run.
        """
        services = Services(
            tracer=self._tracer,
            prompt_manager=self._prompt_manager,
            agents=dict(self._agents),
            local=() if self._redis_client is None else ("set_redis_client(…)",),
        )
        return freeze_program(
            self.name,
            self.graph,
            start_node=start_node,
            max_steps=max_steps,
            services=services,
            profile=self._profile,
            deadline_s=self._deadline_s,
        )

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
        """Travel without the places to go back to, and what is of this machine only."""
        return {**self.__dict__, "_outside": [], "_tracer": None, "_redis_client": None}

    def __repr__(self) -> str:
        return f"workflow({self.name!r})"


def workflow(
    name: str,
    tracer: "Tracer | None" = None,
    prompt_manager: "PromptManager | None" = None,
    *,
    profile: str | None = None,
    deadline: float | None = None,
) -> WorkflowContext:
    """Make a workflow: what is made and drawn in its `with` belongs to it.

    Args:
        name: Of the workflow.
        tracer: Is told what happens in its runs.
        prompt_manager: For `ctx.prompt_manager`; by default one for `./prompts`.
        profile: RunnerProfile of tasks that name none, on a cluster.
        deadline: Longest time of a whole run, in seconds; then it is stopped and has failed.
    """
    return WorkflowContext(name, tracer, prompt_manager, profile=profile, deadline=deadline)


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


current.set_factory(WorkflowContext.nameless)
