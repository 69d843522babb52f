"""A branch of a group that a task has made ends the whole run, while its sibling would go on."""

import time

from graflow import parallel, task, workflow


@task(inject_context=True)
def find(ctx):
    ctx.get_channel().set("found", 42)
    ctx.terminate_workflow("one answer is enough")
    return 42


@task
def search():
    time.sleep(600)


@task(inject_context=True)
def ask(ctx):
    ctx.next_task(parallel(find, search).set_group_name("searches"))


@task
def never(ask):
    return ask


if __name__ == "__main__":
    with workflow("enough") as wf:
        ask >> never
        print(wf.execute())
