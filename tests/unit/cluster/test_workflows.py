"""What the SDK makes of an API server's answers."""

from typing import Any

import pytest

from graflow.cluster import apiserver
from graflow.cluster import workflows as module
from graflow.cluster.apiserver import ApiServer
from graflow.cluster.creation import create
from graflow.cluster.errors import (
    ClusterError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    RefusedError,
    UnreachableError,
    WaitTimeoutError,
)
from graflow.cluster.run import Run
from graflow.cluster.submit import send
from graflow.cluster.workflows import Workflows

REVIEWED = (201, {"status": {"userInfo": {"username": "ann", "groups": ["a"]}}})
BUNDLE = {"metadata": {"name": "code-1"}, "spec": {}}


def workflow(version: int, phase: str = "", **status: Any) -> dict[str, Any]:
    metadata = {"name": "etl", "uid": "u1", "resourceVersion": str(version)}
    return {"metadata": metadata, "status": {"phase": phase, **status} if phase else {}}


def failed(code: int, message: str) -> tuple[int, object]:
    return code, {"kind": "Status", "message": message}


@pytest.fixture
def workflows(server: ApiServer) -> Workflows:
    return Workflows(server)


@pytest.fixture
def run(workflows: Workflows) -> Run:
    return Run(workflows, "etl", "u1")


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (failed(403, "cannot get workflows"), ForbiddenError, "cannot get workflows"),
        (failed(401, "Unauthorized"), ForbiddenError, "Unauthorized"),
        (failed(404, 'workflows "etl" not found'), NotFoundError, "no workflow 'etl'.*'team'"),
        (failed(404, 'namespaces "team" not found'), NotFoundError, "namespaces"),
        (
            failed(404, "the server could not find the requested resource"),
            UnreachableError,
            "install Graflow",
        ),
        (failed(422, "spec.tasks: bad"), RefusedError, r"spec\.tasks: bad"),
        (failed(500, "etcd is down"), UnreachableError, "500: etcd is down"),
    ],
)
def test_errors_say_what_the_api_server_said_and_what_to_do(
    fake: Any, workflows: Workflows, answer: Any, kind: type[Exception], words: str
) -> None:
    fake.answers = [answer]
    with pytest.raises(kind, match=words):
        workflows.get("etl")


def test_a_server_that_does_not_answer_is_unreachable(fake: Any, workflows: Workflows) -> None:
    fake.answers = [(0, None)]
    with pytest.raises(UnreachableError, match=r"cannot be reached.*KUBECONFIG"):
        workflows.create({})


def test_what_is_nested_too_deeply_to_be_read_is_an_error_in_words(
    fake: Any, workflows: Workflows
) -> None:
    fake.answers = [b'{"items": [' + b'{"a":' * 9_000 + b"1" + b"}" * 9_000 + b"]}"]
    with pytest.raises(ClusterError, match="nested too deeply"):
        workflows.all()


def test_the_token_travels_in_its_header_and_names_in_the_path(
    fake: Any, workflows: Workflows
) -> None:
    fake.answers = [(200, workflow(1))]
    workflows.get("a/b")
    assert fake.headers[0]["Authorization"] == "Bearer t0ken"
    assert fake.requests[0][1] == "/apis/graflow.dev/v1alpha1/namespaces/team/workflows/a%2Fb"


def test_waiting_ends_with_the_run(fake: Any, run: Run) -> None:
    fake.answers = [
        (200, workflow(1)),
        [
            {"type": "MODIFIED", "object": workflow(2, "Running")},
            {"type": "MODIFIED", "object": workflow(3, "Succeeded", result={"json": [1]})},
        ],
    ]
    seen: list[str | None] = []
    status = run.wait(on_progress=lambda status: seen.append(status.phase))
    assert seen == [None, "Running", "Succeeded"]
    assert status.result == {"json": [1]}


def test_waiting_survives_a_watch_that_is_too_far_behind(fake: Any, run: Run) -> None:
    fake.answers = [
        (200, workflow(1)),
        [{"type": "ERROR", "object": {"code": 410}}],
        (200, workflow(9, "Failed")),
    ]
    assert run.wait().phase == "Failed"


