"""What a run that goes on from another is made of, and which make no sense."""

from itertools import pairwise
from typing import Any

import pytest

from graflow import task, workflow
from graflow.api.workflow_status import WorkflowStatus
from graflow.cluster.apiserver import ApiServer
from graflow.cluster.errors import NotFinishedError, NotFoundError, RefusedError
from graflow.cluster.forks import Changes, checked_at, forked, resumed
from graflow.cluster.run import Run
from graflow.cluster.workflows import Workflows
from graflow.compile.errors import UnsupportedError
from graflow.compile.program import Compiled, Options, compile_program

TASKS = [{"name": "load", "script": "return 1"}, {"name": "sum", "after": ["load"], "script": "x"}]


def found(name: str = "etl", **spec: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "team", "uid": "0a-1b", "resourceVersion": "7"}
    head = {"apiVersion": "graflow.dev/v1alpha1", "kind": "Workflow"}
    return {**head, "metadata": metadata, "spec": {"tasks": TASKS, **spec}}


def status(phase: str | None, *seqs: int) -> WorkflowStatus:
    at = "2026-01-01T00:00:00Z"
    taken = [{"seq": seq, "time": at, "reason": "Asked"} for seq in seqs]
    return WorkflowStatus.model_validate({"phase": phase, "checkpoints": taken})


