"""From specs to plans: what a plan is made of, and what is refused with which words."""

import pytest
import yaml

from graflow.api.convert import plan_of
from graflow.api.errors import InvalidWorkflow
from graflow.api.parse import parse_workflow
from graflow.machine.plan import AtLeast, Critical, Custom, GroupPlan, Retry, Strict, TaskPlan

LONE = "tasks: [{name: a, script: x}]\n"


def spec_of(text):
    return parse_workflow({"kind": "Workflow", "spec": yaml.safe_load(text)}).spec


def plan(text):
    return plan_of(spec_of(text))


def problems(text):
    with pytest.raises(InvalidWorkflow) as caught:
        plan(text)
    return {problem.field: problem.message for problem in caught.value.problems}


def test_tasks_become_nodes_and_after_lists_become_edges_in_their_order():
    made = plan("""
      tasks:
      - {name: a, script: x}
      - {name: b, after: [a], script: x, params: [a, k], timeoutSeconds: 1.5, maxIterations: 3}
      - {name: c, after: [b, a], script: x, retry: {maxAttempts: 4, maxSeconds: 9}}
      maxSteps: 50
    """)
    assert made.nodes == (
        TaskPlan("a"),
        TaskPlan("b", timeout_s=1.5, max_cycles=3),
        TaskPlan("c", Retry(4, 1.0, 2.0, 9.0)),
    )
    assert made.edges == (("a", "b"), ("b", "c"), ("a", "c"))
    assert (made.start, made.max_steps) == (("a",), 50)
    assert made.params == {"a": (), "b": ("a", "k"), "c": ()}


def test_edges_are_drawn_in_the_order_that_spec_edges_gives():
    text = """
      tasks: [{name: a, script: x}, {name: b, after: [a], script: x},
              {name: c, after: [a], script: x}]
    """
    assert plan(text).successors["a"] == ("b", "c")
    assert plan(text + "\n      edges: [[a, c], [a, b]]").successors["a"] == ("c", "b")


def test_groups_come_last_unless_they_say_where():
    text = """
      tasks: [{name: a, script: x}, {name: b, script: x}, {name: c, after: [G], script: x}]
      groups: [{name: G, members: [a, b]%s}]
    """
    assert [node.id for node in plan(text % "").nodes] == ["a", "b", "c", "G"]
    assert [node.id for node in plan(text % ", position: 2").nodes] == ["a", "b", "G", "c"]


def test_a_start_that_is_a_member_starts_its_group():
    made = plan("""
      tasks: [{name: a, script: x}, {name: b, script: x}, {name: c, after: [G], script: x}]
      groups: [{name: G, members: [a, b]}]
      start: [b]
    """)
    assert made.start == ("G",)


@pytest.mark.parametrize(
    ("policy", "made"),
    [
        ("", Strict()),
        (", policy: {type: AtLeast, minimum: 1}", AtLeast(1)),
        (", policy: {type: Critical, members: [b]}", Critical(("b",))),
        (", policy: {type: Custom, function: G}", Custom()),
    ],
    ids=["Strict by default", "AtLeast", "Critical", "Custom"],
)
def test_a_policy_is_the_machines_own(policy, made):
    nodes = plan(f"""
      tasks: [{{name: a, script: x}}, {{name: b, script: x}}]
      groups: [{{name: G, members: [a, b]{policy}}}]
      bundle: {{name: code-x, sha256: '{"0" * 64}'}}
    """).by_id
    assert nodes["G"] == GroupPlan("G", ("a", "b"), made)


def test_g5_the_retries_of_a_group_are_its_own():
    nodes = plan("""
      tasks: [{name: a, script: x}]
      groups: [{name: G, members: [a], retry: {maxAttempts: 3, initialSeconds: 2}}]
    """).by_id
    assert nodes["G"].retry == Retry(3, initial_s=2.0)
    assert nodes["a"].retry == Retry()


def test_an_unknown_task_in_after_gets_the_nearest_name():
    assert problems("""
      tasks: [{name: fetch, script: x}, {name: train, after: [fecth], script: x}]
    """) == {
        "spec.tasks[1].after[0]": "task 'train' runs after 'fecth', which is not in the workflow;"
        " did you mean 'fetch'?"
    }


def test_a_cycle_without_a_root_asks_for_a_start():
    assert problems("""
      tasks: [{name: a, after: [b], script: x}, {name: b, after: [a], script: x}]
    """) == {
        "spec.start": "every task has a predecessor, so it is not clear where to begin;"
        " set spec.start, one of 'a', 'b'"
    }


