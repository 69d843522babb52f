"""Two tasks agree on what they leave for each other in the channel: a message of a known shape.

What does not have the shape is refused where it is sent, not where it breaks something later.
"""

from typing import TypedDict

from graflow import task, workflow


class Reading(TypedDict):
    sensor: str
    celsius: float
    valid: bool


MEASURED = [
    {"sensor": "roof", "celsius": 3.5, "valid": True},
    {"sensor": "cellar", "celsius": "cold", "valid": True},
    {"sensor": "garden", "celsius": 1.0, "valid": False},
    {"sensor": "garage", "celsius": 6.25, "valid": True},
]


@task(inject_context=True)
def measure(context):
    readings = context.get_typed_channel(Reading)
    refused = []
    for reading in MEASURED:
        try:
            readings.send(reading["sensor"], reading)
        except TypeError:
            refused.append(reading["sensor"])
    return {"sensors": [r["sensor"] for r in MEASURED], "refused": refused}


@task(inject_context=True)
def average(context, measure):
    readings = context.get_typed_channel(Reading)
    found = [readings.receive(sensor) for sensor in measure["sensors"]]
    valid = [reading["celsius"] for reading in found if reading and reading["valid"]]
    mean = sum(valid) / len(valid)
    return f"{mean} degrees from {len(valid)} sensors, refused: {', '.join(measure['refused'])}"


with workflow("typed-channel") as wf:
    measure >> average

if __name__ == "__main__":
    print(wf.execute())
