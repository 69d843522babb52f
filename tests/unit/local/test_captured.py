"""C5 on the local host: a task that changes what it captured is told that no other would see it."""

import collections
import enum
import functools
import itertools
import logging
import random
import threading
import types
import warnings

import pytest

from graflow import task, workflow
from graflow.dsl.call import Callee
from graflow.local import captured
from graflow.local.captured import Captured, CapturedValueChangedWarning, places_of

LIMIT = 5
LOG = logging.getLogger("test")
COUNTED = {"n": 0}
COUNT = 0
ROWS: list[int] = []
AGAIN: list[int] = []


class Colour(enum.Enum):
    RED = 1


class Model:
    def __init__(self):
        self.weights = [1.0]

    def train(self):
        self.weights.append(2.0)

    def __call__(self):
        self.train()


MODEL = Model()


def warned(func, *, watch=None, task_id="t", bound=None, call=None):
    """Call a function as an attempt does, and return the warnings."""
    watch = watch or Captured()
    callee = Callee(func=func, bound=bound or {})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        before = watch.before(callee)
        (call or func)(**callee.bound)
        watch.after(task_id, callee, before)
    assert all(found.category is CapturedValueChangedWarning for found in caught)
    return [str(found.message) for found in caught]


def count_in_a_global_dict():
    COUNTED["n"] += 1


def count_in_a_global_number():
    global COUNT  # noqa: PLW0603 - what the test is about
    COUNT += 1


def train_a_global_model():
    MODEL.train()


def helper():
    ROWS.append(1)


def change_through_a_function_beside_it():
    helper()


def read_only():
    LOG.debug("%s %s %s", LIMIT, len(ROWS), Colour.RED)
    return json_of_nothing()


def json_of_nothing():
    return [itertools, MODEL.weights, COUNTED]


@pytest.mark.parametrize(
    ("func", "name"),
    [
        (count_in_a_global_dict, "COUNTED"),
        (count_in_a_global_number, "COUNT"),
        (train_a_global_model, "MODEL"),
        (change_through_a_function_beside_it, "ROWS"),
        (lambda: COUNTED.update(n=COUNTED["n"] + 1), "COUNTED"),
        (functools.partial(count_in_a_global_dict), "COUNTED"),
    ],
)
def test_c5_a_changed_global_is_named_with_the_task(func, name):
    (message,) = warned(func, task_id="train")
    assert f"the variable '{name}' was changed while task 'train' ran" in message
    assert "keep it in the channel" in message


def test_c5_a_changed_closure_is_named():
    seen, total, untouched = [], 0, {}

    def appends():
        seen.append(len(untouched))

    def adds():
        nonlocal total
        total += 1

    def inside():
        def inner():
            seen.append(1)

        inner()

    assert "the variable 'seen' was changed" in "".join(warned(appends))
    assert "the variable 'total' was changed" in "".join(warned(adds))
    assert "the variable 'seen' was changed" in "".join(warned(inside))


def test_c5_changed_defaults_arguments_and_objects_are_named():
    def default(rows=[]):  # noqa: B006 - what the test is about
        rows.append(1)

    def argument(rows):
        rows.append(1)

    assert "a default of function 'default' was changed" in "".join(warned(default))
    message = "".join(warned(argument, bound={"rows": []}))
    assert "its argument 'rows' was changed while task 't' ran" in message


def test_c5_a_decorated_function_is_looked_into():
    def decorator(func):
        @functools.wraps(func)
        def wrapper():
            return func()

        return wrapper

    @decorator
    def counts():
        COUNTED["n"] += 1

    assert "'COUNTED'" in "".join(warned(counts))


def test_c5_what_is_only_read_is_no_change():
    rows, generator = [random.Random(1), {1, 2}, collections.deque([1])], iter([1, 2])

    def reads():
        return rows, generator, len(ROWS), Colour.RED, threading.Lock

    assert warned(reads) == []
    assert warned(read_only) == []


