"""A policy of the program's own, judging its group in a pod (G2)."""

import pytest

from graflow.dsl.policies import AtLeastNGroupPolicy, GroupExecutionPolicy
from graflow.exceptions import ParallelGroupError
from unit.runner.harness import bundle, with_bundle

PLAN = {
    "tasks": [{"name": "a", "function": "a"}, {"name": "b", "function": "b"}],
    "groups": [{"name": "G", "members": ["a", "b"]}],
}
FAILED = "An error occurred: no (caused by no)"
RESULTS = {
    "a": {"success": True, "duration": 1.5, "timestamp": 7.0},
    "b": {"success": False, "error": FAILED},
}


def run(operator, runners, policy):
    """Let a policy judge group G, whose member b has failed; return the report."""
    data, hashes = bundle(functions={"G": policy}, plan=PLAN)
    with_bundle(operator, data)
    operator.order["task"] |= {"id": "G", "identity": "G#1", "inside": []}
    operator.order["call"] = {
        "policy": {"function": hashes["G"], "id": "G"},
        "group": "G",
        "members": ["a", "b"],
        "results": RESULTS,
    }
    operator.answers = {"a": {"result": {"json": 40}}}
    runners.run()
    (report,) = operator.reports
    return report


def test_g2_a_policy_is_told_of_members_in_order_and_of_how_each_ended(operator, runners):
    class Looks(GroupExecutionPolicy):
        def on_group_finished(self, group_id, tasks, results, context):
            assert (group_id, context.task_id) == ("G", "G")
            assert [task.task_id for task in tasks] == ["a", "b"]
            good, bad = results.values()
            assert (good.task_id, good.success, good.error) == ("a", True, None)
            assert (good.duration, good.timestamp) == (1.5, 7.0)
            assert (bad.task_id, bad.success) == ("b", False)
            assert bad.error_message == str(bad.error) == ("An error occurred: no (caused by no)")
            assert context.get_result("a") == 40
            assert context.graph.get_parallel_group_members("G") == ["a", "b"]

    assert run(operator, runners, Looks()) == {"outcome": "Succeeded", "value": {"json": None}}


def test_g2_what_a_policy_raises_fails_the_group(operator, runners):
    class SaysNo(GroupExecutionPolicy):
        def on_group_finished(self, group_id, tasks, results, context):
            del tasks, results, context
            raise ParallelGroupError("too few", group_id, [("b", "no")], ["a"])

    report = run(operator, runners, SaysNo())
    assert report["outcome"] == "Failed"
    assert report["error"]["type"] == "graflow.exceptions.ParallelGroupError"
    assert report["error"]["message"] == "too few"


def test_g2_a_policy_that_builds_on_graflows_own_judges_as_that_one_does(operator, runners):
    class Two(AtLeastNGroupPolicy):
        def on_group_finished(self, group_id, tasks, results, context):
            super().on_group_finished(group_id, tasks, results, context)

    report = run(operator, runners, Two(2))
    assert report["error"]["message"] == "Only 1/2 tasks succeeded in group G"
    operator.next_attempt()
    assert run(operator, runners, Two(1))["outcome"] == "Succeeded"


@pytest.mark.parametrize("call", ["terminate_workflow", "next_iteration", "cancel_workflow"])
def test_g2_what_a_policy_decides_is_refused(operator, runners, call):
    class Decides(GroupExecutionPolicy):
        def on_group_finished(self, group_id, tasks, results, context):
            del group_id, tasks, results
            getattr(context, call)()

    operator.order["task"]["maxCycles"] = 10
    error = run(operator, runners, Decides())["error"]
    assert (error["reason"], error["retryable"]) == ("InvalidTransition", False)
    assert "'G' cannot decide what runs" in error["message"]
