"""Pod settings of a task, its profile and its workflow, as people write them."""

import pytest

from graflow.api.errors import InvalidWorkflow
from graflow.api.parse import parse_runner_profile, parse_workflow
from graflow.api.placement import laid_over, profile_of
from graflow.api.pod import PodSettings

GPU = {
    "nodeSelector": {"accelerator": "nvidia"},
    "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
    "resources": {"limits": {"nvidia.com/gpu": 1, "memory": "16Gi"}},
    "env": [{"name": "CUDA_HOME", "value": "/cuda"}],
    "labels": {"kueue.x-k8s.io/queue-name": "gpus"},
    "schedulingGates": [{"name": "example.com/quota"}],
}


def profile(spec):
    kind = {"apiVersion": "graflow.dev/v1alpha1", "kind": "RunnerProfile"}
    return parse_runner_profile({**kind, "metadata": {"name": "gpu"}, "spec": spec})


def workflow(**spec):
    kind = {"apiVersion": "graflow.dev/v1alpha1", "kind": "Workflow"}
    return parse_workflow({**kind, "metadata": {"name": "w"}, "spec": spec})


def test_a_task_asks_for_more_memory_than_its_profile_and_keeps_its_device():
    own = PodSettings(resources={"limits": {"memory": "64Gi"}, "requests": {"cpu": 4}})
    assert laid_over(own, profile(GPU).spec).resources == {
        "limits": {"nvidia.com/gpu": 1, "memory": "64Gi"},
        "requests": {"cpu": 4},
    }


def test_an_empty_list_takes_away_what_the_profile_gives():
    assert laid_over(PodSettings(tolerations=()), profile(GPU).spec).tolerations == ()


def test_resources_of_no_known_form_are_replaced_and_left_for_the_api_server_to_refuse():
    own = PodSettings(resources={"limits": "all"})
    assert laid_over(own, profile(GPU).spec).resources == {"limits": "all"}


def test_a_task_has_one_profile_its_own_or_else_the_workflows():
    tasks = [{"name": "a", "script": "x", "profile": "gpu"}, {"name": "b", "script": "x"}]
    spec = workflow(tasks=tasks, profile="plain").spec
    assert [profile_of(task, spec) for task in spec.tasks] == ["gpu", "plain"]
    assert profile_of(spec.tasks[1], workflow(tasks=tasks).spec) is None


def test_every_field_that_a_profile_may_have_is_one_of_a_pod_or_its_container():
    spec = profile({**GPU, "imagePullSecrets": [{"name": "registry"}], "envFrom": [{}]}).spec
    assert spec.manifest()["imagePullSecrets"] == [{"name": "registry"}]
    assert spec.manifest()["schedulingGates"] == GPU["schedulingGates"]


@pytest.mark.parametrize("name", ["../secrets/key", "a/b", "", "GPU", ".", "..", "a..b", "gpu?x=1"])
def test_what_is_no_name_of_an_object_is_no_profile(name):
    with pytest.raises(InvalidWorkflow, match=r"spec\.profile"):
        workflow(tasks=[{"name": "a", "script": "x"}], profile=name)


def test_what_is_no_setting_is_refused_with_the_field():
    with pytest.raises(InvalidWorkflow, match=r"spec: .*did you mean 'nodeSelector'"):
        profile({"nodeSelectors": {}})