def test_c5_a_value_that_is_made_anew_and_equal_is_no_change():
    holder = [{"a": [1, 2]}]

    def same_again():
        holder[0] = {"a": [int("1"), int("2")]}

    assert warned(same_again) == []


def test_c5_a_variable_is_warned_of_once_in_a_run_and_again_in_the_next():
    def first():
        AGAIN.append(1)

    def second():
        AGAIN.append(2)

    watch = Captured()
    assert len(warned(first, watch=watch)) == 1
    assert warned(first, watch=watch) == []
    assert warned(second, watch=watch) == []
    assert len(warned(second)) == 1


def test_c5_what_cannot_be_pickled_or_is_large_is_left_alone():
    lock, large = [threading.Lock()], [bytes(captured.MAX_BYTES)]

    def changes():
        lock.append(1)
        large.append(1)

    assert warned(changes) == []


def test_c5_values_that_cannot_be_compared_count_as_changed_when_they_are_pickled_otherwise():
    class Odd(list):
        def __eq__(self, other):
            raise ValueError("neither true nor false")

        __hash__ = None

    globals()["Odd"] = Odd
    Odd.__qualname__ = "Odd"
    odd = Odd([1])
    assert warned(lambda: odd.append(2)) != []
    assert warned(lambda: odd[0]) == []


def test_c5_the_warning_stands_at_the_tasks_own_line():
    callee, watch = Callee(func=count_in_a_global_dict), Captured()
    before = watch.before(callee)
    count_in_a_global_dict()
    with pytest.warns(CapturedValueChangedWarning) as caught:
        watch.after("t", callee, before)
    (found,) = caught
    assert found.filename == __file__
    assert found.lineno == count_in_a_global_dict.__code__.co_firstlineno


def test_c5_what_is_part_of_the_program_is_not_looked_at():
    other = task("other")(lambda: 1)

    def uses():
        return other, Model, helper, types, LIMIT

    assert [place.words for place in places_of(uses)] == [
        "the variable 'LIMIT'",
        "the variable 'ROWS'",
    ]
    assert Captured().before(Callee(func=lambda: (other, Model, types, LIMIT))) == []
    assert places_of(len) == places_of(Model) == ()


def test_c5_a_method_and_an_object_that_can_be_called_are_looked_into():
    model = Model()
    assert "the object of its method was changed" in "".join(warned(model.train))
    assert "the object that it calls was changed" in "".join(warned(model))
    rows = functools.partial(lambda rows: rows.append(1), [])
    assert "an argument of its partial was changed" in "".join(warned(rows))


def test_c5_arguments_of_what_has_no_code_are_looked_at_too():
    bound = {"rows": []}
    message = "".join(warned(dict, bound=bound, call=lambda rows: rows.append(1)))
    assert "its argument 'rows' was changed" in message


def test_c5_an_object_is_warned_of_once():
    model, watch = Model(), Captured()
    assert len(warned(model, watch=watch)) == 1
    assert warned(model, watch=watch) == []


def test_c5_a_run_warns_once_whatever_became_of_the_attempt():
    tries = []

    @task(max_retries=1)
    def flaky():
        tries.append(1)
        if len(tries) == 1:
            raise ValueError

    with workflow("w") as wf:
        flaky >> task("log")(lambda: tries.append(2))
        with pytest.warns(CapturedValueChangedWarning) as caught:
            wf.execute()
    (found,) = caught
    assert "the variable 'tries' was changed while task 'flaky' ran" in str(found.message)


def test_c5_results_and_the_channel_are_what_tasks_may_change():
    with workflow("w") as wf:

        @task(inject_context=True)
        def counts(context, rows):
            rows.append(1)
            context.get_channel().append("seen", rows)
            return rows

        task("rows")(lambda: [0]) >> counts
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert wf.execute() == [0, 1]
