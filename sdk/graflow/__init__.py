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

from graflow.dsl.context import TaskExecutionContext
from graflow.dsl.flow import chain, parallel
from graflow.dsl.retry import RetryPolicy
from graflow.dsl.task import task
from graflow.dsl.workflow import workflow

__all__ = ["RetryPolicy", "TaskExecutionContext", "chain", "parallel", "task", "workflow"]
__version__ = "0.1.0"
