"""Retries: a service that is busy twice, and a question that no patience answers.

Which errors are worth another attempt is the policy's to say; the group goes on with what it got.
"""

from graflow import RetryPolicy, parallel, task, workflow

DEGREES = {"oslo": 4, "rome": 21}


class BusyError(Exception):
    """Ask again later."""


class UnknownCityError(Exception):
    """Asking again does not help."""


@task(
    inject_context=True,
    retry_policy=RetryPolicy(
        max_retries=3, initial_interval=0.1, max_interval=1.0, give_up_on=UnknownCityError
    ),
)
def degrees(context, city):
    if city not in DEGREES:
        raise UnknownCityError(city)
    if context.retry_count < 2:
        raise BusyError(f"attempt {context.retry_count + 1}")
    return {"degrees": DEGREES[city], "attempts": context.retry_count + 1}


@task
def report(answers):
    return ", ".join(
        f"{city}: {answer['degrees']} degrees after {answer['attempts']} attempts"
        for city, answer in answers.items()
    )


with workflow("retries") as wf:
    asked = parallel(*(degrees(task_id=city, city=city) for city in ("oslo", "rome", "atlantis")))
    asked.set_group_name("answers").with_execution(policy="best_effort") >> report

if __name__ == "__main__":
    print(wf.execute())
