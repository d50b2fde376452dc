"""What the terminal's tests share: a journal's path, a disk that counts and fails, a terminal linked to a ledger."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulators.storage.disk import SimulatedDisk, simulated_disk
from simulators.storage.vouchers import VoucherFeed
from tests.terminal.sync_pair import Pair, linked


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


@pytest.fixture
def pair(tmp_path: Path, rng: random.Random) -> Iterator[Pair]:
    with linked(tmp_path, rng) as made:
        yield made
