"""Policies of the program's own (G2), and groups whose failed branches run again (G5)."""

import pytest

from graflow.core.decorators import task
from graflow.core.handlers.group_policy import (
    AtLeastNGroupPolicy,
    GroupExecutionPolicy,
)
from graflow.core.task import parallel
from graflow.core.workflow import workflow
from graflow.exceptions import (
    GraflowRuntimeError,
    InvalidTransitionError,
    NonRetryableError,
    ParallelGroupError,
)


@pytest.fixture
def ran() -> list[str]:
    return []


@pytest.fixture
def make(ran):
    """Make a task that fails as often as it is told, and says how often it ran."""

    def named(name: str, failures: int = 0):
        @task(name)
        def body():
            ran.append(name)
            if ran.count(name) <= failures:
                raise ValueError(f"{name} broke")
            return name.upper()

        return body

    return named


def test_g2_a_policy_of_the_programs_own_sees_results_and_decides(make):
    seen = {}

    class Majority(GroupExecutionPolicy):
        def on_group_finished(self, group_id, tasks, results, context):
            seen["group"] = group_id
            seen["tasks"] = [one.task_id for one in tasks]
            seen["results"] = {name: one.success for name, one in results.items()}
            seen["words"] = results["b"].error_message
            seen["value"] = context.get_result("a")
            if sum(one.success for one in results.values()) * 2 <= len(results):
                raise ParallelGroupError("no majority", group_id, [], [])

    with workflow("w") as wf:
        group = parallel(make("a"), make("b", failures=1), make("c")).set_group_name("G")
        group.with_execution(policy=Majority()) >> make("after")
        assert wf.execute() == "AFTER"
    assert seen == {
        "group": "G",
        "tasks": ["a", "b", "c"],
        "results": {"a": True, "b": False, "c": True},
        "words": "An error occurred: b broke (caused by b broke)",
        "value": "A",
    }


def test_g2_a_policy_that_raises_fails_the_group_with_its_error(make):
    class Never(GroupExecutionPolicy):
        def on_group_finished(self, group_id, tasks, results, context):
            raise ParallelGroupError("never", group_id, [("a", "no")], ["b"])

    with workflow("w") as wf:
        parallel(make("a"), make("b")).with_execution(policy=Never()) >> make("after")
        with pytest.raises(ParallelGroupError, match="never") as caught:
            wf.execute()
    assert caught.value.failed_tasks == [("a", "no")]


def test_g2_any_other_error_of_a_policy_is_told_with_its_cause(make):
    class Broken(GroupExecutionPolicy):
        def on_group_finished(self, group_id, tasks, results, context):
            return 1 / 0

    with workflow("w") as wf:
        parallel(make("a"), make("b")).with_execution(policy=Broken()) >> make("after")
        with pytest.raises(GraflowRuntimeError, match="division by zero") as caught:
            wf.execute()
    assert isinstance(caught.value.cause, ZeroDivisionError)


def test_g2_directives_of_a_policy_are_refused(make):
    class Bossy(GroupExecutionPolicy):
        def on_group_finished(self, group_id, tasks, results, context):
            context.terminate_workflow("mine")

    with workflow("w") as wf:
        parallel(make("a"), make("b")).with_execution(policy=Bossy()) >> make("after")
        with pytest.raises(InvalidTransitionError, match="cannot decide what runs"):
            wf.execute()


def test_g2_a_policy_can_build_on_one_of_graflows(make, ran):
    class Two(AtLeastNGroupPolicy):
        def on_group_finished(self, group_id, tasks, results, context):
            ran.append("asked")
            super().on_group_finished(group_id, tasks, results, context)

    with workflow("w") as wf:
        group = parallel(make("a", failures=1), make("b", failures=1), make("c"))
        group.set_group_name("G").with_execution(policy=Two(2)) >> make("after")
        with pytest.raises(ParallelGroupError, match="Only 1/3 tasks succeeded in group G"):
            wf.execute()
    assert ran[-1] == "asked"


def test_g5_only_the_branches_that_failed_run_again(make, ran):
    with workflow("w") as wf:
        group = parallel(make("a"), make("b", failures=1) >> make("behind"))
        group.with_execution(max_retries=1) >> make("after")
        assert wf.execute() == "AFTER"
    assert sorted(ran[:-1]) == ["a", "b", "b", "behind"]


def test_g5_without_retries_left_the_group_fails(make, ran):
    with workflow("w") as wf:
        group = parallel(make("a"), make("b", failures=9)).with_execution(max_retries=2)
        group >> make("after")
        with pytest.raises(ParallelGroupError):
            wf.execute()
    assert ran.count("b") == 3
    assert ran.count("a") == 1


def test_g5_a_custom_policy_is_asked_again_after_the_branches_that_failed_have_run(make, ran):
    class AllOrNothing(GroupExecutionPolicy):
        def on_group_finished(self, group_id, tasks, results, context):
            ran.append("asked")
            if not all(one.success for one in results.values()):
                raise ParallelGroupError("not all", group_id, [], [])

    with workflow("w") as wf:
        group = parallel(make("a"), make("b", failures=1))
        group.with_execution(policy=AllOrNothing(), max_retries=1) >> make("after")
        wf.execute()
    assert ran.count("asked") == 2
    assert ran.count("a") == 1


def test_g5_a_policys_error_that_nothing_can_mend_is_not_tried_again(make, ran):
    class Final(GroupExecutionPolicy):
        def on_group_finished(self, group_id, tasks, results, context):
            ran.append("asked")
            raise NonRetryableError("final")

    with workflow("w") as wf:
        group = parallel(make("a", failures=9), make("b"))
        group.with_execution(policy=Final(), max_retries=5) >> make("after")
        with pytest.raises(GraflowRuntimeError, match="final"):
            wf.execute()
    assert ran.count("asked") == 1


def test_g5_groups_built_at_run_time_have_policies_and_retries_too(make, ran):
    with workflow("w") as wf:

        @task(inject_context=True)
        def start(ctx):
            group = parallel(make("a"), make("b", failures=1))
            ctx.next_task(group.with_execution(backend="direct", max_retries=1))

        start >> make("after")
        wf.execute()
    assert sorted(ran[:-1]) == ["a", "b", "b"]
