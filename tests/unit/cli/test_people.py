"""Questions of tasks on the command line: what waits, what is shown, what is sent for an answer."""

import io
import json
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result

from graflow.cli.main import cli
from graflow.local import console
from graflow.local.console import Terminal
from support.questions import raw_spec

NEVER = "2126-01-01T00:00:00Z"
LONG_AGO = "2020-01-01T00:00:00Z"
TOLD = {"status": "completed", "message": "approved by ann"}


def question(name: str = "ask", kind: str = "approval", **more: Any) -> dict[str, Any]:
    """Return a question as the API server has it."""
    since = more.pop("since", "2026-11-30T15:00:00Z")
    status = more.pop("status", {"phase": "Pending"})
    metadata = {"name": name, "namespace": "team", "creationTimestamp": since, "uid": name}
    return {
        "metadata": {**metadata, "resourceVersion": "1"},
        "spec": raw_spec(kind, **more),
        "status": status,
    }


ANSWERED = {"phase": "Answered", "decidedAt": "2026-11-30T15:01:00Z", "message": "approved by bob"}


@pytest.fixture(autouse=True)
def service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAFLOW_SERVICE", "ops/graflow")


def cluster(*questions: dict[str, Any], told: Any = (200, TOLD), user: Any = None) -> Any:
    """Return how an API server answers that has these questions, and an operator behind it."""

    def answer(_method: str, path: str, _body: Any) -> Any:
        if path.endswith("/selfsubjectreviews"):
            return (201, {"status": {"userInfo": user}}) if user else (403, {"message": "no"})
        if "/proxy/" in path:
            return told
        if "watch=true" in path:
            return (403, {"message": "no more"})
        if path.partition("?")[0].endswith("/feedbackrequests"):
            return 200, {"metadata": {"resourceVersion": "7"}, "items": [*questions]}
        found = [one for one in questions if path.endswith("/" + one["metadata"]["name"])]
        return (200, found[0]) if found else (404, {"message": "not found"})

    return [answer]


def run(runner: CliRunner, *args: str) -> Result:
    return runner.invoke(cli, [*args])


def sent(fake: Any) -> list[tuple[str, str, Any]]:
    """Return what came to the operator."""
    return [
        (method, path.partition("/user/v1")[2], body)
        for method, path, body in fake.requests
        if "/proxy/" in path
    ]


def test_the_inbox_has_what_is_open_oldest_first(fake: Any, runner: CliRunner) -> None:
    fake.answers = cluster(
        question("second", "text", since="2026-11-30T16:00:00Z", prompt="x" * 99),
        question("first", deadline=NEVER, assignees={"users": ["ann"], "groups": ["ops"]}),
        question("over", status=ANSWERED),
        question("late", deadline=LONG_AGO),
    )
    shown = run(runner, "inbox")
    assert shown.exit_code == 0, shown.stderr
    assert [line.split() for line in shown.stdout.splitlines()] == [
        ["NAME", "WORKFLOW", "TASK", "TYPE", "PROMPT", "DEADLINE", "ASSIGNEES"],
        ["first", "w", "t", "approval", "Well?", NEVER, "ann,", "group", "ops"],
        ["second", "w", "t", "text", "x" * 59 + "…", "none", "whoever", "may", "respond"],
    ]
    assert fake.requests[0][1].endswith("/namespaces/team/feedbackrequests?limit=500")


def test_a_narrow_terminal_does_not_cut_off_the_name_to_answer_by(
    fake: Any, runner: CliRunner
) -> None:
    name = "publishing-7f3k9-review-tiwncybu3r"
    fake.answers = cluster(question(name))
    shown = runner.invoke(cli, ["inbox"], env={"COLUMNS": "40", "FORCE_COLOR": "1"})
    assert shown.stdout.splitlines()[1].split() == [
        *[name, "w", "t", "approval", "Well?", "none", "whoever", "may", "respond"]
    ]


def test_the_inbox_of_all_namespaces_gives_names_as_answer_takes_them(
    fake: Any, runner: CliRunner
) -> None:
    fake.answers = cluster(question("over", status=ANSWERED), question("open"))
    shown = run(runner, "inbox", "-A", "--all", "-o", "name", "-l", "a=b")
    assert shown.stdout.splitlines() == ["open -n team", "over -n team"]
    path = "/apis/graflow.dev/v1alpha1/feedbackrequests?limit=500&labelSelector=a%3Db"
    assert fake.requests[0][1] == path
    assert run(runner, "inbox", "-A", "-n", "team").exit_code == 2


def test_programs_get_the_whole_question(fake: Any, runner: CliRunner) -> None:
    fake.answers = cluster(question(deadline=NEVER, assignees={"users": ["ann"]}))
    [found] = json.loads(run(runner, "inbox", "-o", "json").stdout)
    assert (found["name"], found["namespace"], found["deadline"]) == ("ask", "team", NEVER)
    assert (found["type"], found["prompt"], found["status"]["phase"]) == (
        "approval",
        "Well?",
        "Pending",
    )
    assert found["assignees"]["users"] == ["ann"]
    to = {"action": "Escalate", "to": {"users": ["eve"]}}
    late = {"phase": "Pending", "escalated": {"at": LONG_AGO, "deadline": NEVER}}
    fake.answers = cluster(question(deadline=LONG_AGO, onDeadline=to, status=late))
    [found] = json.loads(run(runner, "inbox", "-o", "json").stdout)
    assert (found["deadline"], found["assignees"]["users"]) == (NEVER, ["eve"])


