"""The same objects without operators: a graph built by hand, run by an engine."""

from graflow.core.context import ExecutionContext
from graflow.core.engine import WorkflowEngine
from graflow.core.graph import TaskGraph
from graflow.core.task import TaskWrapper


def numbers():
    return list(range(1, 11))


def squares(numbers):
    return [n * n for n in numbers]


def total(context):
    return sum(context.get_result("squares"))


graph = TaskGraph()
graph.add_node(TaskWrapper("numbers", numbers))
graph.add_node(TaskWrapper("squares", squares))
graph.add_node(TaskWrapper("total", total, inject_context=True))
graph.add_edge("numbers", "squares")
graph.add_edge("squares", "total")

if __name__ == "__main__":
    context = ExecutionContext.create(graph, start_node="numbers", max_steps=100)
    result = WorkflowEngine().execute(context)
    print(f"{context.get_result('total')} in {context.steps} steps, result {result}")