def refused_status() -> WorkflowStatus:
    condition = {
        "type": "Accepted",
        "status": "False",
        "reason": "Invalid",
        "message": "spec.tasks: no",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    return WorkflowStatus.model_validate({"phase": "Failed", "conditions": [condition]})


def fork(changes: Changes, phase: str = "Failed", **spec: Any) -> Any:
    return forked(found(**spec), None, status(phase, 3, 9), changes)


def compiled(*names: str, value: int = 1) -> Compiled:
    with workflow("w") as wf:
        made = [_task(name, value if name == "a" else 0) for name in names]
        for before, after in pairwise(made):
            before >> after
    return compile_program(wf.program(), Options(files=False))


def _task(name: str, value: int) -> Any:
    @task(name)
    def work() -> int:
        return value

    return work


@pytest.mark.parametrize("phase", ["Failed", "Cancelled"])
def test_a_run_goes_on_with_the_spec_that_it_had(phase: str) -> None:
    spec = {"input": {"k": 1}, "parallelism": 2, "ttlSecondsAfterFinished": 9, "runId": "nightly"}
    made = resumed(found(**spec), None, status(phase))
    assert made.workflow["spec"] == {
        "tasks": TASKS,
        **spec,
        "resumeFrom": {"name": "etl", "uid": "0a-1b"},
    }
    assert (made.bundle, made.base) == (None, "etl-resumed")


def test_what_held_up_or_ended_a_run_does_not_do_so_again() -> None:
    steered = {"cancel": True, "cancelReason": "no", "suspend": True, "submitter": "ann"}
    spec = {**steered, "resumeFrom": {"name": "older"}}
    made = resumed(found(**spec), None, status("Cancelled"))
    assert made.workflow["spec"] == {
        "tasks": TASKS,
        "resumeFrom": {"name": "etl", "uid": "0a-1b"},
    }


@pytest.mark.parametrize(
    ("phase", "spec", "error", "words"),
    [
        ("Running", {}, NotFinishedError, "it goes on by itself, and `graflow watch etl -n team`"),
        (None, {}, NotFinishedError, "it goes on by itself"),
        ("Running", {"suspend": True}, NotFinishedError, "`graflow unsuspend etl -n team` lets it"),
        ("Succeeded", {}, RefusedError, "`graflow fork etl -n team --rerun TASK` runs a task"),
    ],
)
def test_a_run_that_cannot_be_resumed_says_what_to_do_instead(
    phase: str | None, spec: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        resumed(found(**spec), None, status(phase))


def test_a_run_that_never_began_has_nothing_to_go_on_with() -> None:
    with pytest.raises(RefusedError, match=r"never accepted.*spec.tasks: no"):
        resumed(found(), None, refused_status())
    with pytest.raises(RefusedError, match="never accepted"):
        forked(found(), None, refused_status(), Changes())


def test_a_fork_says_in_its_spec_and_in_sentences_what_is_different() -> None:
    changes = Changes(at=3, set={"rate": 0.5, "one": 1.0}, results={"load": [1]}, rerun=("sum",))
    made = fork(changes, runId="nightly")
    assert made.workflow["spec"]["resumeFrom"] == {
        "name": "etl",
        "uid": "0a-1b",
        "checkpoint": 3,
        "set": {"rate": 0.5},
        "exactSet": {"one": {"exact": "1.0"}},  # an API server makes 1 of 1.0
        "results": {"load": [1]},
        "rerun": ["sum"],
    }
    assert "runId" not in made.workflow["spec"]  # or it would have the result of the other one
    assert made.changes == (
        "it goes on from checkpoint 3",
        "channel key 'rate' is 0.5",
        "channel key 'one' is 1.0",
        "the result of task 'load' is [1]",
        "task 'sum' runs again",
    )


def test_a_run_that_goes_on_is_forked_from_its_newest_checkpoint() -> None:
    made = fork(Changes(), "Running")
    assert made.workflow["spec"]["resumeFrom"]["checkpoint"] == 9
    assert made.changes == ("it goes on from checkpoint 9",)
    with pytest.raises(NotFinishedError, match="has no checkpoint yet; wait for one"):
        forked(found(), None, status("Running"), Changes())


def test_a_run_that_has_succeeded_is_forked_where_something_is_left_to_run() -> None:
    with pytest.raises(RefusedError, match="name a checkpoint with --at"):
        fork(Changes(set={"k": 1}), "Succeeded")
    assert "checkpoint" not in fork(Changes(rerun=("sum",)), "Succeeded").workflow["spec"]
    assert fork(Changes(at=3), "Succeeded").changes == ("it goes on from checkpoint 3",)


def test_tasks_that_a_fork_names_and_the_plan_has_not_are_told_with_the_nearest() -> None:
    with pytest.raises(RefusedError, match="'lod' is not in the workflow; did you mean 'load'"):
        fork(Changes(rerun=("lod",)))
    with pytest.raises(RefusedError, match="'smu' is not in the workflow; did you mean 'sum'"):
        fork(Changes(results={"smu": 1}))


def test_values_that_cannot_travel_are_named() -> None:
    with pytest.raises(UnsupportedError, match=r"set\['lock'\] cannot go to a cluster"):
        fork(Changes(set={"lock": (n for n in ())}))


def test_of_forks_of_forks_the_name_does_not_grow() -> None:
    def base(name: str) -> str:
        return forked(found(name), None, status("Failed"), Changes()).base

    assert base("etl-7f3k9-fork-2") == "etl-7f3k9-fork"
    assert base("etl-7f3k9-resumed-1") == "etl-7f3k9-fork"
    assert base("x" * 60) == "x" * 50 + "-fork"


def test_new_code_says_which_tasks_are_other_ones() -> None:
    old = compiled("a", "b", "c")
    source = found()
    source["spec"] = {**old.workflow["spec"], "input": {"k": 1}}
    new = compiled("a", "b", "d", value=2)
    made = forked(source, old.bundle.resource(), status("Failed"), Changes(code=new))
    assert made.changes == (
        "it goes on from its latest state",
        "task a is changed",
        "task d is new",
        "task c is gone",
    )
    spec = made.workflow["spec"]
    assert [one["name"] for one in spec["tasks"]] == ["a", "b", "d"]
    assert spec["bundle"]["sha256"] == new.bundle.sha256
    assert spec["input"] == {"k": 1}
    assert made.bundle == new.bundle.resource()


def test_new_code_that_is_the_same_is_told_to_be() -> None:
    old = compiled("a", "b")
    source = found()
    source["spec"] = old.workflow["spec"]
    made = forked(source, old.bundle.resource(), status("Failed"), Changes(code=compiled("a", "b")))
    assert made.changes[1:] == ("the code is the same as before",)


def test_new_code_is_asked_whether_it_has_the_tasks_that_the_fork_names() -> None:
    with pytest.raises(RefusedError, match="'load' is not in the workflow"):
        fork(Changes(rerun=("load",), code=compiled("a")))


def test_a_checkpoint_that_the_status_does_not_show_is_looked_for_among_all() -> None:
    shown = status("Failed", 40, 50).checkpoints
    everything = status("Failed", 10, 20, 30, 40, 50).checkpoints
    checked_at("etl", 40, shown, lambda: pytest.fail("asked for no reason"))
    checked_at("etl", 10, shown, lambda: everything)
    with pytest.raises(NotFoundError, match="no checkpoint 29; the nearest are 20, 30, 40"):
        checked_at("etl", 29, shown, lambda: everything)
    with pytest.raises(NotFoundError, match="no checkpoint 29; it has none"):
        checked_at("etl", 29, (), tuple)


def test_a_bundle_is_sent_as_it_was_made() -> None:
    made = compiled("a")
    kept = made.bundle.resource()
    seen = {**kept, "metadata": {**kept["metadata"], "uid": "u", "ownerReferences": [{}]}}
    source = found()
    source["spec"] = made.workflow["spec"]
    assert resumed(source, seen, status("Failed")).bundle == kept


@pytest.fixture
def run(server: ApiServer) -> Run:
    return Run(Workflows(server, "team"), "etl", "0a-1b")


def cluster_with(source: Any) -> Any:
    """Return how an API server answers that has this Workflow and takes any other."""

    def answer(method: str, path: str, body: Any) -> Any:
        if path.endswith("/selfsubjectreviews"):
            return 201, {"status": {"userInfo": {"username": "bob"}}}
        if method == "POST":
            return 201, {"metadata": {**body["metadata"], "uid": "u2"}}
        if "/codebundles/" in path:
            return 200, {"metadata": {"name": "code", "resourceVersion": "1"}}
        return 200, source

    return answer


def test_in_a_program_a_run_is_forked_with_another_workflow(fake: Any, run: Run) -> None:
    fake.answers = [cluster_with({**found(), "status": {"phase": "Failed"}})]
    with workflow("etl") as wf:
        _task("load", 7)
    made = run.fork(set={"k": 1}, workflow=wf)
    assert (made.name, made.uid) == ("etl-fork-1", "u2")
    sent = [
        (method, path.rpartition("/")[0].rpartition("/")[2]) for method, path, _ in fake.requests
    ]
    assert sent[2] == ("PATCH", "codebundles")  # the code first: the Workflow would wait for it
    [_, created] = [body for method, _, body in fake.requests if method == "POST"]
    assert [one["name"] for one in created["spec"]["tasks"]] == ["load"]
    assert created["spec"]["resumeFrom"]["set"] == {"k": 1}
    owners = fake.requests[-1][2]["metadata"]["ownerReferences"]
    assert [one["name"] for one in owners] == ["etl-fork-1"]


def test_a_run_of_the_same_name_that_came_later_is_not_gone_on_from(fake: Any, run: Run) -> None:
    later = {**found(), "metadata": {**found()["metadata"], "uid": "other"}}
    fake.answers = [cluster_with({**later, "status": {"phase": "Failed"}})]
    with pytest.raises(NotFoundError, match="was deleted; the one of that name now is another"):
        run.resume()


def test_a_deleted_run_goes_on_with_the_code_that_is_given(fake: Any, run: Run) -> None:
    fake.answers = [lambda *_: (404, {"message": "not found"})]
    with pytest.raises(NotFoundError, match="etl --uid 0a-1b --file PROGRAM"):
        run.forked(Changes(at=9))
    code = compiled("a", "b")
    made = run.forked(Changes(at=9, rerun=("b",), code=code))
    assert made.workflow["spec"]["resumeFrom"] == {
        "name": "etl",
        "uid": "0a-1b",
        "checkpoint": 9,
        "rerun": ["b"],
    }
    assert made.workflow["spec"]["tasks"] == code.workflow["spec"]["tasks"]
    assert made.bundle is not None
    assert made.bundle["metadata"]["name"] == code.workflow["spec"]["bundle"]["name"]
    assert made.changes == ("it goes on from checkpoint 9", "task 'b' runs again")
    with pytest.raises(RefusedError, match="did you mean 'b'"):
        run.forked(Changes(rerun=("bb",), code=code))


def test_a_run_whose_code_is_gone_says_how_to_bring_it_back(fake: Any, run: Run) -> None:
    bundle = {"name": "code-x", "sha256": "0" * 64}
    source = {**found(bundle=bundle), "status": {"phase": "Failed"}}

    def answer(_method: str, path: str, _body: Any) -> Any:
        gone = (404, {"message": 'codebundles "code-x" not found'})
        return gone if "/codebundles/" in path else (200, source)

    fake.answers = [answer]
    with pytest.raises(NotFoundError, match="no CodeBundle 'code-x'; apply it again"):
        run.resume()
