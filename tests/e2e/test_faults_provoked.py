"""Faults of every class, provoked on a real cluster: each ends as the page of the docs says.

Those that disturb nobody are provoked all at once; the others follow, one by one.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import pytest
import yaml

from e2e.conftest import PROGRAMS, RUNNER_IMAGE, namespace
from support import impatient, provoked
from support.provocations import of_nodes, of_pods, of_setup, of_tasks  # noqa: F401  registered
from support.provoked import PROVOCATIONS, Outcome, Provocation
from support.town import Town

AT_ONCE = 16
ALONE = [one for one in PROVOCATIONS if one.alone]
TOGETHER = [one for one in PROVOCATIONS if not one.alone]
Seen = Callable[[Provocation], Outcome]


@pytest.fixture(scope="module")
def town(kubectl_path: str) -> Iterator[Town]:
    """A town that is looked after by an operator of little patience."""
    program = str(PROGRAMS / "witness.py")
    words = (sys.executable, "-m", "graflow", "compile", program, "--no-files", "--name", "witness")
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    code = next(one for one in yaml.safe_load_all(done.stdout) if one["kind"] == "CodeBundle")
    with impatient.installed(kubectl_path) as operator:
        made = Town(
            os.environ["KUBECONFIG"],
            RUNNER_IMAGE,
            partial(namespace, kubectl_path),
            code,
            operator,
        )
        yield made
        made.close()


@pytest.fixture(scope="module")
def together(town: Town, request: pytest.FixtureRequest) -> Iterator[Seen]:
    """Begin all that was selected and disturbs nobody."""
    selected = [getattr(item, "callspec", None) for item in request.session.items]
    wanted = [
        spec.params["provocation"] for spec in selected if spec and "provocation" in spec.params
    ]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        begun: dict[str, Future[Outcome]] = {
            one.name: pool.submit(one.provoke, town, one.name) for one in wanted if not one.alone
        }
        yield lambda one: begun[one.name].result()


def compare(one: Provocation, outcome: Outcome, *, update: bool) -> None:
    """Compare what was seen with what is promised, in the test and in the docs."""
    seen = one.seen(outcome)
    line = provoked.row(one, seen)
    if update:
        provoked.write({one.fault: line})
    assert seen == one.ends
    assert provoked.rows().get(one.fault) == line, "`make provoked` writes the page"


@pytest.mark.parametrize("provocation", TOGETHER, ids=lambda one: one.name)
def test_a_fault_ends_as_the_docs_say(
    together: Seen, provocation: Provocation, request: pytest.FixtureRequest
) -> None:
    update = request.config.getoption("--update-provoked")
    compare(provocation, together(provocation), update=update)


@pytest.mark.own_cluster
@pytest.mark.parametrize("provocation", ALONE, ids=lambda one: one.name)
def test_a_fault_that_disturbs_a_node_ends_as_the_docs_say(
    town: Town, provocation: Provocation, request: pytest.FixtureRequest
) -> None:
    update = request.config.getoption("--update-provoked")
    compare(provocation, provocation.provoke(town, provocation.name), update=update)
