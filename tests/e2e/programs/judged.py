"""A group that its own policy sends back, until enough branches have succeeded."""

from graflow import parallel, task, workflow
from graflow.core.handlers.group_policy import GroupExecutionPolicy
from graflow.exceptions import ParallelGroupError


class Enough(GroupExecutionPolicy):
    """So many branches succeed."""

    def __init__(self, needed):
        self.needed = needed

    def on_group_finished(self, group_id, tasks, results, context):
        fine = [one.task_id for one in results.values() if one.success]
        bad = [
            (t.task_id, results[t.task_id].error_message) for t in tasks if t.task_id not in fine
        ]
        if len(fine) < self.needed:
            raise ParallelGroupError(f"{len(fine)} of {self.needed}", group_id, bad, fine)


@task(inject_context=True)
def flaky(ctx, fails):
    if ctx.get_channel().atomic_add(ctx.task_id) <= fails:
        raise ValueError(f"{ctx.task_id} is not ready")
    return ctx.cycle_count


@task(inject_context=True)
def after(ctx, members):
    tries = {name: ctx.get_channel().get(name) for name in ("a", "b", "c")}
    return members, tries


def run(needed):
    with workflow(f"judged-{needed}") as wf:
        members = parallel(*(flaky(task_id=name, fails=n) for n, name in enumerate("abc")))
        policy = Enough(needed)
        members.set_group_name("members").with_execution(policy=policy, max_retries=1) >> after
        return wf.execute()


if __name__ == "__main__":
    print(run(2))
    try:
        run(3)
    except ParallelGroupError as error:
        # On a cluster the tracebacks of the members come behind it.
        said = str(error).splitlines()[0]
        print(said, error.group_id, error.failed_tasks, error.successful_tasks)
