"""Whole programs: what their bundles hold, alike in every process, and how large they get."""

import subprocess
import sys
import textwrap
from pathlib import Path

import cloudpickle
import pytest

from graflow import chain, task, workflow
from graflow.api.bundle import MANIFEST, PLAN, read_json
from graflow.api.convert import plan_of
from graflow.api.parse import parse_large_workflow
from graflow.compile.errors import UnsupportedError
from graflow.compile.pickles import pickled
from graflow.compile.place import Place
from graflow.compile.program import Compiled, Options, compile_program
from graflow.core.context import ExecutionContext
from graflow.core.engine import WorkflowEngine
from graflow.core.handler import TaskHandler
from graflow.core.handlers.group_policy import GroupExecutionPolicy
from graflow.dsl.host import use_host
from graflow.dsl.program import Program
from graflow.machine.plan import Custom
from graflow_runner.bundle import Bundle as Unpacked

BUNDLED = """
from pathlib import Path
from graflow.compile.place import Place
from graflow.compile.program import Options, compile_program

compiled = compile_program(wf.program(), Options(), where=Place(Path("."), ""))
print(compiled.bundle.sha256)
"""


def compiled(program: Program, tmp_path: Path) -> Compiled:
    return compile_program(program, Options(), where=Place(tmp_path, "w.py"))


def unpacked(found: Compiled) -> Unpacked:
    return Unpacked(found.bundle.data, sha256=found.bundle.sha256)


def test_ten_thousand_instances_of_one_function_share_its_code_and_fit(tmp_path: Path) -> None:
    scale = 3

    @task
    def step(x: int, y: int) -> int:
        return x * scale + y

    with workflow("long") as wf:
        chain(*(step(task_id=f"step_{n}", y=n) for n in range(10_000)))
    found = compiled(wf.program(), tmp_path)
    assert len(found.bundle.data) < 256 * 1024
    assert set(found.workflow["spec"]) == {"bundle"}
    assert len(read_json(found.bundle.data, MANIFEST)["functions"]) == 1
    bundle = unpacked(found)
    form = bundle.form(bundle.sha256_of("step_9999"), "step_9999")
    assert (form["bound"], form["func"](2, **form["bound"])) == ({"y": 9999}, 10_005)
    plan = read_json(found.bundle.data, PLAN)
    seen = plan_of(parse_large_workflow(found.workflow, plan).spec)
    assert seen.successors["step_0"] == ("step_1",)


@pytest.mark.parametrize("tasks", [2, 1100])
def test_the_plan_is_in_the_bundle_whether_or_not_the_workflow_has_room_for_it(
    tmp_path: Path, tasks: int
) -> None:
    with workflow("w") as wf:
        chain(*(task(lambda: None, id=f"t{n}") for n in range(tasks)))
    found = compiled(wf.program(), tmp_path)
    plan = read_json(found.bundle.data, PLAN)
    assert [one["name"] for one in plan["tasks"]] == [f"t{n}" for n in range(tasks)]
    assert found.workflow["spec"].get("tasks", plan["tasks"]) == plan["tasks"]


def test_arguments_that_hold_code_stay_in_one_pickle_with_the_function(tmp_path: Path) -> None:
    def double(x: int) -> int:
        return 2 * x

    @task
    def apply(how: object, n: int) -> int:
        return how(n)  # type: ignore[operator, no-any-return]

    with workflow("w") as wf:
        apply(task_id="a", how=double, n=1) >> apply(task_id="b", how=len, n=2)
    bundle = unpacked(compiled(wf.program(), tmp_path))
    assert bundle.sha256_of("a") != bundle.sha256_of("b")
    form = bundle.form(bundle.sha256_of("a"), "a")
    assert form["func"](**form["bound"]) == 2


@pytest.mark.parametrize("bound", [{"x": 1}, {"x": [1.5, None, "é"]}, {"x": {1, 2}}, {}])
def test_an_instance_has_its_own_arguments_wherever_they_are(bound: dict[str, object]) -> None:
    found = task(lambda x=0: x, id="t")
    forms = {"t": found.portable(), "i": {**found.portable(), "bound": bound}}
    one = pickled(forms)["i"]
    assert one.code == pickled(forms)["t"].code
    assert (cloudpickle.loads(one.arguments) if one.arguments else {}) == bound


