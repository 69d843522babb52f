"""A task that lets its body end and then cancels the run."""

from graflow import task, workflow
from graflow.exceptions import GraflowWorkflowCanceledError


@task(inject_context=True)
def look(ctx):
    ctx.cancel_workflow("there is no such customer")
    print("the body goes on to its end", flush=True)
    return 1


@task
def never(look):
    return look


if __name__ == "__main__":
    with workflow("gives-up") as wf:
        look >> never
        try:
            wf.execute()
        except GraflowWorkflowCanceledError as error:
            print(f"cancelled: {error}")
