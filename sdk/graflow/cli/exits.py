"""Exit codes of every command."""

from enum import IntEnum

from graflow.exceptions import GraflowError, GraflowRuntimeError


class Exit(IntEnum):
    """What a command says to the shell."""

    OK = 0
    FAILED = 1
    INVALID = 2
    CLUSTER = 3
    NOT_FOUND = 4
    NOT_ENDED = 5
    INTERRUPTED = 130


MEANINGS = {
    Exit.OK: "done; the run, if there was one, succeeded",
    Exit.FAILED: "the run failed or was cancelled, or the program raised an exception",
    Exit.INVALID: "the command line, the program or the workflow makes no sense",
    Exit.CLUSTER: "the cluster cannot be reached, or does not let us",
    Exit.NOT_FOUND: "there is no such workflow, task or question",
    Exit.NOT_ENDED: "the run has no result yet",
    Exit.INTERRUPTED: "Ctrl-C; a run on a cluster goes on",
}


def exit_of(error: GraflowError) -> Exit:
    """Return the exit code of an error that ends a command."""
    if isinstance(error, GraflowRuntimeError):
        return Exit.FAILED
    # Imported here: `graflow --help` needs nothing of it.
    from graflow.cluster import errors  # noqa: PLC0415

    match error:
        case errors.NotFoundError():
            return Exit.NOT_FOUND
        case errors.NotFinishedError() | errors.WaitTimeoutError():
            return Exit.NOT_ENDED
        case errors.RefusedError() | errors.ConflictError():
            return Exit.INVALID
        case errors.ClusterError():
            return Exit.CLUSTER
        case _:
            return Exit.INVALID
