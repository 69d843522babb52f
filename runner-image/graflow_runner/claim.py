"""Claiming the attempt, in a process of its own: the only one that ever has the run's key.

It runs beside the process that becomes the attempt, hands it the operator's order through a
pipe, and ends before user code starts. So the run's key is in no memory, environment or file
that user code could read, and asking for the order costs no time: the other process is still
importing.
"""

import json
import os
import sys
from importlib.util import find_spec
from typing import Final, NamedTuple

from graflow_runner import exitcodes
from graflow_runner.environment import EnvironmentInvalidError, Settings, read, say
from graflow_runner.retries import GaveUpError, Patience, until_answered, words
from graflow_runner.wire import Answer, Endpoint

_PATH: Final = "/runner/v1/claim"
_FENCED: Final = 409
_BAD_KEY: Final = (401, 403)
_OK: Final = 200


class Claimed(NamedTuple):
    """What the claiming process hands over."""

    api: str
    """Base URL of the replica that gave the order."""

    nonce: str
    order: bytes
    """The operator's answer, JSON as it came."""


def main(key: str, pipe: int) -> int:
    """Claim the attempt, write the order to the pipe and return the exit code.

    Args:
        key: The run's key, hex.
        pipe: Descriptor to write to; it is closed at the end.
    """
    try:
        settings = read()
        nonce = os.urandom(16).hex()
        endpoint = Endpoint(settings.api, home=settings.api, ca=settings.ca)
        answer = _ask(settings, endpoint, key, nonce)
        if answer.status != _OK:
            return _refused(answer)
        _hand_over(pipe, Claimed(endpoint.api, nonce, answer.body))
    except EnvironmentInvalidError as error:
        say(str(error))
        return exitcodes.BAD_ENVIRONMENT
    except GaveUpError as error:
        say(f"gave up claiming the attempt: {error}")
        return exitcodes.UNREACHABLE
    except BrokenPipeError:
        return exitcodes.INTERNAL  # the other process is gone and has said why
    return exitcodes.DONE


def receive(pipe: int) -> Claimed | None:
    """Return what the claiming process wrote; None when it ended without an order."""
    with os.fdopen(pipe, "rb") as stream:
        head = stream.readline()
        order = stream.read()
    if not head or not order:
        return None
    names = json.loads(head)
    return Claimed(names["api"], names["nonce"], order)


def _hand_over(pipe: int, claimed: Claimed) -> None:
    head = json.dumps({"api": claimed.api, "nonce": claimed.nonce})
    with os.fdopen(pipe, "wb") as stream:
        stream.write(head.encode() + b"\n" + claimed.order)


def _ask(settings: Settings, endpoint: Endpoint, key: str, nonce: str) -> Answer:
    body = json.dumps(
        {
            "run": settings.run,
            "namespace": settings.namespace,
            "pod": {"name": settings.pod_name, "uid": settings.pod_uid},
            "nonce": nonce,
            "python": ".".join(str(part) for part in sys.version_info[:3]),
            "cloudpickle": cloudpickle_version(),
        }
    ).encode()
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    return until_answered(
        lambda: endpoint.send("POST", _PATH, body=body, headers=headers),
        Patience("claim the attempt", settings.claim_patience_s, settings),
    )


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
    with open(spec.origin, encoding="utf-8") as source:  # noqa: PTH123  # pathlib costs 3 ms
        for line in source:
            name, _, value = line.partition("=")
            if name.strip() == "__version__":
                return value.strip().strip("\"'")
    return ""
