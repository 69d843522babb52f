"""Graflow for Kubernetes: tasks and operators in Python, each task a pod of its own.

>>> from graflow import task, workflow
>>> @task
... def extract():
...     return {"data": [1, 2, 3]}
>>> @task
... def transform(data):
...     return [x * 2 for x in data["data"]]
>>> with workflow("etl") as wf:
...     _ = extract >> transform
...     wf.execute()
[2, 4, 6]
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # each comes when it is asked for: a pod imports little before it claims
    from graflow.dsl.context import TaskExecutionContext
    from graflow.dsl.flow import chain, parallel
    from graflow.dsl.retry import RetryPolicy
    from graflow.dsl.task import task
    from graflow.dsl.workflow import workflow
else:
    _HOMES = {
        "RetryPolicy": "graflow.dsl.retry",
        "TaskExecutionContext": "graflow.dsl.context",
        "chain": "graflow.dsl.flow",
        "parallel": "graflow.dsl.flow",
        "task": "graflow.dsl.task",
        "workflow": "graflow.dsl.workflow",
    }

    def __getattr__(name: str) -> object:
        """Import what is asked for the first time."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = globals()[name] = getattr(import_module(_HOMES[name]), name)
        return found

    def __dir__() -> list[str]:
        """Return what there is, imported or not."""
        return sorted({*globals(), *_HOMES})


__all__ = ["RetryPolicy", "TaskExecutionContext", "chain", "parallel", "task", "workflow"]
__version__ = "0.1.0"
