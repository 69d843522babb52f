"""The chart as it comes, with everything, and with mistakes in its values."""

import os
from itertools import takewhile
from pathlib import Path

import pytest
import yaml

from graflow.api import names
from graflow.api.parse import parse_runner_profile
from graflow_operator import settings, targets

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "graflow"
GOLDEN = Path(__file__).parent / "golden"
FILES_AS_THEY_ARE = {"ConfigMap": "data", "PrometheusRule": "spec"}
EVERYTHING = ("--values", str(CHART / "ci" / "everything.yaml"))


def only(objects, kind):
    (found,) = (thing for thing in objects if thing["kind"] == kind)
    return found


def environment(objects):
    (container,) = only(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    return {entry["name"]: entry.get("value") for entry in container["env"]}


def rules(objects, kinds=("Role", "ClusterRole")):
    """Yield (role, resource, verbs) of the operator's own roles."""
    for thing in objects:
        if thing["kind"] in kinds:
            for rule in thing["rules"]:
                for resource in rule["resources"]:
                    yield thing["metadata"]["name"], resource, rule["verbs"], rule


@pytest.mark.parametrize(
    ("golden", "options"), [("default", ()), ("everything", EVERYTHING)], ids=str
)
def test_the_rendered_manifests_are_those_reviewed(golden, options, render):
    objects = [thing for thing in render(*options) if thing["kind"] != "CustomResourceDefinition"]
    for thing in objects:
        if file := FILES_AS_THEY_ARE.get(thing["kind"]):
            del thing[file]
    text = yaml.safe_dump_all(objects, width=100)
    path = GOLDEN / f"{golden}.yaml"
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert text == path.read_text(), "rewrite it with UPDATE_GOLDEN=1, and review"


def test_targets_of_notifications_are_told_without_their_secrets_which_are_mounted(render):
    objects = render(*EVERYTHING)
    text = environment(objects)["GRAFLOW_NOTIFICATIONS"]
    assert "secret" not in text
    approvals, ops = targets.targets_of(text)
    assert (approvals.kind, approvals.events) == ("slack", ())
    assert (ops.namespaces, ops.events) == (("team-a",), ("Escalated", "Expired"))
    pod = only(objects, "Deployment")["spec"]["template"]["spec"]
    mounts = {one["name"]: one["mountPath"] for one in pod["containers"][0]["volumeMounts"]}
    assert mounts["notify-ops"] == f"{settings.NOTIFICATIONS_FOLDER}/ops"
    [volume] = [one for one in pod["volumes"] if one["name"] == "notify-ops"]
    files = {item["path"]: item["key"] for item in volume["secret"]["items"]}
    assert files == {targets.URL_FILE: "address", targets.HMAC_FILE: "key"}


def test_lint_finds_nothing(helm):
    for options in ((), EVERYTHING):
        done = helm("lint", "--strict", str(CHART), *options)
        assert done.returncode == 0, done.stdout
        assert "[WARNING]" not in done.stdout


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("replica=2", "additional properties 'replica' not allowed"),
        ("store.buckett=x", "additional properties 'buckett' not allowed"),
        ("replicas=two", "want integer"),
        ("profiles[0].name=GPU,profiles[0].spec.image=x", "does not match pattern"),
        ("log.level=debug", "value must be one of 'DEBUG', 'INFO', 'WARNING', 'ERROR'"),
        ("store.endpoint=s3.example.com", "does not match pattern"),
        ("notifications[0].name=x,notifications[0].type=slack", "missing property 'secret'"),
    ],
)
def test_a_mistake_in_the_values_is_refused(option, words, helm):
    done = helm("template", "graflow", str(CHART), "--set", option)
    assert done.returncode != 0
    assert words in done.stderr


