"""Tasks, groups, chains and the functions that draw them."""

from graflow.dsl.flow import Executable, ParallelGroup, SequentialTask, chain, parallel
from graflow.dsl.task import Task, TaskWrapper

__all__ = [
    "Executable",
    "ParallelGroup",
    "SequentialTask",
    "Task",
    "TaskWrapper",
    "chain",
    "parallel",
]
