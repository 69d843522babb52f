"""What a task in a pod decides about what runs next, as the operator is told of it."""

import base64
import json
import pickle

import cloudpickle
import pytest

from graflow import parallel, task
from graflow.api.directives import SpawnSpec, fragment_plan, parse_directives
from graflow.dsl.policies import GroupExecutionPolicy
from graflow.dsl.task import TaskWrapper
from graflow.machine.plan import AtLeast, Custom, Exit, GroupPlan, TaskPlan
from graflow_operator import values
from unit.runner.harness import PYTHON, bundle, with_bundle

PLAN = {
    "tasks": [
        {"name": "t", "function": "t"},
        {"name": "sink", "after": ["t"], "function": "sink"},
        {"name": "inner", "function": "inner"},
        {
            "name": "alarm",
            "function": "alarm",
            "params": ["n"],
            "timeoutSeconds": 5,
            "profile": "gpu",
        },
    ],
    "groups": [{"name": "G", "members": ["inner"], "after": ["sink"]}],
}


def run(operator, runners, func, *, plan=None, manifest=None, **order):
    """Run a function as task `t` of a program, and return its report."""

    def identity(n):
        return n

    forms = {name: {"func": identity} for name in ("sink", "inner", "alarm")}
    forms["t"] = {"func": func, "inject_context": True}
    data, hashes = bundle(functions=forms, plan=plan or PLAN, **(manifest or {}))
    with_bundle(operator, data)
    operator.order["call"] = {"function": hashes["t"], "id": "t"}
    operator.order["task"] = {"identity": "t#1", "inside": [], **operator.order["task"]}
    operator.order |= order
    runner = runners.run()
    (report,) = operator.reports
    if report["outcome"] == "Succeeded":
        assert runner.process.returncode == 0
        for ref in refs(report.get("directives", [])):
            values.check(ref)
        parse_directives(report.get("directives", []))
    return report


def refs(directives):
    for one in directives:
        yield from one.get("fragment", {}).get("code", {}).values()
        yield from (one.get("again") or {}).values()


def loaded(ref):
    """Return the code in a report: the portable form."""
    parts = ref["group"]
    assert parts["python"] == {"json": PYTHON}
    form = pickle.loads(base64.b64decode(parts["code"]["pickle"]))
    if "arguments" in parts:
        form["bound"] = pickle.loads(base64.b64decode(parts["arguments"]["pickle"]))
    return form


def test_a_task_that_decides_nothing_reports_nothing_of_it(operator, runners):
    report = run(operator, runners, lambda ctx: ctx.task_id)
    assert report == {"outcome": "Succeeded", "value": {"json": "t"}}


def test_a_jump_names_its_target_and_why(operator, runners):
    def t(ctx):
        ctx.next_task(ctx.graph.get_node("alarm"), reason="too hot")
        ctx.next_task(ctx.graph.get_node("G"), reason="r" * 2000)

    report = run(operator, runners, t)
    assert report["directives"] == [
        {"kind": "Jump", "target": "alarm", "reason": "too hot"},
        {"kind": "Jump", "target": "G", "reason": "r" * 1024},
    ]


def test_a_task_object_that_a_function_refers_to_is_one_that_exists(operator, runners):
    alarm = TaskWrapper("alarm", lambda n: n)

    def t(ctx):
        return ctx.next_task(alarm)

    report = run(operator, runners, t)
    assert report["value"] == {"json": "alarm"}
    assert report["directives"] == [{"kind": "Jump", "target": "alarm", "reason": ""}]


def test_an_unknown_target_fails_the_attempt_with_the_nearest_name(operator, runners):
    alarms = TaskWrapper("alarms", lambda n: n)
    report = run(operator, runners, lambda ctx: ctx.next_task(alarms))
    assert (report["error"]["reason"], report["error"]["retryable"]) == ("InvalidTransition", False)
    assert "'alarm'" in report["error"]["message"]


def test_g6_a_jump_to_the_group_that_the_task_runs_in_fails_the_attempt(operator, runners):
    inside = {**operator.order["task"], "id": "t", "inside": ["G"]}

    def t(ctx):
        assert ctx.facts.inside == ("G",)
        ctx.next_task(ctx.graph.get_node("G"))

    forms = {"t": {"func": t, "inject_context": True}}
    data, hashes = bundle(functions=forms, plan=PLAN)
    with_bundle(operator, data)
    operator.order |= {"task": inside, "call": {"function": hashes["t"], "id": "t"}}
    runners.run()
    assert "runs in group 'G'" in operator.reports[0]["error"]["message"]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (None, None),
        ({"n": [1]}, {"data": {"json": {"n": [1]}}}),
        (TaskWrapper("t", lambda x: x, bound={"x": 2}), {"bound": {"json": {"x": 2}}}),
    ],
    ids=["nothing", "data", "bound"],
)
def test_an_iteration_takes_along_what_the_next_pass_is_given(operator, runners, given, told):
    def t(ctx, x=0):
        if isinstance(given, TaskWrapper):
            given.func = t
        ctx.next_iteration(given, reason="more")

    report = run(operator, runners, t)
    assert report["directives"] == [{"kind": "Iteration", "again": told, "reason": "more"}]


