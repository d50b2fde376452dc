"""A head that runs the real firmware, and a bare host on its cable."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from simulators.head import SimulatedHead
from tests.firmware.host import Host


@pytest.fixture
def head(tmp_path: Path, seed: int) -> Iterator[SimulatedHead]:
    with SimulatedHead(tmp_path / "head0", seed=seed) as made:
        yield made
        assert made.standard_error() == ""


@pytest.fixture
def host(head: SimulatedHead) -> Iterator[Host]:
    """With a session open."""
    made = Host(head.port)
    made.greet()
    yield made
    made.close()
