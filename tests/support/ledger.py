"""A ledger outside of the cluster, into which every attempt writes that its user code ran.

What it says is compared with what the Workflows say: it knows nothing of the operator, and the
operator nothing of it.
"""

import http.server
import json
import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus

from support.sightings import activations

BEGAN, ENDED = "began", "ended"
DECIDED = ("Succeeded", "Failed", "Holding")
"""Phases of an activation whose own attempt is over; one that holds waits for what it has made."""


@dataclass(frozen=True)
class Entry:
    """What one attempt wrote."""

    at: float
    """When it came, in seconds since the epoch."""

    run: str
    activation: int
    attempt: int
    what: str


class Ledger:
    """Listens on an address of this machine which the cluster's pods reach."""

    def __init__(self, address):
        self.entries = []
        ledger = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                ledger.entries.append(Entry(time.time(), **body))
                self.send_response(HTTPStatus.NO_CONTENT)
                self.end_headers()

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer((address, 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def address(self):
        return self._server.server_address

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()


@dataclass
class Verdict:
    """What ledger and Workflows say together."""

    activations: int = 0
    attempts: int = 0
    """Attempts whose user code began."""

    repeated: int = 0
    """Activations of which more than one attempt began, each before anything was committed."""

    ran_on: int = 0
    """Attempts of which user code was still running when another one's success was committed, as
    the code of a pod may that was deleted without grace."""

    faults: list = field(default_factory=list)
    """What must not be, in words."""

    again: set = field(default_factory=set)
    """Runs of which an activation has begun more than once."""


@dataclass(frozen=True)
class Commit:
    """That an activation has succeeded or failed for good."""

    attempt: int
    at: float
    """When that was seen, or said; in seconds since the epoch."""


def commits(versions):
    """Return the commit of each activation of a run that its versions show.

    Args:
        versions: When each version of its status came, and that status, in order.
    """
    found, alive = {}, {}
    for at, status in versions:
        if (status.get("cursor") or {}).get("state") is not None:
            now = {one["number"]: one for one in activations(status)}
            over = [n for n in alive if n not in now or now[n].get("phase") in DECIDED]
            for number in over:
                found.setdefault(number, Commit(alive[number].get("attempt", 1), at))
            alive = now
        for task in status.get("tasks", ()):
            if task["phase"] in DECIDED and "completionTime" in task and "attempt" in task:
                said = Commit(task["attempt"], seconds(task["completionTime"]))
                found[task["activation"]] = said
    return found


def judged(entries, committed):
    """Compare what attempts wrote with what was committed.

    Args:
        entries: Of the ledger.
        committed: By run, the commits of its activations; every run has ended.
    """
    found = Verdict()
    of = defaultdict(list)
    for entry in entries:
        of[entry.run, entry.activation].append(entry)
    found.activations = len(of)
    for (run, activation), mine in sorted(of.items()):
        began = Counter(entry.attempt for entry in mine if entry.what == BEGAN)
        found.attempts += len(began)
        where = f"{run}, activation {activation}"
        found.faults += [
            f"{where}: attempt {n} ran user code {times} times"
            for n, times in began.items()
            if times > 1
        ]
        if len(began) > 1:
            found.again.add(run)
            found.repeated += 1
        commit = committed.get(run, {}).get(activation)
        if commit is None:
            found.faults.append(f"{where} ran user code, and its run says nothing of it")
        else:
            _compare(found, where, commit, mine)
    return found


def _compare(found, where, commit, mine):
    """Look at what one activation's attempts did around its commit."""
    if commit.attempt not in {entry.attempt for entry in mine if entry.what == BEGAN}:
        words = f"attempt {commit.attempt} is committed, and never ran user code"
        found.faults.append(f"{where}: {words}")
    for entry in mine:
        if entry.at <= commit.at:
            continue
        if entry.what == BEGAN:
            late = entry.at - commit.at
            words = f"attempt {entry.attempt} began {late:.3f} s after {commit.attempt}'s commit"
            found.faults.append(f"{where}: {words}")
        elif entry.attempt != commit.attempt:
            found.ran_on += 1


def seconds(text):
    """Return a time of RFC 3339 in seconds since the epoch."""
    return datetime.fromisoformat(text).timestamp()
