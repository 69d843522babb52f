"""How often and how patiently a failed task is tried again."""

from dataclasses import dataclass, replace

from graflow.dsl.checks import at_least, whole
from graflow.exceptions import ConfigError, NonRetryableError
from graflow.machine.plan import Retry
from graflow.machine.retry import backoff_s


@dataclass(frozen=True)
class RetryPolicy:
    """What to do when a task fails. Times are seconds."""

    max_retries: int = 0
    """Attempts after the first one."""

    initial_interval: float = 1.0
    """Wait before the second attempt."""

    backoff_factor: float = 2.0
    """What each further wait is multiplied by."""

    max_interval: float = 60.0
    """Longest wait."""

    jitter: bool = False
    """Whether each wait is made up to a half shorter or longer, so that many do not end at once."""

    retry_on: tuple[type[BaseException], ...] = ()
    """Only these exceptions are worth another attempt; empty: all are."""

    give_up_on: tuple[type[BaseException], ...] = ()
    """These exceptions are not worth another attempt."""

    def __post_init__(self) -> None:
        whole("max_retries", self.max_retries, least=0)
        at_least("initial_interval", self.initial_interval, 0)
        at_least("backoff_factor", self.backoff_factor, 1)
        at_least("max_interval", self.max_interval, 0)
        for name in ("retry_on", "give_up_on"):
            object.__setattr__(self, name, _classes(name, getattr(self, name)))

    def get_delay(self, retry_count: int) -> float:
        """Return the wait before a retry in seconds; the first one has number 0."""
        return backoff_s(_waits(self), retry_count + 1)

    def is_worth_another(self, error: BaseException) -> bool:
        """Return whether another attempt may help after this error."""
        if isinstance(error, self.give_up_on):
            return False
        return not self.retry_on or isinstance(error, self.retry_on)


def is_retryable(error: BaseException, policy: RetryPolicy | None) -> bool:
    """Return whether another attempt may help after an error of user code."""
    if isinstance(error, NonRetryableError):
        return False
    return policy is None or policy.is_worth_another(error)


def plan_retry(max_retries: int | None, policy: RetryPolicy | None, default: int = 0) -> Retry:
    """Return the machine's form of a task's retry options.

    Args:
        max_retries: The task's own number; it wins over the policy's. Alone it means no wait.
        policy: The task's policy.
        default: Number for tasks that say nothing.
    """
    if policy is None:
        retries = default if max_retries is None else max_retries
        return Retry(max_attempts=retries + 1)
    retries = policy.max_retries if max_retries is None else max_retries
    return replace(_waits(policy), max_attempts=retries + 1)


def _waits(policy: RetryPolicy) -> Retry:
    return Retry(
        initial_s=policy.initial_interval,
        factor=policy.backoff_factor,
        max_s=policy.max_interval,
        jitter=policy.jitter,
    )


def _classes(name: str, given: object) -> tuple[type[BaseException], ...]:
    classes = given if isinstance(given, (list, tuple)) else (given,)
    for found in classes:
        if not (isinstance(found, type) and issubclass(found, BaseException)):
            raise ConfigError(f"{name} has {found!r}; give exception classes")
    return tuple(classes)
