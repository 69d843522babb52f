"""Anything that is not a Workflow gets words: the field, the wrong value, the way out."""

from datetime import date

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from graflow.api.convert import plan_of
from graflow.api.errors import InvalidWorkflow
from graflow.api.parse import parse_code_bundle, parse_large_workflow, parse_workflow
from graflow.api.workflow import Workflow

HEAD = {"apiVersion": "graflow.dev/v1alpha1", "kind": "Workflow", "metadata": {"name": "w"}}
TASK = {"name": "a", "script": "return 1"}


def problems(**spec):
    with pytest.raises(InvalidWorkflow) as caught:
        parse_workflow({**HEAD, "spec": {"tasks": [TASK], **spec}})
    return [(problem.field, problem.message) for problem in caught.value.problems]


def test_what_kubectl_sends_is_a_workflow():
    raw = yaml.safe_load("""
      apiVersion: graflow.dev/v1alpha1
      kind: Workflow
      metadata: {name: etl, namespace: default, uid: "1", generation: 2, managedFields: [{a: 1}]}
      spec:
        tasks:
        - name: extract
          script: |
            return {"data": [1, 2, 3]}
        - name: transform
          after: [extract]
          entrypoint: mypackage.etl:transform
          params: [data]
          retry: {maxAttempts: 3, initialSeconds: 1, factor: 2, maxSeconds: 60}
          timeoutSeconds: 3600
          pod: {image: "me/etl:1", resources: {limits: {cpu: 1}}, env: [{name: A, value: b}]}
        - name: load
          after: [transform]
          container: {image: "alpine:3", command: [sh, -c, 'echo "$GRAFLOW_INPUT_TRANSFORM"']}
        input: {count: 3, nothing: null}
      status: {phase: Running, fromTheFuture: 1}
    """)
    workflow = parse_workflow(raw)
    assert (workflow.metadata.uid, workflow.metadata.generation) == ("1", 2)
    assert workflow.spec.tasks[1].retry.initial_seconds == 1.0
    assert workflow.spec.input == {"count": 3, "nothing": None}
    assert workflow.status.phase == "Running"


def test_a_manifest_is_read_back_as_what_it_was_made_from():
    workflow = parse_workflow({**HEAD, "spec": {"tasks": [TASK], "suspend": False}})
    assert workflow.manifest() == {**HEAD, "spec": {"tasks": [TASK]}}
    assert parse_workflow(workflow.manifest()) == workflow


