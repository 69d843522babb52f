import pytest

from graflow import RetryPolicy
from graflow.dsl.call import Callee
from unit.runner.fake_operator import busy
from unit.runner.harness import TELL, bundle, checked, script, with_bundle

WAIT = (
    TELL
    + """
import threading
try:
    tell("ready")
    threading.Event().wait()
finally:
    tell("cleaned")
"""
)


def test_sigterm_runs_finally_and_is_reported(operator, runners):
    script(operator, WAIT)
    runner = runners.start()
    operator.wait_for(lambda: "ready" in operator.told, "user code ran")
    runner.terminate()
    assert runner.wait() == 143
    assert operator.told == ["ready", "cleaned"], runner.stderr
    error = operator.reports[0]["error"]
    assert (error["reason"], error["retryable"]) == ("Interrupted", True)
    assert checked(operator, runner.message) == operator.reports[0]


@pytest.mark.parametrize("stubborn", [False, True], ids=["stops", "goes-on"])
def test_f3_a_task_that_is_stopped_says_whether_its_policy_tries_again_when_time_is_up(
    operator, runners, stubborn
):
    def waits():
        namespace: dict = {}
        exec(TELL, namespace)
        import threading

        while True:
            try:
                namespace["tell"]("ready")
                threading.Event().wait()
            except BaseException:
                if not stubborn:
                    raise

    policy = RetryPolicy(3, give_up_on=TimeoutError)
    data, hashes = bundle(functions={"t": Callee(func=waits, retry_policy=policy).portable()})
    with_bundle(operator, data)
    operator.order["call"] = {"function": hashes["t"]}
    runner = runners.start(GRAFLOW_GRACE_SECONDS="5")
    operator.wait_for(lambda: operator.told, "user code ran")
    runner.terminate()
    assert runner.wait() == 143
    error = operator.reports[0]["error"]
    assert (error["reason"], error["retryable"]) == ("Interrupted", False)


STUBBORN = (
    TELL
    + """
import threading
while True:
    try:
        tell("ready")
        threading.Event().wait()
    except BaseException:
        pass
"""
)


def test_a_task_that_does_not_stop_is_reported_before_the_grace_period_ends(operator, runners):
    script(operator, STUBBORN)
    runner = runners.start(GRAFLOW_GRACE_SECONDS="5")
    operator.wait_for(lambda: operator.told, "user code ran")
    runner.terminate()
    assert runner.wait() == 143
    error = operator.reports[0]["error"]
    assert error["reason"] == "Interrupted"
    assert "did not stop in time" in runner.stderr


def test_a_task_stuck_in_a_c_call_is_reported_too(operator, runners):
    script(operator, TELL + "import ctypes\ntell('ready')\nwhile True: ctypes.CDLL(None).pause()")
    runner = runners.start(GRAFLOW_GRACE_SECONDS="5")
    operator.wait_for(lambda: operator.told, "user code ran")
    runner.terminate()
    assert runner.wait() == 143
    assert operator.reports[0]["error"]["reason"] == "Interrupted"


def test_an_async_task_is_interrupted(operator, runners):
    script(
        operator,
        TELL
        + """
import asyncio
async def main():
    try:
        tell("ready")
        await asyncio.Event().wait()
    finally:
        tell("cleaned")
asyncio.run(main())
""",
    )
    runner = runners.start()
    operator.wait_for(lambda: "ready" in operator.told, "user code ran")
    runner.terminate()
    assert runner.wait() == 143
    assert operator.told == ["ready", "cleaned"], runner.stderr
    assert operator.reports[0]["error"]["reason"] == "Interrupted"


def test_sigterm_before_the_claim_ends_the_runner_at_once(operator, runners):
    operator.next("claim", *[busy] * 10_000)
    runner = runners.start()
    operator.wait_for(lambda: len(operator.calls) > 20, "the claim is asked for again and again")
    runner.terminate()
    assert runner.wait() == 143
    assert operator.reports == []


def test_sigterm_while_reporting_stores_the_outcome_at_once(operator, runners):
    operator.has_store()
    operator.next("report", *[busy] * 10_000)
    runner = runners.start()
    operator.wait_for(lambda: operator.calls.count("POST /runner/v1/report") > 1, "reports")
    runner.terminate()
    assert runner.wait() == 0
    assert "/store/outcome" in operator.store
    assert checked(operator, runner.message)["outcome"] == "Succeeded"


def test_a_process_that_user_code_forks_dies_of_sigterm_as_usual(operator, runners):
    script(
        operator,
        """
import os, signal
child = os.fork()
if not child:
    os.kill(os.getpid(), signal.SIGTERM)
    os._exit(0)
return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
""",
    )
    assert runners.run().process.returncode == 0
    assert operator.reports[0]["value"] == {"json": -15}


def test_an_interruption_that_a_finalizer_swallowed_is_repeated(operator, runners):
    script(
        operator,
        TELL
        + """
import io, os, signal, threading

class Closing(io.RawIOBase):
    def close(self):
        os.kill(os.getpid(), signal.SIGTERM)
        for _ in range(1000): pass

try:
    Closing()
    threading.Event().wait()
finally:
    tell("cleaned")
""",
    )
    runner = runners.run()
    assert runner.process.returncode == 143
    assert operator.told == ["cleaned"]
    assert operator.reports[0]["error"]["reason"] == "Interrupted"
