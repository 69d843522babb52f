"""Extract, transform, load: three tasks in a row, each given what the one before returned."""

from graflow import task, workflow


@task
def extract():
    return {"data": [1, 2, 3]}


@task
def transform(data):
    return [x * 2 for x in data["data"]]


@task
def load(data):
    print(f"Loaded: {data}")


with workflow("etl_pipeline") as wf:
    extract >> transform >> load
    wf.execute()
