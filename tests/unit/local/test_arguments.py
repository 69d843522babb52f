"""A1, A2 on the local host: what a task is given of what came before it."""

import re
from dataclasses import dataclass

import pydantic
import pytest

from graflow import task, workflow
from graflow.exceptions import ArgumentError
from support.signatures import A2_MESSAGE, CASES, NAMES, program


@pytest.mark.parametrize("texts", [False, True], ids=["types", "texts"])
@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_a1_the_annotation_chooses_between_the_value_and_its_entry(case, texts):
    names = program(case, texts=texts)
    with workflow("w") as wf:
        names["send"] >> names["take"]
        assert wf.execute() == names["got"]


class Model(pydantic.BaseModel):
    x: int


def test_a1_a_pydantic_model_chooses_too():
    with workflow("w") as wf:

        @task
        def take(model: Model):
            return model

        task("send")(lambda: {"model": Model(x=1)}) >> take
        assert wf.execute() == Model(x=1)


def test_a1_a_type_known_only_where_the_function_was_written_chooses_too():
    @dataclass
    class Local:
        x: int

    def take(local: "Local"):
        return local, Local

    with workflow("w") as wf:
        task("send")(lambda: {"local": Local(1)}) >> task(take)
        assert wf.execute()[0] == Local(1)


def test_a1_the_value_is_whole_where_the_annotation_means_nothing():
    @task
    def take(users: "Nowhere", limit: "int" = 1):  # noqa: F821 - what the test is about
        return users

    with workflow("w") as wf:
        task("send")(lambda: {"users": 1}) >> take
        assert wf.execute() == {"users": 1}


def test_a1_the_value_of_one_predecessor_fills_what_results_by_name_leave():
    with workflow("w") as wf:
        config = task("config")(lambda: {"k": 1})
        rows = task("rows")(lambda: [1, 2])
        config >> rows >> task("take")(lambda config, data: (config, data))
        assert wf.execute() == ({"k": 1}, [1, 2])


def test_a1_of_two_predecessors_none_fills_a_parameter_by_itself():
    with workflow("w") as wf:
        a, b = task("a")(lambda: 1), task("b")(lambda: 2)
        [a, b] >> task("take")(lambda data: data)
        with pytest.raises(ArgumentError, match="several tasks sent a value, 'a', 'b'"):
            wf.execute()


def test_a1_of_two_predecessors_both_are_there_by_name():
    with workflow("w") as wf:
        a, b = task("a")(lambda: 1), task("b")(lambda: None)
        [a, b] >> task("take")(lambda a, b: (a, b))
        assert wf.execute() == (1, None), "a result of None counts"


def test_a1_a_loop_gives_its_head_the_value_of_the_lap_before():
    seen = []
    with workflow("w") as wf:

        @task(inject_context=True)
        def head(context, value):
            seen.append(value)
            return value + 1

        task("init")(lambda: 0) >> head >> task("tail")(lambda head: head * 10) >> head
        with pytest.raises(Exception, match="maxSteps"):
            wf.execute(max_steps=6)
    assert seen == [0, 10, 110]


def test_a1_a_value_never_fills_a_parameter_named_after_a_task_that_has_not_run():
    with workflow("w") as wf:
        take = task("take")(lambda later: later)
        task("send")(lambda: 1) >> take >> task("later")(lambda: 2)
        with pytest.raises(ArgumentError, match="task 'later' has no result that can be read"):
            wf.execute()


def test_a1_the_sources_come_in_their_order():
    """Bound, result, channel key, default, and only then the value before."""

    def take(bound="default", result="default", key="default", default="default", *, value):
        return bound, result, key, default, value

    with workflow("w") as wf:
        (
            task("result")(lambda: "result")
            >> task("send")(lambda: "value")
            >> task("take")(take)(task_id="take1", bound="bound")
        )
        channel = dict.fromkeys(("bound", "result", "key"), "key")
        assert wf.execute(start_node="result", initial_channel=channel) == (
            "bound", "result", "key", "default", "value",
        )  # fmt: skip


