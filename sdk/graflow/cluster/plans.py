"""The plan of a run, wherever it is: in its Workflow, or, when it is large, in its CodeBundle."""

import base64

from graflow.api.bundle import PLAN, read_json
from graflow.api.parse import parse_code_bundle
from graflow.api.runnable import needs_plan, runnable
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
    if not needs_plan(found):
        return runnable(found)[1]
    bundle = parse_code_bundle(workflows.bundle(found["spec"]["bundle"]["name"]))
    plan = read_json(base64.b64decode(bundle.spec.zip), PLAN)
    return runnable(found, plan)[1]
