"""One claimed attempt: run the task, tell how it ended, leave."""

import json
import os
import sys
import threading
import time
from typing import Any, Final

from graflow.machine import reasons
from graflow_runner import exitcodes, failure, outcome
from graflow_runner.calls import Operator, Signer
from graflow_runner.claim import Claimed
from graflow_runner.delivery import Delivery, Limits, Told
from graflow_runner.environment import Settings, say
from graflow_runner.errors import AttemptError, BundleError, Fenced, Interrupted
from graflow_runner.leaving import leave
from graflow_runner.outcome import Outcome
from graflow_runner.signals import RESERVE_S, Signals
from graflow_runner.wire import Endpoint
from graflow_runner.work import Work

_LAST_TRIES_S: Final = RESERVE_S - 1.0


class Attempt:
    """A claimed attempt.

    Args:
        settings: Where the runner is.
        claimed: The operator's order.
        signals: Tells when the pod is to stop; interrupts already.
    """

    def __init__(self, settings: Settings, claimed: Claimed, signals: Signals) -> None:
        order: dict[str, Any] = json.loads(claimed.order)
        self._settings = settings
        self._signals = signals
        self._order = order
        self._pid = os.getpid()
        self._signer = Signer(
            order.pop("attemptKey"),
            run=settings.run,
            activation=order["activation"],
            attempt=order["attempt"],
            claim=f"{settings.pod_uid}/{claimed.nonce}",
        )
        endpoint = Endpoint(claimed.api, home=settings.api, ca=settings.ca)
        self._operator = Operator(endpoint, self._signer, settings, signals.pause)
        self._work = Work(order, self._operator, settings, signals.pause)

    def run(self) -> int:
        """Run the task, tell how it ended, and end the process; return the exit code."""
        self._keep_addresses()
        try:
            ended, code = self._ended()
            limits = Limits(self._settings.report_patience_s, self._settings.store_after_s)
            delivery = self._delivery(ended)
            told = delivery.deliver(limits)
        except Fenced as fenced:
            say(f"the attempt is over, and what this pod did does not count: {fenced}")
            code = exitcodes.FENCED
        else:
            if ended.succeeded and not delivery.outcome.succeeded:
                code = exitcodes.TASK_FAILED  # its value was refused
            code = {
                Told.NOWHERE: exitcodes.UNREACHABLE,
                Told.REFUSED: exitcodes.INTERNAL,
            }.get(told, code)
        leave(code)
        return code

    def _keep_addresses(self) -> None:
        """Have the addresses for the outcome renewed in time, if they end at all."""
        lives_s = (self._order.get("outcome") or {}).get("expiresSeconds")
        if lives_s is None:
            return

        ends = time.monotonic() + lives_s

        def renew() -> None:
            from graflow_runner.renewal import keep_renewing  # noqa: PLC0415  # of long tasks only

            least_s = self._settings.retry_most_s
            keep_renewing(self._order, self._operator, ends=ends, least_s=least_s)

        timer = threading.Timer(lives_s / 3, renew)
        timer.daemon = True
        timer.start()

    def give_up(self) -> None:
        """Tell that user code did not stop in time; called in another thread than user code."""
        waited_s = max(0.0, self._settings.grace_s - RESERVE_S)
        ended = outcome.failure(
            reasons.INTERRUPTED,
            f"the pod was told to stop (SIGTERM), and the task had not ended {waited_s:g} s later",
            retryable=self._work.may_retry(TimeoutError()),
        )
        try:
            self._delivery(ended).deliver(Limits(_LAST_TRIES_S, store_after_s=0.0))
        except Fenced as fenced:
            say(f"the attempt is over: {fenced}")

    def _ended(self) -> tuple[Outcome, int]:
        """Run user code to its end, whatever that is; return its outcome and an exit code."""
        try:
            self._signals.begin()
            done = self._work.run()
        except Fenced:
            raise
        except BaseException as error:  # noqa: BLE001  # whatever ends user code is its outcome
            self._signals.end()
            self._only_here(exitcodes.TASK_FAILED)
            if self._work.has_parked:
                return self._parked()
            code = _told_locally(error)
            return Outcome(failure.report_of(error, self._work.may_retry)), code
        finally:
            self._signals.end()
        self._only_here(exitcodes.DONE)
        if self._work.has_parked:  # whatever user code made of that
            return self._parked()
        return outcome.success(*done), exitcodes.DONE

    def _parked(self) -> tuple[Outcome, int]:
        say("waits for an answer; the next attempt will have it")
        return outcome.parked(self._work.waits_for), exitcodes.DONE

    def _only_here(self, code: int) -> None:
        """End a process that user code forked and that came back from it: it has no say."""
        if os.getpid() != self._pid:
            sys.stdout.flush()
            os._exit(code)

    def _delivery(self, ended: Outcome) -> Delivery:
        return Delivery(
            ended,
            operator=self._operator,
            signer=self._signer,
            order=self._order,
            settings=self._settings,
            hurry=self._signals.terminated,
            pause=self._signals.pause,
        )


def _told_locally(error: BaseException) -> int:
    """Show in the pod's log what failed, and return the exit code for it."""
    if isinstance(error, AttemptError):
        say(str(error))
    else:
        failure.print_locally(error)
    if isinstance(error, Interrupted):
        return exitcodes.INTERRUPTED
    return exitcodes.BUNDLE_UNUSABLE if isinstance(error, BundleError) else exitcodes.TASK_FAILED
