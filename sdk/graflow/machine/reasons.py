"""Every reason that a phase, a wait or an error can carry, in one place.

A reason is one PascalCase word that programs may compare; the message beside it is for people.
What each means, whose fault it is and what to do about it is in `graflow.machine.faults`.
"""

from typing import Final

# The program's own (user_faults).
TASK_FAILED: Final = "TaskFailed"
SYSTEM_EXIT: Final = "SystemExit"
NO_REPORT: Final = "NoReport"
EXIT_CODE: Final = "ExitCode"
KILLED: Final = "Killed"
OOM_KILLED: Final = "OOMKilled"
EPHEMERAL_STORAGE_EXCEEDED: Final = "EphemeralStorageExceeded"
START_FAILED: Final = "StartFailed"
DEADLINE_EXCEEDED: Final = "DeadlineExceeded"
ARGUMENTS_MISSING: Final = "ArgumentsMissing"
VALUE_NOT_SERIALIZABLE: Final = "ValueNotSerializable"
RESULT_TRUNCATED: Final = "ResultTruncated"
INPUT_UNUSABLE: Final = "InputUnusable"
PARALLEL_GROUP_FAILED: Final = "ParallelGroupFailed"
MAX_STEPS_EXCEEDED: Final = "MaxStepsExceeded"
CYCLE_LIMIT_EXCEEDED: Final = "CycleLimitExceeded"
INVALID_TRANSITION: Final = "InvalidTransition"
INVALID: Final = "Invalid"
RESUME_REFUSED: Final = "ResumeRefused"
RUN_ID_TAKEN: Final = "RunIdTaken"
ADOPTED: Final = "Adopted"
CANCELLED: Final = "Cancelled"
TERMINATED: Final = "Terminated"

# Of the infrastructure: attempts that were taken away (cluster_faults).
POD_LOST: Final = "PodLost"
POD_DELETED: Final = "PodDeleted"
EVICTED: Final = "Evicted"
PREEMPTED: Final = "Preempted"
NODE_LOST: Final = "NodeLost"
NODE_SHUTDOWN: Final = "NodeShutdown"
NODE_REFUSED: Final = "NodeRefused"
INTERRUPTED: Final = "Interrupted"
RUNNER_FAILED: Final = "RunnerFailed"

# Of the configuration: pods that cannot be had (cluster_faults).
IMAGE_PULL: Final = "ImagePull"
CONFIG_MISSING: Final = "ConfigMissing"
CREATE_CONTAINER_ERROR: Final = "CreateContainerError"
QUOTA_EXCEEDED: Final = "QuotaExceeded"
ADMISSION_DENIED: Final = "AdmissionDenied"
POD_SECURITY: Final = "PodSecurity"
FORBIDDEN: Final = "Forbidden"
NAMESPACE_TERMINATING: Final = "NamespaceTerminating"
POD_REFUSED: Final = "PodRefused"
POD_INVALID: Final = "PodInvalid"
PROFILE_MISSING: Final = "ProfileMissing"
PROFILE_INVALID: Final = "ProfileInvalid"
STORE_REQUIRED: Final = "StoreRequired"
BUNDLE_CORRUPT: Final = "BundleCorrupt"
OBJECT_CORRUPT: Final = "ObjectCorrupt"
PYTHON_VERSION_MISMATCH: Final = "PythonVersionMismatch"

# Waits (waits).
WAITING_FOR_TURN: Final = "WaitingForTurn"
WAITING_FOR_TASKS: Final = "WaitingForTasks"
"""Tasks that come before it have not ended yet."""

NO_OPERATOR: Final = "NoOperator"
"""No operator has taken the Workflow yet."""

PARALLELISM: Final = "Parallelism"
NAMESPACE_LIMIT: Final = "NamespaceLimit"
SUSPENDED: Final = "Suspended"
HOLDING: Final = "Holding"
BACKOFF: Final = "BackOff"
POD_PENDING: Final = "PodPending"
UNSCHEDULABLE: Final = "Unschedulable"
SCHEDULING_GATED: Final = "SchedulingGated"
QUOTA_USED: Final = "QuotaUsed"
WEBHOOK_UNAVAILABLE: Final = "WebhookUnavailable"
STORE_UNAVAILABLE: Final = "StoreUnavailable"
BUNDLE_MISSING: Final = "BundleMissing"
STATE_UNREADABLE: Final = "StateUnreadable"
OPERATOR_FAILED: Final = "OperatorFailed"
