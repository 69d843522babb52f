"""A1, A2 in a pod: a task is given what it is given on the local host."""

import json

import pytest

from graflow import task, values
from graflow.core.task import TaskWrapper
from graflow_runner import outcome
from graflow_runner.refs import value_of
from support.signatures import A2_MESSAGE, CASES, NAMES, program
from unit.runner.harness import bundle, with_bundle

TELLING = [
    "data <- {'data': [1, 2, 3]}",
    "users: int <- {'users': 1200}",
    "users: list[int] <- {'users': ['a']}",
    "row: Row <- {'row': {'a': 1}}",
    "points: list[Point] <- {'points': [Point(1)]}",
    "users: int, / <- {'users': 1200}",
    "*, users: int <- {'users': 1200}",
    "users: int, *others, limit=1, **more <- {'users': 1200}",
]
"""A process each, so not all of them."""


def carries(operator, made: TaskWrapper) -> None:
    data, hashes = bundle(functions={"t": made.portable()})
    with_bundle(operator, data)
    operator.order["call"] = {"function": hashes["t"]}


def sends(operator, sender: str, value: object) -> None:
    report = json.loads(outcome.success(values.encode(value)).inline())
    operator.order["sent"] = [{"task": sender, "value": report["value"]}]
    operator.order["senders"] = [sender]


def given(operator, runners):
    runner = runners.run()
    assert runner.process.returncode == 0, runner.stderr
    return value_of(operator.reports[0]["value"], None)


@pytest.mark.parametrize("texts", [False, True], ids=["types", "texts"])
@pytest.mark.parametrize("case", [CASES[NAMES.index(name)] for name in TELLING], ids=TELLING)
def test_a1_the_annotation_chooses_as_it_does_on_the_local_host(operator, runners, case, texts):
    names = program(case, texts=texts)
    carries(operator, names["take"])
    sends(operator, "send", names["send"].run())
    assert given(operator, runners) == names["got"]


def test_a1_sources_come_in_their_order_in_a_pod(operator, runners):
    def take(bound, result, key, default="default", *, value):
        return [bound, result, key, default, value]

    carries(operator, task("t")(take)(task_id="t", bound="bound"))
    sends(operator, "send", "value")
    everything = {kind: {"json": kind} for kind in ("result", "channel")}
    operator.order["names"] = {"bound": everything, "result": everything}
    operator.answers = {"key": {"channel": {"json": "key"}}}
    assert given(operator, runners) == ["bound", "result", "key", "default", "value"]


def test_a1_a_value_never_fills_a_parameter_named_after_a_task_in_a_pod(operator, runners):
    carries(operator, task("t")(lambda later: later))
    sends(operator, "send", 1)
    operator.order["names"] = {"later": {"task": True}}
    runners.run()
    error = operator.reports[0]["error"]
    assert "task 'later' has no result that can be read here" in error["message"]


def test_a1_without_resolving_names_nothing_is_asked(operator, runners):
    carries(operator, task("t", resolve_keyword_args=False)(lambda x, k=0: [x, k]))
    sends(operator, "send", 1)
    operator.answers = {"k": {"result": {"json": 5}}, "x": {"result": {"json": 5}}}
    assert given(operator, runners) == [1, 0]
    assert not [call for call in operator.calls if "results" in call]


def test_a2_what_is_left_over_fails_the_attempt_in_the_words_of_the_local_host(operator, runners):
    carries(operator, task("take")(lambda extrct, limits: print("ran")))
    operator.order["task"]["id"] = "take"
    sends(operator, "extract", 1)
    operator.visible = {"results": ["extract"], "channel": ["limit", "other"]}
    runner = runners.run()
    error = operator.reports[0]["error"]
    assert (error["reason"], error["retryable"]) == ("ArgumentsMissing", False)
    assert (error["message"], error["traceback"]) == (A2_MESSAGE, "")
    assert runner.stdout == ""


def test_a2_an_operator_that_does_not_tell_the_names_is_no_other_failure(operator, runners):
    carries(operator, task("t")(lambda rows, more: 1))
    sends(operator, "load", 1)
    runners.run()
    error = operator.reports[0]["error"]
    assert error["reason"] == "ArgumentsMissing"
    assert "results: load; channel keys: none" in error["message"]
