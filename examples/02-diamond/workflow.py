"""A diamond: two tasks work on one result at a time, and a last one compares what they found.

Parameters named after tasks are given those tasks' results.
"""

from graflow import task, workflow


@task
def measure():
    return [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0]


@task
def mean(measure):
    return sum(measure) / len(measure)


@task
def median(measure):
    ordered = sorted(measure)
    half = len(ordered) // 2
    return (ordered[half - 1] + ordered[half]) / 2


@task
def compare(mean, median):
    return {"mean": mean, "median": median, "skewed": mean > median}


with workflow("diamond") as wf:
    measure >> [mean, median] >> compare

if __name__ == "__main__":
    print(wf.execute())
