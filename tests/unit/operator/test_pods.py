"""The manifest of a runner pod."""

from dataclasses import replace

import pytest

from graflow.api.pod import PodSettings
from graflow.api.workflow import TaskSpec
from graflow_operator.pods import Runner, UnknownInputError, build
from graflow_operator.refs import AttemptRef, RunRef, is_pod_of, pod_name

RUN = RunRef("team", "etl", "uid-1")
RUNNER = Runner(RUN, "runner:1", "http://operator:8090", "etl-key-abc")
FIRST = AttemptRef(1, 1)


def task(**fields):
    kind = {} if "container" in fields else {"script": "return 1"}
    return TaskSpec.model_validate({"name": "load", **kind, **fields})


def container_of(pod):
    [container] = pod["spec"]["containers"]
    return container


def env_of(pod):
    return {v["name"]: v.get("value", v.get("valueFrom")) for v in container_of(pod)["env"]}


def test_a_runner_pod_passes_the_restricted_profile_and_has_no_volume():
    pod = build(RUNNER, task(), FIRST)
    spec, container = pod["spec"], container_of(pod)
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert "volumes" not in spec
    assert spec["automountServiceAccountToken"] is False
    assert spec["restartPolicy"] == "Never"
    assert spec["enableServiceLinks"] is False
    assert container["terminationMessagePolicy"] == "File"


USUAL = {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "1Gi"}}


@pytest.mark.parametrize(
    ("own", "requests", "limits"),
    [
        (None, {"cpu": "50m", "memory": "64Mi"}, {"memory": "1Gi"}),
        ({"limits": {"memory": "32Mi"}}, {"cpu": "50m"}, {"memory": "32Mi"}),
        ({"requests": {"memory": "2Gi"}}, {"cpu": "50m", "memory": "2Gi"}, None),
        (
            {"limits": {"nvidia.com/gpu": 1}},
            {"cpu": "50m", "memory": "64Mi"},
            {"memory": "1Gi", "nvidia.com/gpu": 1},
        ),
        ({"requests": None}, {"cpu": "50m", "memory": "64Mi"}, {"memory": "1Gi"}),
    ],
    ids=["nothing", "a limit", "a request", "another resource", "nothing, at length"],
)
@pytest.mark.parametrize("kind", [{}, {"container": {"image": "busybox"}}], ids=["py", "container"])
def test_a_task_requests_the_usual_of_every_resource_of_which_it_says_nothing(
    own, requests, limits, kind
):
    runner = replace(RUNNER, resources=USUAL)
    pod = build(runner, task(pod={"resources": own} if own else None, **kind), FIRST)
    found = container_of(pod)["resources"]
    assert found.get("requests") == requests
    assert found.get("limits") == limits


def test_init_containers_request_the_usual_too():
    init = [{"name": "first", "image": "busybox"}]
    pod = build(replace(RUNNER, resources=USUAL), task(pod={"initContainers": init}), FIRST)
    assert pod["spec"]["initContainers"][0]["resources"] == USUAL


def test_resources_that_make_no_sense_are_left_for_the_api_server_to_refuse():
    pod = build(replace(RUNNER, resources=USUAL), task(pod={"resources": {"limits": "all"}}), FIRST)
    assert container_of(pod)["resources"] == {"limits": "all"}


def test_a_pod_goes_with_its_workflow_and_can_be_told_by_owner_labels_and_name():
    pod = build(RUNNER, task(), FIRST)
    [owner] = pod["metadata"]["ownerReferences"]
    assert (owner["uid"], owner["controller"], owner["blockOwnerDeletion"]) == (
        "uid-1",
        True,
        False,
    )
    assert pod["metadata"]["name"] == pod_name(RUN, "load", FIRST)
    assert is_pod_of(pod, RUN, "load", FIRST)
    assert not is_pod_of(pod, RUN, "load", AttemptRef(1, 2))
    assert not is_pod_of(pod, RunRef("team", "etl", "uid-2"), "load", FIRST)


def test_changed_labels_do_not_make_a_pod_that_of_another_attempt():
    pod = build(RUNNER, task(), FIRST)
    pod["metadata"]["labels"]["graflow.dev/attempt"] = "2"
    assert not is_pod_of(pod, RUN, "load", AttemptRef(1, 2))


def test_the_runner_gets_what_the_protocol_says_and_users_cannot_replace_it():
    stolen = [{"name": "GRAFLOW_API", "value": "http://evil"}, {"name": "MINE", "value": "1"}]
    env = env_of(build(RUNNER, task(pod={"env": stolen}), FIRST))
    assert env["GRAFLOW_API"] == "http://operator:8090"
    assert env["MINE"] == "1"
    assert env["GRAFLOW_KEY"] == {"secretKeyRef": {"name": "etl-key-abc", "key": "key"}}
    assert env["GRAFLOW_POD_UID"] == {"fieldRef": {"fieldPath": "metadata.uid"}}
    assert env["GRAFLOW_RUN"] == {"fieldRef": {"fieldPath": "metadata.labels['graflow.dev/run']"}}


def test_users_cannot_replace_our_labels():
    settings = {"labels": {"graflow.dev/run": "other", "team": "x"}}
    labels = build(RUNNER, task(pod=settings), FIRST)["metadata"]["labels"]
    assert labels["graflow.dev/run"] == "uid-1"
    assert labels["team"] == "x"


