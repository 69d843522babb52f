"""Tasks for nodes of three kinds; the pods of the fake ones never begin."""

from graflow import task, workflow

POOL = "graflow.test/pool"


@task
def plain():
    return "anywhere"


@task(profile="gpu")
def by_profile():
    return "gpu"


@task(
    resources={"nvidia.com/gpu": 1, "memory": "64Gi"},
    node_selector={POOL: "gpu"},
    tolerations=[{"key": "nvidia.com/gpu", "operator": "Exists"}],
)
def by_itself():
    return "gpu"


@task(
    resources={"memory": "48Gi"},
    node_selector={POOL: "memory"},
    tolerations=[{"key": POOL, "operator": "Equal", "value": "memory"}],
    env={"ROOM": "much"},
)
def large():
    return "memory"


if __name__ == "__main__":
    with workflow("placed") as wf:
        plain >> [by_profile, by_itself, large]
        wf.execute()
