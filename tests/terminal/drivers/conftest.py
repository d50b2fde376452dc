"""A simulated reader head and a driver that has met it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from simulators.head import SimulatedHead
from tests.terminal.drivers.head_bench import HeadBench


@pytest.fixture
def head(tmp_path: Path, seed: int) -> Iterator[SimulatedHead]:
    """The real firmware on a pty; at the end it has complained of nothing."""
    with SimulatedHead(tmp_path / "head0", seed=seed) as made:
        yield made
        assert made.standard_error() == ""


@pytest.fixture
def bench(head: SimulatedHead) -> Iterator[HeadBench]:
    """Its driver, with a session."""
    made = HeadBench(str(head.port))
    assert made.driver.open()
    yield made.linked()
    made.driver.close()
