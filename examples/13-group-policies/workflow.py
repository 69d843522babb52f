"""When is a group good enough? Graflow's policies, and one of the program's own.

Three sources answer a question, and one of them is broken. What that means for the whole is for
each group to say; on a cluster a policy of the program's own runs in a pod of its own.
"""

from graflow import parallel, task, workflow
from graflow.core.handlers.group_policy import (
    AtLeastNGroupPolicy,
    CriticalGroupPolicy,
    GroupExecutionPolicy,
)

TRUST = {"sensor": 5, "model": 3, "guess": 1}


class Trusted(GroupExecutionPolicy):
    """The sources that answered are trusted enough, taken together."""

    def __init__(self, needed):
        self.needed = needed

    def on_group_finished(self, group_id, tasks, results, context):
        answered = [task.task_id for task in tasks if results[task.task_id].success]
        trust = sum(context.get_result(source)["trust"] for source in answered)
        if trust < self.needed:
            raise ValueError(f"{group_id}: {', '.join(answered)} are trusted {trust} only")


@task
def ask(source, degrees):
    if degrees is None:
        raise ValueError(f"{source} does not answer")
    return {"degrees": degrees, "trust": TRUST[source.partition("_")[0]]}


@task
def average(answers):
    return sum(answer["degrees"] for answer in answers.values()) / len(answers)


def asked(kind, policy):
    """Return a group of the three sources and what follows it."""
    answers = {"sensor": 20.5, "model": 21.5, "guess": None}
    sources = parallel(
        *(
            ask(task_id=f"{source}_{kind}", source=f"{source}_{kind}", degrees=degrees)
            for source, degrees in answers.items()
        )
    )
    return sources.set_group_name(kind).with_execution(policy=policy)


@task
def report(most, the_sensor, trusted):
    return f"most {most}, the sensor {the_sensor}, trusted {trusted}"


with workflow("group-policies") as wf:
    groups = {
        "most": asked("two", AtLeastNGroupPolicy(2)),
        "the_sensor": asked("one", CriticalGroupPolicy(["sensor_one"])),
        "trusted": asked("enough", Trusted(8)),
    }
    [group >> average(task_id=name) for name, group in groups.items()] >> report

if __name__ == "__main__":
    print(wf.execute())
