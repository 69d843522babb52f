"""Starts the real runner, as a pod would, against the fake operator."""

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import cloudpickle

from unit.runner.fake_operator import POD_UID, RUN, RUN_KEY, STEP_S, FakeOperator

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"

# What a script puts before itself to tell the test that it got somewhere.
TELL = """
import http.client, os
def tell(what):
    c = http.client.HTTPConnection(os.environ["GRAFLOW_API"].removeprefix("http://"))
    c.request("POST", "/told/" + what, body=b"")
    c.getresponse().read()
"""


class Runner:
    """One runner process."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log

    def wait(self) -> int:
        return self.process.wait(STEP_S)

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    @property
    def memory(self) -> bytes:
        """All that the process can write to, as it is now."""
        parts = []
        process = f"/proc/{self.process.pid}"
        with Path(f"{process}/mem").open("rb", 0) as memory:
            for line in Path(f"{process}/maps").read_text().splitlines():
                span, mode = line.split()[:2]
                if mode.startswith("rw"):
                    start, end = (int(part, 16) for part in span.split("-"))
                    memory.seek(start)
                    parts.append(memory.read(end - start))
        return b"".join(parts)

    @property
    def stdout(self) -> str:
        return self._log.with_suffix(".out").read_text()

    @property
    def stderr(self) -> str:
        return self._log.with_suffix(".err").read_text()

    @property
    def message(self) -> dict[str, Any]:
        text = self._log.with_suffix(".termination").read_bytes()
        assert len(text) <= 3584
        found: dict[str, Any] = json.loads(text) if text else {}
        return found


class Runners:
    """Makes runners whose output, code and termination message are in a folder."""

    def __init__(self, folder: Path, operator: FakeOperator) -> None:
        self._folder = folder
        self._operator = operator
        self._made: list[Runner] = []
        self.command = [sys.executable, "-m", "graflow_runner"]

    def start(self, **env: str | None) -> Runner:
        log = self._folder / f"runner{len(self._made)}"
        log.with_suffix(".termination").touch()
        environ: dict[str, str | None] = {
            "PATH": os.environ["PATH"],
            "GRAFLOW_API": self._operator.url,
            "GRAFLOW_POD_NAME": "r-t-abc",
            "GRAFLOW_POD_UID": POD_UID,
            "GRAFLOW_NAMESPACE": "ns",
            "GRAFLOW_RUN": RUN,
            "GRAFLOW_KEY": RUN_KEY,
            "GRAFLOW_CODE_DIR": str(self._folder / "code"),
            "GRAFLOW_TERMINATION_LOG": str(log.with_suffix(".termination")),
            "GRAFLOW_RETRY_FIRST_SECONDS": "0.01",
            "GRAFLOW_RETRY_MOST_SECONDS": "0.02",
            **env,
        }
        with log.with_suffix(".out").open("wb") as out, log.with_suffix(".err").open("wb") as err:
            process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env={name: value for name, value in environ.items() if value is not None},
                cwd=self._folder,
                start_new_session=True,
            )
        runner = Runner(process, log)
        self._made.append(runner)
        return runner

    def run(self, **env: str | None) -> Runner:
        runner = self.start(**env)
        runner.wait()
        return runner

    def stop(self) -> None:
        for runner in self._made:
            if runner.process.poll() is None:
                os.killpg(runner.process.pid, signal.SIGKILL)
                runner.wait()


def bundle(
    files: dict[str, bytes] | None = None,
    functions: dict[str, dict[str, Any]] | None = None,
    plan: dict[str, Any] | None = None,
    **manifest: Any,
) -> tuple[bytes, dict[str, str]]:
    """Return a code bundle, and the sha256 of each function by name."""
    pickles = {name: cloudpickle.dumps(form) for name, form in (functions or {}).items()}
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in pickles.items()}
    functions_by_hash: dict[str, list[str]] = {}
    for name, sha256 in hashes.items():
        functions_by_hash.setdefault(sha256, []).append(name)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        head = {
            "format": 2,
            "python": PYTHON,
            "cloudpickle": cloudpickle.__version__,
            "program": "workflow.py",
            "root": "files",
            "functions": functions_by_hash,
            "arguments": {},
            **manifest,
        }
        archive.writestr("manifest.json", json.dumps(head))
        archive.writestr("plan.json", json.dumps(plan or {"tasks": []}))
        for sha256, names in functions_by_hash.items():
            archive.writestr(f"functions/{sha256}.pkl", pickles[names[0]])
        for path, data in (files or {}).items():
            archive.writestr(path if path.startswith("raw:") else f"files/{path}", data)
    return buffer.getvalue(), hashes


def with_bundle(operator: FakeOperator, data: bytes) -> None:
    """Let the order name this bundle, and the operator serve it."""
    sha256 = hashlib.sha256(data).hexdigest()
    operator.bundle = data
    operator.order["bundle"] = {
        "sha256": sha256,
        "size": len(data),
        "url": f"/runner/v1/bundle/{sha256}",
    }


def script(operator: FakeOperator, source: str, *params: str) -> None:
    """Let the order be this script."""
    operator.order["call"] = {"script": source, "params": list(params)}


def checked(operator: FakeOperator, sealed: dict[str, Any]) -> dict[str, Any]:
    """Return the report in an outcome file or termination message whose seal is good."""
    rest = dict(sealed)
    mac = rest.pop("mac")
    text = json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()
    assert mac == operator.mac(text)
    assert rest["v"] == 1
    assert (rest["activation"], rest["attempt"], rest["claim"]) == (12, 1, operator.claim)
    report: dict[str, Any] = rest["report"]
    return report
