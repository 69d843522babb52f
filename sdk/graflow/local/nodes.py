"""The objects behind the machine's nodes: those of the program, and those built at run time."""

from graflow.dsl.flow import Executable, ParallelGroup
from graflow.dsl.graph import TaskGraph
from graflow.dsl.program import Carrying, Program, carrying_of
from graflow.dsl.task import TaskWrapper
from graflow.machine.plan import Plan
from graflow.machine.scopes import outward, plan_at
from graflow.machine.state import RUN_SCOPE, Activation, State


class Nodes:
    """Looks nodes up by where they stand. The payload of a fragment's plan is its objects by id."""

    def __init__(self, program: Program, state: State) -> None:
        self.program = program
        self.state = state
        self._graphs: dict[int, TaskGraph] = {}
        """By the scope of the fragment that they were made for."""

    def node(self, activation: Activation) -> Executable:
        """Return what an activation is of."""
        plan = plan_at(self.program.plan, self.state, activation.scope)
        return self._object(plan, activation.node)

    def task(self, activation: Activation) -> TaskWrapper:
        """Return the task that an activation is of."""
        found = self.node(activation)
        if not isinstance(found, TaskWrapper):
            raise TypeError(f"{activation.node!r} is a group and has no function")
        return found

    def group(self, activation: Activation) -> ParallelGroup:
        """Return the group that an activation is of."""
        found = self.node(activation)
        if not isinstance(found, ParallelGroup):
            raise TypeError(f"{activation.node!r} is a task and has no branches")
        return found

    def carrying(self, number: int) -> Carrying:
        """Return how the branches of a group's activation are carried."""
        return carrying_of(self.group(self.state.activations[number]))

    def graph(self, scope: int) -> TaskGraph:
        """Return the tasks known in a scope: those of the run, and of the fragments around it."""
        home = self.state.scopes[scope].home
        if home == RUN_SCOPE:
            return self.program.graph
        if home not in self._graphs:
            open_ones = self._graphs.keys() & self.state.scopes.keys()
            self._graphs = {other: self._graphs[other] for other in open_ones}
            made = self.program.graph.copy()
            for plan in reversed(self._plans(scope)):
                self._draw(made, plan)
            self._graphs[home] = made
        return self._graphs[home]

    def is_placed(self, scope: int, task_id: str) -> bool:
        """Return whether a task has a place in a flow around a scope."""
        return any(task_id in plan.placed for plan in (*self._plans(scope), self.program.plan))

    def _plans(self, scope: int) -> list[Plan]:
        """Return the plans of the fragments around a scope, the innermost first."""
        return [found.plan for found in outward(self.state, scope) if found.plan is not None]

    def _draw(self, graph: TaskGraph, plan: Plan) -> None:
        names = [node.id for node in plan.nodes if node.id in plan.payload]
        for name in names:
            if not graph.has_node(name):
                graph.add_node(self._object(plan, name), name)
        for before, after in plan.edges:
            if graph.has_node(before) and graph.has_node(after):
                graph.add_edge(before, after)

    def _object(self, plan: Plan, name: str) -> Executable:
        found = plan.payload.get(name)
        # Those of the program are in its graph; a branch in a fragment can have taken in some.
        return found if isinstance(found, Executable) else self.program.graph.get_node(name)
