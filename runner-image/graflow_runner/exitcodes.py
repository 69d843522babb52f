"""Exit codes of the runner, as `kubectl get pods` and the operator see them.

| code | meaning |
| --- | --- |
| 0 | user code returned; its outcome is committed or in the store |
| 1 | user code failed; its outcome is committed or in the store |
| 64 | the environment is incomplete or wrong, or the operator refused the run's key |
| 65 | the attempt is somebody else's or over; user code did not run, or no longer counts |
| 66 | the code bundle cannot be used; the operator was told why |
| 69 | neither the operator nor the store could be reached for as long as the runner is patient |
| 70 | the runner itself failed, or operator and runner do not speak the same protocol |
| 143 | SIGTERM ended the attempt; 137 is the kernel's, for SIGKILL and out of memory |
"""

from typing import Final

DONE: Final = 0
TASK_FAILED: Final = 1
BAD_ENVIRONMENT: Final = 64
FENCED: Final = 65
BUNDLE_UNUSABLE: Final = 66
UNREACHABLE: Final = 69
INTERNAL: Final = 70
INTERRUPTED: Final = 143
