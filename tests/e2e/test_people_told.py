"""Whoever is to be told of a question is told, by whichever replica leads, and it is signed."""

import hashlib
import hmac
import json
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from e2e.conftest import PROGRAMS, RUNNER_IMAGE, Cluster
from graflow.api.moment import rfc3339
from support.example_runs import compiled
from support.looking import until
from support.own_operator import address
from support.replicas import Replicas

QUESTIONS = "feedbackrequests.graflow.dev"
KEY = "a key of our own"


class Receiver(ThreadingHTTPServer):
    """Takes what it is sent once it is told to; before that it answers 503."""

    def __init__(self) -> None:
        super().__init__((address(), 0), Post)
        self.takes = threading.Event()
        self.refused = threading.Event()
        self.taken: list[tuple[dict[str, str], bytes]] = []

    @property
    def url(self) -> str:
        host, port = self.server_address[:2]
        return f"http://{host!s}:{port}/hook"


class Post(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        takes = self.server.takes.is_set()
        if takes:
            self.server.taken.append((dict(self.headers), body))
        self.send_response(204 if takes else 503)
        self.end_headers()
        self.server.refused.set()

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def receiver() -> Iterator[Receiver]:
    with Receiver() as found:
        serving = threading.Thread(target=found.serve_forever)
        serving.start()
        try:
            yield found
        finally:
            found.shutdown()
            serving.join()


def is_signed(headers: dict[str, str], body: bytes) -> bool:
    """Check what was sent as the page on it shows."""
    sent = headers["X-Graflow-Timestamp"]
    expected = hmac.new(KEY.encode(), f"{sent}.".encode() + body, hashlib.sha256).hexdigest()
    return headers["X-Graflow-Signature"] == f"sha256={expected}"


def test_a_notification_that_is_refused_comes_later_though_the_leader_was_killed_meanwhile(
    cluster: Cluster, tmp_path: Path
) -> None:
    workflow, others = compiled(PROGRAMS / "asks.py")
    workflow["metadata"]["name"] = "told"
    workflow["spec"]["operator"] = "telling"
    for one in (*others, workflow):
        assert cluster.apply(one).code == 0
    with receiver() as hook:
        (tmp_path / "ops").mkdir()
        (tmp_path / "ops" / "url").write_text(hook.url)
        (tmp_path / "ops" / "hmac").write_text(KEY)
        targets = json.dumps([{"name": "ops", "type": "webhook"}])
        settings = ("--notifications", targets, "--notifications-folder", str(tmp_path))
        with Replicas(
            cluster.namespace, tmp_path, RUNNER_IMAGE, "telling", settings=settings
        ) as replicas:
            leader = replicas.leader()
            assert hook.refused.wait(120), replicas.words()
            replicas.send(leader, signal.SIGKILL)
            replicas.taken_by_another(leader)
            hook.takes.set()
            until(lambda: hook.taken, replicas.words)
            [asked] = cluster.get(QUESTIONS)["items"]
            answer(cluster, asked)
            cluster.wait("told", "Succeeded")
            until(lambda: {"Asked", "Answered"} <= {event(body) for _, body in hook.taken})
    assert all(is_signed(headers, body) for headers, body in hook.taken)
    told = cluster.get(QUESTIONS, asked["metadata"]["name"])["status"]["notifications"]
    assert {(one["target"], one["event"], one["phase"]) for one in told} == {
        ("ops", "Asked", "Delivered"),
        ("ops", "Answered", "Delivered"),
    }
    assert hook.url not in "".join(one.log.read_text() for one in replicas.all)
    assert hook.url not in json.dumps(cluster.get(QUESTIONS))


def event(body: bytes) -> str:
    return str(json.loads(body)["event"])


def answer(cluster: Cluster, asked: dict[str, Any]) -> None:
    """Approve as whoever the kubeconfig says, by a patch."""
    who = json.loads(cluster.run(cluster.kubectl_path, "auth", "whoami", "-o", "json").out)
    response = {
        "by": who["status"]["userInfo"]["username"],
        "at": rfc3339(time.time()),
        "how": "Patch",
        "sha256": asked["spec"]["sha256"],
        "approved": True,
    }
    patch = json.dumps({"status": {"responses": [response]}})
    words = ("--subresource=status", "--type=merge", "-p", patch)
    cluster.kubectl("patch", QUESTIONS, asked["metadata"]["name"], *words)
