"""Groups in groups: two regions side by side, in each two shops side by side, then the totals.

The value of a group is a dict of its branches' values; the chain behind a member belongs to its
branch.
"""

from graflow import task, workflow


@task
def north_1():
    return 10


@task
def north_2():
    return 20


@task
def south_1():
    return 3


@task
def south_2():
    return 4


@task
def north_total(north):
    return sum(north.values())


@task
def south_total(south):
    return sum(south.values())


@task
def report(regions):
    return f"north {regions['north']}, south {regions['south']}"


with workflow("nested-groups") as wf:
    north = (north_1 | north_2).set_group_name("north")
    south = (south_1 | south_2).set_group_name("south")
    regions = ((north >> north_total) | (south >> south_total)).set_group_name("regions")
    regions >> report

if __name__ == "__main__":
    print(wf.execute())
