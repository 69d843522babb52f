"""Handlers that tell others of questions by HTTP, on the machine that runs the program.

They try a few times while the task waits. On a cluster the operator does it, and remembers.
"""

import hashlib
import hmac
import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any, Final

from graflow.dsl.feedback import FeedbackHandler, FeedbackRequest, FeedbackResponse, now
from graflow.local.manager import LOG

TRIES: Final = 3
FIRST_PAUSE_S: Final = 0.5
"""Before the second try; each further one is twice as long."""

_MAX_TEXT: Final = 2900
"""Letters of one block; Slack refuses 3 000."""


class _Posting(FeedbackHandler):
    """Posts JSON to an address."""

    webhook_url: str
    timeout: float = 10.0
    headers: Mapping[str, str] = {}
    secret: str | bytes | None = None

    def _post(self, told: Mapping[str, Any]) -> bool:
        """Return whether it was taken; if not, the log says why, without the address."""
        body = json.dumps(told, separators=(",", ":")).encode()
        headers = {"Content-Type": "application/json", **self.headers, **self._signed(body)}
        pause_s, problem = FIRST_PAUSE_S, ""
        for left in reversed(range(TRIES)):
            problem = _problem(self.webhook_url, body, headers, self.timeout)
            if not problem:
                return True
            if left:
                time.sleep(pause_s)
                pause_s *= 2
        LOG.error("%s could not tell of a question: %s", type(self).__name__, problem)
        return False

    def _signed(self, body: bytes) -> Mapping[str, str]:
        if not self.secret:
            return {}
        key = self.secret.encode() if isinstance(self.secret, str) else self.secret
        at = str(int(time.time()))
        signed = hmac.new(key, at.encode() + b"." + body, hashlib.sha256).hexdigest()
        return {"X-Graflow-Timestamp": at, "X-Graflow-Signature": f"sha256={signed}"}


class WebhookFeedbackHandler(_Posting):
    """Posts Graflow's JSON to an address, when a question is asked, answered, or out of time.

    Args:
        webhook_url: Where to.
        headers: To send besides.
        timeout: Seconds for one try.
        secret: Signs what is sent, as the operator does: `X-Graflow-Signature` is `sha256=` and the
            HMAC of `X-Graflow-Timestamp`, a dot and the body.
    """

    def __init__(
        self,
        webhook_url: str,
        headers: Mapping[str, str] | None = None,
        timeout: float = 10.0,
        *,
        secret: str | bytes | None = None,
    ) -> None:
        self.webhook_url = webhook_url
        self.headers = dict(headers or {})
        self.timeout = timeout
        self.secret = secret

    def on_request_created(self, request: FeedbackRequest) -> None:
        """Tell that it was asked."""
        self._tell("request_created", request)

    def on_response_received(self, request: FeedbackRequest, response: FeedbackResponse) -> None:
        """Tell what was answered."""
        self._tell("response_received", request, response=response.to_dict())

    def on_request_timeout(self, request: FeedbackRequest) -> None:
        """Tell that nobody has answered in time."""
        self._tell("request_timeout", request)

    def _tell(self, event: str, request: FeedbackRequest, **more: object) -> None:
        self._post({"event_type": event, "timestamp": now(), **request.to_dict(), **more})


class SlackFeedbackHandler(_Posting):
    """Posts a message to a Slack incoming webhook.

    Args:
        webhook_url: Where to; whoever knows it may post.
        channel: For webhooks that may choose.
        feedback_ui_url: A page to answer at, with `{feedback_id}` in it.
    """

    def __init__(
        self,
        webhook_url: str,
        channel: str = "#approvals",
        feedback_ui_url: str | None = None,
    ) -> None:
        self.webhook_url = webhook_url
        self.channel = channel
        self.feedback_ui_url = feedback_ui_url

    def on_request_created(self, request: FeedbackRequest) -> None:
        """Say what is asked."""
        self._say("A question waits for an answer", request.prompt, request, answerable=True)

    def on_response_received(self, request: FeedbackRequest, response: FeedbackResponse) -> None:
        """Say what was answered."""
        by = response.responded_by or "somebody"
        self._say(f"{by} answered: {_words(response)}", request.prompt, request)

    def on_request_timeout(self, request: FeedbackRequest) -> None:
        """Say that nobody has answered in time."""
        self._say("Nobody has answered in time", request.prompt, request)

    def _say(
        self, heading: str, text: str, request: FeedbackRequest, *, answerable: bool = False
    ) -> None:
        where = f"task {request.task_id}, question {request.feedback_id}"
        blocks: list[dict[str, Any]] = [
            {"type": "header", "text": _plain(heading, 150)},
            {"type": "section", "text": _plain(text, _MAX_TEXT)},
            {"type": "context", "elements": [_plain(where, _MAX_TEXT)]},
        ]
        if answerable and self.feedback_ui_url:
            url = self.feedback_ui_url.replace("{feedback_id}", request.feedback_id)
            button = {"type": "button", "text": _plain("Answer", 75), "url": url}
            blocks.append({"type": "actions", "elements": [button]})
        self._post({"channel": self.channel, "text": heading, "blocks": blocks})


def _words(response: FeedbackResponse) -> str:
    """Return what was answered, as people say it."""
    match response.value:
        case True:
            words = "yes"
        case False:
            words = "no"
        case str(text):
            words = text
        case other:
            words = json.dumps(other, ensure_ascii=False)
    return f"{words} ({response.reason})" if response.reason else words


def _plain(text: str, most: int) -> dict[str, Any]:
    return {"type": "plain_text", "text": text[:most], "emoji": False}


def _problem(url: str, body: bytes, headers: Mapping[str, str], timeout_s: float) -> str:
    """Post once; return why it was not taken, "" if it was."""
    if not url.startswith(("https://", "http://")):
        return "its address is neither https:// nor http://"
    request = urllib.request.Request(url, body, dict(headers), method="POST")  # noqa: S310 - see above
    try:
        with urllib.request.urlopen(request, timeout=timeout_s):  # noqa: S310 - see above
            return ""
    except urllib.error.HTTPError as error:
        error.close()
        return f"it answered {error.code}"
    except (OSError, ValueError) as error:
        return f"it could not be reached: {type(error).__name__}"
