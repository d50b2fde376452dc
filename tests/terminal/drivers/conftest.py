"""A simulated reader head and a driver that has met it; a simulated printer and its driver."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from simulators.head import SimulatedHead
from tests.terminal.drivers.head_bench import HeadBench
from tests.terminal.drivers.printers import driver_for as driver_for
from tests.terminal.drivers.printers import network as network


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
