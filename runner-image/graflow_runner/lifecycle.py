"""The second stage: ready for SIGTERM first, then imports while the claim is under way, then work."""

import os
import signal

from graflow_runner import exitcodes
from graflow_runner.environment import EnvironmentInvalidError, read, say
from graflow_runner.errors import Interrupted
from graflow_runner.signals import Signals


def main(pipe: int, claimer: int) -> int:
    """Run the attempt that the claiming process gets the order for, and return the exit code.

    Args:
        pipe: Descriptor that the order comes from.
        claimer: Process id of the claiming process.
    """
    try:
        settings = read()
    except EnvironmentInvalidError:
        return _exit_code(claimer)  # the claiming process found the same, and said it
    signals = Signals(settings.grace_s)
    signals.install()
    try:
        signals.begin()
        # Imported here: by now a signal is not lost, and the claim is under way meanwhile.
        from graflow_runner.attempt import Attempt  # noqa: PLC0415
        from graflow_runner.claim import receive  # noqa: PLC0415

        claimed = receive(pipe)
        code = _exit_code(claimer)
        if claimed is None or code != exitcodes.DONE:
            return code or exitcodes.INTERNAL
        attempt = Attempt(settings, claimed, signals)
        signals.on_last_moment(attempt.give_up)
    except Interrupted:
        say("told to stop before the attempt was claimed")
        os.kill(claimer, signal.SIGKILL)
        return exitcodes.INTERRUPTED
    return attempt.run()


def _exit_code(process: int) -> int:
    _, status = os.waitpid(process, 0)
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        say(f"the process that claims the attempt was ended by signal {-code}")
        return exitcodes.INTERNAL
    return code
