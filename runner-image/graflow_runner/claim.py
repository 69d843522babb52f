"""Claiming the attempt, in a thread of its own, while the main thread imports what will run it.

The only place that has the run's key. It is never made a string: it stands in buffers that are
wiped, so that it is in no memory that user code could read later.
"""

import json
import os
import signal
import sys
import threading
from contextlib import suppress
from importlib.util import find_spec
from typing import Final, NamedTuple

from graflow_runner import exitcodes
from graflow_runner.early import version_in
from graflow_runner.environment import Settings, say
from graflow_runner.retries import GaveUpError, Patience, refusal, until_answered, words
from graflow_runner.wire import TEMPORARY_REDIRECT, Answer, Endpoint, UnreachableError, received

_PATH: Final = "/runner/v1/claim"
_JSON: Final = {"Content-Type": "application/json"}
_FENCED: Final = 409
_BAD_KEY: Final = (401, 403)
_OK: Final = 200
_NOT_FOUND: Final = 404


class Claimed(NamedTuple):
    """An attempt that is ours."""

    api: str
    """Base URL of the replica that gave the order."""

    nonce: str
    order: bytes
    """The operator's answer, JSON as it came."""


class Early(NamedTuple):
    """A claim that is under way; see `early.py`."""

    connection: int
    """Descriptor that the answer comes from."""

    nonce: str
    helper: int = 0
    """Process that speaks TLS for us, and knows the run's key; 0: there is none."""


class Claiming(threading.Thread):
    """Asks for the order until there is an answer.

    Args:
        settings: Whom to ask, and for which pod.
        key: The run's key in hex; wiped when the answer is there.
        early: The first try, if it was sent already.
    """

    def __init__(self, settings: Settings, key: bytearray, early: Early | None = None) -> None:
        super().__init__(name="graflow-claim", daemon=True)
        self._settings = settings
        self._key = key
        self._early = early
        self._result: Claimed | int = exitcodes.INTERNAL

    def result(self) -> Claimed | int:
        """Wait for the end, and return the order or an exit code; why is said by then."""
        self.join()
        return self._result

    def run(self) -> None:
        """Claim the attempt."""
        settings, early = self._settings, self._early
        nonce = early.nonce if early else os.urandom(16).hex()
        endpoint = Endpoint(settings.api, home=settings.api, ca=settings.ca)
        body = _body(settings, nonce)

        def send() -> Answer:
            first, self._early = self._early, None
            answer = _received(first, settings.api) if first else None
            if answer is not None:
                if answer.status != TEMPORARY_REDIRECT:
                    return _from_operator(answer)
                endpoint.api = endpoint.leader(answer)
            return _from_operator(
                endpoint.send("POST", _PATH, body=body, headers=_JSON, bearer=self._key)
            )

        patience = Patience("claim the attempt", settings.claim_patience_s, settings)
        try:
            answer = until_answered(send, patience)
        except GaveUpError as error:
            say(f"gave up claiming the attempt: {error}")
            self._result = exitcodes.UNREACHABLE
            return
        finally:
            self._key[:] = bytes(len(self._key))
        if answer.status == _OK:
            self._result = Claimed(endpoint.api, nonce, answer.body)
        else:
            self._result = _refused(answer)


def _received(early: Early, api: str) -> Answer | None:
    """Return the answer to an early claim; None if a helper got none, whatever the reason.

    Raises:
        UnreachableError: If there was no helper, and no answer.
    """
    try:
        return received(early.connection, api)
    except UnreachableError:
        if not early.helper:
            raise
        return None
    finally:
        if early.helper:
            with suppress(ProcessLookupError):
                os.kill(early.helper, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(early.helper, 0)


def _from_operator(answer: Answer) -> Answer:
    """Return the answer if it is the operator's: while that is replaced, others may answer there.

    Raises:
        UnreachableError: If it has no reason of the operator's.
    """
    if answer.status == _NOT_FOUND and not refusal(answer)[0]:
        raise UnreachableError("HTTP 404 from something that is not the operator")
    return answer


def _body(settings: Settings, nonce: str) -> bytes:
    return json.dumps(
        {
            "run": settings.run,
            "namespace": settings.namespace,
            "pod": {"name": settings.pod_name, "uid": settings.pod_uid},
            "nonce": nonce,
            "python": ".".join(str(part) for part in sys.version_info[:3]),
            "cloudpickle": cloudpickle_version(),
        }
    ).encode()


def _refused(answer: Answer) -> int:
    if answer.status == _FENCED:
        say(f"the attempt is not this pod's to run: {words(answer)}")
        return exitcodes.FENCED
    if answer.status in _BAD_KEY:
        say(f"the operator refuses the key in GRAFLOW_KEY: {words(answer)}")
        return exitcodes.BAD_ENVIRONMENT
    say(f"the operator does not understand the claim: {words(answer)}")
    return exitcodes.INTERNAL


def cloudpickle_version() -> str:
    """Return the installed cloudpickle's version, read from its source: importing it is slow."""
    spec = find_spec("cloudpickle")
    if spec is None or spec.origin is None:
        return ""
    return version_in(spec.origin)