def test_mine_are_those_that_ask_me_my_group_or_anybody(fake: Any, runner: CliRunner) -> None:
    asked = [
        question("a-me", assignees={"users": ["ann"]}),
        question("b-group", assignees={"groups": ["ops"]}),
        question("c-anybody"),
        question("d-others", assignees={"users": ["bob"]}),
        question("e-own", submitter="ann", submitterMayAnswer=False),
    ]
    fake.answers = cluster(*asked, user={"username": "ann", "groups": ["ops"]})
    shown = run(runner, "inbox", "--mine", "-o", "name")
    assert shown.stdout.splitlines() == ["a-me", "b-group", "c-anybody"]
    fake.answers = cluster(*asked)
    shown = run(runner, "inbox", "--mine")
    assert shown.exit_code == 3
    assert "does not say who you are; leave --mine out" in shown.stderr


def test_an_empty_inbox_is_said(fake: Any, runner: CliRunner) -> None:
    fake.answers = cluster()
    shown = run(runner, "inbox")
    assert (shown.exit_code, shown.stdout) == (0, "")
    assert shown.stderr == "no question in namespace team waits for an answer\n"


def test_watching_shows_each_question_once(fake: Any, runner: CliRunner) -> None:
    old, new = question("old"), question("new")
    changed = {**old, "metadata": {**old["metadata"], "resourceVersion": "2"}}
    events = [{"type": "ADDED", "object": new}, {"type": "MODIFIED", "object": changed}]
    listed = (200, {"metadata": {"resourceVersion": "7"}, "items": [old]})
    fake.answers = [listed, events, (403, {"message": "no more"})]
    shown = run(runner, "inbox", "--watch", "-o", "name")
    assert (shown.exit_code, shown.stdout.splitlines()) == (3, ["old", "new"])
    assert "watch=true&resourceVersion=7" in fake.requests[1][1]


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        ("approval", ["--approve"], {"approved": True}),
        (
            "approval",
            ["--reject", "--reason", "too dear"],
            {"approved": False, "reason": "too dear"},
        ),
        ("text", ["--text", "because"], {"text": "because"}),
        ("selection", ["--select", "red"], {"selected": "red"}),
        (
            "multi_selection",
            ["--select", "blue", "--select", "red"],
            {"selected_multiple": ["blue", "red"]},
        ),
        ("multi_selection", ["--none"], {"selected_multiple": []}),
        ("custom", ["--json", '{"n": 3}'], {"custom_data": {"n": 3}}),
    ],
)
def test_an_answer_is_sent_with_the_digest_of_what_was_read(
    fake: Any, runner: CliRunner, kind: str, options: list[str], said: Any
) -> None:
    asked = question("ask", kind)
    fake.answers = cluster(asked)
    told = run(runner, "answer", "ask", *options)
    assert told.exit_code == 0, told.stderr
    assert told.stderr == "ask: approved by ann\n"
    [(method, path, body)] = sent(fake)
    assert (method, path) == ("POST", "/namespaces/team/api/feedback/ask/respond")
    assert body == {**said, "sha256": asked["spec"]["sha256"]}
    assert fake.headers[-1]["X-Graflow-Token"] == "t0ken"
    assert fake.headers[-1]["X-Graflow-Client"] == "cli"


def test_a_custom_answer_may_be_in_a_file(fake: Any, runner: CliRunner, tmp_path: Any) -> None:
    (tmp_path / "limits.json").write_text('{"n": 4}')
    fake.answers = cluster(question("ask", "custom"))
    told = run(runner, "answer", "ask", "--json", f"@{tmp_path}/limits.json", "-o", "json")
    assert json.loads(told.stdout) == TOLD
    assert sent(fake)[0][2]["custom_data"] == {"n": 4}


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        (
            "text",
            ["--approve"],
            "--approve does not answer a question of type text; answer with --t",
        ),
        (
            "selection",
            ["--none"],
            "--none does not answer a question of type selection; answer with",
        ),
        ("text", ["--text", ""], 'text: is ""'),
        ("approval", ["--reason", "so"], "answer with --approve or --reject"),
        ("approval", ["--approve", "--reject"], "do not go together"),
        ("approval", ["--approve", "--show"], "do not go together"),
        ("selection", ["--select", "green"], "'green' is none of the options"),
        ("selection", ["--select", "red", "--select", "blue"], "answer with --select OPTION"),
        ("custom", ["--json", '{"n": "one"}'], "custom"),
        ("custom", ["--json", "{"], "--json: '{' cannot be read"),
        ("custom", ["--json", "@/nowhere"], "--json: '@/nowhere' cannot be read"),
        ("selection", [], "of type selection it is --select OPTION. On a terminal you are asked"),
    ],
)
def test_what_is_no_answer_is_refused_before_it_is_sent(
    fake: Any, runner: CliRunner, kind: str, options: list[str], words: str
) -> None:
    fake.answers = cluster(question("ask", kind))
    told = run(runner, "answer", "ask", *options)
    assert told.exit_code == 2
    assert words in told.stderr
    assert sent(fake) == []


