"""An operator and its store in one small HTTP server: what a runner talks to."""

import hashlib
import hmac
import http.server
import json
import ssl
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

RUN_KEY = hashlib.sha256(b"a key that occurs nowhere else").hexdigest()
RUN = "0b0e6f4e-run"
POD_UID = "77aa-pod"
ACTIVATION, ATTEMPT = 12, 1
STEP_S = 30.0  # longest wait for anything that should happen; a test that hangs says where


class FakeOperator:
    """Gives one order, checks every signature, keeps what it is told."""

    def __init__(self) -> None:
        self.order: dict[str, Any] = {
            "activation": ACTIVATION,
            "attempt": ATTEMPT,
            "task": {"id": "t", "iteration": 1, "maxCycles": 10, "maxAttempts": 1, "failures": 0},
            "run": {"name": "r", "namespace": "ns", "uid": RUN},
            "call": {"script": "return 1", "params": []},
            "bundle": None,
            "sent": [],
            "senders": [],
            "names": {},
            "outcome": None,
            "limits": {"inlineBytes": 262144},
        }
        self.bundle = b""
        self.answers: dict[str, Any] = {}
        self.visible: dict[str, list[str]] | None = None
        self.store: dict[str, bytes] = {}
        self.reports: list[dict[str, Any]] = []
        self.saved: list[dict[str, Any]] = []
        self.asked: list[dict[str, Any]] = []
        self.kept: list[dict[str, Any]] = []
        self.of_people = {"ask": self.asked, "keep": self.kept}
        self.given: dict[str, Any] = {}
        """Answers, by key of the question; the last tries get them."""

        self.hold_s = 0.0
        self.claims: list[dict[str, Any]] = []
        self.calls: list[str] = []
        self.told: list[str] = []
        self.renewals = 0
        self.stored_by: list[str] = []
        self.forged: list[str] = []
        self.script: dict[str, deque[Callable[[Request], None]]] = {}
        self._claim: dict[str, Any] = {}
        self._numbers: dict[int, bytes] = {}
        self._changed = threading.Condition()
        self._server: http.server.ThreadingHTTPServer | None = None
        self._scheme = "http"
        self.port = 0

    # The life of the server.

    def start(self) -> None:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Request)
        server.daemon_threads = True
        server.block_on_close = False
        server.operator = self  # type: ignore[attr-defined]
        self.port = server.server_address[1]
        self._server = server
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()

    def use_tls(self, context: ssl.SSLContext) -> None:
        assert self._server is not None
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self._scheme = "https"

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self.port}"

    def has_store(self, store_url: str = "") -> None:
        """Give the order URLs of a store; by default this server is the store too."""
        base = store_url or self.url
        self.order["outcome"] = {
            "url": f"{base}/store/outcome?X-Amz-Signature=SECRETSIGNATURE",
            "valueUrl": f"{base}/store/outcome.value?X-Amz-Signature=SECRETSIGNATURE",
        }

    def has_addresses_for(self, seconds: float) -> None:
        """Let the order's URLs of the store end, and answer each renewal with another name."""
        self.has_store()
        self.order["outcome"]["expiresSeconds"] = seconds

    def renewed(self) -> dict[str, Any]:
        """Return the order's URLs as they are signed anew."""
        self.renewals += 1
        places = self.order["outcome"]
        renewed = {name: f"{places[name]}&n={self.renewals}" for name in ("url", "valueUrl")}
        return {**places, **renewed}

    def found(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Return what names stand for, or which there are."""
        if asked["from"] == "visible":
            return {"names": {}, "visible": self.visible}
        return {"names": {name: self.answers.get(name) for name in asked["names"]}}

    def place_of(self, sha256: str) -> dict[str, Any]:
        """Return where a large value goes."""
        key = f"/store/blobs/{sha256}"
        url = f"{self.url}{key}?X-Amz-Signature=SECRETSIGNATURE"
        return {"url": url, "stored": key in self.store}

    def answer_of(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Return what came of a question: nothing to who does not wait, and later what there is."""
        key, waits = asked["key"], asked["waitSeconds"] > 0 or not self.hold_s
        answer = self.given.get(key) if waits else None
        return {"name": f"r-{key}", "answer": answer, "holdSeconds": self.hold_s}

    def next_attempt(self) -> None:
        """Let another runner claim, for what was told so far."""
        self._claim, self._numbers = {}, {}
        self.reports.clear()

    def next(self, call: str, *actions: Callable[["Request"], None]) -> None:
        """Handle the next calls of this name otherwise."""
        self.script.setdefault(call, deque()).extend(actions)

    # What the test waits for.

    def note(self, change: Callable[[], object]) -> None:
        with self._changed:
            change()
            self._changed.notify_all()

    def wait_for(self, predicate: Callable[[], object], what: str) -> None:
        with self._changed:
            assert self._changed.wait_for(predicate, timeout=STEP_S), f"never came: {what}"

    # The protocol.

    @property
    def claim(self) -> str:
        return f"{POD_UID}/{self._claim['nonce']}"

    @property
    def attempt_key(self) -> str:
        text = f"attempt\n{ACTIVATION}\n{ATTEMPT}\n{self.claim}"
        return hmac.new(bytes.fromhex(RUN_KEY), text.encode(), hashlib.sha256).hexdigest()

    def mac(self, data: bytes) -> str:
        return hmac.new(bytes.fromhex(self.attempt_key), data, hashlib.sha256).hexdigest()

    def take_claim(self, request: "Request") -> None:
        if request.headers["Authorization"] != f"Bearer {RUN_KEY}":
            request.refuse(401, "BadKey", "not this run's key")
            return
        body = request.json
        if self._claim and self._claim["nonce"] != body["nonce"]:
            request.refuse(409, "Fenced", "another process holds the attempt")
            return
        self._claim = body
        self.note(lambda: self.claims.append(body))
        request.answer(200, {"attemptKey": self.attempt_key, **self.order})

    def signed(self, request: "Request") -> bool:
        """Check the signature of a call, and that a number is used for one request only."""
        headers = request.headers
        number = int(headers["X-Graflow-Number"])
        path = request.path
        digest = hashlib.sha256(request.body).hexdigest()
        text = f"{request.command}\n{path}\n{self.claim}\n{number}\n{digest}"
        what = f"{request.command} {path} {digest}".encode()
        good = (
            headers["X-Graflow-Mac"] == self.mac(text.encode())
            and headers["X-Graflow-Claim"] == self.claim
            and headers["X-Graflow-Run"] == RUN
            and headers["X-Graflow-Activation"] == str(ACTIVATION)
            and headers["X-Graflow-Attempt"] == str(ATTEMPT)
            and self._numbers.setdefault(number, what) == what
        )
        if not good:
            self.forged.append(f"{request.command} {path} {dict(headers)}")
            request.refuse(403, "BadKey", "wrong signature or number")
        return good

    def take_report(self, request: "Request") -> None:
        self.note(lambda: self.reports.append(request.json))
        request.answer(200, {"committed": True})


class Request(http.server.BaseHTTPRequestHandler):
    """One request to the fake."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    @property
    def operator(self) -> FakeOperator:
        found: FakeOperator = self.server.operator  # type: ignore[attr-defined]
        return found

    def setup(self) -> None:
        super().setup()
        self.body = b""

    @property
    def json(self) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.body)
        return body

    def answer(self, status: int, body: Any = None, **headers: str) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def refuse(self, status: int, reason: str, message: str, **headers: str) -> None:
        self.answer(status, {"reason": reason, "message": message}, **headers)

    def drop(self) -> None:
        """Close the connection without a word."""
        self.close_connection = True

    def do_POST(self) -> None:
        self.body = self.rfile.read(int(self.headers["Content-Length"]))
        self._route()

    do_PUT = do_POST  # noqa: N815  # http.server's own name

    def do_GET(self) -> None:
        self._route()

    def _route(self) -> None:
        path = self.path.partition("?")[0]
        name = path.removeprefix("/runner/v1/").lstrip("/").partition("/")[0]
        self.operator.note(lambda: self.operator.calls.append(f"{self.command} {path}"))
        if waiting := self.operator.script.get(name):
            waiting.popleft()(self)
            return
        self.usual(name)

    def usual(self, name: str) -> None:  # noqa: C901  one per call
        """Do what an operator in good health does."""
        operator = self.operator
        if self.path.startswith("/runner/v1/") and name != "claim" and not operator.signed(self):
            return
        match name:
            case "claim":
                operator.take_claim(self)
            case "report":
                operator.take_report(self)
            case "checkpoint":
                operator.note(lambda: operator.saved.append(self.json))
                self.answer(200, {"seq": 40 + self.json["n"], "steps": 3})
            case "ask" | "keep":
                operator.note(lambda: operator.of_people[name].append(self.json))
                known = operator.answer_of(self.json) if name == "ask" else {"committed": True}
                self.answer(200, known)
            case "renewal":
                self.answer(200, {"outcome": operator.renewed()})
            case "bundle":
                self.answer(200, operator.bundle)
            case "results":
                self.answer(200, operator.found(self.json))
            case "blob" | "address":
                self.answer(200, operator.place_of(self.json["sha256"]))
            case _ if self.path.startswith("/told/"):
                operator.note(lambda: operator.told.append(self.path.removeprefix("/told/")))
                self.answer(200, {})
            case _:
                self._object()

    def _object(self) -> None:
        key, _, query = self.path.partition("?")
        store = self.operator.store
        if "SECRETSIGNATURE" not in query:
            self.answer(403, b"no signature")
        elif self.command == "GET":
            self.answer(200, store[key]) if key in store else self.answer(404, b"")
        elif self.headers.get("If-None-Match") == "*" and key in store:
            self.answer(412, b"")
        elif "outcome" in key and self.headers.get("If-None-Match") != "*":
            self.answer(403, b"signed with If-None-Match")
        else:
            self.operator.stored_by.append(query)
            self.operator.note(lambda: store.update({key: self.body}))
            self.answer(200, b"")


def busy(request: Request) -> None:
    """503: not now."""
    request.refuse(503, "NotLeading", "no replica leads", Retry_After="0")


def usual_but_reply_lost(request: Request) -> None:
    """The call is carried out, and its answer never arrives."""
    real = request.wfile
    request.wfile = _Nowhere()  # type: ignore[assignment]
    request.usual(request.path.rpartition("/")[2])
    request.wfile = real
    request.drop()


class _Nowhere:
    closed = False

    def write(self, data: bytes) -> int:
        return len(data)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass
