"""A workflow inside a task: small steps that belong together and need no pod each.

The inner program runs in the process of the task that executes it, on a cluster too; what it
raises, and what it returns, is the task's.
"""

from graflow import parallel, task, workflow

SHOPS = {"north": [12, 7, 30], "south": [5, 9], "east": []}


@task
def check_shop(shop):
    with workflow(f"check-{shop}") as inner:

        @task
        def load():
            return SHOPS[shop]

        @task
        def is_open(load):
            return bool(load)

        @task
        def total(load):
            return sum(load)

        @task
        def verdict(is_open, total):
            return {"shop": shop, "open": is_open, "total": total}

        load >> (is_open | total) >> verdict
        return inner.execute()


@task(inject_context=True)
def summary(context):
    found = [context.get_result(f"check_{shop}") for shop in SHOPS]
    sold = sum(one["total"] for one in found)
    closed = [one["shop"] for one in found if not one["open"]]
    return f"{sold} sold, closed: {', '.join(closed)}"


with workflow("nested-workflow") as wf:
    parallel(*(check_shop(task_id=f"check_{shop}", shop=shop) for shop in SHOPS)) >> summary

if __name__ == "__main__":
    print(wf.execute())
