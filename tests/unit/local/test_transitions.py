"""Transitions that tasks decide at run time (section 4), on the local host."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import pytest

from graflow.core.context import TaskExecutionContext
from graflow.core.decorators import task
from graflow.core.task import chain, parallel
from graflow.core.workflow import workflow
from graflow.dsl.copies import UncopyableValueWarning
from graflow.exceptions import (
    CycleLimitExceededError,
    DuplicateTaskError,
    GraflowRuntimeError,
    GraflowWorkflowCanceledError,
    InvalidTransitionError,
    MaxStepsExceededError,
)


class Log(list):
    """The names of the tasks that ran, in their order."""

    def named(self, name: str, value: object = None):
        """Return a task of that name that does nothing but say so."""

        @task(name)
        def body():
            self.append(name)
            return name if value is None else value

        return body


@pytest.fixture
def ran() -> Log:
    return Log()


def test_t_goto_an_existing_task_skips_the_own_successors(ran):
    with workflow("w") as wf:
        handler = ran.named("error_handler", "handled")

        @task(inject_context=True)
        def work(ctx: TaskExecutionContext):
            ran.append("work")
            ctx.next_task(handler, goto=True)

        work >> ran.named("after")
        assert wf.execute() == "handled"
    assert ran == ["work", "error_handler"]


def test_next_task_of_an_existing_task_is_a_jump_too(ran):
    with workflow("w") as wf:
        finish = ran.named("finish")

        @task(inject_context=True)
        def work(ctx):
            ctx.next_task(ctx.graph.get_node("finish"))

        work >> ran.named("skipped") >> finish
        assert wf.execute() == "finish"
    assert ran == ["finish"]


def test_t3_what_a_task_builds_runs_before_its_own_successors(ran):
    with workflow("w") as wf:

        @task
        def item(n):
            ran.append(f"item {n}")
            return n * n

        @task
        def integrate(numbers):
            ran.append("integrate")
            return numbers

        @task(inject_context=True)
        def fan_out(ctx):
            ran.append("fan_out")
            items = [item(task_id=f"item_{n}", n=n) for n in range(3)]

            @task(inject_context=True)
            def add(inner):
                ran.append("add")
                return sum(inner.get_result(f"item_{n}") for n in range(3))

            ctx.next_task(parallel(*items).set_group_name("items") >> add)

        @task(inject_context=True)
        def report(ctx):
            ran.append("report")
            return ctx.get_result("add")

        fan_out >> report
        assert wf.execute() == 5
    assert ran[0] == "fan_out"
    assert sorted(ran[1:4]) == ["item 0", "item 1", "item 2"]
    assert ran[4:] == ["add", "report"]


def test_r6_a_fragments_end_is_the_value_where_its_spawner_leads_to_nothing(ran):
    with workflow("w") as wf:

        @task
        def double(n):
            return 2 * n

        @task(inject_context=True)
        def only(ctx):
            ctx.next_task(double(task_id="d", n=21))
            return "own"

        wf.add_node("only", only, skip_if_exists=True)
        assert wf.execute("only") == 42


def test_a_new_task_with_goto_skips_the_own_successors(ran):
    with workflow("w") as wf:
        other = ran.named("other")

        @task(inject_context=True)
        def work(ctx):
            ctx.next_task(other(task_id="instead"), goto=True)

        work >> ran.named("after")
        assert wf.execute() == "other"
    assert ran == ["other"]


def test_t6_the_spawns_come_first_then_the_jump(ran):
    with workflow("w") as wf:
        target = ran.named("target")

        @task(inject_context=True)
        def work(ctx):
            ctx.next_task(target)
            ctx.next_task(ran.named("new"))

        work >> ran.named("after")
        wf.execute()
    assert ran == ["new", "target"]


def test_t5_a_jump_out_of_a_fragment_to_a_successor_of_the_spawner_runs_it_once(ran):
    with workflow("w") as wf:
        finish = ran.named("finish")

        @task(inject_context=True)
        def work(ctx):
            @task(inject_context=True)
            def new(inner):
                ran.append("new")
                inner.next_task(finish)

            ctx.next_task(new)

        work >> finish
        assert wf.execute() == "finish"
    assert ran == ["new", "finish"]


def test_t8_a_fragment_that_leads_to_a_task_of_the_flow_jumps_there(ran):
    with workflow("w") as wf:
        finish = ran.named("finish")

        @task(inject_context=True)
        def work(ctx):
            ctx.next_task(ran.named("new") >> finish, goto=True)

        work >> ran.named("skipped") >> finish
        assert wf.execute() == "finish"
    assert ran == ["new", "finish"]


def test_t8_a_task_of_the_flow_behind_a_member_of_a_new_group_runs_in_its_branch(ran):
    with workflow("w") as wf:
        finish = ran.named("finish")

        @task(inject_context=True)
        def work(ctx):
            ctx.next_task(parallel(ran.named("new") >> finish, ran.named("other")))

        work >> finish
        assert wf.execute() == "finish"
    assert sorted(ran) == ["finish", "finish", "new", "other"]


def test_t8_a_task_of_the_flow_in_the_middle_of_a_fragment_is_refused(ran):
    with workflow("w") as wf:
        finish = ran.named("finish")

        @task(inject_context=True)
        def work(ctx):
            ctx.next_task(ran.named("new") >> finish >> ran.named("more"))

        work >> finish
        with pytest.raises(GraflowRuntimeError, match="can only end what is built here"):
            wf.execute()


def test_t7_a_new_task_cannot_have_the_id_of_one_of_the_flow(ran):
    with workflow("w") as wf:

        @task(inject_context=True)
        def work(ctx):
            ctx.next_task(ran.named("after"))

        work >> ran.named("after")
        with pytest.raises(GraflowRuntimeError, match="Duplicate task ID") as caught:
            wf.execute()
    assert isinstance(caught.value.cause, DuplicateTaskError)


def test_t7_ids_may_come_again_in_other_fragments(ran):
    with workflow("w") as wf:
        note = ran.named("note")

        @task(inject_context=True)
        def work(ctx):
            for _ in range(2):
                ctx.next_task(note(task_id="x"))
            if ctx.cycle_count < 2:
                ctx.next_iteration()

        work >> ran.named("after")
        wf.execute()
    assert ran == ["note"] * 4 + ["after"]


def test_next_iteration_hands_data_to_the_next_pass_and_successors_wait_for_the_last(ran):
    with workflow("w") as wf:

        @task(inject_context=True, max_cycles=5)
        def improve(ctx, score: float = 0.5):
            ran.append(score)
            if score < 0.8:
                ctx.next_iteration(score + 0.2, reason=f"{score} < 0.8")
            return score

        improve >> ran.named("after")
        _, context = wf.execute(ret_context=True)
    assert ran == [0.5, 0.7, pytest.approx(0.9), "after"]
    assert context.get_result("improve") == pytest.approx(0.9)


def test_next_iteration_without_data_keeps_the_input_of_the_pass_before(ran):
    with workflow("w") as wf:

        @task
        def start():
            return 7

        @task(inject_context=True)
        def again(ctx, number):
            ran.append(number)
            if ctx.can_iterate() and ctx.cycle_count < 3:
                ctx.next_iteration(8 if ctx.cycle_count == 1 else None)

        start >> again
        wf.execute()
    assert ran == [7, 8, 8]


def test_t4_an_instance_of_the_same_task_rebinds_the_arguments_of_the_next_pass(ran):
    with workflow("w") as wf:

        @task(inject_context=True)
        def count(ctx, x: int = 0):
            ran.append(x)
            if x < 2:
                ctx.next_iteration(count(x=x + 1))

        wf.execute("count")
    assert ran == [0, 1, 2]


def test_t4_an_instance_of_another_task_is_refused(ran):
    with workflow("w") as wf:
        other = ran.named("other")

        @task(inject_context=True)
        def count(ctx):
            ctx.next_iteration(other)

        wf.add_node("count", count, skip_if_exists=True)
        with pytest.raises(InvalidTransitionError, match=r"call next_task\(other\)"):
            wf.execute("count")


def test_t2_the_pass_after_max_cycles_is_refused_and_can_be_asked_about(ran):
    with workflow("w") as wf:

        @task(inject_context=True, max_cycles=3)
        def forever(ctx):
            ran.append((ctx.cycle_count, ctx.can_iterate()))
            ctx.next_iteration()

        with pytest.raises(CycleLimitExceededError) as caught:
            wf.execute("forever")
    assert ran == [(1, True), (2, True), (3, False)]
    assert (caught.value.task_id, caught.value.cycle_count) == ("forever", 3)


def test_t2_a_loop_by_goto_is_bounded_by_max_steps_alone(ran):
    with workflow("w") as wf:

        @task(inject_context=True, max_cycles=2)
        def loop(ctx):
            ran.append(ctx.cycle_count)
            ctx.next_task(loop, goto=True)

        with pytest.raises(MaxStepsExceededError, match="'loop'"):
            wf.execute("loop", max_steps=7)
    assert ran == [1, 2, 3, 4, 5, 6, 7]


def test_terminate_ends_the_run_with_the_value_of_its_task(ran):
    with workflow("w") as wf:

        @task(inject_context=True)
        def agent(ctx):
            ran.append("agent")
            if ctx.cycle_count == 3:
                ctx.terminate_workflow("done")
            return f"answer {ctx.cycle_count}"

        init, tool = ran.named("init"), ran.named("tool")
        init >> agent >> tool >> agent
        assert wf.execute("init") == "answer 3"
    assert ran == ["init", "agent", "tool", "agent", "tool", "agent"]


def test_terminate_takes_a_result_instead_of_what_the_task_returns(ran):
    with workflow("w") as wf:

        @task(inject_context=True)
        def work(ctx):
            ctx.terminate_workflow("done", result={"kept": True})

        work >> ran.named("after")
        assert wf.execute() == {"kept": True}
    assert ran == []


def test_terminate_works_from_inside_a_branch_and_a_fragment(ran):
    with workflow("w") as wf:

        @task(inject_context=True)
        def stop(ctx):
            ctx.terminate_workflow("enough")
            return "stopped"

        @task(inject_context=True)
        def spawn(ctx):
            ctx.next_task(stop(task_id="stop_here"))

        (spawn | ran.named("sibling")) >> ran.named("after")
        assert wf.execute() == "stopped"
    assert "after" not in ran


def test_cancel_lets_the_body_finish_and_cancels_the_run(ran):
    with workflow("w") as wf:

        @task(inject_context=True)
        def work(ctx):
            ctx.cancel_workflow("no data", error=ValueError("empty"))
            ran.append("finished")

        work >> ran.named("after")
        with pytest.raises(GraflowWorkflowCanceledError, match=r"no data \(empty\)") as caught:
            wf.execute()
    assert ran == ["finished"]
    assert caught.value.task_id == "work"


def test_t1_the_directives_of_a_failed_attempt_are_dropped(ran):
    with workflow("w") as wf:

        @task(inject_context=True, max_retries=1)
        def work(ctx):
            ran.append(ctx.retry_count)
            if ctx.retry_count == 0:
                ctx.terminate_workflow("never")
                raise ValueError("first attempt")

        work >> ran.named("after")
        wf.execute()
    assert ran == [0, 1, "after"]


def test_an_unknown_target_fails_the_attempt_with_the_nearest_name(ran):
    stranger = ran.named("finnish")
    with workflow("w") as wf:

        @task(inject_context=True)
        def work(ctx):
            ctx.next_task(stranger)

        work >> ran.named("finish")
        with pytest.raises(InvalidTransitionError, match="did you mean 'finish'"):
            wf.execute()


def test_g6_a_jump_stays_in_the_branch_and_the_barrier_waits(ran):
    with workflow("w") as wf:
        helper, more = ran.named("helper"), ran.named("more")

        @task(inject_context=True)
        def a(ctx):
            ctx.next_task(helper)

        helper >> more
        ran.named("begin") >> (a | ran.named("b")) >> ran.named("after")
        wf.execute("begin")
    assert ran.index("more") < ran.index("after")
    assert sorted(ran) == sorted(["begin", "helper", "more", "b", "after"])


def test_g6_a_jump_to_the_group_that_one_runs_in_is_an_error(ran):
    with workflow("w") as wf:

        @task(inject_context=True)
        def a(ctx):
            ctx.next_task(ctx.graph.get_node("G"))

        (a | ran.named("b")).set_group_name("G") >> ran.named("after")
        with pytest.raises(GraflowRuntimeError, match="'a' runs in group 'G'"):
            wf.execute()


def test_a_jump_from_outside_to_a_member_runs_it_and_its_chain_without_barrier(ran):
    with workflow("w") as wf:
        a, behind = ran.named("a"), ran.named("behind")

        @task(inject_context=True)
        def start(ctx):
            if ctx.cycle_count == 1:
                ctx.next_task(a)

        start >> ((a >> behind) | ran.named("b")) >> ran.named("after")
        wf.execute("start")
    assert ran == ["a", "behind"]


def test_t3_a_chain_and_a_group_can_be_handed_over(ran):
    with workflow("w") as wf:

        @task(inject_context=True)
        def start(ctx):
            ctx.next_task(chain(ran.named("x"), ran.named("y")))
            ctx.next_task(ran.named("p") | ran.named("q"))

        start >> ran.named("after")
        wf.execute()
    assert sorted(ran[:-1]) == ["p", "q", "x", "y"]
    assert ran.index("x") < ran.index("y")
    assert ran[-1] == "after"


def test_a_fragment_can_spawn_another_and_the_outermost_spawner_waits_for_all(ran):
    with workflow("w") as wf:

        @task(inject_context=True)
        def dig(ctx, depth: int):
            ran.append(depth)
            if depth < 4:
                ctx.next_task(dig(task_id=f"dig_{depth + 1}", depth=depth + 1))
            return depth

        first = dig(task_id="first", depth=0)
        first >> ran.named("after")
        wf.execute("first")
    assert ran == [0, 1, 2, 3, 4, "after"]


def test_r7_a_failed_fragment_fails_its_spawners_scope(ran):
    with workflow("w") as wf:

        @task(inject_context=True)
        def start(ctx):
            @task
            def broken():
                raise ValueError("inside")

            ctx.next_task(broken)

        start >> ran.named("after")
        with pytest.raises(GraflowRuntimeError, match="inside"):
            wf.execute()
    assert ran == []


def test_results_of_a_fragment_are_seen_outside_once_it_has_ended(ran):
    with workflow("w") as wf:

        @task(inject_context=True)
        def start(ctx):
            ctx.next_task(ran.named("new", 5))

        @task(inject_context=True)
        def after(ctx):
            return ctx.get_result("new"), ctx.graph.has_node("new")

        start >> after
        assert wf.execute() == (5, False)


def test_edges_drawn_at_run_time_never_change_the_graph(ran):
    with workflow("w") as wf:
        after, other = ran.named("after"), ran.named("other")

        @task(inject_context=True)
        def start(ctx):
            after >> other

        start >> after
        assert wf.execute() == "after"
        assert wf.graph.edges == [("start", "after")]
    assert ran == ["after"]


def test_c5_a_captured_context_decides_for_the_task_that_runs_as_it_does_in_a_pod(ran):
    with workflow("w") as wf:
        ran.named("far", "far")

        @task(inject_context=True)
        def build(ctx):
            far = ctx.graph.get_node("far")

            @task
            def inner():
                ctx.next_task(far)

            ctx.next_task(inner)

        build >> ran.named("end")
        wf.execute()
    assert ran == ["far", "end"]


def test_t1_a_task_that_has_ended_decides_nothing_more():
    late, told = threading.Event(), []

    def decide(ctx):
        late.wait()
        with pytest.raises(InvalidTransitionError, match="task 'start' has ended") as caught:
            ctx.terminate_workflow("too late")
        told.append(caught.value)

    with workflow("w") as wf:

        @task(inject_context=True)
        def start(ctx):
            thread = threading.Thread(target=decide, args=(ctx,))
            thread.start()
            return thread

        @task
        def end(start):
            late.set()
            start.join()
            return "end"

        start >> end
        with pytest.warns(UncopyableValueWarning):
            assert wf.execute() == "end"
    assert len(told) == 1


def test_t7_what_a_thread_builds_is_refused_with_the_way_out():
    def build(ctx):
        @task
        def stray():
            return 1

        with pytest.raises(InvalidTransitionError, match=r"'stray'.*copy_context\(\)\.run"):
            ctx.next_task(stray)

    with workflow("w") as wf:

        @task(inject_context=True)
        def start(ctx):
            with ThreadPoolExecutor() as pool:
                pool.submit(build, ctx).result()
                pool.submit(copy_context().run, ctx.next_task, task("seen")(lambda: 2)).result()

        start >> task("end")(lambda seen: seen)
        assert wf.execute() == 2
