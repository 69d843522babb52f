"""From the fresh interpreter to its end: signals first, then the claim, then the attempt."""

import os
from collections.abc import Sequence

from graflow_runner import exitcodes
from graflow_runner.environment import EnvironmentInvalidError, read, say
from graflow_runner.errors import Interrupted
from graflow_runner.signals import Signals

_KEY_BYTES = 1024


def main(pipe: int, claim: Sequence[str] = ()) -> int:
    """Claim the pod's attempt and run it; return the exit code.

    Args:
        pipe: Descriptor that the run's key comes from.
        claim: Of a claim that is under way already: the descriptor of its connection, its nonce,
            its helper.
    """
    key = _read_key(pipe)
    try:
        settings = read()
    except EnvironmentInvalidError as error:
        say(str(error))
        return exitcodes.BAD_ENVIRONMENT
    signals = Signals(settings.grace_s)
    signals.install()
    try:
        signals.begin()
        # Imported here: by now a signal is not lost. The claim is under way during the others.
        from graflow_runner.claim import Claiming, Early  # noqa: PLC0415

        early = Early(int(claim[0]), claim[1], int(claim[2])) if claim else None
        claiming = Claiming(settings, key, early)
        claiming.start()
        from graflow_runner.attempt import Attempt  # noqa: PLC0415

        if claiming.is_alive():  # then it costs nothing; otherwise it may not be needed
            import cloudpickle  # noqa: F401, PLC0415

            from graflow_runner import bundle  # noqa: F401, PLC0415

            if settings.ca:
                from graflow_runner import tls  # noqa: F401, PLC0415

        claimed = claiming.result()
        if isinstance(claimed, int):
            return claimed
        attempt = Attempt(settings, claimed, signals)
        signals.on_last_moment(attempt.give_up)
    except Interrupted:
        say("told to stop before the attempt was claimed")
        return exitcodes.INTERRUPTED
    return attempt.run()


def _read_key(pipe: int) -> bytearray:
    """Return what the first stage wrote, and leave no second copy of it in memory."""
    buffer = bytearray(_KEY_BYTES)
    key = bytearray(os.readv(pipe, [buffer]))
    os.close(pipe)
    memoryview(key)[:] = memoryview(buffer)[: len(key)]
    buffer[:] = bytes(_KEY_BYTES)
    return key
