"""Everything a task can decide but to end the run: passes, new tasks inside new tasks, jumps."""

from graflow import parallel, task, workflow


@task
def start():
    return 1


@task(inject_context=True, max_cycles=5)
def refine(ctx, score=None):
    score = 0.2 if score is None else score
    if score < 0.8:
        ctx.next_iteration(round(score + 0.3, 1), reason=f"score {score} < 0.8")
    return {"score": score, "passes": ctx.cycle_count}


@task
def double(n):
    return 2 * n


@task(inject_context=True)
def part(ctx, n):
    ctx.next_task(double(task_id=f"twice_{n}", n=n))
    return n


@task
def merge(parts):
    return sum(parts.values())


@task(inject_context=True)
def split(ctx, refine):
    parts = parallel(*(part(task_id=f"part_{n}", n=n) for n in range(3)))
    ctx.next_task(parts.set_group_name("parts") >> merge(task_id="merged"), reason="three parts")
    return refine["passes"]


@task(inject_context=True)
def check(ctx, merged, split):
    if merged > split:
        ctx.next_task(alarm, goto=True, reason=f"{merged} > {split}")
    return merged


@task
def publish(check):
    return f"published {check}"


@task(inject_context=True)
def alarm(ctx, check):
    twice = [ctx.get_result(f"twice_{n}") for n in range(3)]
    return f"alarm: {check}, {twice}, {ctx.get_result('refine')}"


if __name__ == "__main__":
    with workflow("moves") as wf:
        start >> refine >> split >> check >> publish
        value, ctx = wf.execute(ret_context=True)
        print(value)
        print(sorted(ctx.completed_tasks), ctx.get_result("merged"), ctx.get_result("parts"))
