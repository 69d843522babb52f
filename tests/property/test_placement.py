"""Whatever is said at which level, the rules of placement hold."""

from hypothesis import given
from hypothesis import strategies as st

from graflow.api.placement import laid_over
from graflow.api.pod import EnvVar, PodSettings

MAPS = ("node_selector", "labels", "annotations", "affinity", "security_context")
REPLACED = (
    "image",
    "tolerations",
    "volumes",
    "scheduler_name",
    "automount_service_account_token",
    "termination_grace_period_seconds",
)
words = st.sampled_from("abcd")
texts = st.dictionaries(words, words, max_size=3)
objects = st.lists(st.fixed_dictionaries({"name": words}), max_size=2).map(tuple)
amounts = st.dictionaries(st.sampled_from(["cpu", "memory", "nvidia.com/gpu"]), words, max_size=3)
variables = st.lists(
    st.builds(EnvVar, name=words, value=words), max_size=3, unique_by=lambda one: one.name
).map(tuple)
resources = st.fixed_dictionaries({}, optional={"requests": amounts, "limits": amounts})


def settings():
    """Settings in which each field is given or not."""
    fields = {
        "image": words,
        "tolerations": objects,
        "volumes": objects,
        "scheduler_name": words,
        "automount_service_account_token": st.booleans(),
        "termination_grace_period_seconds": st.integers(6, 60),
        "env": variables,
        "resources": resources,
        **dict.fromkeys(MAPS, texts),
    }
    return st.fixed_dictionaries({}, optional=fields).map(lambda given: PodSettings(**given))


def first_said(levels, field):
    return next((v for level in levels if (v := getattr(level, field)) is not None), None)


def by_key(levels, read):
    """What each key means, the most specific level that has it being first."""
    found = {}
    for level in levels:
        for key, value in (read(level) or {}).items():
            found.setdefault(key, value)
    return found


levels_given = st.lists(settings(), max_size=4)


@given(levels_given)
def test_lists_and_single_values_are_those_of_the_first_level_that_says_something(levels):
    both = laid_over(*levels)
    for field in REPLACED:
        assert getattr(both, field) == first_said(levels, field)


@given(levels_given)
def test_maps_have_the_keys_of_all_levels_each_with_the_first_value(levels):
    both = laid_over(*levels)
    for field in MAPS:
        assert (getattr(both, field) or {}) == by_key(levels, lambda one, f=field: getattr(one, f))


@given(levels_given)
def test_requests_and_limits_are_maps_by_the_name_of_the_resource(levels):
    both = laid_over(*levels)
    for kind in ("requests", "limits"):
        expected = by_key(levels, lambda one, k=kind: (one.resources or {}).get(k))
        assert (both.resources or {}).get(kind, {}) == expected


@given(levels_given)
def test_variables_are_those_of_all_levels_by_name_and_what_is_below_stands_first(levels):
    both = laid_over(*levels)
    found = {variable.name: variable.value for variable in both.env or ()}
    assert len(found) == len(both.env or ())
    assert found == by_key(levels, lambda one: {v.name: v.value for v in one.env or ()})
    order = [v.name for level in reversed(levels) for v in level.env or ()]
    assert list(found) == list(dict.fromkeys(order))


@given(settings(), settings(), settings())
def test_it_does_not_matter_which_levels_are_laid_over_each_other_first(a, b, c):
    assert laid_over(a, laid_over(b, c)) == laid_over(laid_over(a, b), c) == laid_over(a, b, c)


@given(settings())
def test_a_level_that_says_nothing_changes_nothing(one):
    assert laid_over(one) == laid_over(None, one, PodSettings()) == laid_over(one, one) == one