def test_two_tasks_of_one_name_are_both_located():
    assert problems("""
      tasks: [{name: a, script: x}, {name: b, after: [a], script: x}, {name: a, script: x}]
    """) == {
        "spec.tasks[2].name": "two tasks are named 'a', here and at spec.tasks[0];"
        " give each a name of its own"
    }


def test_two_kinds_in_one_task_or_none_are_refused():
    found = problems("""
      tasks: [{name: a, script: x, entrypoint: "m:f"}, {name: b, after: [a]}]
    """)
    kinds = "a task has exactly one of function, entrypoint, script, container"
    assert found == {
        "spec.tasks[0]": f"{kinds}; task 'a' has entrypoint and script",
        "spec.tasks[1]": f"{kinds}; task 'b' has none of them",
    }


@pytest.mark.parametrize(
    ("text", "field", "words"),
    [
        ("tasks: [{name: a, function: f}]", "spec.tasks[0].function", "the workflow has none"),
        ("tasks: [{name: a, script: x, after: [a, a]}]\nstart: [a]", "spec.tasks[0].after[1]",
         "lists 'a' twice"),
        ("tasks: [{name: a, script: x}]\nstart: [b]", "spec.start[0]",
         "start node 'b' is not in the workflow"),
        ("tasks: [{name: a, script: x}]\ngroups: [{name: G, members: [a, bee]}]",
         "spec.groups[0].members[1]", "'bee', which is not in the workflow"),
        ("tasks: [{name: a, script: x}, {name: b, script: x}]", "spec.start",
         "no edge connects the tasks 'a', 'b'"),
        (("tasks: [{name: a, script: x}, {name: b, script: x}]\n"
         "groups: [{name: G, members: [a]}, {name: H, members: [b, a]}]"),
         "spec.groups[0]", "task 'a' is a member of two groups"),
        (("tasks: [{name: a, script: x}, {name: b, after: [a], script: x}]\n"
         "groups: [{name: G, members: [b]}]"), "spec.tasks[1].after[0]",
         "the edge from 'a' leads into 'b', a member of group 'G'; draw it to the group"),
        (("tasks: [{name: a, script: x}]\ngroups: [{name: G, members: [a],"
         " policy: {type: AtLeast, minimum: 2}}]"), "spec.groups[0]", "at least 2 of its 1"),
        (("tasks: [{name: a, script: x}]\ngroups: [{name: G, members: [a],"
         " policy: {type: AtLeast}}]"), "spec.groups[0].policy.minimum", "goes with type AtLeast"),
        (("tasks: [{name: a, script: x}]\ngroups: [{name: G, members: [a],"
         " policy: {type: Strict, members: [a]}}]"), "spec.groups[0].policy.members",
         "goes with type Critical"),
        ("tasks: [{name: a, script: x}]\ngroups: [{name: G, members: [G]}]\nstart: [G]",
         "spec.groups[0]", "group 'G' is a member of itself"),
        (("tasks: [{name: a, script: x}]\ngroups: [{name: G, members: [a],"
         " policy: {type: Custom}}]"), "spec.groups[0].policy.function", "goes with type Custom"),
        (("tasks: [{name: a, script: x}]\ngroups: [{name: G, members: [a],"
         " policy: {type: Custom, function: G}}]"), "spec.groups[0].policy.function",
         "group 'G' is judged by the function 'G' of a bundle, and the workflow has none"),
        ("tasks: [{name: a, script: x}, {name: b, after: [a], script: x}]\nedges: [[b, a]]",
         "spec.edges[0]", "[b, a] is not in an after list"),
        ("tasks: [{name: a, script: x}, {name: b, after: [a], script: x}]\nedges: []",
         "spec.tasks[1].after[0]", "the edge [a, b] is missing in spec.edges"),
        ("tasks: [{name: a, script: x, pod: {env: [{name: GRAFLOW_KEY, value: x}]}}]",
         "spec.tasks[0].pod.env[0].name", "'GRAFLOW_KEY': names that begin with GRAFLOW_"),
        ("tasks: [{name: a, script: x}]\npod: {labels: {graflow.dev/run: x}}",
         "spec.pod.labels", "'graflow.dev/run': labels under graflow.dev/"),
        ("tasks: [{name: a, container: {image: i}, pod: {image: j}}]",
         "spec.tasks[0].pod.image", "is not used for a container task"),
        ("tasks: [{name: a, script: x}]\ninput: {'false': 3}", "spec.input.false",
         "'false' is how kubectl reads the keys y, n, yes, no, on and off"),
        ("tasks: [{name: a, script: x}]\nexactInput: {k: {exact: '{'}}", "spec.exactInput.k",
         "is neither {exact: the text of its JSON} nor {pickle: base64}"),
        ("tasks: [{name: a, script: x}]\nexactInput: {k: {pickle: '%'}}", "spec.exactInput.k",
         "is neither {exact: the text of its JSON} nor {pickle: base64}"),
        ("tasks: [{name: a, script: x}]\ninput: {k: 1}\nexactInput: {k: {exact: '1'}}",
         "spec.exactInput.k", "is in spec.input too"),
        ("tasks: [{name: load, script: x}]\nresumeFrom: {name: w, rerun: [laod]}",
         "spec.resumeFrom.rerun[0]",
         "task 'laod' is not in the workflow; did you mean 'load'?"),
        ("tasks: [{name: load, script: x}]\nresumeFrom: {name: w, results: {lod: 1}}",
         "spec.resumeFrom.results.lod",
         "task 'lod' is not in the workflow; did you mean 'load'?"),
        ("tasks: [{name: a, script: x}]\nresumeFrom: {name: w, set: {'true': 1}}",
         "spec.resumeFrom.set.true", "'true' is how kubectl reads the keys y"),
        (f"{LONE}resumeFrom: {{name: w, set: {{k: {'x' * 65_536}}}}}",
         "spec.resumeFrom.set", "takes 65544 bytes and may take 65536"),
        (f"{LONE}resumeFrom: {{name: w, results: {{a: {'x' * 65_536}}}}}",
         "spec.resumeFrom.results", "takes 65544 bytes and may take 65536"),
        (("tasks: [{name: a, script: x}]\nresumeFrom: {name: w, set: {k: 1},"
         " exactSet: {k: {exact: '1'}}}"), "spec.resumeFrom.exactSet.k",
         "is in spec.resumeFrom.set too"),
        ("tasks: [{name: a, script: x}]\nresumeFrom: {name: w, exactResults: {a: {exact: '{'}}}",
         "spec.resumeFrom.exactResults.a", "is neither {exact: the text of its JSON}"),
    ],
    ids=lambda value: value if value.startswith("spec") else "",
)  # fmt: skip
def test_what_cannot_run_is_refused_where_it_is_written(text, field, words):
    found = problems(text)
    assert words in found[field]


