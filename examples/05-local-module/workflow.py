"""A program of several files: helpers and classes in a module of its own, and a data file."""

from pathlib import Path

from sales import by_shop, read_sales

from graflow import task, workflow

SALES = Path(__file__).parent / "data" / "sales.csv"


@task
def load():
    return read_sales(SALES)


@task
def total(load):
    return by_shop(load)


@task
def best(total):
    shop = max(total, key=total.get)
    return f"{shop} sold most: {total[shop]:.2f}"


with workflow("local-module") as wf:
    load >> total >> best

if __name__ == "__main__":
    print(wf.execute())
