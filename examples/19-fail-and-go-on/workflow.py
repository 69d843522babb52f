"""A run that fails half way is kept, gets what it lacked, and goes on where it failed.

Only what had not succeeded runs again. The run is one inside a task, so that this is the same on a
cluster; a program does it alike where it calls `execute()`.
"""

import tempfile

from graflow import task, workflow
from graflow.core.checkpoint import CheckpointManager
from graflow.core.engine import WorkflowEngine
from graflow.exceptions import GraflowRuntimeError

SALES = {"oslo": [120, 80], "rome": [50, 75]}


def accounts():
    with workflow("accounts") as wf:

        @task(inject_context=True)
        def read(context):
            context.get_channel().atomic_add("reads")
            return SALES

        @task
        def oslo(read):
            return sum(read["oslo"])

        @task(inject_context=True)
        def rome(context, read):
            rate = context.get_channel().get("rate")
            if rate is None:
                raise LookupError("there is no rate of today yet")
            return sum(read["rome"]) * rate

        @task(inject_context=True)
        def total(context, oslo, rome):
            return f"{oslo + rome:.2f} in all, read {context.get_channel().get('reads'):g} time"

        read >> (oslo | rome) >> total
    return wf


with workflow("fail-and-go-on") as wf:

    @task
    def account():
        with tempfile.TemporaryDirectory() as folder:
            try:
                return accounts().execute()
            except GraflowRuntimeError as error:
                kept = error.context
                print("failed after", *kept.completed_tasks)
                path, _ = CheckpointManager.create_checkpoint(kept, path=f"{folder}/failed")
            context, _ = CheckpointManager.resume_from_checkpoint(path)
        context.channel.set("rate", 2.5)
        return WorkflowEngine().execute(context)


if __name__ == "__main__":
    print(wf.execute())
