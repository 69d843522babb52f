"""A second installation beside the one under test, whose patience is short enough for tests."""

import os
from contextlib import contextmanager

from support.installation import installed_beside

INSTANCE = NAMESPACE = "impatient"
CONFIGURATION_S = 30
NODE_LOST_S = 5
SETTINGS = {
    "replicas": 1,
    "rbac": {"aggregate": False},
    "faults": {"configurationSeconds": CONFIGURATION_S, "nodeLostSeconds": NODE_LOST_S},
}


@contextmanager
def installed(kubectl):
    """Install it.

    GRAFLOW_IMPATIENT names the instance of an operator that runs already, as a developer's own.
    """
    if already := os.environ.get("GRAFLOW_IMPATIENT"):
        yield already, NAMESPACE
        return
    with installed_beside(kubectl, INSTANCE, NAMESPACE, SETTINGS):
        yield INSTANCE, NAMESPACE
