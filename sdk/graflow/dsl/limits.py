"""How often the nodes of a run may go round and be tried again, said by id."""

from graflow.dsl.retry import RetryPolicy
from graflow.exceptions import CycleLimitExceededError, RetryLimitExceededError


class CycleController:
    """Passes by node: the limits of a context's next run, and a counter for programs that count.

    A run counts its own passes, per scope: see `TaskExecutionContext.cycle_count`.
    """

    def __init__(self, default_max_cycles: int = 100) -> None:
        self.default_max_cycles = default_max_cycles
        self.cycle_counts: dict[str, int] = {}
        self.node_max_cycles: dict[str, int] = {}

    def set_node_max_cycles(self, node_id: str, max_cycles: int) -> None:
        """Set the limit of a node; it wins over the task's own."""
        self.node_max_cycles[node_id] = max_cycles

    def get_max_cycles_for_node(self, node_id: str) -> int:
        """Return the limit of a node, or the default."""
        return self.node_max_cycles.get(node_id, self.default_max_cycles)

    def accept_next_cycle(self, node_id: str) -> bool:
        """Return whether another pass is allowed."""
        return self.get_cycle_count(node_id) < self.get_max_cycles_for_node(node_id)

    def increment(self, node_id: str) -> int:
        """Count a pass; return how many there are now."""
        self.cycle_counts[node_id] = self.get_cycle_count(node_id) + 1
        return self.cycle_counts[node_id]

    def check_cycle_limit(self, node_id: str) -> None:
        """Refuse another pass where none is allowed.

        Raises:
            CycleLimitExceededError: If there were as many as the limit.
        """
        if not self.accept_next_cycle(node_id):
            raise CycleLimitExceededError(
                node_id, self.get_cycle_count(node_id), self.get_max_cycles_for_node(node_id)
            )

    def get_cycle_count(self, node_id: str) -> int:
        """Return the passes counted so far."""
        return self.cycle_counts.get(node_id, 0)


class RetryController:
    """Retries by node: the limits of a context's next run, and a counter for programs that count.

    A run counts its own attempts, per activation: see `TaskExecutionContext.retry_count`.
    """

    def __init__(self, default_max_retries: int = 0) -> None:
        self.default_max_retries = default_max_retries
        self.retry_counts: dict[str, int] = {}
        self.node_max_retries: dict[str, int] = {}
        self.node_policies: dict[str, RetryPolicy] = {}
        self.last_errors: dict[str, Exception] = {}

    def set_node_max_retries(self, node_id: str, max_retries: int) -> None:
        """Set the limit of a node; it wins over the task's own."""
        self.node_max_retries[node_id] = max_retries

    def set_node_policy(self, node_id: str, policy: RetryPolicy) -> None:
        """Set the policy of a node, and its limit; they win over the task's own."""
        self.node_policies[node_id] = policy
        self.node_max_retries[node_id] = policy.max_retries

    def get_policy_for_node(self, node_id: str) -> RetryPolicy | None:
        """Return the policy that was set for a node."""
        return self.node_policies.get(node_id)

    def get_max_retries_for_node(self, node_id: str) -> int:
        """Return the limit of a node, or the default."""
        return self.node_max_retries.get(node_id, self.default_max_retries)

    def accept_retry(self, node_id: str) -> bool:
        """Return whether another attempt is allowed."""
        return self.get_retry_count(node_id) < self.get_max_retries_for_node(node_id)

    def increment(self, node_id: str, error: Exception | None = None) -> int:
        """Count a retry and keep its error; return how many there are now."""
        self.retry_counts[node_id] = self.get_retry_count(node_id) + 1
        if error is not None:
            self.last_errors[node_id] = error
        return self.retry_counts[node_id]

    def check_retry_limit(self, node_id: str) -> None:
        """Refuse another attempt where none is allowed.

        Raises:
            RetryLimitExceededError: If there were as many as the limit.
        """
        if not self.accept_retry(node_id):
            raise RetryLimitExceededError(
                node_id,
                self.get_retry_count(node_id),
                self.get_max_retries_for_node(node_id),
                self.get_last_error(node_id),
            )

    def get_retry_count(self, node_id: str) -> int:
        """Return the retries counted so far."""
        return self.retry_counts.get(node_id, 0)

    def get_delay(self, node_id: str) -> float:
        """Return the wait before the retry that was counted last, in seconds."""
        policy = self.get_policy_for_node(node_id)
        return policy.get_delay(max(0, self.get_retry_count(node_id) - 1)) if policy else 0.0

    def get_last_error(self, node_id: str) -> Exception | None:
        """Return the error of the retry that was counted last."""
        return self.last_errors.get(node_id)
