"""Every error a user of Graflow can meet, and where it can be imported from.

* GraflowError                         `.cause` is the error behind it, if there was one
  + ConfigError                        an option has a value that cannot work
  + GraphCompilationError              the workflow as drawn cannot run; says what to draw
    - DuplicateTaskError               two tasks of one workflow have the same id
  + AnswerRefusedError                 a question is not open, or that is no answer to it; also a
                                       ValueError
  + CheckpointError                    a checkpoint cannot be taken, or is none that can be read
  + UnknownTaskError                   a name that no task of the workflow has; also a KeyError
  + UnknownAgentError                  a name that no agent of the run has; also a KeyError
  + MissingPackageError                an optional package is not installed; also an ImportError
  + NonRetryableError                  raised by user code: another attempt cannot help
    - QuestionError                    a question that cannot be asked like that; also a ValueError
  + GraflowRuntimeError                a run failed; the original error is also `__cause__`
    - TaskError                        raised by user code that names the task it fails in
    - ArgumentError                    a parameter of a task found no value; not tried again
    - RetryLimitExceededError          a task failed in its last attempt as well
    - CycleLimitExceededError          a task asked for more passes than its `max_cycles`
    - InvalidTransitionError           a task asked for a move that cannot be made
    - MaxStepsExceededError            the run took more steps than its `max_steps`
    - ParallelGroupError               the policy of a parallel group was not met
    - GraflowWorkflowCanceledError     the run was cancelled
    - FeedbackTimeoutError             nobody has answered a question until its deadline
    - QuestionChangedError             a question was asked before in other words
    - RemoteRunError                   of graflow.cluster.failures: a task failed in its pod, whose
                                       traceback is in the message
  + ValueNotSerializableError          of graflow.values: a value cannot go to another process
  + PromptError                        of graflow.prompts.exceptions
    - PromptNotFoundError              there is no prompt of that name
    - PromptVersionNotFoundError       it has no such label or version
    - PromptCompilationError           its template does not render: a variable is missing
    - PromptConfigurationError         its file, or the manager's settings, make no sense
    - PromptTypeError                  a text prompt was asked for as chat, or the other way round
  + CompileError                       of graflow.compile.errors: the program cannot be sent
    - FilesError                       a file that should travel cannot
    - BundleTooLargeError              code and files are more than a CodeBundle holds
    - CaptureError                     a task uses a variable that cannot travel
    - UnsupportedError                 it asks for what is not there on a cluster
  + ClusterError                       of graflow.cluster.errors: between here and a cluster
    - UnreachableError                 the API server does not answer
    - ForbiddenError                   it answers, and does not let us
    - NotFoundError                    there is no such workflow
    - RefusedError                     the workflow as sent makes no sense to the operator
    - ConflictError                    an object of that name exists, or was changed meanwhile
    - NotFinishedError                 the run has no result yet
    - WaitTimeoutError                 it has not ended in the time that somebody would wait
    - ValueLostError                   a value of a run cannot be read
"""

from collections.abc import Iterable, Sequence


class GraflowError(Exception):
    """Base of all errors raised by Graflow. The error behind it, if any, is `.cause`."""

    def __init__(self, message: str = "", cause: BaseException | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.cause = cause
        if cause is not None:
            self.__cause__ = cause

    def __str__(self) -> str:
        if self.cause is None:
            return self.message
        return f"{self.message} (caused by {words_of(self.cause)})"

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.message, self.cause)


class ConfigError(GraflowError):
    """An option has a value that cannot work."""


class GraphCompilationError(GraflowError):
    """The workflow as drawn cannot run."""


class DuplicateTaskError(GraphCompilationError):
    """Two tasks of one workflow have the same id."""

    def __init__(self, task_id: str) -> None:
        super().__init__(
            f"Duplicate task ID: the workflow has a task {task_id!r} already; "
            f"give one of the two another id, as in @task(id=…) or {task_id}(task_id=…)"
        )
        self.task_id = task_id

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.task_id,)


class NonRetryableError(GraflowError):
    """Raised by user code to say that another attempt cannot help."""


class QuestionError(NonRetryableError, ValueError):
    """A question to a person that cannot be asked like that; nobody has been asked."""


class AnswerRefusedError(GraflowError, ValueError):
    """A question is not open any more, or what was given is no answer to it."""


class CheckpointError(GraflowError):
    """A checkpoint cannot be taken, or what was to be read is none that this version reads."""


class UnknownTaskError(GraflowError, KeyError):
    """A name that no task of the workflow has."""

    def __init__(self, name: str, known: Iterable[str] = (), where: str = "the workflow") -> None:
        self.name = name
        self.known = tuple(known)
        self.where = where
        super().__init__(f"task {name!r} is not in {where}; {hint(name, self.known)}")

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.name, self.known, self.where)


class UnknownAgentError(GraflowError, KeyError):
    """A name that no agent of the run has."""

    def __init__(self, name: str, known: Iterable[str] = ()) -> None:
        self.name = name
        self.known = tuple(known)
        super().__init__(
            f"no agent {name!r} is registered; {hint(name, self.known)} (register one with "
            f"wf.register_llm_agent({name!r}, agent))"
        )

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.name, self.known)


class MissingPackageError(GraflowError, ImportError):
    """An optional package is not installed."""

    def __init__(self, package: str, wanted_by: str, way_out: str | None = None) -> None:
        super().__init__(f"{wanted_by} needs {package}; {way_out or f'pip install {package}'}")
        self.package = package
        self.wanted_by = wanted_by
        self.way_out = way_out

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.package, self.wanted_by, self.way_out)