def test_waiting_survives_answers_that_break_off(
    fake: Any, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_S", 0.0)
    monkeypatch.setattr(apiserver, "RETRY_S", (0.0, 0.0))
    fake.answers = [
        (200, workflow(1)),
        (0, None),
        (0, None),
        (0, None),
        failed(503, "starting"),
        (200, workflow(1)),
        failed(410, "too old"),
        (200, workflow(5, "Succeeded")),
    ]
    assert run.wait().phase == "Succeeded"


def test_a_server_that_stays_away_is_not_waited_for_without_end(
    fake: Any, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_S", 0.0)
    monkeypatch.setattr(module, "PATIENCE_S", 0.0)
    fake.answers = [(200, workflow(1)), failed(503, "gone")]
    with pytest.raises(UnreachableError, match="gone"):
        run.wait()


def test_waiting_ends_when_its_time_is_over(fake: Any, run: Run) -> None:
    fake.answers = [(200, workflow(1, "Running"))]
    with pytest.raises(WaitTimeoutError, match="not ended after 0 seconds; it goes on"):
        run.wait(timeout_s=0)


def test_waiting_ends_when_the_workflow_is_deleted(fake: Any, run: Run) -> None:
    fake.answers = [(200, workflow(1)), [{"type": "DELETED", "object": workflow(2)}]]
    with pytest.raises(NotFoundError, match="was deleted"):
        run.wait()


def test_another_workflow_of_the_same_name_is_not_this_run(fake: Any, run: Run) -> None:
    other = workflow(7, "Succeeded")
    other["metadata"]["uid"] = "u2"
    fake.answers = [(200, other)]
    with pytest.raises(NotFoundError, match="is another"):
        run.status()


def test_a_bundle_gets_the_workflow_as_one_more_owner(fake: Any, workflows: Workflows) -> None:
    first = {"uid": "u0"}
    metadata = {"name": "code-1", "resourceVersion": "3", "ownerReferences": [first]}
    fake.answers = [(200, {"metadata": metadata}), (200, {})]
    workflows.own_bundle(BUNDLE, workflow(1))
    change = fake.requests[1][2]["metadata"]
    assert change["resourceVersion"] == "3"
    assert change["ownerReferences"][0] == first
    assert change["ownerReferences"][1]["uid"] == "u1"


def test_a_bundle_that_went_with_its_last_owner_is_made_again(
    fake: Any, workflows: Workflows
) -> None:
    there = {"metadata": {"name": "code-1", "resourceVersion": "3"}}
    fake.answers = [
        failed(404, "codebundles not found"),
        (200, there),  # applied
        (200, there),
        failed(409, "changed meanwhile"),
        (200, there),
        (200, {}),
    ]
    workflows.own_bundle(BUNDLE, workflow(1))
    assert [method for method, _, _ in fake.requests] == [
        "GET", "PATCH", "GET", "PATCH", "GET", "PATCH",
    ]  # fmt: skip


class FakeCompiled:
    """What `send` looks at."""

    workflow = {"metadata": {"name": "etl"}, "spec": {}}  # noqa: RUF012 - never changed

    class bundle:  # noqa: N801 - an attribute of that name
        name = "code-1"

        @staticmethod
        def resource() -> dict[str, Any]:
            return BUNDLE


def created(_method: str, _path: str, body: Any) -> tuple[int, object]:
    return 201, {"metadata": {**body["metadata"], "uid": "u1"}}


def test_a_run_gets_a_name_of_its_own(fake: Any, workflows: Workflows) -> None:
    bundle = {"metadata": {"name": "code-1", "resourceVersion": "3"}}
    fake.answers = [REVIEWED, (200, {}), failed(409, "exists"), created, (200, bundle), (200, {})]
    run = send(FakeCompiled(), workflows, exact=False)  # type: ignore[arg-type]
    assert run.name.startswith("etl-")
    assert len(run.name) == len("etl-") + 5
    assert run.uid == "u1"
    # The code is there before the operator sees who needs it.
    assert [path.rpartition("/")[2].partition("?")[0] for _, path, _ in fake.requests[1:3]] == [
        "code-1",
        "workflows",
    ]


def test_a_run_that_began_is_no_error_when_its_code_cannot_be_tied_to_it(
    fake: Any, workflows: Workflows, caplog: pytest.LogCaptureFixture
) -> None:
    fake.answers = [REVIEWED, (200, {}), created, failed(403, "cannot patch codebundles")]
    assert send(FakeCompiled(), workflows, exact=True).name == "etl"  # type: ignore[arg-type]
    assert "will stay after etl: cannot patch codebundles" in caplog.text


def test_a_name_that_is_taken_is_refused_with_what_to_do(fake: Any, workflows: Workflows) -> None:
    fake.answers = [REVIEWED, (200, {}), failed(409, "exists")]
    with pytest.raises(ConflictError, match=r"there is a workflow 'etl'.*choose another"):
        send(FakeCompiled(), workflows, exact=True)  # type: ignore[arg-type]


def submitters(fake: Any) -> list[str | None]:
    return [
        body["spec"].get("submitter") for _, path, body in fake.requests if "/workflows" in path
    ]


def test_a_run_says_who_submitted_it_as_the_api_server_knows_them(
    fake: Any, workflows: Workflows
) -> None:
    bundle = {"metadata": {"name": "code-1", "resourceVersion": "3"}}
    fake.answers = [REVIEWED, (200, {}), created, (200, bundle)]
    send(FakeCompiled(), workflows, exact=True)  # type: ignore[arg-type]
    method, path, body = fake.requests[0]
    assert (method, path) == ("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews")
    assert body == {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    assert submitters(fake) == ["ann"]


@pytest.mark.parametrize(
    "answer",
    [
        failed(404, "the server could not find the requested resource"),
        failed(403, "no"),
        failed(405, "not allowed"),
        (201, {"status": {}}),
    ],
    ids=["absent", "forbidden", "odd", "empty"],
)
def test_where_the_api_server_does_not_say_who_we_are_a_run_begins_without(
    fake: Any, workflows: Workflows, answer: Any
) -> None:
    fake.answers = [answer, (200, {}), created, failed(403, "cannot patch")]
    assert send(FakeCompiled(), workflows, exact=True).name == "etl"  # type: ignore[arg-type]
    assert submitters(fake) == [None]


def test_a_workflow_that_says_who_submitted_it_is_left_so(fake: Any, workflows: Workflows) -> None:
    fake.answers = [created]
    said = {"metadata": {"name": "etl"}, "spec": {"submitter": "bob"}}
    create(said, None, workflows, ["etl"])
    assert submitters(fake) == ["bob"]
