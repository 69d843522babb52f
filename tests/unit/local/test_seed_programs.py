"""The two programs on Graflow's front page do what it says of them, as they are printed."""

from dataclasses import dataclass

import pytest

from graflow import TaskExecutionContext, task, workflow

ETL = """
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

# Define workflow with operators — no add_node()/add_edge() needed
with workflow("etl_pipeline") as wf:
    extract >> transform >> load
    wf.execute()
"""

DYNAMIC = """
@task(inject_context=True)
def process_data(context: TaskExecutionContext):
    result = run_processing()

    if result.score < 0.8:
        context.next_iteration()  # Self-loop: retry until threshold met (cycle!)
    elif result.has_error:
        # Jump to existing handler — no add_conditional_edges() needed
        handler = context.graph.get_node("error_handler")
        context.next_task(handler, goto=True)  # Skip successors, jump directly
    else:
        context.next_task(finalize_task)

@task
def error_handler():
    print("Handling error, sending alert...")
    # Recovery logic here

with workflow("processing_pipeline") as wf:
    process_data >> finalize_task  # Static skeleton
    # error_handler is defined but not in the main flow
    # — it's reachable only via dynamic goto
    wf.execute()
"""


def test_a1_the_first_program_prints_what_its_last_task_is_given(module, capsys):
    module(ETL)
    assert capsys.readouterr().out == "Loaded: [2, 4, 6]\n"


@dataclass
class Result:
    score: float
    has_error: bool = False


def printed(results, module, capsys):
    """What the second program prints, with the two names that the page leaves to the reader."""
    waiting = iter(results)

    def run_processing():
        found = next(waiting)
        print(f"score {found.score}")
        return found

    @task
    def finalize_task():
        print("final")

    module(
        DYNAMIC,
        TaskExecutionContext=TaskExecutionContext,
        finalize_task=finalize_task,
        run_processing=run_processing,
        task=task,
        workflow=workflow,
    )
    assert list(waiting) == []
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("low", [0, 1, 3])
def test_t2_and_b6_the_second_program_iterates_until_its_score_is_good(low, module, capsys):
    results = [Result(0.5)] * low + [Result(0.9)]
    assert printed(results, module, capsys) == [*["score 0.5"] * low, "score 0.9", "final"]


def test_b6_the_second_program_jumps_to_a_handler_outside_of_its_flow(module, capsys):
    results = [Result(0.2), Result(0.9, has_error=True)]
    assert printed(results, module, capsys) == [
        "score 0.2", "score 0.9", "Handling error, sending alert...",
    ]  # fmt: skip