class GraflowRuntimeError(GraflowError):
    """A run failed. The original error, if there was one, is `.cause` and `__cause__`."""

    def __init__(self, message: str, cause: BaseException | None = None) -> None:
        super().__init__(message, cause)
        self.__cause__ = cause
        self.context: object = None
        """The `ExecutionContext` of a run on this machine that failed: what it left."""


class TaskError(GraflowRuntimeError):
    """Raised by user code that wants to name the task it fails in."""

    def __init__(self, task_id: str, message: str, cause: BaseException | None = None) -> None:
        super().__init__(message, cause)
        self.task_id = task_id

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.task_id, self.message, self.cause)


class ArgumentError(GraflowRuntimeError):
    """A parameter of a task found no value. Another attempt would find none either."""


class MaxStepsExceededError(GraflowRuntimeError):
    """The run took more steps than its `max_steps`."""


class RetryLimitExceededError(GraflowRuntimeError):
    """A task failed in its last attempt as well."""

    def __init__(
        self,
        task_id: str,
        retry_count: int,
        max_retries: int,
        last_error: BaseException | None = None,
    ) -> None:
        super().__init__(
            f"Task {task_id!r} failed in all of its {max_retries + 1} attempts", last_error
        )
        self.task_id = task_id
        self.retry_count = retry_count
        self.max_retries = max_retries
        self.last_error = last_error

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.task_id, self.retry_count, self.max_retries, self.last_error)


class CycleLimitExceededError(GraflowRuntimeError):
    """A task asked for more passes than its `max_cycles`."""

    def __init__(self, task_id: str, cycle_count: int, max_cycles: int) -> None:
        super().__init__(
            f"Task {task_id!r} has made {cycle_count} passes; its max_cycles is {max_cycles}"
        )
        self.task_id = task_id
        self.cycle_count = cycle_count
        self.max_cycles = max_cycles

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.task_id, self.cycle_count, self.max_cycles)


class InvalidTransitionError(GraflowRuntimeError):
    """A task asked for a move that cannot be made, such as a jump to the group that it runs in."""


class ParallelGroupError(GraflowRuntimeError):
    """The policy of a parallel group was not met."""

    def __init__(
        self,
        message: str,
        group_id: str,
        failed_tasks: Sequence[tuple[str, str]],
        successful_tasks: Sequence[str],
        cause: BaseException | None = None,
    ) -> None:
        super().__init__(message, cause)
        self.group_id = group_id
        self.failed_tasks = list(failed_tasks)
        """(member, message) of each branch that failed, in the order of the members."""
        self.successful_tasks = list(successful_tasks)
        """Members whose branches succeeded, in their order."""

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (
            self.message,
            self.group_id,
            self.failed_tasks,
            self.successful_tasks,
            self.cause,
        )


class GraflowWorkflowCanceledError(GraflowRuntimeError):
    """The run was cancelled, by a task or from outside."""

    def __init__(self, message: str, task_id: str | None = None) -> None:
        super().__init__(message)
        self.task_id = task_id

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.message, self.task_id)


class FeedbackTimeoutError(GraflowRuntimeError):
    """Nobody has answered a question until its deadline, or it was withdrawn.

    Where it leaves a task, a run on this machine is suspended; on a cluster the task has failed.
    """

    def __init__(self, feedback_id: str, timeout: float | None, why: str = "") -> None:
        shown = "" if timeout is None else f" after {timeout:g} seconds"
        told = f": {why}" if why else f" timed out{shown}"
        super().__init__(f"Feedback request {feedback_id}{told}")
        self.feedback_id = feedback_id
        self.timeout = timeout
        self.why = why
        """Why nobody answers, if it is not the deadline."""

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.feedback_id, self.timeout, self.why)


class QuestionChangedError(GraflowRuntimeError):
    """A question was asked before in other words: an answer counts for what was shown alone."""

    def __init__(self, key: str, task_id: str) -> None:
        super().__init__(
            f"question {key!r} of task {task_id!r} was asked in other words before, and an answer "
            "counts for what was shown alone; keep what it says with ctx.step, or give each "
            "question a key of its own"
        )
        self.key = key
        self.task_id = task_id

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.key, self.task_id)


def as_runtime_error(error: BaseException) -> GraflowRuntimeError:
    """Return an error of user code as a run tells it; one that is told already stays as it is."""
    if isinstance(error, GraflowRuntimeError):
        return error
    return GraflowRuntimeError(f"An error occurred: {words_of(error)}", error)


def words_of(error: BaseException) -> str:
    """Return what an exception says, whatever its own `__str__` does; if nothing, its type.

    >>> words_of(ValueError("no")), words_of(ValueError())
    ('no', 'ValueError')
    >>> words_of(SystemExit(3))
    'the task called sys.exit(3); return a value, or raise an exception'
    """
    if isinstance(error, SystemExit):
        return _words_of_exit(error.code)
    try:
        return str(error) or type(error).__name__
    except Exception as broken:  # noqa: BLE001 - it may raise anything
        return f"(its text cannot be shown: {type(broken).__qualname__})"


def _words_of_exit(code: object) -> str:
    code = 0 if code is None else code
    if isinstance(code, int):
        return f"the task called sys.exit({code}); return a value, or raise an exception"
    return f"the task called sys.exit with {code!r}"


def hint(name: str, known: Iterable[str]) -> str:
    """Return the way out of a wrong name: the nearest one, or those that there are.

    >>> hint("fecth", ["fetch", "load"])
    "did you mean 'fetch'?"
    >>> hint("x", ["fetch", "load"])
    'there are: fetch, load'
    """
    from difflib import get_close_matches  # noqa: PLC0415  # errors only

    names = sorted(known)
    near = get_close_matches(name, names, n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"there are: {', '.join(names)}" if names else "there are none"
