"""Every reason that a phase, a wait or an error can carry, in one place.

A reason is one PascalCase word that programs may compare; the message beside it is for people.
"""

from typing import Final

TASK_FAILED: Final = "TaskFailed"
"""User code raised an exception."""

SYSTEM_EXIT: Final = "SystemExit"
"""User code called `sys.exit`."""

NO_REPORT: Final = "NoReport"
"""The process ended with code 0 and without saying how user code ended, as after `os._exit(0)`."""

EXIT_CODE: Final = "ExitCode"
"""The container ended with a code other than 0."""

KILLED: Final = "Killed"
"""A signal ended the process, and no infrastructure fault explains it."""

OOM_KILLED: Final = "OOMKilled"
"""The container used more memory than its limit; the task's own fault."""

DEADLINE_EXCEEDED: Final = "DeadlineExceeded"
"""The time limit of the attempt or of the run has passed."""

ARGUMENTS_MISSING: Final = "ArgumentsMissing"
"""A parameter of the task has no value (A2); another attempt cannot help."""

VALUE_NOT_SERIALIZABLE: Final = "ValueNotSerializable"
"""The task returned something that cannot go to another process."""

INTERRUPTED: Final = "Interrupted"
"""The runner was told to stop (SIGTERM) while user code ran."""

PARALLEL_GROUP_FAILED: Final = "ParallelGroupFailed"
"""A group's branches did not end as its policy asks."""

MAX_STEPS_EXCEEDED: Final = "MaxStepsExceeded"
"""The run made more activations than `maxSteps` allows (R8)."""

CANCELLED: Final = "Cancelled"
"""Somebody, or a task, asked for the run to end."""

TERMINATED: Final = "Terminated"
"""A task ended the run as succeeded (`terminate_workflow`)."""

CYCLE_LIMIT_EXCEEDED: Final = "CycleLimitExceeded"
"""A task asked for another pass after `max_cycles` of them (T2)."""

INVALID_TRANSITION: Final = "InvalidTransition"
"""A task asked for a move that cannot be made, such as a jump to a task that nobody knows."""

INVALID: Final = "Invalid"
"""The Workflow as written cannot run."""

STORE_REQUIRED: Final = "StoreRequired"
"""The run outgrew what a Workflow object can hold, and no store is configured."""

BUNDLE_CORRUPT: Final = "BundleCorrupt"
"""The code bundle's bytes do not have the sha256 that the Workflow names."""

PYTHON_VERSION_MISMATCH: Final = "PythonVersionMismatch"
"""The program's functions were pickled by a Python that the runner image does not have."""

POD_LOST: Final = "PodLost"
"""The attempt's pod is gone, and nothing says how it ended."""

EVICTED: Final = "Evicted"
"""The kubelet or the scheduler took the pod away."""

NODE_LOST: Final = "NodeLost"
"""The pod's node is gone."""

RUNNER_FAILED: Final = "RunnerFailed"
"""The runner itself could not do its work; user code is not at fault."""

START_FAILED: Final = "StartFailed"
"""The container could not be started."""

WAITING_FOR_TURN: Final = "WaitingForTurn"
"""Another activation of the same task runs first (R4)."""

PARALLELISM: Final = "Parallelism"
"""As many tasks run as `parallelism` allows."""

SUSPENDED: Final = "Suspended"
"""`spec.suspend` is true: nothing new starts."""

HOLDING: Final = "Holding"
"""The task has succeeded, and waits for the tasks that it has made (T5)."""

BACKOFF: Final = "BackOff"
"""The last attempt failed; the next one starts at a later moment."""

STORE_UNAVAILABLE: Final = "StoreUnavailable"
"""The store does not answer; the run goes on when it does."""

BUNDLE_MISSING: Final = "BundleMissing"
"""The CodeBundle that the Workflow names does not exist yet."""

POD_PENDING: Final = "PodPending"
"""The pod exists and its container does not run yet."""

UNSCHEDULABLE: Final = "Unschedulable"
"""The scheduler finds no node for the pod."""

IMAGE_PULL: Final = "ImagePull"
"""The container's image cannot be pulled."""

SCHEDULING_GATED: Final = "SchedulingGated"
"""The pod has scheduling gates, which a queue such as Kueue has to take off."""

PROFILE_MISSING: Final = "ProfileMissing"
"""The RunnerProfile that the task names does not exist yet."""

PROFILE_INVALID: Final = "ProfileInvalid"
"""The RunnerProfile that the task names makes no sense; the task goes on when it is mended."""

POD_REFUSED: Final = "PodRefused"
"""The API server refuses to create the pod: quota, admission or permissions."""

RESULT_TRUNCATED: Final = "ResultTruncated"
"""A container's result fills its termination message, so the end of it is lost."""

INPUT_UNUSABLE: Final = "InputUnusable"
"""An input of a container task is too large for its environment, or is no JSON."""

STATE_UNREADABLE: Final = "StateUnreadable"
"""The run's state was written by another version, or is damaged; the operator cannot go on."""

OPERATOR_FAILED: Final = "OperatorFailed"
"""The operator meets an error of its own whenever it drives the run; its log says which."""
