"""One running city for all tests that do not stop or break it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from offline_ledger.city.store import Store
from tests.city_service.desk import City, found, serving

NOW_S = 1_795_000_000


@pytest.fixture(scope="session")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    """A served city with sample data; each test uses wallets and devices of its own."""
    folder = tmp_path_factory.mktemp("city-test-only") / "TH-40"
    found(folder)
    with serving(folder) as running:
        yield running


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    made = Store.create(tmp_path / "ledger.db", "TH-40", NOW_S)
    yield made
    made.close()
