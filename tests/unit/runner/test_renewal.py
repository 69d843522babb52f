"""Addresses for outcomes that nobody hears are renewed, and nothing that comes of it is felt."""

import pytest

from unit.runner.fake_operator import busy
from unit.runner.harness import TELL, script

GO_ON = f"""{TELL}
import time
tell("begun")
while not os.path.exists("go-on"):
    time.sleep(0.01)
return "v" * 300_000
"""
QUICK = {"GRAFLOW_RETRY_MOST_SECONDS": "0.01"}
AWAY = {"GRAFLOW_STORE_AFTER_SECONDS": "0", "GRAFLOW_REPORT_PATIENCE_SECONDS": "0.1"}


def renewals(operator):
    return operator.calls.count("POST /runner/v1/renewal")


def test_an_outcome_is_left_by_the_addresses_that_came_last(operator, runners, tmp_path):
    script(operator, GO_ON)
    operator.has_addresses_for(0.03)
    runner = runners.start(**QUICK, **AWAY)
    operator.wait_for(lambda: operator.renewals >= 3, "three renewals")
    operator.next("blob", *[busy] * 10_000)
    operator.next("report", *[busy] * 10_000)
    (tmp_path / "go-on").touch()
    assert runner.wait() == 0
    assert set(operator.store) == {"/store/outcome", "/store/outcome.value"}
    numbers = [int(query.rpartition("&n=")[2]) for query in operator.stored_by]
    assert min(numbers) >= 3


def test_addresses_that_live_long_are_not_renewed_early(operator, runners):
    operator.has_addresses_for(7 * 24 * 3600)
    runners.run(**QUICK)
    assert renewals(operator) == 0


def test_nobody_renews_addresses_of_which_nothing_says_that_they_end(operator, runners):
    script(operator, "import threading\nreturn [t.name for t in threading.enumerate()]")
    operator.has_store()
    runners.run(**QUICK)
    [report] = operator.reports
    assert not [name for name in report["value"]["json"] if name.startswith("Thread")]


NOT_NOW = {
    "busy": busy,
    "of a version without renewal": lambda r: r.refuse(404, "NotServed", "no such thing"),
    "no JSON": lambda r: r.answer(200, b"<html>"),
    "no addresses": lambda r: r.answer(200, {"outcome": None}),
    "nothing": lambda r: r.answer(200, []),
    "gone": lambda r: r.drop(),
}


@pytest.mark.parametrize("how", list(NOT_NOW))
def test_an_operator_that_does_not_renew_now_is_asked_again(operator, runners, tmp_path, how):
    script(operator, GO_ON)
    operator.has_addresses_for(0.03)
    operator.next("renewal", NOT_NOW[how], NOT_NOW[how])
    runner = runners.start(**QUICK)
    operator.wait_for(lambda: operator.renewals >= 1, "a renewal after two that failed")
    (tmp_path / "go-on").touch()
    assert runner.wait() == 0
    assert len(operator.reports) == 1
    assert runner.stderr == ""


def test_a_renewal_that_is_fenced_is_the_last_and_user_code_goes_on(operator, runners):
    script(
        operator,
        "import threading, time\n"
        "while any(isinstance(t, threading.Timer) for t in threading.enumerate()):\n"
        "    time.sleep(0.01)\n"
        "return 1",
    )
    operator.has_addresses_for(0.03)
    operator.next("renewal", lambda r: r.refuse(409, "Fenced", "attempt 1 is over"))
    runner = runners.run(**QUICK)
    assert runner.process.returncode == 0
    assert "attempt 1 is over" in runner.stderr
    assert (renewals(operator), len(operator.reports)) == (1, 1)
