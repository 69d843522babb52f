"""Which workflow operators draw on, and which one a running task belongs to.

Three layers, the first that applies: the innermost `with workflow(…)` of this context; what the
running task builds; the thread's ambient workflow, which an operator brings into being.
"""

import threading
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from graflow.dsl.graph import TaskGraph


class Node(Protocol):
    """What can stand in a graph."""

    @property
    def task_id(self) -> str:
        """Name of the node in its workflow."""


class Surface(Protocol):
    """What tasks and operators ask of the workflow that they are drawn on."""

    @property
    def graph(self) -> "TaskGraph":
        """Its nodes and edges."""

    def register(self, node: Node, /) -> None:
        """Make the node part of the workflow, unless it is already."""

    def connect(self, before: Node, after: Node, /) -> None:
        """Draw an edge between two nodes of the workflow."""

    def has_edges(self, node: Node, /, *, outgoing_only: bool) -> bool:
        """Return whether edges begin (or also end) at the node."""

    def has_node(self, task_id: str, /) -> bool:
        """Return whether the id is taken."""

    def rename_node(self, old: str, new: str, /) -> None:
        """Give a node another id."""

    def remove_node(self, task_id: str, /) -> None:
        """Take out a node that has no edges."""

    def get_next_group_name(self) -> str:
        """Return the next free `ParallelGroup_<n>`."""

    def next_id(self, base: str, /) -> str:
        """Return the next free `<base>_<n>`."""

    def hand_over(self, task_ids: Iterable[str], /) -> None:
        """Let others have the ids of nodes that have gone elsewhere."""


Run: TypeAlias = Surface | Callable[[], Surface]
"""The workflow of a run, or a function that makes it when a task asks for it, which few do."""


class Place:
    """Where the present code stands.

    Args:
        drawing: Where new tasks and edges go; None: on an empty workflow, made when needed.
        workflow: What `current_workflow_context()` gives: inside a task, the workflow of its run,
            or what makes it when somebody asks; None: the same as `drawing`.
        task: Of a running task: its `TaskFacts.identity`, for the automatic ids of what it builds
            (T7); None: this is no place of a task.
    """

    def __init__(
        self, drawing: Surface | None, workflow: Run | None, task: str | None = None
    ) -> None:
        self._drawing = drawing
        self._workflow = workflow
        self._task = task

    @property
    def drawing(self) -> Surface:
        """Where new tasks and edges go."""
        if self._drawing is None:
            self._drawing = new_surface(self._task or "")
        return self._drawing

    @property
    def workflow(self) -> Surface:
        """The workflow that the present code belongs to."""
        found = self._workflow
        if found is None:
            return self.drawing
        if callable(found):
            made: Surface = found()
            self._workflow = made
            return made
        return found

    @property
    def graph(self) -> "TaskGraph":
        """What has been drawn here."""
        return self.drawing.graph

    def hand_over(self, task_ids: Iterable[str]) -> None:
        """Let others have the ids of nodes that have gone elsewhere."""
        self.drawing.hand_over(task_ids)

    @property
    def is_of_task(self) -> bool:
        """Whether what is built here is what a running task builds."""
        return self._task is not None


_place: ContextVar[Place | None] = ContextVar("graflow_place", default=None)
_running: ContextVar[bool] = ContextVar("graflow_running", default=False)
_thread = threading.local()
_new_surface: list[Callable[[str], Surface]] = []


def set_factory(factory: Callable[[str], Surface]) -> None:
    """Say how a workflow is made, given the identity of the task that it is for, or nothing.

    Called once, by the module that defines workflows.
    """
    _new_surface[:] = [factory]


def set_ambient(surface: Surface | None) -> None:
    """Set or clear the ambient workflow of this thread."""
    _thread.ambient = surface


def new_surface(task: str = "") -> Surface:
    """Return an empty workflow that belongs to nothing.

    Args:
        task: The identity of the running task that draws on it, if one does.
    """
    if not _new_surface:  # a task in a pod that draws, which few do
        import_module("graflow.dsl.workflow")
    return _new_surface[0](task)


def ambient(*, create: bool) -> Surface | None:
    """Return the ambient workflow of this thread."""
    found: Surface | None = getattr(_thread, "ambient", None)
    if found is None and create:
        found = new_surface()
        set_ambient(found)
    return found


def drawing() -> Surface | None:
    """Return where new tasks belong, if anywhere."""
    place = _place.get()
    return place.drawing if place else ambient(create=False)


def must_draw() -> Surface:
    """Return where an operator draws; outside everything, the thread's ambient workflow."""
    place = _place.get()
    found = place.drawing if place else ambient(create=True)
    if found is None:
        raise LookupError("no workflow to draw on, and none could be made")
    return found


def workflow(*, create: bool) -> Surface | None:
    """Return the workflow that the present code belongs to."""
    place = _place.get()
    return place.workflow if place else ambient(create=create)


def in_running_task() -> bool:
    """Return whether the present code was called by a running task."""
    return _running.get()


def place() -> Place | None:
    """Return where the present code stands, None outside of everything."""
    return _place.get()


def set_place(where: Place | None) -> None:
    """Move the present context; what `with workflow` does on its way in and out."""
    _place.set(where)


def enter_task(workflow: Run | None, task: str = "") -> Place:
    """Make the present context, which nothing else uses, that of a running task.

    What the task builds goes to a workflow of its own, never to the run's graph.

    Args:
        workflow: The workflow of the run, or what makes it; None: there is none here.
        task: Its identity.
    """
    place = Place(None, workflow, task)
    _place.set(place)
    _running.set(True)
    return place