@pytest.mark.parametrize(
    ("refusal", "code"),
    [
        ((409, {"message": "ask: this question is Answered: approved by bob"}), 2),
        ((403, {"message": "ann is not among those who are asked: users bob"}), 3),
    ],
)
def test_what_the_operator_refuses_is_told_in_its_words(
    fake: Any, runner: CliRunner, refusal: Any, code: int
) -> None:
    fake.answers = cluster(question(), told=refusal)
    told = run(runner, "answer", "ask", "--approve")
    assert (told.exit_code, told.stderr) == (code, f"graflow: {refusal[1]['message']}\n")


def test_a_question_that_there_is_not_is_told_with_where_to_look(
    fake: Any, runner: CliRunner
) -> None:
    fake.answers = cluster()
    told = run(runner, "answer", "ask", "--approve")
    assert told.exit_code == 4
    assert "no question 'ask' in namespace 'team'; `graflow inbox -n team`" in told.stderr


def test_a_question_can_be_withdrawn(fake: Any, runner: CliRunner) -> None:
    fake.answers = cluster(question(), told=(200, {"message": "withdrawn by ann"}))
    told = run(runner, "answer", "ask", "--withdraw")
    assert (told.exit_code, told.stderr) == (0, "ask: withdrawn by ann\n")
    assert sent(fake) == [("DELETE", "/namespaces/team/api/feedback/ask", None)]


def test_of_a_withdrawn_question_is_shown_who_did_that_and_no_way_to_answer_it(
    fake: Any, runner: CliRunner
) -> None:
    gone = {"phase": "Withdrawn", "decidedAt": LONG_AGO, "message": "withdrawn by ann"}
    fake.answers = cluster(question(status=gone))
    shown = run(runner, "answer", "ask", "--show").stdout
    assert "Phase      Withdrawn: withdrawn by ann\n" in shown
    assert "Answer" not in shown
    assert run(runner, "inbox").stdout == ""
    assert "Withdrawn" in run(runner, "inbox", "--all").stdout


def test_what_is_shown_is_all_of_the_question_and_steers_no_terminal(
    fake: Any, runner: CliRunner
) -> None:
    fake.answers = cluster(
        question(
            "ask",
            "selection",
            prompt="Which?\x1b[2J\u202e",
            options=["red", "blue"],
            payload={"markdown": "# Plan\ndrop it"},
            submitter="bob",
            submitterMayAnswer=False,
        )
    )
    shown = run(runner, "answer", "ask", "--show").stdout
    assert "Question   ask (namespace team)\nAsked by   task t of workflow w\n" in shown
    assert "Deadline   none\nFor        whoever may respond\nNot        bob, who has" in shown
    assert "Answer     --select OPTION\n" in shown
    assert "\nWhich?\\x1b[2J\\u202e\n\n# Plan\ndrop it\n\n  1) red\n  2) blue\n" in shown
    assert sent(fake) == []


@pytest.fixture
def at_terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Type at a terminal; the end of what is typed is the end of its input."""
    read, write = os.pipe()

    def type_(text: str) -> None:
        os.write(write, text.encode())
        os.close(write)

    with os.fdopen(read) as keys:
        terminal = Terminal(keys, io.StringIO())
        monkeypatch.setattr(console, "terminal", lambda: terminal)
        yield type_


def test_on_a_terminal_the_question_is_shown_and_asked_until_it_is_answered(
    fake: Any, runner: CliRunner, at_terminal: Callable[[str], None]
) -> None:
    options = ["re\x1bd", "blue"]
    fake.answers = cluster(question("ask", "multi_selection", options=options, deadline=NEVER))
    at_terminal("3\n1, 1\n1\n")
    told = run(runner, "answer", "ask")
    assert told.exit_code == 0, told.stderr
    assert "Well?" in told.stdout
    assert sent(fake)[0][2]["selected_multiple"] == ["re\x1bd"]


def test_who_leaves_the_terminal_leaves_the_question_open(
    fake: Any, runner: CliRunner, at_terminal: Callable[[str], None]
) -> None:
    fake.answers = cluster(question())
    at_terminal("")
    told = run(runner, "answer", "ask")
    assert (told.exit_code, told.stderr) == (130, "ask stays open\n")
    assert sent(fake) == []


def test_nobody_is_asked_what_is_decided(
    fake: Any, runner: CliRunner, at_terminal: Callable[[str], None]
) -> None:
    fake.answers = cluster(question(status=ANSWERED))
    at_terminal("y\n\n")
    told = run(runner, "answer", "ask")
    assert told.exit_code == 2
    assert "ask: this question is Answered: approved by bob" in told.stderr
    assert sent(fake) == []
