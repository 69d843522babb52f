"""The runner's entry, twice: `python -m graflow_runner` is what a pod starts, or this file.

With the run's key in the environment this process sends the claim, puts the key into a pipe and
replaces itself by a fresh interpreter, so that the key is in no environment that user code could
read, not even in `/proc`. Only what is built in is imported before that. The fresh one is
`lifecycle.py`; it starts while the operator answers.
"""

import _signal  # type: ignore[import-not-found]  # `signal` makes enumerations, which takes long
import os
import sys

_KEY = "GRAFLOW_KEY"


def main() -> int:
    """Run the stage that the arguments and the environment ask for, and return its exit code."""
    match sys.argv[1:]:
        case [pipe, *claim] if pipe.isdecimal():
            from graflow_runner import lifecycle  # noqa: PLC0415  # not needed by the first stage

            return lifecycle.main(int(pipe), claim)
        case []:
            if os.environ.get(_KEY):
                begin_again()
            sys.stderr.write(
                f"graflow: {_KEY} is not set. The operator sets it in the pods that it makes, "
                "from the run's Secret; a runner is not started by hand\n"
            )
        case arguments:
            sys.stderr.write(f"graflow: the runner takes no arguments, got {arguments!r}\n")
    return 64


def begin_again() -> None:
    """Become a fresh interpreter that gets the key from a pipe. Does not return."""
    # Held until somebody listens: as PID 1 this process would never hear of it.
    _signal.pthread_sigmask(_signal.SIG_BLOCK, {_signal.SIGTERM})
    key = os.environ.pop(_KEY)
    # Without site nobody else says where the runner is.
    sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100, PTH120
    from graflow_runner import early  # noqa: PLC0415  # not needed by the second stage

    sent = early.send(os.environ, key)
    out, into = os.pipe()
    os.write(into, key.encode())
    os.close(into)
    os.set_inheritable(out, True)  # noqa: FBT003  # positional by definition
    # -u: user code's output is never held back. -P: modules in the working directory do not
    # take the place of those that the runner imports; user code gets its path later. The file
    # instead of `-m`: that would import `runpy`.
    arguments = [str(out), *(str(part) for part in sent or ())]
    command = [sys.executable, "-u", "-P", __file__, *arguments]
    os.execv(sys.executable, command)  # noqa: S606  # ourselves


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)
