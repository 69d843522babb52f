"""What notifications say: Graflow's JSON for webhooks, blocks for Slack. Pure.

Nothing in them answers: a mail scanner follows links, and whoever reads a channel is nobody's
token. They say where and how to answer.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping

from graflow.api.feedback_status import FeedbackPhase
from graflow.questions import FIELDS
from graflow_operator import questions
from graflow_operator.cluster import Object
from graflow_operator.outbox import Entry

TYPES: Mapping[str, str] = {
    "Asked": "request_created",
    "Reminder": "request_created",
    "Escalated": "request_created",
    "Answered": "response_received",
    "Expired": "request_timeout",
}
"""Graflow's word for each of our events."""

STATUS: Mapping[str, str] = {
    FeedbackPhase.PENDING: "pending",
    FeedbackPhase.ANSWERED: "completed",
    FeedbackPhase.EXPIRED: "timeout",
    FeedbackPhase.WITHDRAWN: "cancelled",
}
"""Graflow's word for each of our phases."""

SLACK_CHARS = 2900
"""Letters of one block; Slack refuses 3 000."""

HEADINGS: Mapping[str, str] = {
    "Asked": "A question waits for an answer",
    "Reminder": "A question still waits for an answer",
    "Escalated": "A question was passed on, and waits for an answer",
    "Answered": "A question was answered",
    "Expired": "A question's deadline passed",
}


def asked(request: Object) -> Object:
    """Return a request in Graflow's form, with what it does not know of behind."""
    metadata, spec, status = request["metadata"], request["spec"], request.get("status") or {}
    return {
        "feedback_id": metadata["name"],
        "task_id": spec["task"],
        "session_id": spec["workflow"]["uid"],
        "feedback_type": spec["type"],
        "prompt": spec["prompt"],
        "options": spec.get("options"),
        "metadata": spec.get("metadata") or {},
        "created_at": metadata.get("creationTimestamp"),
        "timeout": spec.get("timeoutSeconds"),
        "status": STATUS[questions.phase_of(request)],
        "namespace": metadata["namespace"],
        "workflow": spec["workflow"]["name"],
        "deadline": questions.Asked(request).deadline,
        "message": status.get("message"),
    }


def response(name: str, kind: str, said: Object) -> Object:
    """Return a response, or an answer, in Graflow's form.

    Args:
        name: Of the request.
        kind: Its type.
        said: What a status has of it.
    """
    by = said.get("by") or ", ".join(said.get("respondedBy") or ())
    return {
        "feedback_id": name,
        "response_type": kind,
        **{name: said.get(ours) for name, ours in FIELDS.items()},
        "responded_at": said.get("at") or said.get("respondedAt"),
        "responded_by": by or None,
    }


def webhook(request: Object, entry: Entry) -> bytes:
    """Return the body that a webhook gets; it is the same at each try."""
    answer = (request.get("status") or {}).get("answer")
    kind = request["spec"]["type"]
    told = {
        "event_type": TYPES[entry.event],
        "timestamp": entry.time,
        **asked(request),
        "event": entry.event,
        "delivery": delivery(request, entry),
    }
    if answer and entry.event in ("Answered", "Expired"):
        told["response"] = response(request["metadata"]["name"], kind, answer)
    return json.dumps(told, separators=(",", ":")).encode()


def slack(request: Object, entry: Entry) -> bytes:
    """Return the body that a Slack incoming webhook gets."""
    spec, metadata = request["spec"], request["metadata"]
    heading = HEADINGS[entry.event]
    message = str((request.get("status") or {}).get("message") or "")
    where = f"{metadata['namespace']}/{spec['workflow']['name']}, task {spec['task']}"
    lines = [where, message]
    if questions.is_open(request):
        lines.append(f"graflow answer {metadata['name']} -n {metadata['namespace']}")
    blocks = [
        {"type": "header", "text": _plain(heading, 150)},
        {"type": "section", "text": _plain(spec["prompt"], SLACK_CHARS)},
        {"type": "context", "elements": [_plain("\n".join(lines), SLACK_CHARS)]},
    ]
    summary = _escaped(f"{heading}: {spec['prompt'][:SLACK_CHARS]}")
    return json.dumps({"text": summary, "blocks": blocks}).encode()


def delivery(request: Object, entry: Entry) -> str:
    """Return what tells this notification from others: who gets it twice can drop one."""
    return hashlib.sha256("/".join((request["metadata"]["uid"], *entry)).encode()).hexdigest()[:32]


def signature(key: bytes, at: int, body: bytes) -> str:
    """Return what shows that a body is ours, and that it was sent at that second."""
    return "sha256=" + hmac.new(key, b"%d." % at + body, hashlib.sha256).hexdigest()


def _plain(text: str, most: int) -> Object:
    """Return text that Slack shows as it is: in it no `<!channel>` calls anybody."""
    return {"type": "plain_text", "text": text[:most] or "-", "emoji": False}


def _escaped(text: str) -> str:
    """Return text in which Slack's own markup means nothing."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
