"""Every example with an operator that keeps no pod for an answer: to ask is to give it up."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from kubernetes import client, config

from e2e.conftest import EXAMPLES, RUNNER_IMAGE, Cluster
from support import witness
from support.example_runs import Runs, compiled, example_of
from support.looking import until
from support.replicas import Replicas

INSTANCE = "suspending"
PATIENCE_S = 600.0
QUESTIONS = "feedbackrequests.graflow.dev"
PROGRAMS = {example_of(path): path for path in sorted(EXAMPLES.glob("*/workflow.py"))}


@pytest.fixture
def runs(cluster: Cluster, tmp_path: Path) -> Iterator[Runs]:
    """The examples, ready to be begun, and the operator that drives them."""
    manifests = {}
    for example, program in PROGRAMS.items():
        workflow, others = compiled(program)
        workflow["spec"]["operator"] = INSTANCE
        manifests[example] = workflow
        for one in others:
            assert cluster.apply(one).code == 0
    settings = ("--hold-seconds", "0")
    with Replicas(
        cluster.namespace, tmp_path, RUNNER_IMAGE, INSTANCE, count=1, settings=settings
    ) as replicas:
        replicas.leader()
        api: client.ApiClient = config.new_client_from_config(os.environ["KUBECONFIG"])
        yield Runs(api, cluster.namespace, manifests)


@pytest.mark.timeout(900)
def test_all_examples_come_to_the_same_though_each_question_costs_them_their_pod(
    cluster: Cluster, runs: Runs
) -> None:
    for example in PROGRAMS:
        runs.begin(example)
    until(lambda: not runs.going(), lambda: f"go on: {runs.going()}", within_s=PATIENCE_S)
    results = {
        runs.begun[name]: (status["phase"], status.get("result", {}).get("json"))
        for name, status in runs.seen().items()
    }
    assert results == {
        example: ("Succeeded", witness.local_result(program))
        for example, program in PROGRAMS.items()
    }
    asked = cluster.get(QUESTIONS)["items"]
    attempts = {(run, activation): attempt for run, activation, attempt in cluster.attempts()}
    for one in asked:
        who = (one["spec"]["workflow"]["uid"], str(one["spec"]["activation"]))
        assert attempts[who] >= "2", f"{who} had its answer in the pod that asked"
    assert {one["spec"]["workflow"]["name"] for one in asked} == {
        name for name, example in runs.begun.items() if example == "ask-a-person"
    }
