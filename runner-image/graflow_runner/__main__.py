"""The runner's entry, twice: `python -m graflow_runner` is what a pod starts, or this file.

With the run's key in the environment this process puts it into a pipe and replaces itself by a
fresh interpreter, so that the key is in no environment that user code could read, not even in
`/proc`. Nothing but `os` and `sys` is imported before that. The fresh one is `lifecycle.py`.
"""

import os
import sys

_KEY = "GRAFLOW_KEY"


def main() -> int:
    """Run the stage that the arguments and the environment ask for, and return its exit code."""
    match sys.argv[1:]:
        case [pipe] if pipe.isdecimal():
            from graflow_runner import lifecycle  # noqa: PLC0415  # not needed by the first stage

            return lifecycle.main(int(pipe))
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
    out, into = os.pipe()
    os.write(into, os.environ.pop(_KEY).encode())
    os.close(into)
    os.set_inheritable(out, True)  # noqa: FBT003  # positional by definition
    # -u: user code's output is never held back. -P: modules in the working directory do not
    # take the place of those that the runner imports; user code gets its path later. The file
    # instead of `-m`: that would import `runpy`.
    command = [sys.executable, "-u", "-P", __file__, str(out)]
    os.execv(sys.executable, command)  # noqa: S606  # ourselves


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)