@pytest.mark.parametrize(
    ("again", "value"),
    [({"data": {"json": 5}}, 5), ({"bound": {"json": {"x": 7}}}, 7), (None, 1)],
    ids=["data", "bound", "nothing"],
)
def test_a_pass_gets_what_the_one_before_gave(operator, runners, again, value):
    report = run(operator, runners, lambda ctx, x=1: x, again=again)
    assert report["value"] == {"json": value}


def test_t2_the_last_pass_may_not_ask_for_another(operator, runners):
    def t(ctx):
        assert not ctx.can_iterate()
        ctx.next_iteration()

    last = {**operator.order["task"], "iteration": 10, "maxCycles": 10}
    report = run(operator, runners, t, task=last)
    assert report["error"]["reason"] == "CycleLimitExceeded"


def test_an_end_of_the_run_is_told_with_its_message_and_a_value_of_its_own(operator, runners):
    def t(ctx):
        ctx.terminate_workflow("x" * 2000, result="the end")
        ctx.cancel_workflow("no", error=ValueError("bad"))
        return "not this"

    report = run(operator, runners, t)
    assert report["value"] == {"json": "the end"}
    assert report["directives"] == [
        {"kind": "Termination", "message": "x" * 1024},
        {"kind": "Cancellation", "message": "no (bad)"},
    ]


def test_t1_what_a_failed_attempt_decided_is_dropped(operator, runners):
    def t(ctx):
        ctx.terminate_workflow("never")
        raise ValueError("broken")

    report = run(operator, runners, t)
    assert report["outcome"] == "Failed"
    assert "directives" not in report


def test_t3_what_a_task_builds_is_handed_over_whole_with_its_code(operator, runners):
    def t(ctx):
        factor = 3

        @task(timeout=7, max_retries=2, image="me/runner:1", profile="gpu")
        def scale(x):
            return x * factor

        @task
        def join(scale_1, scale_2):
            return scale_1 + scale_2

        parts = [scale(task_id=f"scale_{n}", x=n) for n in (1, 2)]
        ctx.next_task((parts[0] | parts[1]).set_group_name("both") >> join, reason="fan out")

    (told,) = run(operator, runners, t)["directives"]
    assert (told["kind"], told["goto"], told["reason"]) == ("Spawn", False, "fan out")
    fragment = told["fragment"]
    assert fragment["edges"] == [["both", "join"]]
    assert (fragment["start"], fragment["exits"]) == (["both"], [])
    one = {"name": "scale_1", "function": "scale_1", "params": ["x"], "timeoutSeconds": 7}
    one["retry"] = {"maxAttempts": 3, "initialSeconds": 0.0, "factor": 2.0, "maxSeconds": 60.0}
    one |= {"pod": {"image": "me/runner:1"}, "profile": "gpu"}
    join = {"name": "join", "function": "join", "params": ["scale_1", "scale_2"]}
    assert fragment["tasks"] == [join, one, {**one, "name": "scale_2", "function": "scale_2"}]
    assert fragment["groups"] == [
        {"name": "both", "members": ["scale_1", "scale_2"], "position": 3}
    ]
    form = loaded(fragment["code"]["scale_2"])
    assert form["func"](**form["bound"]) == 6
    shared = [fragment["code"][name]["group"]["code"] for name in ("scale_1", "scale_2")]
    assert shared[0] == shared[1]
    (spec,) = parse_directives([told])
    assert isinstance(spec, SpawnSpec)
    plan = fragment_plan(spec.fragment, spec.fragment.code)
    kinds = [TaskPlan, TaskPlan, TaskPlan, GroupPlan]
    assert [type(node) for node in plan.nodes] == kinds


def test_policies_and_retries_of_a_group_that_a_task_builds_travel_with_it(operator, runners):
    class Own(GroupExecutionPolicy):
        def on_group_finished(self, group_id, tasks, results, context):
            del group_id, tasks, results, context

    def t(ctx):
        tasks = [task(lambda: 1, id=f"n{n}") for n in range(4)]
        own = (tasks[0] | tasks[1]).set_group_name("own").with_execution(policy=Own())
        policy = AtLeast(1)
        least = parallel(tasks[2], tasks[3]).with_execution(policy=policy, max_retries=2)
        ctx.next_task(own >> least.set_group_name("least"))

    (told,) = run(operator, runners, t)["directives"]
    (spec,) = parse_directives([told])
    plan = fragment_plan(spec.fragment, spec.fragment.code)
    assert plan.by_id["own"].policy == Custom()
    assert plan.by_id["least"].policy == AtLeast(1)
    assert plan.by_id["least"].retry.max_attempts == 3
    assert type(loaded(told["fragment"]["code"]["own"])).__name__ == "Own"


