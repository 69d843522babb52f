"""What the operator's log and metrics say of a run."""

import logging

import pytest
from aiohttp.test_utils import make_mocked_request

from graflow.machine.state import Error
from graflow.store import StoreUnavailableError
from graflow_operator.cluster_errors import ForbiddenError
from graflow_operator.server import app
from graflow_operator.verdicts import Failed
from support.world import World

ONE = {"tasks": [{"name": "a", "script": "return 1"}]}


async def test_the_log_says_that_a_run_began_and_ended_in_no_words_of_user_code(caplog):
    caplog.set_level(logging.INFO)
    failing = {"tasks": [{**ONE["tasks"][0], "retry": {"maxAttempts": 2}}]}
    error = Error("ValueError", "the password is hunter2")
    async with World(failing, work=lambda *_: Failed(error)) as world:
        world.start()
        await world.end()
    assert "team/run: began" in caplog.messages
    assert "team/run: task 'a': attempt 1 failed, trying again: ValueError" in caplog.messages
    assert [line for line in caplog.messages if line.startswith("team/run: ended: Failed")]
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize(
    "error", [ForbiddenError("pods is forbidden"), StoreUnavailableError("bucket does not answer")]
)
async def test_the_log_says_why_a_runner_is_asked_to_come_again(error, caplog):
    async def refused(_):
        raise error

    answer = await app._answered(make_mocked_request("POST", "/runner/v1/claim"), refused)
    assert answer.status == 503
    [line] = caplog.messages
    assert line.startswith("/runner/v1/claim: ")
    assert str(error) in line
