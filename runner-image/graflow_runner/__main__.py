"""The runner's entry, twice: `python -m graflow_runner` is what a pod starts.

With the run's key in the environment this process forks. The child claims the attempt
(`claim.py`); this process replaces itself by a fresh interpreter without it (`lifecycle.py`)
and gets the order through a pipe. Nothing but `os` and `sys` is imported before that.
"""

import os
import sys

_KEY = "GRAFLOW_KEY"


def main() -> int:
    """Run the stage that the arguments and the environment ask for, and return its exit code."""
    match sys.argv[1:]:
        case [pipe, claimer] if pipe.isdecimal() and claimer.isdecimal():
            from graflow_runner import lifecycle  # noqa: PLC0415  # not needed by the first stage

            return lifecycle.main(int(pipe), int(claimer))
        case []:
            if not os.environ.get(_KEY):
                sys.stderr.write(
                    f"graflow: {_KEY} is not set. The operator sets it in the pods that it makes, "
                    "from the run's Secret; a runner is not started by hand\n"
                )
                return 64
            split()
        case arguments:
            sys.stderr.write(f"graflow: the runner takes no arguments, got {arguments!r}\n")
            return 64
    return 70


def split() -> None:
    """Fork the claiming process, and become the attempt without the key. Does not return."""
    out, into = os.pipe()
    key = os.environ.pop(_KEY)
    claimer = os.fork()
    if claimer == 0:
        code = 70
        try:
            os.close(out)
            from graflow_runner import claim  # noqa: PLC0415  # only the child needs it

            code = claim.main(key, into)
        finally:
            os._exit(code)
    os.set_inheritable(out, True)  # noqa: FBT003  # positional by definition
    # -u: user code's output is never held back. -P: modules in the working directory do not
    # take the place of those that the runner imports; user code gets its path later.
    command = [sys.executable, "-u", "-P", "-m", "graflow_runner", str(out), str(claimer)]
    os.execv(sys.executable, command)  # noqa: S606  # ourselves


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)
