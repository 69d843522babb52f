"""B3: `execute` asks the host that was set; inside a task it is always this process."""

from graflow import task, workflow
from graflow.core.context import ExecutionContext
from graflow.core.engine import WorkflowEngine
from graflow.core.task import Task
from graflow.dsl.host import current_host, use_host
from graflow.local import LocalHost


class Recorder:
    """A host that runs locally and notes what it was asked for."""

    def __init__(self):
        self.asked = []

    def execute(self, program, *, initial_channel, ret_context):
        self.asked.append((program.name, initial_channel, ret_context))
        return LocalHost().execute(
            program, initial_channel=initial_channel, ret_context=ret_context
        )


def test_this_process_is_the_host_unless_another_was_set():
    assert isinstance(current_host(), LocalHost)
    recorder = Recorder()
    with use_host(recorder):
        assert current_host() is recorder
    assert isinstance(current_host(), LocalHost)


def test_workflows_and_engines_run_on_the_host_that_was_set():
    recorder = Recorder()
    with use_host(recorder), workflow("w") as wf:
        Task("a")
        wf.execute(initial_channel={"k": 1})
        WorkflowEngine().execute(ExecutionContext.create(wf.graph))
    assert recorder.asked == [("w", {"k": 1}, False), ("workflow", {}, True)]


def test_b3_a_workflow_in_a_running_task_is_run_in_its_process():
    recorder = Recorder()

    @task
    def outer():
        with workflow("inner") as inner:
            Task("x") >> task(id="y")(lambda: 5)
            return inner.execute()

    with workflow("outer-flow") as wf:
        Task("a") >> outer
    with use_host(recorder):
        assert wf.execute() == 5
    assert [name for name, *_ in recorder.asked] == ["outer-flow"]
