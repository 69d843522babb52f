"""A task that makes two others, the first of which asks for a checkpoint."""

from graflow import task, workflow


@task(inject_context=True)
def first(ctx):
    ctx.checkpoint({"inside": True})
    return 20


@task
def second(n):
    return n + 1


@task(inject_context=True)
def makes(ctx):
    ctx.next_task(first(task_id="one") >> second(task_id="two"))
    return 1


@task(inject_context=True)
def last(ctx):
    return ctx.get_result("makes")


if __name__ == "__main__":
    with workflow("makes") as wf:
        makes >> last
        print(wf.execute())