def test_t7_ids_of_what_a_task_builds_are_unique_and_not_those_of_the_program(operator, runners):
    def t(ctx):
        ctx.next_task(task(lambda: 1, id="sink"))

    report = run(operator, runners, t)
    assert "'sink'" in report["error"]["message"]


def test_t7_automatic_ids_depend_on_where_the_activation_stands(operator, runners):
    def t(ctx):
        step = task(lambda x: x, id="step")
        ctx.next_task(step(x=1) >> step(x=2))

    seen = []
    for identity in ("t#1", "t#2", "t#2"):
        operator.next_attempt()
        operator.order["task"] |= {"identity": identity}
        (told,) = run(operator, runners, t, task=operator.order["task"])["directives"]
        seen.append([one["name"] for one in told["fragment"]["tasks"]])
    assert all(name.startswith("step_") for name in seen[0])
    assert len({*seen[0], *seen[1]}) == 4
    assert seen[1] == seen[2]


def test_t8_an_off_flow_task_in_a_fragment_keeps_what_the_program_says_of_it(operator, runners):
    def t(ctx):
        first = task(lambda: 3, id="first")
        ctx.next_task(first >> ctx.graph.get_node("alarm") >> ctx.graph.get_node("sink"))

    (told,) = run(operator, runners, t)["directives"]
    fragment = told["fragment"]
    (off_flow,) = [one for one in fragment["tasks"] if one["name"] == "alarm"]
    assert off_flow == PLAN["tasks"][3]
    assert set(fragment["code"]) == {"first"}
    assert fragment["exits"] == ["sink"]
    (spec,) = parse_directives([told])
    assert fragment_plan(spec.fragment, {}).by_id["sink"] == Exit("sink")


def test_an_instance_of_a_task_of_the_program_has_its_code_and_options(operator, runners):
    def t(ctx):
        ctx.next_task(ctx.graph.get_node("alarm")(task_id="again", n=4))

    (told,) = run(operator, runners, t)["directives"]
    (spec,) = told["fragment"]["tasks"]
    said = {"params": ["n"], "timeoutSeconds": 5, "profile": "gpu"}
    assert spec == {"name": "again", "function": "again", **said}
    form = loaded(told["fragment"]["code"]["again"])
    assert form["func"](**form["bound"]) == 4


def test_what_the_program_says_for_tasks_that_say_nothing_holds_for_new_ones(operator, runners):
    def t(ctx):
        ctx.next_task(task(lambda: 1, id="new"))

    defaults = {"maxCycles": 3, "maxRetries": 1}
    (told,) = run(operator, runners, t, manifest={"defaults": defaults})["directives"]
    (spec,) = told["fragment"]["tasks"]
    assert (spec["maxIterations"], spec["retry"]["maxAttempts"]) == (3, 2)


def test_what_cannot_travel_fails_the_attempt_with_task_and_variable(operator, runners):
    def t(ctx):
        lock = __import__("threading").Lock()
        ctx.next_task(task(lambda: lock, id="guard"))

    error = run(operator, runners, t)["error"]
    assert (error["reason"], error["retryable"]) == ("ValueNotSerializable", False)
    assert "task 'guard' uses the variable 'lock'" in error["message"]


def test_a_new_task_that_a_pod_cannot_run_as_it_asks_fails_the_attempt(operator, runners):
    def t(ctx):
        ctx.next_task(task(lambda: 1, id="new", handler="here"))

    error = run(operator, runners, t)["error"]
    assert (error["reason"], error["retryable"]) == ("Invalid", False)
    assert "task 'new' asks for the handler 'here'" in error["message"]


def test_c5_a_context_in_what_a_task_builds_is_that_of_the_task_that_runs_there(operator, runners):
    def t(ctx):
        ctx.next_task(task(lambda: [ctx.task_id, ctx.get_result("r")], id="new"))

    (told,) = run(operator, runners, t)["directives"]
    code = told["fragment"]["code"]["new"]
    operator.next_attempt()
    operator.order |= {"call": {"code": code}, "again": None}
    operator.order["task"] |= {"id": "new"}
    operator.answers = {"r": {"result": {"json": 5}}}
    runners.run()
    assert operator.reports[0]["value"] == {"json": ["new", 5]}


