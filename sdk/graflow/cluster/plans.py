"""The plan of a run, wherever it is: in its Workflow, or, when it is large, in its CodeBundle."""

import base64

from graflow.api.bundle import PLAN, read_json
from graflow.api.convert import plan_of
from graflow.api.parse import parse_code_bundle, parse_large_workflow, parse_workflow
from graflow.cluster.workflows import Object, Workflows
from graflow.machine.plan import Plan


def plan_in(found: Object, workflows: Workflows) -> Plan:
    """Return the plan of a run.

    Args:
        found: Its Workflow.
        workflows: Where its CodeBundle is.

    Raises:
        InvalidWorkflow: If it cannot run as it is written.
        BundleDamagedError: If the plan is in the CodeBundle and cannot be read.
        NotFoundError: If there is no such CodeBundle.
    """
    spec = found.get("spec") or {}
    if spec.get("tasks") or not spec.get("bundle"):
        return plan_of(parse_workflow(found).spec)
    bundle = parse_code_bundle(workflows.bundle(spec["bundle"]["name"]))
    plan = read_json(base64.b64decode(bundle.spec.zip), PLAN)
    return plan_of(parse_large_workflow(found, plan).spec)
