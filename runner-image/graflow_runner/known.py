"""The tasks that a running task can look at and go to, as its pod knows them.

Imported when the task first asks; few do.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

from graflow.dsl.call import Callee
from graflow.dsl.flow import Executable, ParallelGroup
from graflow.dsl.graph import TaskGraph
from graflow.dsl.handler import DIRECT
from graflow.dsl.options import PodOptions
from graflow.dsl.task import TaskWrapper

if TYPE_CHECKING:  # not every task has code
    from graflow_runner.bundle import Bundle

Json = Mapping[str, Any]


class KnownTasks:
    """The tasks of the run, and of the fragments around the running task.

    Args:
        bundle: The run's code, with its plan; None: it has none.
        around: The order's plans, the innermost first: those of the fragments around the task, and
            last that of the run, where there is no bundle.
    """

    def __init__(self, bundle: "Bundle | None", around: Sequence[Json]) -> None:
        self._bundle = bundle
        if bundle is not None:
            self._run = _of_spec(bundle.plan())
            self._fragments = [_of_fragment(plan) for plan in around]
        else:
            self._run = _of_run(around[-1] if around else {"tasks": [], "edges": []})
            self._fragments = [_of_fragment(plan) for plan in around[:-1]]

    @cached_property
    def graph(self) -> TaskGraph:
        """All of them; of several with one id the innermost."""
        graph = TaskGraph()
        plans = (*self._fragments, self._run)
        for drawn in plans:
            own = [name for name in (*drawn.tasks, *drawn.groups) if not graph.has_node(name)]
            for name in own:
                graph.add_node(self._stand_in(name, drawn), name)
            for name in own:
                node = graph.get_node(name)
                if isinstance(node, ParallelGroup):
                    node.__dict__["_members"] = [graph.get_node(m) for m in drawn.groups[name]]
        for drawn in plans:
            for before, after in drawn.edges:
                if graph.has_node(before) and graph.has_node(after):
                    graph.add_edge(before, after)
        return graph

    def is_placed(self, task_id: str, /) -> bool:
        """Return whether a task has a place in a flow: an edge, a group, or the start."""
        return any(task_id in drawn.placed for drawn in (*self._fragments, self._run))

    def is_static(self, task_id: str, /) -> bool:
        """Return whether a task of that id was there before the run began."""
        return task_id in self._run.tasks or task_id in self._run.groups

    def written(self, task_id: str) -> Json | None:
        """Return what the bundle's plan says of a task; None: it says nothing."""
        return None if self._bundle is None else self._run.tasks.get(task_id)

    def _stand_in(self, name: str, drawn: "_Drawn") -> Executable:
        if name in drawn.groups:
            return _group(name)
        return StandIn(name, drawn.tasks[name], self._bundle if drawn is self._run else None)


class _Drawn:
    """Nodes and edges of one plan."""

    def __init__(
        self,
        tasks: Mapping[str, Json],
        groups: Mapping[str, Sequence[str]],
        edges: Iterable[Sequence[str]],
        start: Iterable[str],
    ) -> None:
        self.tasks = tasks
        """By id, as a spec says them; of those that no spec has, nothing is said."""
        self.groups = groups
        """Members, by group."""
        self.edges = [(before, after) for before, after in edges]
        self.placed = {
            *start,
            *groups,
            *(member for members in groups.values() for member in members),
            *(node for edge in self.edges for node in edge),
        }


def _of_spec(plan: Json) -> _Drawn:
    tasks = {task["name"]: task for task in plan["tasks"]}
    groups = {group["name"]: group for group in plan.get("groups", ())}
    drawn = plan.get("edges") or [
        (before, name)
        for name, node in (*tasks.items(), *groups.items())
        for before in node.get("after", ())
    ]
    # Without edges and groups a plan that names no start has one task.
    start = plan.get("start", () if drawn or groups else tasks)
    return _Drawn(tasks, {name: node["members"] for name, node in groups.items()}, drawn, start)


def _of_run(plan: Json) -> _Drawn:
    lone = not plan["edges"] and len(plan["tasks"]) == 1
    return _of_order(plan, start=[node["id"] for node in plan["tasks"]] if lone else ())


def _of_fragment(plan: Json) -> _Drawn:
    # Whatever is in a fragment is led to from where it begins.
    return _of_order(plan, start=[node["id"] for node in plan["tasks"]])


def _of_order(plan: Json, start: Iterable[str]) -> _Drawn:
    tasks: dict[str, Json] = {node["id"]: {} for node in plan["tasks"] if not node["group"]}
    groups = {node["id"]: node["members"] for node in plan["tasks"] if node["group"]}
    return _Drawn(tasks, groups, plan["edges"], start)


def _group(name: str) -> ParallelGroup:
    """Return a group that no program drew; its members are to be set."""
    made = ParallelGroup.__new__(ParallelGroup)
    Executable.__init__(made, name)
    made.__dict__.update(built_at=None, _members=[], _surfaces=[], configured=True)
    return made


class StandIn(TaskWrapper):
    """A task of the run; its code is loaded when somebody asks for it."""

    def __init__(self, name: str, spec: Json, bundle: "Bundle | None") -> None:
        """Take what is known of it.

        Args:
            name: Its id.
            spec: What the plan says of it.
            bundle: Where its code is; None: it is not here.
        """
        Executable.__init__(self, name)
        self.built_at = None
        self._numbers = itertools.count(1)
        self._source = (spec, bundle)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # any part of a task
        source = self.__dict__.get("_source")
        if name.startswith("__") or source is None:
            raise AttributeError(name)
        spec, bundle = source
        if bundle is None or "function" not in spec:
            raise AttributeError(
                f"the code of task {self.task_id!r} is not in this pod; it can be gone to, and "
                "looked at in the graph"
            )
        self.__dict__.update(_parts(spec, bundle))
        del self.__dict__["_source"]
        return getattr(self, name)

    def __repr__(self) -> str:
        return f"TaskWrapper({self.task_id!r})"

    def __reduce__(self) -> tuple[object, ...]:
        func = self.func  # loads the rest too, if that is not done
        return TaskWrapper.__new__, (TaskWrapper,), {**self.__getstate__(), "func": func}


def _parts(spec: Json, bundle: "Bundle") -> dict[str, Any]:
    """Return what a task is made of."""
    form = bundle.form(bundle.sha256_of(spec["function"]), spec["function"])
    callee = Callee.from_portable(form)
    retry = spec.get("retry")
    return {
        **{f.name: getattr(callee, f.name) for f in fields(callee) if f.name != "annotations"},
        "callee": callee,
        "handler_type": DIRECT,
        "max_cycles": spec.get("maxIterations"),
        "max_retries": retry and retry["maxAttempts"] - 1,
        "timeout": spec.get("timeoutSeconds"),
        "pod": _pod(spec.get("profile"), spec.get("pod", {})),
    }


def _pod(profile: str | None, pod: Json) -> PodOptions:
    return PodOptions(
        profile=profile,
        image=pod.get("image"),
        resources=pod.get("resources", {}),
        node_selector=pod.get("nodeSelector", {}),
        tolerations=tuple(pod.get("tolerations", ())),
        env={one["name"]: one["value"] for one in pod.get("env", ())},
    )
