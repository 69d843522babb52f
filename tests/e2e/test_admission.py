"""What the API server lets whom create: users who may do little, hostile specs, nonsense."""

import json
from collections.abc import Iterator

import pytest

from e2e.conftest import Cluster, condition
from graflow.api.errors import InvalidWorkflow
from graflow.api.runnable import runnable

SCRIPT = {"name": "a", "script": "return 1"}
ACCOUNT = {"serviceAccountName": "admin"}
HOST = {"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}
ROOTED = {"initContainers": [{"name": "i", "image": "i", "securityContext": {"privileged": True}}]}
TOKEN = {
    "volumes": [{"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}]
}


class Users:
    """People of the namespace, as the API server sees them."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def role(self, name: str, *rules: dict, to: str) -> None:
        """Give a user a role."""
        group = "rbac.authorization.k8s.io"
        head = {"apiVersion": f"{group}/v1", "metadata": {"name": name}}
        role = {**head, "kind": "Role", "rules": list(rules)}
        binding = {
            **head,
            "kind": "RoleBinding",
            "roleRef": {"apiGroup": group, "kind": "Role", "name": name},
            "subjects": [{"apiGroup": group, "kind": "User", "name": to}],
        }
        for body in (role, binding):
            made = self.cluster.apply(body)
            assert made.code == 0, made.err

    def let_use(self, user: str, *accounts: str) -> None:
        """Let a user use service accounts; all of them when none is named."""
        rule = {"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["use"]}
        named = {"resourceNames": list(accounts)} if accounts else {}
        self.role(f"use-{len(accounts)}", {**rule, **named}, to=user)

    def apply(self, user: str, body: dict, *words: str) -> tuple[int, str]:
        """Create an object as a user; return kubectl's exit code and what it said."""
        ran = self.cluster.run(
            self.cluster.kubectl_path,
            *("-n", self.cluster.namespace, f"--as={user}", "create", "-f", "-", *words),
            stdin=json.dumps(body),
        )
        return ran.code, ran.err

    def patch(self, user: str, what: str, patch: dict, *words: str) -> tuple[int, str]:
        ran = self.cluster.run(
            self.cluster.kubectl_path,
            *("-n", self.cluster.namespace, f"--as={user}", "patch", what, "--type=merge"),
            *("-p", json.dumps(patch), *words),
        )
        return ran.code, ran.err


@pytest.fixture
def users(cluster: Cluster) -> Users:
    """Ann may create Workflows and profiles, and pods; Bob may create Workflows only."""
    found = Users(cluster)
    ours = {
        "apiGroups": ["graflow.dev"],
        "resources": ["workflows", "runnerprofiles"],
        "verbs": ["create", "get", "patch", "update"],
    }
    pods = {"apiGroups": [""], "resources": ["pods"], "verbs": ["create"]}
    found.role("author", ours, pods, to="ann")
    found.role("half", ours, to="bob")
    return found


def profile(spec: dict, name: str = "p") -> dict:
    head = {"apiVersion": "graflow.dev/v1alpha1", "kind": "RunnerProfile"}
    return {**head, "metadata": {"name": name}, "spec": spec}


def places(workflow, pod: dict) -> Iterator[tuple[str, dict]]:
    """Yield the objects that say something about pods, with how a refusal calls the place."""
    yield "spec.pod", workflow("w", [SCRIPT], pod=pod)
    yield "spec.tasks[a].pod", workflow("w", [{**SCRIPT, "pod": pod}])
    yield "spec", profile(pod)


def test_who_may_create_workflows_and_no_pods_creates_neither(users: Users, workflow) -> None:
    for body in (workflow("w", [SCRIPT]), profile({})):
        code, words = users.apply("bob", body)
        assert code == 1
        assert "bob may not create pods in namespace" in words
        assert "Forbidden" in words


def test_who_may_create_both_runs_a_workflow(users: Users, cluster: Cluster, workflow) -> None:
    code, words = users.apply("ann", workflow("w", [SCRIPT]))
    assert code == 0, words
    assert cluster.wait("w")["status"]["phase"] == "Succeeded"


def test_a_service_account_takes_the_verb_use_wherever_it_is_named(
    users: Users, cluster: Cluster, workflow
) -> None:
    for _, body in places(workflow, ACCOUNT):
        code, words = users.apply("ann", body)
        assert code == 1
        assert f"ann may not use service account admin in namespace {cluster.namespace}" in words
    users.let_use("ann", "admin")
    for _, body in places(workflow, ACCOUNT):
        code, words = users.apply("ann", body, "--dry-run=server")
        assert code == 0, words
    code, words = users.apply("ann", profile({"serviceAccountName": "other"}))
    assert code == 1
    assert "service account other" in words


@pytest.mark.parametrize(
    "pod", [{"automountServiceAccountToken": True}, TOKEN], ids=["mounted", "projected"]
)
def test_the_token_of_the_default_account_takes_its_use_too(
    users: Users, workflow, pod: dict
) -> None:
    for _, body in places(workflow, pod):
        code, words = users.apply("ann", body)
        assert code == 1
        assert "ann may not use service account default" in words


@pytest.mark.parametrize("which", ["volumes", "privileged"])
def test_nobody_gets_the_node(users: Users, cluster: Cluster, workflow, which: str) -> None:
    pod, says = (HOST, ".volumes") if which == "volumes" else (ROOTED, ": privileged containers")
    for place, body in places(workflow, pod):
        for user in ("ann", "system:admin"):
            groups = ("--as-group=system:masters",) if user == "system:admin" else ()
            code, words = users.apply(user, body, *groups)
            assert code == 1, (place, user)
            assert f"{place}{says}" in words


@pytest.mark.parametrize(
    "context",
    [
        {"capabilities": {"add": ["SYS_ADMIN"]}},
        {"procMount": "Unmasked"},
        {"windowsOptions": {"hostProcess": True}},
    ],
    ids=["capabilities", "procMount", "hostProcess"],
)
def test_a_container_that_asks_for_more_than_its_share_is_refused(
    users: Users, workflow, context: dict
) -> None:
    init = {"name": "i", "image": "i", "securityContext": context}
    for _, body in places(workflow, {"initContainers": [init]}):
        assert users.apply("ann", body)[0] == 1


def test_a_port_of_the_host_is_refused(users: Users, workflow) -> None:
    init = {"name": "i", "image": "i", "ports": [{"hostPort": 80, "containerPort": 80}]}
    for _, body in places(workflow, {"initContainers": [init]}):
        assert users.apply("ann", body)[0] == 1


def test_what_pod_security_would_let_through_is_let_through(users: Users, workflow) -> None:
    init = {
        "name": "i",
        "image": "i",
        "securityContext": {"capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}},
    }
    pod = {
        "initContainers": [init],
        "securityContext": {"runAsUser": 1000, "fsGroup": 1000},
        "volumes": [{"name": "v"}, {"name": "s", "secret": {"secretName": "s"}}],
        "envFrom": [{"secretRef": {"name": "s"}}],
    }
    for _, body in places(workflow, pod):
        code, words = users.apply("ann", body, "--dry-run=server")
        assert code == 0, words


def test_who_edits_the_namespace_uses_its_accounts_and_writes_no_status(
    users: Users, cluster: Cluster, workflow
) -> None:
    cluster.kubectl("create", "rolebinding", "e", "--clusterrole=edit", "--user=eve")
    code, words = users.apply("eve", workflow("w", [{**SCRIPT, "pod": ACCOUNT}], suspend=True))
    assert code == 0, words
    status = ("patch", "workflows.graflow.dev", "--subresource=status", "--as=eve")
    assert cluster.run(cluster.kubectl_path, "auth", "can-i", *status).out.strip() == "no"


def test_who_changes_a_profile_answers_for_all_of_it(users: Users, cluster: Cluster) -> None:
    assert cluster.apply(profile(ACCOUNT)).code == 0
    which = "runnerprofiles.graflow.dev/p"
    code, words = users.patch("ann", which, {"spec": {"image": "mine"}})
    assert code == 1
    assert "ann may not use service account admin" in words
    code, words = users.patch("bob", which, {"metadata": {"labels": {"team": "x"}}})
    assert code == 0, words


def test_what_may_be_changed_of_a_workflow_takes_no_more_than_the_right_to_change_it(
    users: Users, cluster: Cluster, workflow
) -> None:
    assert cluster.apply(workflow("w", [{**SCRIPT, "pod": ACCOUNT}], suspend=True)).code == 0
    which = "workflows.graflow.dev/w"
    code, words = users.patch("bob", which, {"spec": {"pod": ACCOUNT}})
    assert code == 1
    assert "spec.pod cannot be changed" in words
    code, words = users.patch("bob", which, {"spec": {"cancel": True}})
    assert code == 0, words
    assert cluster.wait("w")["status"]["phase"] == "Cancelled"
    cluster.kubectl("delete", which, "--cascade=foreground", "--timeout=60s")


def test_many_accounts_and_a_thousand_tasks_are_within_what_a_rule_may_cost(
    users: Users, cluster: Cluster, workflow
) -> None:
    def named(number: int) -> list[dict]:
        pods = [{"serviceAccountName": f"sa{n}", "volumes": [{"name": "v"}]} for n in range(number)]
        return [{"name": f"t{n}", "script": "1", "pod": pod} for n, pod in enumerate(pods)]

    code, words = users.apply("ann", workflow("w", named(9), start=["t0"]))
    assert code == 1
    assert "ann may not use service account sa0" in words
    users.let_use("ann", *(f"sa{n}" for n in range(9)))
    tried = ("--dry-run=server",)
    code, words = users.apply("ann", workflow("w", named(8), start=["t0"]), *tried)
    assert code == 0, words
    code, words = users.apply("ann", workflow("w", named(9), start=["t0"]), *tried)
    assert code == 1
    assert "more than 8 service accounts" in words
    many = [{**task, "pod": {**ACCOUNT, "volumes": [{"name": "v"}]}} for task in named(1000)]
    users.let_use("ann")
    code, words = users.apply("ann", workflow("w", many, start=["t0"]), *tried)
    assert code == 0, words


NONSENSE = {
    "unknown after": {"tasks": [{**SCRIPT, "after": ["extrakt"]}, {**SCRIPT, "name": "extract"}]},
    "a circle": {"tasks": [{**SCRIPT, "after": ["b"]}, {**SCRIPT, "name": "b", "after": ["a"]}]},
    "unknown member": {"tasks": [SCRIPT], "groups": [{"name": "G", "members": ["x"]}]},
    "a function and no bundle": {"tasks": [{"name": "a", "function": "f"}]},
    "the runner's own": {"tasks": [SCRIPT], "pod": {"env": [{"name": "GRAFLOW_API"}]}},
    "another run's label": {"tasks": [SCRIPT], "pod": {"labels": {"graflow.dev/run": "x"}}},
}


def words_of(body: dict) -> str:
    with pytest.raises(InvalidWorkflow) as caught:
        runnable(body)
    return str(caught.value)


@pytest.mark.parametrize("spec", NONSENSE.values(), ids=NONSENSE)
def test_nonsense_is_refused_in_the_words_that_the_sdk_has(
    cluster: Cluster, workflow, spec: dict
) -> None:
    body = workflow("w", **spec)
    refused = cluster.apply(body)
    assert refused.code == 1
    assert refused.err.strip().endswith(f"denied the request: {words_of(body)}")


def test_a_task_that_never_runs_is_warned_of(cluster: Cluster, workflow) -> None:
    tasks = [SCRIPT, {**SCRIPT, "name": "b", "after": ["a"]}, {**SCRIPT, "name": "lost"}]
    made = cluster.apply(workflow("w", tasks, suspend=True))
    assert made.code == 0
    assert "Warning: spec.tasks[2]: nothing leads to task 'lost'" in made.err


def test_a_profile_that_no_pod_can_be_made_from_is_refused(cluster: Cluster) -> None:
    refused = cluster.apply(profile({"labels": {"graflow.dev/run": "x"}}))
    assert refused.code == 1
    assert "labels under graflow.dev/ are the operator's own" in refused.err


@pytest.mark.parametrize(
    ("pod", "words"),
    [
        ({"tolerations": [{"key": "a", "operator": "Sometimes"}]}, "Sometimes"),
        ({"affinity": {"nodeAffinty": {}}}, "nodeAffinty"),
        ({"volumeMounts": [{"name": "none", "mountPath": "/x"}]}, "volumeMounts[0].name"),
        ({"resources": {"limits": {"memory": "1Zi"}}}, "quantities must match"),
    ],
    ids=["toleration", "typo", "no volume", "quantity"],
)
def test_a_pod_that_cannot_be_is_told_of_before_the_first_task_starts(
    cluster: Cluster, workflow, pod: dict, words: str
) -> None:
    assert (
        cluster.apply(
            workflow("w", [SCRIPT, {**SCRIPT, "name": "b", "after": ["a"], "pod": pod}])
        ).code
        == 0
    )
    accepted = condition(cluster.wait("w"), "Accepted")
    assert (accepted["status"], accepted["reason"]) == ("False", "Invalid")
    assert (
        "spec.tasks[1].pod: the API server finds the pod of task 'b' invalid" in accepted["message"]
    )
    assert words in accepted["message"]
    assert cluster.pods("w") == []


def test_an_operator_that_is_down_keeps_nobody_from_work_and_the_policies_hold(
    users: Users, cluster: Cluster, workflow
) -> None:
    system = ("-n", "graflow-system")
    [operator] = cluster.get("deployments", "", "-A", "-l", "app.kubernetes.io/name=graflow")[
        "items"
    ]
    name = f"deployment/{operator['metadata']['name']}"
    cluster.kubectl("scale", name, "--replicas=0", *system)
    try:
        cluster.kubectl("wait", "pod", "-l", "app.kubernetes.io/name=graflow", "--for=delete",
                        "--timeout=60s", *system)  # fmt: skip
        body = workflow("w", NONSENSE["unknown after"]["tasks"])
        made = cluster.apply(body)
        assert made.code == 0, made.err
        assert users.apply("bob", workflow("x", [SCRIPT]))[0] == 1
        assert users.apply("ann", workflow("x", [{**SCRIPT, "pod": HOST}]))[0] == 1
    finally:
        cluster.kubectl("scale", name, f"--replicas={operator['spec']['replicas']}", *system)
        cluster.kubectl("rollout", "status", name, "--timeout=120s", *system)
    accepted = condition(cluster.wait("w"), "Accepted")
    assert (accepted["status"], accepted["message"]) == ("False", words_of(body))


def test_the_webhooks_configuration_trusts_the_operator_again_after_it_was_made_anew(
    cluster: Cluster, workflow
) -> None:
    [webhook] = cluster.get(
        "validatingwebhookconfigurations", "", "-l", "app.kubernetes.io/name=graflow"
    )["items"]
    which = f"validatingwebhookconfiguration/{webhook['metadata']['name']}"
    taken = [{"op": "remove", "path": "/webhooks/0/clientConfig/caBundle"}]
    cluster.kubectl("patch", which, "--type=json", "-p", json.dumps(taken))
    cluster.kubectl(
        "wait", which, "--for=jsonpath={.webhooks[0].clientConfig.caBundle}", "--timeout=60s"
    )