def test_a_service_account_brings_its_token():
    spec = build(RUNNER, task(pod={"serviceAccountName": "robot"}), FIRST)["spec"]
    assert spec["serviceAccountName"] == "robot"
    assert spec["automountServiceAccountToken"] is True


OF_THE_POD = {
    "imagePullSecrets": [{"name": "registry"}],
    "nodeSelector": {"accelerator": "nvidia"},
    "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {}}},
    "topologySpreadConstraints": [{"maxSkew": 1}],
    "volumes": [{"name": "data", "emptyDir": {}}],
    "serviceAccountName": "robot",
    "automountServiceAccountToken": False,
    "terminationGracePeriodSeconds": 120,
    "priorityClassName": "low",
    "runtimeClassName": "nvidia",
    "schedulerName": "volcano",
    "schedulingGates": [{"name": "example.com/quota"}],
}
OF_THE_CONTAINER = {
    "imagePullPolicy": "Never",
    "resources": {"limits": {"nvidia.com/gpu": 1}},
    "envFrom": [{"secretRef": {"name": "keys"}}],
    "volumeMounts": [{"name": "data", "mountPath": "/data"}],
}


def test_every_setting_of_a_profile_gets_to_its_place_in_the_pod():
    init = {"name": "fetch", "image": "fetch:1", "securityContext": {"privileged": False}}
    others = {
        "image": "gpu:1",
        "env": [{"name": "A", "value": "1"}],
        "labels": {"kueue.x-k8s.io/queue-name": "gpus"},
        "annotations": {"a": "b"},
        "initContainers": [init],
        "securityContext": {"fsGroup": 7, "runAsUser": 1000},
    }
    profile = PodSettings.model_validate({**OF_THE_POD, **OF_THE_CONTAINER, **others})
    assert all(getattr(profile, field) is not None for field in PodSettings.model_fields)
    pod = build(RUNNER, task(), FIRST, profile)
    spec, container = pod["spec"], container_of(pod)
    assert {name: spec[name] for name in OF_THE_POD} == OF_THE_POD
    assert {name: container[name] for name in OF_THE_CONTAINER} == OF_THE_CONTAINER
    assert container["image"] == "gpu:1"
    assert env_of(pod)["A"] == "1"
    assert pod["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "gpus"
    assert pod["metadata"]["annotations"]["a"] == "b"
    assert (spec["securityContext"]["fsGroup"], spec["securityContext"]["runAsUser"]) == (7, 1000)
    assert spec["securityContext"]["runAsNonRoot"] is True
    [first] = spec["initContainers"]
    assert first["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert first["securityContext"]["privileged"] is False


def test_a_tasks_own_settings_go_before_those_of_its_profile():
    profile = PodSettings(image="gpu:1", node_selector={"a": "1", "b": "1"})
    pod = build(RUNNER, task(pod={"image": "own:1", "nodeSelector": {"b": "2"}}), FIRST, profile)
    assert container_of(pod)["image"] == "own:1"
    assert pod["spec"]["nodeSelector"] == {"a": "1", "b": "2"}


def test_the_runner_knows_its_grace_period_where_it_is_not_the_usual_one():
    grace = {"terminationGracePeriodSeconds": 120}
    assert env_of(build(RUNNER, task(pod=grace), FIRST))["GRAFLOW_GRACE_SECONDS"] == "120"
    pod = build(RUNNER, task(), FIRST)
    assert pod["spec"]["terminationGracePeriodSeconds"] == 30
    assert "GRAFLOW_GRACE_SECONDS" not in env_of(pod)


def test_f3_a_time_limit_becomes_the_pods_deadline_rounded_up():
    assert build(RUNNER, task(timeoutSeconds=1.2), FIRST)["spec"]["activeDeadlineSeconds"] == 2


def test_a_container_task_has_no_key_keeps_its_outcome_and_gets_its_inputs():
    container = {"image": "alpine:3", "args": ["$(inputs.rows)", "say $(inputs.rows)"]}
    pod = build(RUNNER, task(container=container), FIRST, inputs={"rows": "[1]"})
    assert pod["metadata"]["finalizers"] == ["graflow.dev/outcome"]
    assert env_of(pod) == {"GRAFLOW_INPUT_ROWS": "[1]"}
    assert container_of(pod)["args"] == ["[1]", "say $(inputs.rows)"]
    assert container_of(pod)["image"] == "alpine:3"


def test_an_input_is_never_expanded_by_the_kubelet():
    container = {"image": "alpine:3", "args": ["$(inputs.rows)"]}
    pod = build(RUNNER, task(container=container), FIRST, inputs={"rows": "$(HOME)"})
    assert container_of(pod)["args"] == ["$$(HOME)"]
    assert env_of(pod) == {"GRAFLOW_INPUT_ROWS": "$$(HOME)"}


def test_an_argument_that_names_no_input_is_refused_with_those_there_are():
    container = {"image": "alpine:3", "args": ["$(inputs.row)"]}
    with pytest.raises(UnknownInputError, match=r"row.*its inputs: rows"):
        build(RUNNER, task(container=container), FIRST, inputs={"rows": "1"})
