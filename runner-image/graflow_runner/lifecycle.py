"""From the fresh interpreter to its end: signals first, then the claim, then the attempt."""

import os

from graflow_runner import exitcodes
from graflow_runner.environment import EnvironmentInvalidError, read, say
from graflow_runner.errors import Interrupted
from graflow_runner.signals import Signals

_KEY_BYTES = 1024


def main(pipe: int) -> int:
    """Claim the pod's attempt and run it; return the exit code.

    Args:
        pipe: Descriptor that the run's key comes from.
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
        from graflow_runner.claim import Claiming  # noqa: PLC0415

        claiming = Claiming(settings, key)
        claiming.start()
        import cloudpickle  # noqa: F401, PLC0415  # the functions of a program need it

        from graflow_runner.attempt import Attempt  # noqa: PLC0415

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
