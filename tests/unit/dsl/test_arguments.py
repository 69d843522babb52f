"""A1 and A2: what a task's parameters are given."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graflow.dsl.arguments import Again, Available, Incoming, NoNames, resolve
from graflow.dsl.missing import MISSING
from graflow.dsl.signature import Signature
from graflow.exceptions import ArgumentError


@dataclass
class Run:
    """Names of a run, from dicts."""

    results: Mapping[str, Any] = field(default_factory=dict)
    channel: Mapping[str, Any] = field(default_factory=dict)
    tasks: tuple[str, ...] = ()

    def result(self, name):
        return self.results.get(name, MISSING)

    def channel_value(self, key):
        return self.channel.get(key, MISSING)

    def is_task(self, name):
        return name in self.tasks or name in self.results

    def available(self):
        return Available(tuple(self.results), tuple(self.channel))


def token(sender, value):
    return Incoming(sender, lambda: value)


def call(  # noqa: PLR0913 - one keyword for each source of values
    func, *sent, run=None, bound=None, injected=None, inject_context=False, again=None, **given
):
    return resolve(
        "t",
        Signature.of(func, inject_context=inject_context),
        bound=bound or {},
        sent=sent,
        names=run or Run(),
        given=given,
        injected=injected or {},
        again=again,
    )


def takes_x(x):
    pass


def takes_x_or_0(x=0):
    pass


def takes_users(users: int):
    pass


def takes_data(data):
    pass


def test_a1_the_seed_whole_dict_into_an_unannotated_parameter():
    assert call(takes_data, token("extract", {"data": [1, 2, 3]})) == {"data": {"data": [1, 2, 3]}}


def test_a1_the_entry_of_that_name_where_only_that_matches_the_annotation():
    assert call(takes_users, token("fetch", {"users": 1200})) == {"users": 1200}


def test_a1_the_whole_where_the_whole_matches():
    def f(users: dict):
        pass

    assert call(f, token("fetch", {"users": {"a": 1}})) == {"users": {"users": {"a": 1}}}
    assert call(takes_users, token("fetch", 7)) == {"users": 7}


def test_a1_the_whole_where_neither_matches():
    assert call(takes_users, token("fetch", {"users": "many"})) == {"users": {"users": "many"}}
    assert call(takes_users, token("fetch", {"other": 1})) == {"users": {"other": 1}}


def test_a1_annotations_as_text_are_understood_and_unknown_ones_do_not_matter():
    def known(users: "int"):
        pass

    def unknown(users: "Nowhere"):  # noqa: F821
        pass

    sent = token("fetch", {"users": 1})
    assert call(known, sent) == {"users": 1}
    assert call(unknown, sent) == {"users": {"users": 1}}


def test_a1_typed_dicts_choose_by_their_keys():
    class Report(TypedDict):
        total: int

    def f(report: Report):
        pass

    assert call(f, token("a", {"report": {"total": 1}})) == {"report": {"total": 1}}
    assert call(f, token("a", {"total": 1, "report": {}})) == {"report": {"total": 1, "report": {}}}


def test_given_comes_before_everything():
    run = Run(results={"x": "result"}, channel={"x": "channel"})
    assert call(takes_x, run=run, bound={"x": "bound"}, x="given") == {"x": "given"}


def test_bound_comes_before_results_and_results_before_the_channel():
    run = Run(results={"x": "result"}, channel={"x": "channel"})
    assert call(takes_x, run=run, bound={"x": "bound"}) == {"x": "bound"}
    assert call(takes_x, run=run) == {"x": "result"}
    assert call(takes_x, run=Run(channel={"x": "channel"})) == {"x": "channel"}


def test_data_of_an_iteration_comes_before_everything_and_none_is_data():
    run = Run(results={"x": "result"}, channel={"x": "channel"})
    again = Again(data=None, bound={"x": "bound anew"})
    assert call(takes_x, token("a", 1), run=run, bound={"x": "bound"}, again=again, x="given") == {
        "x": None
    }


def test_data_of_an_iteration_is_the_first_argument_after_what_is_injected():
    def f(context, llm_client, state, x, *, y):
        pass

    values = call(
        f,
        token("a", "token"),
        run=Run(channel={"x": 1}),
        inject_context=True,
        injected={"llm_client": "client"},
        again=Again(data="data"),
    )
    assert values == {"llm_client": "client", "state": "data", "x": 1, "y": "token"}


def test_data_of_an_iteration_goes_to_a_parameter_by_name_if_there_is_no_other():
    def f(context, *, state):
        pass

    assert call(f, inject_context=True, again=Again(data=1)) == {"state": 1}


@pytest.mark.parametrize("parameters", ["", "**more"])
def test_data_of_an_iteration_without_a_parameter_is_refused(parameters):
    f = eval(f"lambda {parameters}: None")
    with pytest.raises(ArgumentError, match="'t' has no parameter for the data that next_iterat"):
        call(f, again=Again(data=1))


def test_t4_arguments_bound_anew_come_over_those_of_the_instance():
    def f(x, y):
        pass

    run = Run(results={"x": "result", "y": "result"})
    assert call(f, run=run, bound={"x": 1, "y": 1}, again=Again(bound={"x": 2})) == {"x": 2, "y": 1}


def test_injected_comes_before_bound():
    def f(llm_client):
        pass

    injected = {"llm_client": "client"}
    assert call(f, bound={"llm_client": 1}, injected=injected) == injected


def test_a1_a_result_of_none_counts():
    assert call(takes_x_or_0, run=Run(results={"x": None})) == {"x": None}


def test_a1_the_default_comes_before_the_token():
    assert call(takes_x_or_0, token("a", 1)) == {}


def test_the_context_is_the_first_positional_whatever_its_name():
    def f(whatever, x):
        pass

    assert call(f, token("a", 1), inject_context=True) == {"x": 1}


def test_a1_of_several_values_from_one_predecessor_the_latest_counts():
    assert call(takes_x, token("a", 1), token("a", 2)) == {"x": 2}


def test_a1_a_token_never_fills_a_parameter_named_after_a_task():
    with pytest.raises(ArgumentError, match="task 'x' has no result that can be read here"):
        call(takes_x, token("a", 1), run=Run(tasks=("x",)))


def test_a1_a_token_never_fills_a_second_parameter():
    def f(a, x):
        pass

    with pytest.raises(ArgumentError, match="the value of 'a' went to the parameter of that name"):
        call(f, token("a", 1), run=Run(results={"a": 1}))


def test_a1_a_token_fills_a_parameter_beside_results_of_others():
    def f(earlier, x):
        pass

    run = Run(results={"earlier": 0, "a": 1})
    assert call(f, token("a", 1), run=run) == {"earlier": 0, "x": 1}


def test_a1_a_token_fills_one_parameter_not_two():
    def f(x, y):
        pass

    with pytest.raises(ArgumentError, match=r"'x', 'y'.*can fill one parameter, not 2"):
        call(f, token("a", 1))


def test_a1_values_of_several_predecessors_fill_nothing():
    with pytest.raises(ArgumentError, match="several tasks sent a value, 'a', 'b'"):
        call(takes_x, token("a", 1), token("b", 2))


def test_a1_a_start_has_no_token():
    with pytest.raises(ArgumentError, match="no task before it sent a value"):
        call(takes_x)


def test_a2_what_is_left_over_is_told_with_what_was_there_and_the_nearest_name():
    def f(extrct, b):
        pass

    run = Run(results={"extract": 1, "fetch": 2}, channel={"limit": 3})
    with pytest.raises(ArgumentError) as caught:
        call(f, run=run)
    message = str(caught.value)
    assert "task 't' has no value for 'extrct', 'b'" in message
    assert "results: extract, fetch" in message
    assert "channel keys: limit" in message
    assert "did you mean 'extract'?" in message


def test_an_unknown_given_argument_is_refused():
    with pytest.raises(ArgumentError, match="no parameter 'z'"):
        call(takes_x, z=1)


def test_a_catch_all_takes_bound_and_given_names():
    def f(x, **more):
        pass

    assert call(f, bound={"y": 1}, x=0, z=2) == {"x": 0, "y": 1, "z": 2}


def test_a1_the_value_of_a_token_is_loaded_only_when_it_is_taken():
    def must_not_load():
        raise AssertionError("loaded")

    assert call(takes_x_or_0, Incoming("a", must_not_load)) == {}


def test_a_name_that_knows_nothing_is_a_name_all_the_same():
    assert call(takes_x, token("a", 1), run=NoNames()) == {"x": 1}


NAMES = ("a", "b", "c", "d")


@st.composite
def situations(draw):
    """Any function of up to four parameters, and any part of what may fill them."""
    parameters = draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=4))
    some = st.frozensets(st.sampled_from(NAMES))
    defaults = draw(some)
    required = [p for p in parameters if p not in defaults]
    listed = [*required, *(f"{p}='default'" for p in parameters if p in defaults)]
    scope: dict[str, Any] = {}
    exec(f"def f({', '.join(listed)}): pass", scope)
    return {
        "func": scope["f"],
        "required": required,
        "parameters": parameters,
        "given": draw(some) & frozenset(parameters),
        "bound": draw(some) & frozenset(parameters),
        "results": draw(some),
        "channel": draw(some),
        "tasks": draw(some),
        "senders": draw(st.lists(st.sampled_from((*NAMES, "other")), max_size=3)),
    }


@given(situations())
def test_each_parameter_is_given_the_first_of_its_sources(s):
    run = Run(
        results={name: ("result", name) for name in s["results"]},
        channel={name: ("channel", name) for name in s["channel"]},
        tasks=tuple(s["tasks"]),
    )
    expected: dict[str, Any] = {}
    for name in s["parameters"]:
        for source in ("given", "bound", "results", "channel"):
            if name in s[source]:
                expected[name] = ("result" if source == "results" else source, name)
                break
    left = [name for name in s["required"] if name not in expected]
    went = {name for name, value in expected.items() if value == ("result", name)}
    senders = set(s["senders"])
    if left:
        may = (
            len(left) == 1 and len(senders) == 1 and not run.is_task(left[0]) and not senders & went
        )
        if may:
            expected[left[0]] = ("token", len(s["senders"]) - 1)
        else:
            expected = {}

    def attempt():
        return call(
            s["func"],
            *(token(sender, ("token", n)) for n, sender in enumerate(s["senders"])),
            run=run,
            bound={name: ("bound", name) for name in s["bound"]},
            **{name: ("given", name) for name in s["given"]},
        )

    if left and not expected.get(left[0]):
        with pytest.raises(ArgumentError) as caught:
            attempt()
        assert all(repr(name) in str(caught.value) for name in left)
    else:
        assert attempt() == expected
