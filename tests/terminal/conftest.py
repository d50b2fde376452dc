"""What the tests of the journal share: its path, something to write, and a disk that counts and fails."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulators.storage.disk import SimulatedDisk, simulated_disk
from simulators.storage.vouchers import VoucherFeed


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def feed(rng: random.Random) -> VoucherFeed:
    return VoucherFeed(rng, passes=8)


@pytest.fixture
def disk() -> Iterator[SimulatedDisk]:
    with simulated_disk("journal-test") as made:
        yield made
