"""The handlers. Level-triggered only: each gets the object as it is, and hands it on."""

from typing import Any, Protocol

import kopf

from graflow.api import names
from graflow_operator.connection import Connection

Object = dict[str, Any]


class Listener(Protocol):
    """Who is told what the watches show; called in kopf's thread."""

    def workflow(self, kind: str | None, body: Object) -> None:
        """Take note of a Workflow; `kind` is DELETED, or anything else."""

    def pod(self, kind: str | None, body: Object) -> None:
        """Take note of a runner pod."""

    def question(self, kind: str | None, body: Object) -> None:
        """Take note of a FeedbackRequest."""


def registry(
    listener: Listener, connection: Connection, ca_file: str | None
) -> kopf.OperatorRegistry:
    """Return handlers that tell one listener; `ca_file` holds the API server's CA."""
    found = kopf.OperatorRegistry()

    @kopf.on.login(registry=found)
    def login(**_: Any) -> kopf.ConnectionInfo:
        """Sign in as the rest of the operator does."""
        certificate, key = connection.certificate or (None, None)
        return kopf.ConnectionInfo(
            server=connection.url,
            ca_path=ca_file,
            insecure=not connection.verify,
            token=connection.token() or None,
            certificate_path=certificate,
            private_key_path=key,
            default_namespace=connection.namespace,
        )

    @kopf.on.event(names.GROUP, names.VERSION, names.WORKFLOWS, registry=found)
    async def workflow_seen(event: kopf.RawEvent, **_: Any) -> None:
        listener.workflow(event["type"], dict(event["object"]))

    @kopf.on.event("", "v1", "pods", registry=found)
    async def pod_seen(event: kopf.RawEvent, **_: Any) -> None:
        listener.pod(event["type"], dict(event["object"]))

    @kopf.on.event(names.GROUP, names.VERSION, names.FEEDBACK_REQUESTS, registry=found)
    async def question_seen(event: kopf.RawEvent, **_: Any) -> None:
        listener.question(event["type"], dict(event["object"]))

    return found
