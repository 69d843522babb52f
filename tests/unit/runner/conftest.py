from collections.abc import Iterator

import pytest

from unit.runner.fake_operator import FakeOperator
from unit.runner.harness import Runners


@pytest.fixture
def operator() -> Iterator[FakeOperator]:
    fake = FakeOperator()
    fake.start()
    yield fake
    fake.stop()
    assert fake.forged == []


@pytest.fixture
def runners(tmp_path, operator) -> Iterator[Runners]:
    made = Runners(tmp_path, operator)
    yield made
    made.stop()