def test_a_policy_of_the_programs_own_travels_as_the_function_of_its_group(tmp_path: Path) -> None:
    class AtMostOneFails(GroupExecutionPolicy):
        most = 1

        def on_group_finished(self, group_id, tasks, results, context):  # type: ignore[no-untyped-def]
            if sum(not result.success for result in results.values()) > self.most:
                raise ValueError(group_id)

    with workflow("w") as wf:
        a, b, end = (task(lambda: None, id=name) for name in ("a", "b", "end"))
        group = (a | b).set_group_name("both").with_execution(policy=AtMostOneFails())
        group >> end
    program = wf.program()
    assert program.plan.by_id["both"].policy == Custom()  # type: ignore[union-attr]
    found = compiled(program, tmp_path)
    (written,) = found.workflow["spec"]["groups"]
    assert written["policy"] == {"type": "Custom", "function": "both"}
    bundle = unpacked(found)
    policy = bundle.function(bundle.sha256_of("both"))
    assert (type(policy).__name__, policy.most) == ("AtMostOneFails", 1)


def test_g5_retries_of_a_group_are_written(tmp_path: Path) -> None:
    with workflow("w") as wf:
        a, b, end = (task(lambda: None, id=name) for name in ("a", "b", "end"))
        (a | b).set_group_name("both").with_execution(max_retries=2) >> end
    (written,) = compiled(wf.program(), tmp_path).workflow["spec"]["groups"]
    assert written["retry"]["maxAttempts"] == 3


def test_tasks_that_functions_refer_to_travel_and_belong_to_nothing_where_they_arrive(
    tmp_path: Path,
) -> None:
    handler = task(lambda: "handled", id="handler")

    @task(inject_context=True)
    def work(ctx: object) -> object:
        return handler

    with workflow("w") as wf:
        work >> task(lambda: None, id="end")
    bundle = unpacked(compiled(wf.program(), tmp_path))
    with workflow("where it arrives") as there:
        arrived = bundle.form(bundle.sha256_of("work"), "work")["func"](None)
    assert (arrived.task_id, arrived.run(), arrived.built_at) == ("handler", "handled", None)
    assert arrived is not handler
    assert there.graph.nodes == []


def test_what_the_program_says_for_tasks_that_say_nothing_is_in_the_bundle(tmp_path: Path) -> None:
    with workflow("w") as wf:
        task(lambda: None, id="a") >> task(lambda: None, id="b")
    assert unpacked(compiled(wf.program(), tmp_path)).defaults == {}
    context = ExecutionContext.create(wf.graph, default_max_retries=2)
    assert unpacked(compiled(context.program(), tmp_path)).defaults == {"maxRetries": 2}


def test_a_handler_that_runs_tasks_on_this_machine_is_refused_for_a_cluster(tmp_path: Path) -> None:
    class Here(TaskHandler):
        def execute_task(self, task, context):  # type: ignore[no-untyped-def]
            context.set_result(task.task_id, task.run())

    with workflow("w") as wf:
        task(lambda: None, id="a", handler="here")

    class Sender:
        def execute(self, program, **_):  # type: ignore[no-untyped-def]
            compiled(program, tmp_path)

    engine = WorkflowEngine()
    engine.register_handler("here", Here())
    refused = pytest.raises(UnsupportedError, match=r"task 'a' .* handler 'here'.*cluster")
    with use_host(Sender()), refused:
        engine.execute(ExecutionContext.create(wf.graph))


def test_the_bundle_of_a_program_is_the_same_in_every_process(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        textwrap.dedent("""
            from dataclasses import dataclass
            from graflow import parallel, task, workflow
            from graflow.core.handlers.group_policy import GroupExecutionPolicy

            @dataclass
            class Row:
                name: str

            ROW = Row("a")

            class Own(GroupExecutionPolicy):
                def on_group_finished(self, group_id, tasks, results, context):
                    return ROW

            @task(inject_context=True)
            def later(ctx):
                return ctx.next_task(fallback)

            @task
            def fallback(row: Row = ROW):
                return [name for name in vars(row) if name in {"name", "x", "y", "z", "long"}]

            @task
            def step(x, row=None):
                return x, row, {key: x for key in ("p", "q")}

            with workflow("w") as wf:
                group = parallel(*(step(task_id=f"s{n}", x=n) for n in range(20)), step(row=ROW))
                later >> group.with_execution(policy=Own(), max_retries=1)
        """)
        + BUNDLED
    )
    hashes = {
        subprocess.run(
            [sys.executable, str(program)],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(tmp_path)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(hashes) == 1