def test_t3_a_task_of_the_program_in_what_a_task_builds_travels_with_it(operator, runners):
    def t(ctx):
        sink = ctx.graph.get_node("sink")
        ctx.next_task(task(lambda: [ctx.next_task(sink), sink.run(n=3)], id="new"))

    (told,) = run(operator, runners, t)["directives"]
    operator.next_attempt()
    operator.order |= {"call": {"code": told["fragment"]["code"]["new"]}, "again": None}
    operator.order["task"] |= {"id": "new"}
    runners.run()
    (report,) = operator.reports
    assert report["value"] == {"json": ["sink", 3]}
    assert report["directives"] == [{"kind": "Jump", "target": "sink", "reason": ""}]


def test_code_of_another_python_is_refused_before_it_is_read(operator, runners):
    code = {"group": {"python": {"json": "2.7"}, "code": {"pickle": "AAAA"}}}
    operator.order["call"] = {"code": code}
    runners.run()
    assert operator.reports[0]["error"]["reason"] == "PythonVersionMismatch"
    assert "2.7" in operator.reports[0]["error"]["message"]


def test_code_in_the_store_is_fetched(operator, runners):
    data = cloudpickle.dumps({"func": lambda x: x + 1})
    operator.store["/store/blobs/x"] = data
    url = f"{operator.url}/store/blobs/x?X-Amz-Signature=SECRETSIGNATURE"
    sha256 = __import__("hashlib").sha256(data).hexdigest()
    blob = {"sha256": sha256, "size": len(data), "encoding": "pickle", "url": url}
    arguments = base64.b64encode(pickle.dumps({"x": 2})).decode()
    parts = {"python": {"json": PYTHON}, "code": {"blob": blob}, "arguments": {"pickle": arguments}}
    operator.order["call"] = {"code": {"group": parts}}
    runners.run()
    assert operator.reports[0]["value"] == {"json": 3}


@pytest.mark.parametrize("length", [300_000, 10_000], ids=["large", "shared by many"])
def test_what_is_large_goes_to_the_store_once_and_the_rest_into_the_report(
    operator, runners, length
):
    def t(ctx):
        noise = __import__("random").Random(1).randbytes(length)

        @task
        def size(n):
            return len(noise) + n

        ctx.next_task(parallel(*(size(task_id=f"n{n}", n=n) for n in range(50))))

    (told,) = run(operator, runners, t)["directives"]
    (name,) = operator.store
    assert len(operator.store[name]) > length
    assert operator.calls.count("POST /runner/v1/blob") == 1
    codes = [ref["group"]["code"] for ref in told["fragment"]["code"].values()]
    assert len(codes) == 50
    assert {json.dumps(code) for code in codes} == {json.dumps(codes[0])}
    assert codes[0]["blob"]["sha256"] == name.rpartition("/")[2]
    assert all("arguments" in ref["group"] for ref in told["fragment"]["code"].values())


def test_the_graph_shows_nodes_members_edges_and_what_is_around(operator, runners):
    def t(ctx):
        graph = ctx.graph
        return {
            "nodes": graph.nodes,
            "edges": [list(edge) for edge in graph.edges],
            "members": graph.get_parallel_group_members("G"),
            "after": graph.successors("t"),
            "has": [graph.has_node("alarm"), graph.has_node("nobody")],
            "run": graph.get_node("alarm").run(n=3),
            "shown": repr(graph.get_node("sink")),
        }

    around = [
        {
            "tasks": [
                {"id": "a", "group": False, "members": []},
                {"id": "F", "group": True, "members": ["a"]},
            ],
            "edges": [["F", "sink"]],
        }
    ]
    shown = run(operator, runners, t, fragment=around)["value"]["json"]
    assert shown["nodes"] == ["a", "F", "t", "sink", "inner", "alarm", "G"]
    assert sorted(shown["edges"]) == [["F", "sink"], ["sink", "G"], ["t", "sink"]]
    assert (shown["members"], shown["after"]) == (["inner"], ["sink"])
    assert (shown["has"], shown["run"]) == ([True, False], 3)
    assert shown["shown"] == "TaskWrapper('sink')"


def test_a_run_without_a_bundle_has_its_graph_in_the_order(operator, runners):
    nodes = [{"id": name, "group": False, "members": []} for name in ("t", "b")]
    operator.order["fragment"] = [{"tasks": nodes, "edges": [["t", "b"]]}]
    data, _ = bundle(
        {"m.py": b"from graflow import task\n@task(inject_context=True)\ndef f(ctx):\n"
                 b"    ctx.next_task(ctx.graph.get_node('b'), goto=True)\n"
                 b"    return ctx.graph.nodes\n"}
    )  # fmt: skip
    (runners._folder / "m.py").write_bytes(
        __import__("zipfile").ZipFile(__import__("io").BytesIO(data)).read("files/m.py")
    )
    operator.order["call"] = {"entrypoint": "m:f"}
    runners.run()
    (report,) = operator.reports
    assert report["value"] == {"json": ["t", "b"]}
    assert report["directives"] == [{"kind": "Jump", "target": "b", "reason": ""}]
