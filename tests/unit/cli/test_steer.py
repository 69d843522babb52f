"""Commands that hold a run up, let it go on, or end it: what they ask for and what they say."""

from typing import Any

import pytest
from click.testing import CliRunner, Result

from graflow.cli.main import cli


def workflow(phase: str = "Running", **spec: Any) -> dict[str, Any]:
    metadata = {"name": "etl", "uid": "u1", "resourceVersion": "1"}
    return {"metadata": metadata, "spec": spec, "status": {"phase": phase}}


def pods(*phases: str) -> dict[str, Any]:
    made = {"labels": {}, "annotations": {}, "uid": "p"}
    return {"items": [{"metadata": made, "status": {"phase": phase}} for phase in phases]}


def run(runner: CliRunner, *args: str) -> Result:
    return runner.invoke(cli, list(args))


@pytest.mark.parametrize(
    ("words", "before", "asked"),
    [
        (["suspend"], {}, {"suspend": True}),
        (["unsuspend"], {"suspend": True}, {"suspend": False}),
        (["cancel"], {}, {"cancel": True}),
        (["cancel"], {"suspend": True}, {"cancel": True}),
        (["cancel", "--reason", "no"], {}, {"cancel": True, "cancelReason": "no"}),
    ],
    ids=["suspend", "unsuspend", "cancel", "cancel of a suspended run", "with a reason"],
)
def test_each_changes_its_own_field_of_the_spec(
    fake: Any, runner: CliRunner, words: list[str], before: dict[str, Any], asked: dict[str, Any]
) -> None:
    fake.answers = [(200, workflow(**before)), (200, {})]
    assert run(runner, *words, "etl", "-n", "other").exit_code == 0
    method, path, body = fake.requests[-1]
    assert (method, body) == ("PATCH", {"spec": asked})
    assert path.endswith("/namespaces/other/workflows/etl")


@pytest.mark.parametrize(
    ("word", "said"),
    [("suspend", "nothing to suspend"), ("unsuspend", "nothing to go on"), ("cancel", "to cancel")],
)
@pytest.mark.parametrize("phase", ["Succeeded", "Failed", "Cancelled"])
def test_a_run_that_has_ended_stays_as_it_is_and_that_is_said(
    fake: Any, runner: CliRunner, word: str, said: str, phase: str
) -> None:
    fake.answers = [(200, workflow(phase))]
    told = run(runner, word, "etl")
    assert (told.exit_code, told.stdout) == (0, "")
    assert f"has ended already: {phase}" in told.stderr
    assert said in told.stderr
    assert [method for method, _, _ in fake.requests] == ["GET"]


@pytest.mark.parametrize(
    ("word", "spec", "said"),
    [
        ("suspend", {"suspend": True}, "is suspended already"),
        ("unsuspend", {}, "is not suspended"),
        ("cancel", {"cancel": True}, "was asked to end before"),
    ],
)
def test_what_was_asked_for_before_is_not_asked_for_again(
    fake: Any, runner: CliRunner, word: str, spec: dict[str, Any], said: str
) -> None:
    fake.answers = [(200, workflow(**spec))]
    told = run(runner, word, "etl")
    assert told.exit_code == 0
    assert said in told.stderr
    assert [method for method, _, _ in fake.requests] == ["GET"]


def test_cancel_waits_until_the_run_has_ended_and_its_pods_too(
    fake: Any, runner: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graflow.cluster.logs.LOOK_S", 0)
    left = [pods("Running", "Succeeded"), pods("Failed", "Succeeded")]
    seen = [workflow(), workflow("Cancelled")]

    def answer(method: str, path: str, _body: Any) -> Any:
        if "/pods" in path:
            return 200, left.pop(0)
        return 200, ({} if method == "PATCH" else seen.pop(0))

    fake.answers = [answer]
    told = run(runner, "cancel", "etl", "--wait")
    assert told.exit_code == 0, told.stderr
    assert told.stderr.splitlines() == [
        "workflow etl is asked to end",
        "workflow etl has ended: Cancelled; waiting for its pods",
        "no pod of etl runs any more",
    ]
    assert left == []


@pytest.mark.parametrize("word", ["suspend", "unsuspend", "cancel"])
def test_a_run_that_is_not_there_is_named(fake: Any, runner: CliRunner, word: str) -> None:
    fake.answers = [(404, {"message": 'workflows.graflow.dev "etl" not found'})]
    told = run(runner, word, "etl")
    assert told.exit_code == 4
    assert "there is no workflow 'etl' in namespace 'team'" in told.stderr
