"""What tasks do: their real code, run by the real runner, in a process of its own, one call a time.

A task is asked what it does next, given its order and the answers to all that it has asked so far.
It is run from its beginning each time, so it must do the same again; what it said is remembered,
and runs of one program differ little, so that hardly any code is run for most of them.
"""

import base64
import contextlib
import hashlib
import io
import json
import multiprocessing
import random
import re
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from types import SimpleNamespace


@dataclass(frozen=True)
class Action:
    """What a task does next."""

    kind: str
    """ "call", "fetch", "upload", or "report", which is the last."""

    path: str = ""
    body: bytes = b""
    """Of a call; of an upload the bytes, of a report the report."""


class _Next(BaseException):
    """Ends a task where nobody knows the answer yet."""

    def __init__(self, action):
        self.action = action


class _Asker:
    """Stands for the operator in the runner: answers what is known, ends the task at what is not.

    What is called while the task ends, as to give a lock back, is no news."""

    def __init__(self, answers, code):
        self._answers = list(answers)
        self._code = code
        self._asked = None
        self.waited_s = 0.0
        """For answers of people: all the time that passes while a task runs."""

    def _ask(self, action):
        if self._asked is None and self._answers:
            return self._answers.pop(0)
        self._asked = self._asked or action
        raise _Next(self._asked)

    def user_code_begins(self):
        pass

    def bundle(self, sha256):
        return self._code

    def results(self, names, *, source):
        body = json.dumps({"names": names, "from": source}).encode()
        return json.loads(self._ask(Action("call", "results", body)))["names"]

    def visible(self):
        body = json.dumps({"names": [], "from": "visible"}).encode()
        return json.loads(self._ask(Action("call", "results", body)))["visible"]

    def channel(self, body):
        return json.loads(self._ask(Action("call", "channel", json.dumps(body).encode())))

    def call(self, path, body):
        return json.loads(self._ask(Action("call", path, json.dumps(body).encode())) or b"{}")

    def ask(self, body):
        found = json.loads(self._ask(Action("call", "ask", json.dumps(body).encode())))
        if found["answer"] is None:
            self.waited_s += body["waitSeconds"]
        return found

    def keep(self, key, value):
        body = {"key": key, "value": value}
        self._ask(Action("call", "keep", json.dumps(body).encode()))

    def address(self, sha256):
        raise AssertionError("addresses never run out here")

    def upload(self, data, sha256):
        self._ask(Action("upload", sha256, data))

    def fetch(self, blob):
        return self._ask(Action("fetch", blob["sha256"]))


def step(order, answers, code, folder):
    """Return the next action of a task; runs in the process of the player."""
    from graflow_runner import failure, outcome, people
    from graflow_runner.environment import Settings
    from graflow_runner.work import Work

    text, order = order, json.loads(order)
    settings = Settings("http://operator", "pod", "uid", "team", "run", code_dir=folder)
    asker = _Asker(answers, code)
    work = Work(order, asker, settings, lambda seconds: None)
    work._fetch = asker.fetch
    people.time = SimpleNamespace(monotonic=lambda: asker.waited_s)
    # Of one attempt chance does the same each time, and of another one something else.
    random.seed(text)
    random._urandom = random.Random(text).randbytes
    silence = io.StringIO()
    try:
        with contextlib.redirect_stdout(silence), contextlib.redirect_stderr(silence):
            done = work.run()
        ended = outcome.success(done.value, done.directives)
        for leaf in ended.too_large(order["limits"]["inlineBytes"]):
            if not leaf.is_stored:
                asker.upload(leaf.value.data, leaf.description["sha256"])
                leaf.is_stored = True
    except _Next as found:
        return found.action
    except Exception as error:  # noqa: BLE001 - whatever user code raises is its outcome
        ended = outcome.Outcome(failure.report_of(error, work.may_retry))
    except BaseException:
        if not work.has_parked:
            raise
    if work.has_parked:
        ended = outcome.parked(work.waits_for)
    return Action("report", body=ended.inline())


class Player:
    """Plays the tasks of one program.

    Args:
        code: The zip of its bundle; empty if it has none.
        folder: Where its files are unpacked.
    """

    def __init__(self, code, folder=None):
        self._code = code
        self._folder = folder or tempfile.mkdtemp(prefix="graflow-player-")
        self._pool = None
        self._known = {}
        self.ran = 0
        """How often code was run."""

    def close(self):
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None

    def next(self, order, answers):
        """Return what a task does next.

        Args:
            order: The order, as the operator gave it.
            answers: Bytes of the answers so far.
        """
        said = json.loads(order)
        said.pop("attemptKey", None)
        said.pop("outcome", None)
        text = _timeless(json.dumps(said, sort_keys=True).encode()).decode()
        answers = [_timeless(answer) for answer in answers]
        key = hashlib.sha256(text.encode())
        for answer in answers:
            key.update(hashlib.sha256(answer).digest())
        found = self._known.get(key.digest())
        if found is None:
            self._pool = self._pool or ProcessPoolExecutor(
                1, mp_context=multiprocessing.get_context("fork")
            )
            self.ran += 1
            job = self._pool.submit(step, text, answers, self._code, self._folder)
            found = self._known[key.digest()] = job.result()
        return found


def _timeless(text):
    """Return what somebody is told, without when people answered: no program here looks at it."""
    return re.sub(rb'"respondedAt": "[^"]*"', b'"respondedAt": "2026-01-01T00:00:00.000Z"', text)


def bundle_bytes(resource):
    return base64.b64decode(resource["spec"]["zip"])