def test_a_workflow_has_tasks_or_a_bundle_that_has_them():
    assert problems("{}") == {"spec.tasks": "a workflow has tasks, or a bundle that has them"}
    bundle = "bundle: {name: code-x, sha256: '%s'}" % (64 * "0")
    assert problems(bundle) == {"spec.tasks": "the bundle has no tasks"}


def test_a_spec_over_128_kib_says_how_large_it_is_and_where_to_put_it():
    scripts = ", ".join(f"{{name: t{n}, script: {'x' * 60_000}}}" for n in range(3))
    message = problems(f"tasks: [{scripts}]")["spec"]
    assert message.startswith("takes 180")
    assert "move scripts and data into the image or a bundle" in message


def test_of_very_many_unknown_names_the_first_are_reported():
    tasks = ", ".join(f"{{name: task-{n}, script: x, after: [tusk-{n}]}}" for n in range(1000))
    assert len(problems(f"tasks: [{tasks}]")) == 20


def test_the_first_error_of_many_is_a_line_of_its_own_in_the_exception():
    with pytest.raises(InvalidWorkflow) as caught:
        plan("tasks: [{name: a, script: x, after: [b]}, {name: c, script: x, after: [d]}]")
    first, second = str(caught.value).splitlines()
    assert first.startswith("spec.tasks[0].after[0]: task 'a' runs after 'b'")
    assert second.startswith("spec.tasks[1].after[0]: task 'c' runs after 'd'")


def test_of_very_many_edges_into_members_the_first_are_reported_and_the_others_counted():
    roots = ", ".join(f"{{name: r{n}, script: x}}" for n in range(100))
    after = ", ".join(f"r{n}" for n in range(100))
    found = problems(f"""
      tasks: [{roots}, {{name: m, after: [{after}], script: x}}]
      groups: [{{name: G, members: [m]}}]
    """)
    assert found["spec"] == "and 50 more problems; mend these first"
    assert len(found) == 51
