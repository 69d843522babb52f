"""Examples whose tasks tell a ledger when their code begins and ends, on a cluster or here."""

import json
import subprocess
import sys
import tempfile

PRELUDE = """
import functools as _functools
import http.client as _client
import json as _json
import os as _os
import time as _time

from graflow.dsl import task as _tasks


def _tell(what, host={host!r}, port={port!r}):
    entry = {{
        "run": _os.environ["WITNESS_RUN"],
        "activation": int(_os.environ["WITNESS_ACTIVATION"]),
        "attempt": int(_os.environ["WITNESS_ATTEMPT"]),
        "what": what,
    }}
    while True:
        try:
            connection = _client.HTTPConnection(host, port, timeout=5)
            connection.request("POST", "/", _json.dumps(entry))
            connection.getresponse().read()
            return
        except OSError:
            _time.sleep(0.1)


def _witnessed(func):
    if hasattr(func, "witnessed"):
        return func

    @_functools.wraps(func)
    def witness(*args, **kwargs):
        _tell("began")
        try:
            return func(*args, **kwargs)
        finally:
            _tell("ended")

    witness.witnessed = True
    return witness


def _make(self, task_id, func, *args, **kwargs):
    _made(self, task_id, _witnessed(func), *args, **kwargs)


_made, _tasks.TaskWrapper.__init__ = _tasks.TaskWrapper.__init__, _make
"""

LOCAL = """
import json, runpy, sys
from graflow.dsl import engine, workflow

results = []
def recorded(execute):
    def call(*args, **kwargs):
        results.append(execute(*args, **kwargs))
        return results[-1]
    return call

workflow.WorkflowContext.execute = recorded(workflow.WorkflowContext.execute)
engine.WorkflowEngine.execute = recorded(engine.WorkflowEngine.execute)
sys.path.insert(0, sys.argv[1].rpartition("/")[0])
sys.stdout = sys.stderr
runpy.run_path(sys.argv[1], run_name="__main__")
json.dump(results[-1], sys.__stdout__)
"""

ENV = [
    {
        "name": f"WITNESS_{name}",
        "valueFrom": {"fieldRef": {"fieldPath": f"metadata.labels['{label}']"}},
    }
    for name, label in (
        ("RUN", "graflow.dev/workflow"),
        ("ACTIVATION", "graflow.dev/activation"),
        ("ATTEMPT", "graflow.dev/attempt"),
    )
]
"""Environment of pods, by which their code knows who it is."""


def witnessed(folder, ledger):
    """Change a copy of an example, so that its tasks tell the ledger at this address."""
    program = folder / "workflow.py"
    host, port = ledger
    program.write_text(PRELUDE.format(host=host, port=port) + program.read_text())
    return program


def local_result(program):
    """Return the value that an example has when it runs in a process of this machine."""
    with tempfile.TemporaryDirectory() as folder:  # some write beside them
        done = subprocess.run(
            [sys.executable, "-c", LOCAL, str(program)],
            capture_output=True,
            text=True,
            check=False,
            cwd=folder,
        )
    assert done.returncode == 0, f"{program}: {done.stderr}"
    return json.loads(done.stdout)
