"""What tasks decide while they run, on a real cluster: the same as here, told, and crash-proof."""

import json
import re
import subprocess
import sys
from collections import Counter

import pytest

from e2e.conftest import EXAMPLES, PROGRAMS, Cluster, condition

OPERATOR = ("-n", "graflow-system")
SELECTOR = "app.kubernetes.io/name=graflow"


def only(cluster: Cluster) -> dict:
    (found,) = cluster.get("workflows.graflow.dev")["items"]
    return found


def transitions(cluster: Cluster, name: str) -> list[dict]:
    told = cluster.graflow("status", name, "-n", cluster.namespace, "--transitions", "-o", "json")
    assert told.code == 0, told.err
    return json.loads(told.out)


def here(program: str) -> str:
    done = subprocess.run(
        [sys.executable, str(PROGRAMS / program)], capture_output=True, text=True, check=True
    )
    return done.stdout


def test_passes_made_tasks_in_made_tasks_and_jumps_are_the_same_here_and_as_pods(
    cluster: Cluster,
) -> None:
    remote = cluster.submit(PROGRAMS / "moves.py")
    assert remote.code == 0, remote.err
    assert remote.out == here("moves.py")
    found = only(cluster)
    assert found["status"]["progress"] == "12/13"  # all but `publish`, which was jumped over
    moves = transitions(cluster, found["metadata"]["name"])
    assert moves == found["status"]["transitions"]
    assert [one["sequence"] for one in moves] == list(range(1, len(moves) + 1))
    assert [(one["from"], one["kind"], one["to"], one["reason"]) for one in moves[:3]] == [
        ("refine", "Iteration", "refine", "score 0.2 < 0.8"),
        ("refine", "Iteration", "refine", "score 0.5 < 0.8"),
        ("split", "Spawn", "parts", "three parts"),
    ]
    assert [(one["from"], one["kind"]) for one in moves[6:]] == [("check", "Jump")]
    attempts = cluster.attempts()
    # One pod for each run of a task: refine runs three times; the group has none.
    assert len(set(attempts)) == len(attempts) == 14


def test_t1_a_branch_of_a_made_group_ends_the_run_and_its_sibling_is_stopped(
    cluster: Cluster,
) -> None:
    remote = cluster.submit(PROGRAMS / "enough.py")
    assert remote.code == 0, remote.err
    assert remote.out.splitlines()[-1] == "42"
    found = only(cluster)
    succeeded = condition(found, "Succeeded")
    assert (succeeded["status"], succeeded["reason"]) == ("True", "Terminated")
    assert succeeded["message"] == "one answer is enough"
    name = found["metadata"]["name"]
    last = transitions(cluster, name)[-1]
    assert (last["from"], last["kind"]) == ("find", "Termination")
    left = "status.phase!=Succeeded,status.phase!=Failed"
    cluster.kubectl("wait", "--for=delete", "pod", "-l", "graflow.dev/task=search", "--timeout=90s")
    assert cluster.get("pods", "", "--field-selector", left)["items"] == []


def test_t1_a_task_that_cancels_ends_its_body_and_the_run_as_cancelled(cluster: Cluster) -> None:
    remote = cluster.submit(PROGRAMS / "gives_up.py")
    assert remote.code == 0, remote.err
    assert remote.out == here("gives_up.py")
    found = only(cluster)
    assert (found["status"]["phase"], found["status"]["reason"]) == ("Cancelled", "Cancelled")
    assert condition(found, "Finished")["status"] == "True"
    assert len(cluster.attempts()) == 1


def test_g2_and_g5_a_policy_in_a_pod_of_its_own_sends_back_the_branches_that_failed(
    cluster: Cluster,
) -> None:
    remote = cluster.submit(PROGRAMS / "judged.py")
    assert remote.code == 0, remote.err
    said = here("judged.py").splitlines()
    # Tracebacks of the pods come with --wait too.
    assert [line for line in remote.out.splitlines() if line in said] == said
    runs = cluster.get("workflows.graflow.dev")["items"]
    phases = {run["metadata"]["name"][:8]: run["status"]["phase"] for run in runs}
    assert phases == {"judged-2": "Succeeded", "judged-3": "Failed"}
    judges = [
        pod["metadata"]["labels"]["graflow.dev/attempt"]
        for pod in cluster.get("pods", "", "-l", "graflow.dev/task=members")["items"]
    ]
    assert sorted(judges) == ["1", "1", "2", "2"]


@pytest.mark.parametrize(
    ("example", "kinds"),
    [
        ("09-agent-loop", {"Termination": 1}),
        ("10-good-enough", {"Iteration": None}),
        ("11-error-handler", {"Jump": 2}),
        ("12-dynamic-fan-out", {"Spawn": 1}),
        ("14-early-stopping", {"Iteration": None}),
    ],
)
def test_the_moves_of_an_example_are_told_with_their_kinds(
    cluster: Cluster, example: str, kinds: dict[str, int | None]
) -> None:
    program = EXAMPLES / example / "workflow.py"
    local = subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, check=True
    )
    remote = cluster.submit(program)
    assert remote.code == 0, remote.err
    assert remote.out.splitlines()[-1] == local.stdout.splitlines()[-1]
    moves = transitions(cluster, only(cluster)["metadata"]["name"])
    told = Counter(one["kind"] for one in moves)
    assert told.keys() == kinds.keys()
    assert all(count is None or told[kind] == count for kind, count in kinds.items())


def test_k1_made_tasks_run_exactly_once_though_the_operator_is_killed_in_between(
    cluster: Cluster,
) -> None:
    with cluster.submitting(PROGRAMS / "parts.py") as submitted:
        cluster.first_running_pod()
        for seconds in (4, 4):
            pods = ("pod", "-l", "graflow.dev/activation=2", f"--timeout={seconds}s")
            cluster.kubectl("wait", "--for=condition=Ready", *pods, check=False)
            killed = cluster.run(
                *(cluster.kubectl_path, *OPERATOR, "delete", "pod", "-l", SELECTOR),
                *("--grace-period=0", "--force"),
            )
            assert killed.code == 0, killed.err
        out, err = submitted.communicate(timeout=240)
    assert submitted.returncode == 0, err
    assert out.splitlines()[-1] == str(sum(range(12)))
    said: Counter[str] = Counter()
    for pod in cluster.get("pods")["items"]:
        log = cluster.kubectl("logs", pod["metadata"]["name"])
        said.update(re.findall(r"^(?:ran|made) \d+$", log, re.MULTILINE))
    expected = [*(f"ran {n}" for n in range(12)), "made 0", "made 6"]
    assert said == Counter(dict.fromkeys(expected, 1))
    attempts = cluster.attempts()
    assert len(set(attempts)) == len(attempts)
    moves = transitions(cluster, only(cluster)["metadata"]["name"])
    assert [one["kind"] for one in moves] == ["Spawn", "Iteration", "Spawn"]
