"""Programs as they were written for Graflow 0.1.9, with its import paths, run in this process."""

from collections.abc import Iterator

import pytest

from graflow.core.workflow import clear_workflow_context


@pytest.fixture(autouse=True)
def _no_ambient_workflow() -> Iterator[None]:
    clear_workflow_context()
    yield
    clear_workflow_context()