@pytest.mark.parametrize(
    ("spec", "field", "words"),
    [
        ({"tasks": [{"name": "a", "scirpt": "x"}]}, "spec.tasks[0]",
         "unknown field 'scirpt'; did you mean 'script'?"),
        ({"tasks": [{**TASK, "retry": {"max_attempts": 2, "maxAttempts": 2}}]},
         "spec.tasks[0].retry", "unknown field 'max_attempts'; did you mean 'maxAttempts'?"),
        ({"bundle": {"name": "x", "sha256": "0" * 64, "qqq": 1}}, "spec.bundle",
         "unknown field 'qqq'; its fields are name, sha256"),
        ({"tasks": [TASK, {**TASK, "name": 2}]}, "spec.tasks[1].name", "must be text; this is 2"),
        ({"tasks": [{**TASK, "after": "a"}]}, "spec.tasks[0].after",
         'must be a list; this is "a"'),
        ({"tasks": [{**TASK, "after": ["a", None]}]}, "spec.tasks[0].after[1]",
         "must be text; this is null"),
        ({"groups": [{"name": "G", "members": []}]}, "spec.groups[0].members",
         "must have at least 1 items and has 0; this is []"),
        ({"tasks": [{"script": "x"}]}, "spec.tasks[0].name",
         "is required: Id of the task, unique among the tasks and groups of the workflow"),
        ({"parallelism": "3"}, "spec.parallelism", 'must be a whole number; this is "3"'),
        ({"parallelism": 0}, "spec.parallelism", "must be at least 1; this is 0"),
        ({"suspend": "yes"}, "spec.suspend", 'must be true or false; this is "yes"'),
        ({"tasks": [{**TASK, "pod": {"imagePullPolicy": "always"}}]},
         "spec.tasks[0].pod.imagePullPolicy",
         '"always" is not known; did you mean \'Always\'?'),
        ({"tasks": [{"name": "a", "entrypoint": "nothing here"}]}, "spec.tasks[0].entrypoint",
         ('"nothing here" does not have the form. A function that can be imported in the image,'
         " as package.module:name.")),
        ({"input": {"day": date(2026, 1, 2)}}, "spec.input.day",
         "2026-01-02 was read as a date; write it in quotes"),
        ({"input": {"k": [{False: 1}]}}, "spec.input.k[0]",
         "the key False must be text; write it in quotes"),
        ({"input": {"k": float("nan")}}, "spec.input.k", "nan is not a number that JSON has"),
        ({"input": {"k": "\ud800"}}, "spec.input.k",
         "holds half a character (a lone surrogate); write it whole"),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 40 else "",
)  # fmt: skip
def test_a_wrong_field_is_named_with_its_value_and_the_way_out(spec, field, words):
    assert (field, words) in problems(**spec)


def test_all_problems_are_told_at_once():
    found = problems(tasks=[{"name": 1, "scirpt": "x"}], parallelism=0, suspend=3)
    assert len(found) == 4


def test_a_long_value_is_shown_by_its_beginning():
    ((_, message),) = problems(tasks="x" * 1000)
    assert len(message) < 120
    assert message.endswith("…")


def test_a_value_nested_without_end_is_a_problem():
    value = []
    for _ in range(5000):
        value = [value]
    ((_, message),) = problems(input={"k": value})
    assert message == "is nested more than 100 levels deep"


@pytest.mark.parametrize("raw", [None, 3, "text", [1], [{}]], ids=str)
def test_what_is_no_mapping_is_told_what_a_workflow_is(raw):
    with pytest.raises(InvalidWorkflow, match="is a mapping with apiVersion, kind"):
        parse_workflow(raw)


def test_another_kind_is_named():
    with pytest.raises(InvalidWorkflow, match='kind: "Pod" is not known; it is one of Workflow'):
        parse_workflow({**HEAD, "kind": "Pod", "spec": {"tasks": [TASK]}})


def test_a_code_bundle_is_parsed_by_the_same_rules():
    with pytest.raises(InvalidWorkflow, match=r"spec.zip: is required: The zip, in base64"):
        parse_code_bundle({"kind": "CodeBundle", "spec": {"sha256": "0" * 64, "size": 1}})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
fields = st.sampled_from(
    [field.alias for field in Workflow.model_fields.values()]
    + ["tasks", "groups", "edges", "start", "input", "bundle", "pod", "name", "after", "members"]
    + ["script", "function", "container", "image", "retry", "maxAttempts", "policy", "type", "env"]
)
near_misses = st.recursive(
    json_values | st.sampled_from(["a", "b", "Strict", "AtLeast", "graflow.dev/v1alpha1"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(fields, inner, max_size=6),
    max_leaves=30,
)


def told(raw):
    """Parse and convert; return the problems, none of them without words."""
    found = ()
    try:
        plan_of(parse_workflow(raw).spec)
    except InvalidWorkflow as error:
        found = error.problems or [None]
    assert all(problem.message for problem in found)
    return found


@given(json_values)
def test_any_json_gives_problems_and_never_an_exception(raw):
    told(raw)


@given(near_misses)
def test_anything_that_looks_like_a_spec_gives_a_plan_or_problems(spec):
    told({**HEAD, "spec": spec})


ids = st.sampled_from("abcd")
tasks = st.fixed_dictionaries(
    {"name": ids, "script": st.just("x")},
    optional={
        "after": st.lists(ids | st.just("nobody"), max_size=3),
        "function": ids,
        "container": st.just({"image": "i"}),
        "params": st.lists(ids, max_size=2),
        "retry": st.just({"maxAttempts": 2}),
    },
)
groups = st.fixed_dictionaries(
    {"name": st.sampled_from("GHa"), "members": st.lists(ids | st.just("G"), min_size=1)},
    optional={
        "after": st.lists(ids, max_size=2),
        "position": st.integers(0, 9),
        "policy": st.sampled_from(
            [
                {"type": "AtLeast", "minimum": 3},
                {"type": "Critical"},
                {"type": "BestEffort"},
                {"type": "Custom", "function": "G"},
            ]
        ),
        "retry": st.just({"maxAttempts": 2}),
    },
)


@given(
    st.fixed_dictionaries(
        {"tasks": st.lists(tasks, min_size=1, max_size=5)},
        optional={
            "groups": st.lists(groups, max_size=3),
            "start": st.lists(ids | st.just("G"), max_size=2),
            "edges": st.lists(st.tuples(ids, ids).map(list), max_size=4),
        },
    )
)
def test_tasks_and_groups_in_any_combination_give_a_plan_or_problems_at_fields(spec):
    assert all(problem.field.startswith("spec.") for problem in told({**HEAD, "spec": spec}))


LARGE = {"tasks": [{"name": f"t{n}", "script": "x"} for n in range(1001)]}
LARGE["groups"] = [{"name": "G", "members": [task["name"] for task in LARGE["tasks"]]}]


def test_the_tasks_of_a_large_workflow_are_those_that_its_bundle_has():
    bundle = {"name": "code-x", "sha256": 64 * "0"}
    raw = {**HEAD, "spec": {"bundle": bundle, "maxSteps": 5}}
    spec = parse_large_workflow(raw, {**LARGE, "fromTheFuture": 1}).spec
    assert (len(spec.tasks), len(spec.groups[0].members), spec.max_steps) == (1001, 1001, 5)
    assert len(plan_of(spec).nodes) == 1002


def test_a_workflow_whose_tasks_are_in_its_bundle_has_no_groups_of_its_own():
    raw = {**HEAD, "spec": {"groups": [{"name": "G", "members": ["a"]}], "start": ["a"]}}
    with pytest.raises(InvalidWorkflow) as caught:
        parse_large_workflow(raw, LARGE)
    assert [problem.field for problem in caught.value.problems] == ["spec.groups", "spec.start"]
