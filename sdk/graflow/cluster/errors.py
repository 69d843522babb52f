"""What can go wrong between this machine and a cluster. A run that failed is not among them.

* ClusterError
  + UnreachableError   the API server does not answer
  + ForbiddenError     it answers, and does not let us
  + NotFoundError      there is no such workflow, task or question
  + RefusedError       the workflow as sent makes no sense to the API server or the operator
  + NotFinishedError   the run has no result yet
  + WaitTimeoutError   the run has not ended in the time that somebody would wait
  + ValueLostError     a value cannot be read
"""

from graflow.exceptions import GraflowError


class ClusterError(GraflowError):
    """Base of what goes wrong between this machine and a cluster."""


class UnreachableError(ClusterError):
    """The API server does not answer, or nothing says where it is."""


class ForbiddenError(ClusterError):
    """The API server does not let us."""


class NotFoundError(ClusterError):
    """There is no such workflow, task or question."""


class RefusedError(ClusterError):
    """The workflow as sent makes no sense to the API server or the operator."""


class ConflictError(ClusterError):
    """There is an object of that name, or somebody changed it at the same time."""


class NotFinishedError(ClusterError):
    """The run has no result yet."""


class WaitTimeoutError(ClusterError, TimeoutError):
    """The run has not ended in the time that somebody would wait. It goes on."""


class ValueLostError(ClusterError):
    """A value of a run cannot be read."""
