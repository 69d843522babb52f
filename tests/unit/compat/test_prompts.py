"""Prompts in YAML files, by name, label and version, and as `ctx.prompt_manager`."""

import os
import pickle
import sys
import textwrap

import pytest

from graflow.core.context import ExecutionContext
from graflow.core.decorators import task
from graflow.core.workflow import workflow
from graflow.exceptions import GraflowRuntimeError, MissingPackageError
from graflow.prompts import yaml_manager
from graflow.prompts.exceptions import (
    PromptCompilationError,
    PromptConfigurationError,
    PromptNotFoundError,
    PromptTypeError,
    PromptVersionNotFoundError,
)
from graflow.prompts.factory import PromptManagerFactory
from graflow.prompts.yaml_manager import YAMLPromptManager

MAILS = """
schema: 1
welcome:
  type: text
  labels:
    production:
      content: "Hello {{ name }}{% if vip %}!{% endif %} <3"
      version: 2
      created_at: 2026-01-05
      metadata: {owner: sales}
    staging:
      content: "Hi {{ name }}"
interview:
  type: chat
  labels:
    production:
      content:
        - {role: system, content: "You know {{ domain }}."}
        - {role: user, content: [{type: image}], name: "{{ domain }}"}
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "customer").mkdir()
    (tmp_path / "customer" / "mails.yaml").write_text(MAILS)
    (tmp_path / "top.yml").write_text("bye:\n  labels:\n    production: {content: Bye}\n")
    return tmp_path


@pytest.fixture
def prompts(folder):
    return PromptManagerFactory.create("yaml", prompts_dir=str(folder))


def test_a_text_prompt_is_found_by_folder_and_key_and_rendered(prompts):
    prompt = prompts.get_text_prompt("customer/welcome")
    assert prompt.render(name="<Ada>", vip=True) == "Hello <Ada>! <3"
    assert (prompt.version, prompt.label, prompt.created_at) == (2, "production", "2026-01-05")
    assert prompt.metadata == {"owner": "sales"}
    assert prompts.get_prompt("bye").render() == "Bye"


def test_a_chat_prompt_is_rendered_message_by_message_and_keeps_everything_else(prompts):
    assert prompts.get_chat_prompt("customer/interview").render(domain="AI") == [
        {"role": "system", "content": "You know AI."},
        {"role": "user", "content": [{"type": "image"}], "name": "{{ domain }}"},
    ]


def test_a_label_is_production_unless_said_and_a_version_the_latest(folder, prompts):
    (folder / "customer" / "more.yaml").write_text(
        'welcome:\n  labels:\n    production: {version: 1, content: "Old {{ name }}"}\n'
    )
    assert prompts.get_prompt("customer/welcome", label="staging").render(name="B") == "Hi B"
    assert prompts.get_prompt("customer/welcome").version == 2
    assert prompts.get_prompt("customer/welcome", version=1).render(name="B") == "Old B"


@pytest.mark.parametrize(
    ("error", "ask", "words"),
    [
        (PromptNotFoundError, {"name": "customer/welcom"}, "did you mean 'customer/welcome'"),
        (PromptNotFoundError, {"name": "nowhere/x"}, "there is no prompt 'nowhere/x' in"),
        (PromptNotFoundError, {"name": "../secrets/x"}, "leads out of"),
        (
            PromptVersionNotFoundError,
            {"name": "customer/welcome", "label": "stagin"},
            "no label 'stagin'; did you mean 'staging'",
        ),
        (
            PromptVersionNotFoundError,
            {"name": "customer/welcome", "version": 9},
            "no version 9 with label 'production'; there is 2",
        ),
    ],
)
def test_what_is_not_there_is_named_with_what_is(prompts, error, ask, words):
    with pytest.raises(error, match=words):
        prompts.get_prompt(**ask)


def test_a_missing_variable_or_a_mistake_in_a_template_is_an_error(folder, prompts):
    with pytest.raises(PromptCompilationError, match=r"'customer/welcome' .*'name' is undefined"):
        prompts.get_prompt("customer/welcome").render(vip=False)
    (folder / "bad.yaml").write_text('bad:\n  labels:\n    production: {content: "{% if %}"}\n')
    with pytest.raises(PromptCompilationError, match="'bad'"):
        prompts.get_prompt("bad").render()


def test_asking_for_the_other_kind_is_an_error(prompts):
    with pytest.raises(PromptTypeError, match=r"is a chat prompt; ask with get_chat_prompt"):
        prompts.get_text_prompt("customer/interview")
    with pytest.raises(PromptTypeError, match=r"is a text prompt; ask with get_text_prompt"):
        prompts.get_chat_prompt("customer/welcome")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: {labels: {production: {content: [1]}}}", "a text has|content is \\[1\\]"),
        ("a: {type: audio, labels: {production: {content: x}}}", "type is 'audio'; it is text or"),
        ("a: {labels: {production: {content: x, version: two}}}", "version is 'two'"),
        ("a: {labels: [production]}", r"a: labels is \['production'\]"),
        ("a: [", "is no YAML"),
        ("- a", "must be a dict of names"),
    ],
)
def test_a_file_that_makes_no_sense_is_named_with_the_place(folder, prompts, text, words):
    (folder / "odd.yaml").write_text(text)
    with pytest.raises(PromptConfigurationError, match=rf"odd\.yaml.*({words})"):
        prompts.get_prompt("bye")


def test_the_same_version_twice_is_refused(folder, prompts):
    (folder / "twice.yaml").write_text("bye:\n  labels:\n    production: {content: Twice}\n")
    with pytest.raises(PromptConfigurationError, match=r"version 1 of prompt 'bye'.*is there"):
        prompts.get_prompt("bye")


def test_a_changed_file_is_read_again_at_once(folder, prompts):
    assert prompts.get_prompt("bye") is prompts.get_prompt("bye")
    top = folder / "top.yml"
    top.write_text("bye:\n  labels:\n    production: {content: Farewell}\n")
    os.utime(top, ns=(1, 1))
    assert prompts.get_prompt("bye").render() == "Farewell"
    top.unlink()
    with pytest.raises(PromptNotFoundError):
        prompts.get_prompt("bye")


def test_a_manager_travels_as_its_place(prompts):
    prompts.get_prompt("bye")
    again = pickle.loads(pickle.dumps(prompts))
    assert again.get_prompt("bye").render() == "Bye"


def test_a_backend_that_is_not_known_is_refused():
    with pytest.raises(ValueError, match="backend 'yml' is not known; did you mean 'yaml'"):
        PromptManagerFactory.create("yml")


def test_optional_packages_are_named_when_they_are_missing(prompts, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingPackageError, match=r"pip install graflow\[prompts\]"):
        prompts.get_prompt("bye").render()
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(MissingPackageError, match="reading prompts needs pyyaml"):
        YAMLPromptManager(prompts.prompts_dir).get_prompt("bye")
    monkeypatch.setitem(sys.modules, "langfuse", None)
    with pytest.raises(MissingPackageError, match="langfuse"):
        PromptManagerFactory.create("langfuse")


def test_a_workflow_gives_its_prompts_to_its_tasks(prompts):
    with workflow("w", prompt_manager=prompts) as wf:

        @task(inject_context=True)
        def greet(ctx):
            return ctx.prompt_manager.get_text_prompt("customer/welcome").render(name="Ada", vip=0)

        assert wf.execute() == "Hello Ada <3"


def test_prompts_of_a_context_and_those_of_the_environment(folder, prompts, monkeypatch):
    with workflow("w") as wf:

        @task(inject_context=True)
        def greet(ctx):
            return ctx.prompt_manager.get_prompt("bye").render()

    assert ExecutionContext.create(wf.graph, prompt_manager=prompts).execute() == "Bye"
    monkeypatch.setenv("GRAFLOW_PROMPTS_DIR", str(folder))
    assert wf.execute() == "Bye"
    assert greet.run() == "Bye"
    monkeypatch.setenv("GRAFLOW_PROMPTS_DIR", str(folder / "empty"))
    with pytest.raises(GraflowRuntimeError) as caught:
        wf.execute()
    assert isinstance(caught.value.cause, PromptNotFoundError)


def test_the_layout_of_a_file_is_that_of_the_documents(tmp_path):
    _, layout = yaml_manager.__doc__.split("\n\n", 1)
    (tmp_path / "p.yaml").write_text(textwrap.dedent(layout))
    assert YAMLPromptManager(tmp_path).get_prompt("welcome").render(name="Ada") == "Hello Ada"
