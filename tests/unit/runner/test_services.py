"""Clients, agents and prompts that a program gives to its runs reach its tasks in pods."""

import json
import zipfile
from io import BytesIO

import pytest

from graflow.compile.place import Place
from graflow.compile.program import Options, compile_program
from graflow.core.context import ExecutionContext
from graflow.core.decorators import task
from graflow.core.workflow import workflow
from graflow.prompts.yaml_manager import YAMLPromptManager
from unit.runner.harness import with_bundle


@pytest.fixture
def run(operator, runners, tmp_path):
    """Run one task of a program as its pod would, and return what it reported."""

    def run(program, name):
        compiled = compile_program(program, Options(), where=Place(tmp_path, "w.py"))
        with_bundle(operator, compiled.bundle.data)
        archive = zipfile.ZipFile(BytesIO(compiled.bundle.data))
        functions = json.loads(archive.read("manifest.json"))["functions"]
        (sha256,) = (sha for sha, names in functions.items() if name in names)
        operator.order["call"] = {"function": sha256, "name": name}
        runner = runners.run()
        assert runner.process.returncode == 0, runner.stderr
        return operator.reports[-1]["value"]["json"]

    return run


def test_an_agent_travels_by_value_and_a_function_that_makes_one_is_called_in_the_pod(run):
    class Echo:
        def __init__(self, name):
            self.name = name

        def run(self, text):
            return f"{self.name}: {text}"

    with workflow("w") as wf:

        @task(inject_llm_agent="made", inject_context=True)
        def ask(ctx, llm_agent):
            same = ctx.get_llm_agent("made") is llm_agent and ctx.execution_context is ctx
            return [llm_agent.run("hi"), ctx.get_llm_agent("given").run("ho"), same]

        wf.register_llm_agent("given", Echo("given"))
        wf.register_llm_agent("made", lambda context: Echo(f"of {context.task_id}"))
        program = wf.program()
    assert run(program, "ask") == ["of t: hi", "given: ho", True]  # t: what the order calls it


def test_a_client_and_prompts_of_a_context_travel(run, tmp_path_factory):
    class Client:
        model = "mine"

    folder = tmp_path_factory.mktemp("prompts")
    (folder / "p.yaml").write_text("hi:\n  labels:\n    production: {content: Hi}\n")
    with workflow("w") as wf:

        @task(inject_llm_client=True, inject_context=True)
        def ask(ctx, llm_client):
            return [llm_client.model, ctx.prompt_manager.get_prompt("hi").content]

    context = ExecutionContext.create(
        wf.graph, llm_client=Client(), prompt_manager=YAMLPromptManager(folder)
    )
    assert run(context.program(), "ask") == ["mine", "Hi"]


def test_without_any_a_pod_makes_the_usual_client_and_knows_no_agent(run, monkeypatch):
    monkeypatch.delenv("GRAFLOW_LLM_MODEL", raising=False)
    with workflow("w") as wf:

        @task(inject_context=True)
        def ask(ctx):
            try:
                ctx.get_llm_agent("x")
            except KeyError as error:
                return [ctx.llm_client.model, str(error)]

        program = wf.program()
    model, words = run(program, "ask")
    assert model == "gpt-5-mini"
    assert "no agent 'x' is registered" in words
