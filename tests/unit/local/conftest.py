"""Each test begins without an ambient workflow, and tells programs from their source."""

import textwrap
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from graflow.dsl.workflow import clear_workflow_context


@pytest.fixture(autouse=True)
def _no_ambient_workflow() -> Iterator[None]:
    clear_workflow_context()
    yield
    clear_workflow_context()


@pytest.fixture
def module() -> Callable[..., dict[str, Any]]:
    """Run source as a module of its own, with names that it finds there; return its globals."""

    def run(source: str, **given: Any) -> dict[str, Any]:
        names: dict[str, Any] = {"__name__": "program", **given}
        exec(textwrap.dedent(source), names)
        return names

    return run
