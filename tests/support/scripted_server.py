"""An API server of a few lines, for what a real one does only when it is unwell."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, object] | list[object] | bytes
"""A status code with JSON; a watch's events; or a plain body."""


class ScriptedServer:
    """Answers each request with the next of its answers; the last one stays."""

    def __init__(self) -> None:
        self.answers: list[Answer | Callable[[str, str, Any], Answer]] = []
        self.requests: list[tuple[str, str, Any]] = []
        self.headers: list[dict[str, str]] = []
        handler = type("Handler", (_Handler,), {"fake": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def next(self, method: str, path: str, body: Any) -> Answer:
        self.requests.append((method, path, body))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return answer(method, path, body) if callable(answer) else answer


class _Handler(BaseHTTPRequestHandler):
    fake: ScriptedServer
    protocol_version = "HTTP/1.1"

    def _any(self) -> None:
        data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.fake.headers.append(dict(self.headers))
        answer = self.fake.next(self.command, self.path, json.loads(data) if data else None)
        if isinstance(answer, list):
            body = b"".join(json.dumps(event).encode() + b"\n" for event in answer)
            status = 200
        elif isinstance(answer, bytes):
            status, body = 200, answer
        else:
            status, body = answer[0], json.dumps(answer[1]).encode()
        if status == 0:  # a connection that breaks
            self.close_connection = True
            return
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PATCH = do_DELETE = _any  # noqa: N815 - the names that http.server looks for

    def log_message(self, *_: object) -> None:
        pass
