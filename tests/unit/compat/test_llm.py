"""Language models and agents for tasks; LiteLLM is stood in for where it would ask a model."""

import sys
import types

import pytest

from graflow.core.context import ExecutionContext
from graflow.core.decorators import task
from graflow.core.engine import WorkflowEngine
from graflow.core.task import TaskWrapper
from graflow.core.workflow import workflow
from graflow.exceptions import (
    ArgumentError,
    ConfigError,
    GraflowRuntimeError,
    MissingPackageError,
    UnknownAgentError,
)
from graflow.llm import LLMAgent, LLMClient, extract_text, make_message
from graflow.llm.agents import AdkLLMAgent, PydanticLLMAgent, create_pydantic_ai_agent


class Echo(LLMAgent):
    def __init__(self, name="echo"):
        self._name = name

    def run(self, input_text, **kwargs):
        return {"output": f"{self._name}: {input_text}", "steps": [], "metadata": {}}

    @property
    def name(self):
        return self._name


def answer(text):
    message = types.SimpleNamespace(content=text)
    return types.SimpleNamespace(choices=[types.SimpleNamespace(message=message)])


@pytest.fixture
def asked(monkeypatch):
    """What a stand-in for LiteLLM was asked."""
    questions = []

    def completion(**kwargs):
        questions.append(kwargs)
        return answer(f"answer {len(questions)}")

    litellm = types.SimpleNamespace(completion=completion, callbacks=[])
    monkeypatch.setitem(sys.modules, "litellm", litellm)
    for name in ("LANGFUSE_PUBLIC_KEY", "LANGFUSE_SECRET_KEY", "GRAFLOW_LLM_MODEL"):
        monkeypatch.delenv(name, raising=False)
    return questions


def test_a_client_asks_its_model_with_its_parameters_unless_a_question_says_otherwise(asked):
    client = LLMClient("small", temperature=0.7, metadata={"a": 1})
    messages = [make_message("user", "hi")]
    assert client.completion_text(messages) == "answer 1"
    client.completion(messages, model="large", generation_name="g", tags=["t"], temperature=0)
    common = {"messages": [{"role": "user", "content": "hi"}], "stream": False}
    assert asked == [
        {**common, "model": "small", "temperature": 0.7, "metadata": {"a": 1}},
        {
            **common,
            "model": "large",
            "temperature": 0,
            "metadata": {"a": 1, "generation_name": "g", "tags": ["t"]},
        },
    ]


def test_the_words_of_an_answer_without_any_are_empty():
    assert extract_text(answer(None)) == ""
    assert extract_text(types.SimpleNamespace(choices=[])) == ""


def test_langfuse_is_told_of_questions_once_its_keys_are_there(asked, monkeypatch):
    callbacks = sys.modules["litellm"].callbacks
    LLMClient("m").completion([])
    assert callbacks == []
    monkeypatch.setenv("LANGFUSE_PUBLIC_KEY", "p")
    monkeypatch.setenv("LANGFUSE_SECRET_KEY", "s")
    LLMClient("m", enable_tracing=False).completion([])
    assert callbacks == []
    for _ in range(2):
        LLMClient("m").completion([])
    assert callbacks == ["langfuse_otel"]


def test_without_litellm_a_question_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "litellm", None)
    with pytest.raises(MissingPackageError, match=r"pip install graflow\[llm\]"):
        LLMClient("m").completion_text([])


def test_a_task_is_given_the_client_of_its_run(asked):
    @task(inject_llm_client=True)
    def ask(question, llm_client):
        return llm_client.completion_text([make_message("user", question)])

    with workflow("w") as wf:
        TaskWrapper("question", lambda: "why?") >> ask
    context = ExecutionContext.create(wf.graph, llm_client=LLMClient("mine"))
    assert WorkflowEngine().execute(context) == "answer 1"
    assert asked[0]["model"] == "mine"
    assert asked[0]["messages"][0]["content"] == "why?"


def test_without_a_client_one_is_made_for_the_model_of_the_environment(asked, monkeypatch):
    @task(inject_llm_client=True, inject_context=True)
    def ask(ctx, llm_client):
        assert ctx.llm_client is llm_client
        return llm_client.model

    with workflow("w") as wf:
        TaskWrapper("first", lambda: 1) >> ask
    assert wf.execute() == "gpt-5-mini"
    monkeypatch.setenv("GRAFLOW_LLM_MODEL", "large")
    assert wf.execute() == "large"


def test_a_task_is_given_the_agent_it_names():
    @task(inject_llm_agent="writer")
    def write(llm_agent, topic="tea"):
        return llm_agent.run(topic)["output"]

    with workflow("w") as wf:
        wf.register_llm_agent("writer", Echo("w"))
        TaskWrapper("topic", lambda: "rain") >> write
        assert wf.execute() == "w: rain"


def test_a_function_that_makes_an_agent_is_given_the_run_once_and_only_if_a_task_asks():
    made = []

    def maker(context):
        made.append((context.session_id, context.get_result("a"), context.is_completed()))
        return Echo(context.session_id)

    @task(inject_llm_agent="writer", inject_context=True)
    def use(ctx, llm_agent, a):
        same = ctx.get_llm_agent("writer") is llm_agent
        return llm_agent.name == ctx.session_id and same and a

    with workflow("w") as wf:
        wf.register_llm_agent("writer", maker)
        wf.register_llm_agent("idle", lambda _: 1 / 0)
        TaskWrapper("a", lambda: 1) >> use >> use(task_id="again")
        value, context = wf.execute(ret_context=True)
    assert value == 1
    assert made == [(context.session_id, 1, False)]


def test_branches_share_one_agent():
    made = []

    def maker(_):
        made.append(1)
        return Echo()

    with workflow("w") as wf:
        wf.register_llm_agent("e", maker)

        @task(inject_llm_agent="e")
        def say(llm_agent, n):
            return llm_agent.run(str(n))["output"]

        group = say(task_id="s0", n=0)
        for n in range(1, 8):
            group |= say(task_id=f"s{n}", n=n)
        assert wf.execute("ParallelGroup_1")["s7"] == "echo: 7"
    assert made == [1]


def test_an_agent_can_be_registered_by_a_context_and_by_a_task():
    @task(inject_context=True)
    def hire(ctx):
        ctx.register_llm_agent("b", Echo("b"))

    @task(inject_llm_agent="b", inject_context=True)
    def work(ctx, llm_agent):
        return ctx.get_llm_agent("a").name + llm_agent.name

    with workflow("w") as wf:
        hire >> work
    context = ExecutionContext.create(wf.graph)
    context.register_llm_agent("a", Echo("a"))
    assert context.get_llm_agent("a").name == "a"
    assert context.execute() == "ab"


def test_an_agent_that_nobody_registered_fails_the_attempt_before_user_code():
    @task(inject_llm_agent="writer", max_retries=3)
    def write(llm_agent):
        raise AssertionError

    with workflow("w") as wf:
        wf.register_llm_agent("writter", Echo())
        TaskWrapper("a", lambda: 1) >> write
        with pytest.raises(ArgumentError, match=r"'write' asks for an agent: no .*mean 'writter'"):
            wf.execute()


def test_asking_for_an_unknown_agent_by_hand_is_a_key_error():
    @task(inject_context=True)
    def ask(ctx):
        ctx.get_llm_agent("x")

    with workflow("w") as wf:
        TaskWrapper("a", lambda: 1) >> ask
        with pytest.raises(GraflowRuntimeError) as caught:
            wf.execute()
    assert isinstance(caught.value.cause, UnknownAgentError)
    assert isinstance(caught.value.cause, KeyError)


def test_what_is_no_agent_is_refused_when_it_is_registered():
    with workflow("w") as wf, pytest.raises(ConfigError, match="agent 'x' is 3"):
        wf.register_llm_agent("x", 3)
    with pytest.raises(ConfigError, match="agent 'x' is 3"):
        ExecutionContext.create(wf.graph).register_llm_agent("x", 3)


def test_an_agent_that_cannot_stream_says_so():
    with pytest.raises(NotImplementedError, match=r"Echo has no run_async\(\); use run\(\)"):
        Echo().run_async("hi")
    assert (Echo().tools, Echo().metadata) == ([], {})


def test_agents_of_other_packages_name_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydantic_ai", None)
    for make in (lambda: PydanticLLMAgent(object()), lambda: create_pydantic_ai_agent("openai/x")):
        with pytest.raises(MissingPackageError, match="pip install pydantic-ai"):
            make()
    monkeypatch.setitem(sys.modules, "google.adk", None)
    with pytest.raises(MissingPackageError, match="pip install google-adk"):
        AdkLLMAgent(object(), app_name="a")


def test_a_pydantic_agent_is_wrapped_with_its_answer_and_messages(monkeypatch):
    message = types.SimpleNamespace(parts=[types.SimpleNamespace(content="hello")])

    class Agent:
        name, instrument, output_type, toolsets = "greeter", None, str, ()
        model = types.SimpleNamespace(model_name="test")

        def run_sync(self, text, message_history=None):
            return types.SimpleNamespace(
                output=f"hello {text}",
                usage="usage",
                all_messages=lambda: [*(message_history or ()), message],
                new_messages=lambda: [message],
            )

    monkeypatch.setitem(sys.modules, "pydantic_ai", types.SimpleNamespace(Agent=Agent))
    agent = PydanticLLMAgent(Agent())
    found = agent.run("you", message_history=["before"])
    assert (agent.name, found["output"], found["metadata"]["messages"]) == (
        "greeter",
        "hello you",
        ["before", message],
    )
    assert found["steps"][0]["content"] == ["hello"]
    assert found["steps"][0]["is_final"]
    with pytest.raises(TypeError, match=r"takes a pydantic_ai\.Agent, not 3"):
        PydanticLLMAgent(3)