def test_every_default_passes_and_is_in_the_schema():
    schema = yaml.safe_load((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert set(schema["properties"]) - {"global"} == set(values)


def test_values_are_few():
    assert len((CHART / "values.yaml").read_text().splitlines()) < 250


def test_the_definitions_are_the_generated_ones_and_stay_after_uninstall(render):
    made = {
        thing["metadata"]["name"]: thing
        for thing in render()
        if thing["kind"] == "CustomResourceDefinition"
    }
    kinds = ("workflows", "codebundles", "runnerprofiles", "feedbackrequests")
    assert set(made) == {f"{kind}.graflow.dev" for kind in kinds}
    for name, thing in made.items():
        assert thing["spec"] == yaml.safe_load((ROOT / "crds" / f"{name}.yaml").read_text())["spec"]
        assert thing["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}


def test_the_definitions_can_be_left_out_or_let_go(render):
    kinds = {thing["kind"] for thing in render("--set", "crds.install=false")}
    assert "CustomResourceDefinition" not in kinds
    crds = [t for t in render("--set", "crds.keep=false") if t["kind"].startswith("CustomRes")]
    assert [thing["metadata"].get("annotations") for thing in crds] == [None] * 4


def test_no_role_has_a_wildcard_and_secrets_are_never_listed(render):
    for options in ((), EVERYTHING):
        for _, resource, verbs, rule in rules(render(*options)):
            assert "*" not in [resource, *verbs, *rule["apiGroups"]]
            if resource == "secrets":
                assert verbs == ["create"] or (verbs == ["get", "update"] and rule["resourceNames"])


def test_the_operator_does_with_questions_what_it_needs_to_and_no_more(render):
    for options in ((), EVERYTHING):
        mine = [
            (resource, verbs)
            for name, resource, verbs, _ in rules(render(*options))
            if resource.startswith("feedbackrequests")
            and not name.endswith(("-view", "-edit", "-respond"))
        ]
        assert dict(mine) == {
            "feedbackrequests": ["create", "get", "list", "watch"],
            "feedbackrequests/status": ["patch"],
        }


def of_role(objects, end):
    return {resource: verbs for name, resource, verbs, _ in rules(objects) if name.endswith(end)}


def test_to_answer_is_a_role_of_its_own(render):
    objects = render()
    look = ["get", "list", "watch"]
    assert of_role(objects, "-view")["feedbackrequests"] == look
    assert "feedbackrequests" not in of_role(objects, "-edit")
    assert of_role(objects, "-respond") == {
        "feedbackrequests": [*look, "respond"],
        "feedbackrequests/status": ["get", "patch"],
    }
    [role] = [t for t in objects if t["metadata"]["name"].endswith("-respond")]
    assert not [label for label in role["metadata"]["labels"] if "aggregate" in label]


def test_without_the_policy_nobody_but_the_operator_writes_what_was_answered(render):
    free = render("--set", "admission.policies.enabled=false")
    assert "feedbackrequests/status" not in of_role(free, "-respond")


def test_whoever_answers_by_a_patch_passes_every_rule(render):
    spec = policies(render(*EVERYTHING))["feedbackrequests/status"]
    assert spec["failurePolicy"] == "Fail"
    conditions = [one["expression"] for one in spec["matchConditions"]]
    assert "== 'blue'" in conditions[0]  # each installation asks about its own questions
    assert "!= 'system:serviceaccount:graflow-system:graflow'" in conditions[1]
    asked = " ".join(one["expression"] for one in spec["validations"])
    for rule in ("check('respond')", "variables.by == variables.user", "== 'Patch'",
                 "variables.isOne", "variables.groups", "submitterMayAnswer"):  # fmt: skip
        assert rule in asked
    assert all(one["message"] for one in spec["validations"])


def test_nobody_submits_in_the_name_of_somebody_else(render):
    asked = policies(render())["workflows"]["validations"]
    assert "object.spec.submitter == request.userInfo.username" in str(asked)


def policies(objects):
    return {
        t["spec"]["matchConstraints"]["resourceRules"][0]["resources"][0]: t["spec"]
        for t in objects
        if t["kind"] == "ValidatingAdmissionPolicy"
    }


def test_whoever_creates_workflows_or_profiles_is_asked_for_more_than_that(render):
    found = policies(render())
    of_people = {"feedbackrequests", "feedbackrequests/status"}
    assert set(found) == {"workflows", "runnerprofiles"} | of_people
    for spec in (found["workflows"], found["runnerprofiles"]):
        assert spec["failurePolicy"] == "Fail"
        asked = " ".join(one["expression"] for one in spec["validations"])
        assert "resource('pods').namespace(request.namespace).check('create')" in asked
        assert "resource('serviceaccounts')" in asked
        assert all(one["message"] for one in spec["validations"])
    assert "hostPath" not in str(found)
    kept = [t for t in render() if t["kind"] == "ValidatingAdmissionPolicyBinding"]
    assert [t["spec"]["validationActions"] for t in kept] == [["Deny"]] * 4
    there = [t for t in render() if t["kind"] == "ValidatingAdmissionPolicy"]
    bound = sorted(t["spec"]["policyName"] for t in kept)
    assert bound == sorted(t["metadata"]["name"] for t in there)


def test_policies_hold_in_the_namespaces_whose_workflows_are_run(render):
    kinds = ("ValidatingAdmissionPolicyBinding", "ValidatingWebhookConfiguration")
    text = [str(t) for t in render(*EVERYTHING) if t["kind"] in kinds]
    assert len(text) == 5
    assert all("['team-a', 'team-b']" in one for one in text)
    assert all("namespaceSelector" not in str(t) for t in render() if t["kind"] in kinds)


def test_what_pods_may_have_can_be_chosen(render):
    options = ("--set", "admission.policies.volumes={hostPath}")
    found = str(policies(render(*options))["workflows"])
    assert "'name', 'hostPath'" in found.replace("\\", "")
    assert "hostPort" in found
    free = policies(render("--set", "admission.policies.privileged=true"))
    assert "hostPort" not in str(free)


def test_without_policies_and_webhook_nothing_is_asked(render):
    off = "admission.policies.enabled=false,admission.webhook.enabled=false"
    objects = render(*EVERYTHING, "--set", off)
    files = ("CustomResourceDefinition", *FILES_AS_THEY_ARE)
    text = yaml.safe_dump_all([t for t in objects if t["kind"] not in files])
    assert "admission" not in text.lower()


def webhook(objects):
    return only(objects, "ValidatingWebhookConfiguration")


def test_an_operator_that_is_down_keeps_nobody_waiting_or_from_working(render):
    for one in webhook(render(*EVERYTHING))["webhooks"]:
        assert one["failurePolicy"] == "Ignore"
        assert one["timeoutSeconds"] <= 2
        assert one["sideEffects"] == "None"
        assert "workflows/status" not in str(one["rules"])


def test_with_cert_manager_the_certificate_is_its_business(render):
    objects = render(*EVERYTHING)
    certificate, found = only(objects, "Certificate"), webhook(objects)
    injected = found["metadata"]["annotations"]["cert-manager.io/inject-ca-from"]
    metadata = certificate["metadata"]
    assert injected == f"{metadata['namespace']}/{metadata['name']}"
    service = found["webhooks"][0]["clientConfig"]["service"]
    host = f"{service['name']}.{service['namespace']}.svc"
    assert host in certificate["spec"]["dnsNames"]
    assert service["port"] in [p["port"] for p in only(objects, "Service")["spec"]["ports"]]
    pod = only(objects, "Deployment")["spec"]["template"]["spec"]
    mounted = {v["name"]: v["secret"] for v in pod["volumes"] if "secret" in v}
    assert mounted["admission"]["secretName"] == certificate["spec"]["secretName"]
    assert environment(objects)["GRAFLOW_ADMISSION_FOLDER"] == "/etc/graflow/admission"
    assert "GRAFLOW_WEBHOOK" not in environment(objects)
    assert "validatingwebhookconfigurations" not in [r for _, r, *_ in rules(objects)]


def test_without_an_issuer_cert_manager_has_it_sign_itself(render):
    objects = render("--set", "admission.webhook.certManager.enabled=true")
    issuer, certificate = only(objects, "Issuer"), only(objects, "Certificate")
    assert issuer["spec"] == {"selfSigned": {}}
    named = {"kind": "Issuer", "name": issuer["metadata"]["name"]}
    assert certificate["spec"]["issuerRef"] == named


def test_people_who_edit_use_the_accounts_of_the_namespace(render):
    edit = next(t for t in render() if t["metadata"]["name"].endswith("-edit"))
    assert {"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["use"]} in edit["rules"]


def test_people_who_edit_cannot_write_a_status(render):
    edit = next(
        thing
        for thing in render()
        if "rbac.authorization.k8s.io/aggregate-to-edit" in thing["metadata"].get("labels", {})
    )
    resources = [name for rule in edit["rules"] for name in rule["resources"]]
    assert resources == ["workflows", "codebundles", "runnerprofiles", "serviceaccounts"]


def profiles_of(objects):
    return [thing for thing in objects if thing["kind"] == "RunnerProfile"]


def test_profiles_are_made_in_each_of_their_namespaces_and_are_such_as_the_operator_reads(render):
    made = profiles_of(render(*EVERYTHING))
    assert [(t["metadata"]["name"], t["metadata"]["namespace"]) for t in made] == [
        ("gpu", "team-a"),
        ("gpu", "team-b"),
        ("plain", "graflow-system"),
    ]
    assert {t["metadata"]["annotations"]["helm.sh/hook"] for t in made} == {
        "post-install,post-upgrade"
    }
    assert parse_runner_profile(made[0]).spec.resources == {"limits": {"nvidia.com/gpu": 1}}


def test_the_examples_of_profiles_in_the_comments_can_be_used_as_they_are(render, tmp_path):
    lines = (CHART / "values.yaml").read_text().splitlines()
    begin = lines.index("profiles: []") + 1
    examples = takewhile(lambda line: line.startswith("# "), lines[begin:])
    text = "\n".join(["profiles:", *(line.removeprefix("# ") for line in examples)])
    (tmp_path / "values.yaml").write_text(text)
    made = profiles_of(render("--values", str(tmp_path / "values.yaml")))
    assert [parse_runner_profile(thing).metadata.name for thing in made] == ["gpu", "high-memory"]


def test_nodes_are_asked_for_one_by_one_where_the_whole_cluster_is_served(render):
    assert ["get"] in [verbs for _, resource, verbs, _ in rules(render()) if resource == "nodes"]


def test_with_namespaces_named_the_operator_has_no_rights_elsewhere(render):
    objects = render(*EVERYTHING)
    everywhere = {r for n, r, *_ in rules(objects, ("ClusterRole",)) if n.endswith("graflow")}
    assert everywhere == {"tokenreviews", "subjectaccessreviews", "namespaces"}
    places = {t["metadata"]["namespace"] for t in objects if t["kind"] == "Role"}
    assert places == {"graflow-system", "team-a", "team-b"}


def test_the_operators_own_objects_are_those_that_it_looks_for(render):
    def named(*options):
        found = rules(render(*EVERYTHING, *options), ("Role",))
        own = [r for role, _, _, r in found if role == "graflow-own" and "resourceNames" in r]
        return {name for rule in own for name in rule["resourceNames"]}

    always = {
        names.of_instance(names.LEASE, "blue"),
        names.of_instance(names.MASTER_KEY_SECRET, "blue"),
    }
    assert named() == always | {names.of_instance(names.CA_SECRET, "blue")}
    assert named("--set", "tls.enabled=false") == always


def test_the_strategy_of_one_replica_can_follow_that_of_several(render):
    one, two = (only(render("--set", f"replicas={n}"), "Deployment") for n in (1, 2))
    assert one["spec"]["strategy"] == two["spec"]["strategy"]
    assert one["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}


def test_the_pod_is_restricted(render):
    pod = only(render(), "Deployment")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["terminationGracePeriodSeconds"] == 30


def test_every_setting_of_the_chart_is_one_that_the_operator_reads(render):
    told = settings.parser({}).format_help()
    for variable in environment(render(*EVERYTHING)):
        assert variable == "POD_IP" or variable in told, variable


@pytest.mark.parametrize("replicas", [1, 2])
def test_pods_call_the_service_which_outlives_every_replica(render, replicas):
    url = environment(render("--set", f"replicas={replicas}"))["GRAFLOW_ADVERTISE"]
    assert url == "https://$(GRAFLOW_SERVICE_HOST):$(GRAFLOW_SERVICE_PORT)"


def test_the_services_address_follows_the_name_of_the_release(render):
    named = render(name="my-release")
    assert environment(named)["GRAFLOW_ADVERTISE"].startswith(
        "https://$(MY_RELEASE_GRAFLOW_SERVICE"
    )
    assert only(named, "Service")["metadata"]["name"] == "my-release-graflow"


def test_the_service_is_the_one_that_clients_look_for(render):
    service = only(render(), "Service")
    assert service["metadata"]["labels"][names.LABEL_APP_NAME] == "graflow"
    assert [port["name"] for port in service["spec"]["ports"]] == ["http", "metrics"]


@pytest.mark.parametrize(("tls", "scheme"), [("true", "https"), ("false", "http")])
def test_everybody_who_asks_the_operator_is_told_what_it_speaks(render, tls, scheme):
    reader = "rbac.valueReaders[0].name=u,rbac.valueReaders[0].kind=User"
    objects = render("--set", f"tls.enabled={tls},{reader}")
    told = environment(objects)
    assert told["GRAFLOW_ADVERTISE"].startswith(f"{scheme}://")
    assert ("GRAFLOW_TLS_SERVICE" in told) == (tls == "true")
    [port, metrics] = only(objects, "Service")["spec"]["ports"]
    assert (port["name"], port["appProtocol"], "appProtocol" in metrics) == ("http", scheme, False)
    (container,) = only(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    for probe in ("livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"].get("scheme", "HTTP") == scheme.upper()
    [proxied] = [
        rule["resourceNames"]
        for _, resource, _, rule in rules(objects)
        if resource == "services/proxy"
    ]
    assert proxied == ["https:graflow:http" if tls == "true" else "graflow:http"]


def test_an_address_to_advertise_that_does_not_fit_what_is_spoken_is_refused(helm):
    done = helm("template", "graflow", str(CHART), "--set", "advertise=http://10.0.0.1:8090")
    assert done.returncode != 0
    assert "it must begin with https://" in done.stderr


def test_the_network_policy_lets_runners_and_the_api_server_in_from_everywhere(render):
    assert "NetworkPolicy" not in {thing["kind"] for thing in render()}
    spec = only(render("--set", "networkPolicy.enabled=true"), "NetworkPolicy")["spec"]
    assert spec["policyTypes"] == ["Ingress"]
    assert spec["ingress"] == [{"ports": [{"port": "http"}]}, {"ports": [{"port": "metrics"}]}]
    spec = only(render(*EVERYTHING), "NetworkPolicy")["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert [sorted(rule) for rule in spec["ingress"]] == [["ports"], ["from", "ports"]]
    assert [one["port"] for one in spec["egress"][0]["ports"]] == [53, 53]
    assert spec["podSelector"]["matchLabels"] == {
        "app.kubernetes.io/name": "graflow",
        "app.kubernetes.io/instance": "graflow",
    }


def test_without_metrics_there_is_no_port_for_them(render):
    objects = render("--set", "metrics.enabled=false")
    assert environment(objects)["GRAFLOW_METRICS_PORT"] == "0"
    assert len(only(objects, "Service")["spec"]["ports"]) == 1


def test_a_store_without_a_secret_takes_its_keys_from_the_pod(render):
    told = environment(render("--set", "store.bucket=b"))
    assert told["GRAFLOW_STORE_BUCKET"] == "b"
    assert "AWS_ACCESS_KEY_ID" not in told