@pytest.mark.parametrize("resolve", [True, False])
def test_a1_without_resolving_names_the_value_before_still_fills_the_only_parameter(resolve):
    with workflow("w") as wf:
        task("a")(lambda: 1) >> task("take", resolve_keyword_args=resolve)(lambda x, k=0: (x, k))
        assert wf.execute(initial_channel={"k": 5}) == (1, 5 if resolve else 0)


def test_a1_async_functions_and_objects_that_can_be_called_are_given_the_same():
    class Callable:
        def __call__(self, users: int):
            return users

    async def later(users: int):
        return users

    for function in (Callable(), later):
        with workflow("w") as wf:
            task("send")(lambda: {"users": 3}) >> task(id="take")(function)
            assert wf.execute() == 3


def test_a2_what_is_left_over_fails_the_attempt_with_all_that_was_there():
    ran = []
    with workflow("w") as wf:

        @task("take", max_retries=3)
        def take(extrct, limits):
            ran.append(1)

        task("extract")(lambda: 1) >> take
        with pytest.raises(ArgumentError) as caught:
            wf.execute(initial_channel={"limit": 3, "other": 4})
    assert ran == []
    assert str(caught.value) == A2_MESSAGE


def test_a2_what_a_task_made_at_run_time_is_among_the_results():
    with workflow("w") as wf:

        @task(inject_context=True)
        def spawns(context):
            context.next_task(task("made")(lambda: 1))

        spawns >> task("take")(lambda mad, other: mad)
        with pytest.raises(ArgumentError, match=r"results: spawns, made; .*did you mean 'made'"):
            wf.execute()


def test_a2_in_a_branch_only_what_the_branch_may_see_is_told():
    with workflow("w") as wf:
        chain = task("inner")(lambda: 2) >> task("take")(lambda x, y: x)
        task("outer")(lambda: 1) >> (chain | task("sibling")(lambda: 3))
        with pytest.raises(Exception, match="results: outer, inner; channel keys: none"):
            wf.execute()


def test_a2_of_very_many_names_the_first_are_told_and_the_nearest():
    with workflow("w") as wf:
        a = task("a")(lambda: 1)
        a >> task("take")(lambda row_070, other: 1)
        channel = {f"row_{n}": n for n in range(1000)}
        with pytest.raises(ArgumentError) as caught:
            wf.execute(initial_channel=channel)
    message = str(caught.value)
    assert re.search(r"channel keys: row_0, row_1, .*row_19 and 980 more;", message)
    assert "did you mean 'row_70'?" in message
    assert len(message) < 700


def test_a2_async_tasks_are_awaited():
    import asyncio

    with workflow("w") as wf:

        @task
        async def a():
            await asyncio.sleep(0)
            return 1

        a >> task("b")(lambda a: a + 1)
        assert wf.execute() == 2


def test_a1_a_jump_carries_the_result_of_the_jumper():
    with workflow("w") as wf:

        @task(inject_context=True)
        def jumps(context):
            context.next_task(take, goto=True)
            return {"users": 3}

        @task
        def take(users: int):
            return users

        jumps >> task("skipped")(lambda jumps: jumps) >> take
        assert wf.execute() == 3


def test_a1_a_start_has_no_value_to_give():
    with workflow("w") as wf:
        task("a")(lambda: 1) >> task("b")(lambda value: value)
        with pytest.raises(ArgumentError, match="'value'; no task before it sent a value"):
            wf.execute(start_node="b")


def test_a1_every_member_of_a_group_is_given_what_came_to_the_group():
    with workflow("w") as wf:
        left, right = task("left")(lambda n: n + 1), task("right")(lambda n: n + 2)
        task("a")(lambda: 1) >> (left | right) >> task("join")(lambda group: group)
        assert wf.execute() == {"left": 2, "right": 3}


def test_a1_the_data_of_an_iteration_comes_before_what_is_bound_and_named():
    with workflow("w") as wf:

        @task(inject_context=True)
        def refine(context, draft, limit):
            if context.cycle_count < limit:
                context.next_iteration([*draft, "again"])
            return draft

        task("draft")(lambda: ["first"]) >> refine(task_id="refined", limit=3)
        assert wf.execute() == ["first", "again", "again"]
