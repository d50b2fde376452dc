"""One city with the wallet page before it, for all tests here: each has a wallet of its own."""

from collections.abc import Iterator

import pytest

from simulators.demo.town import Town
from simulators.wallet_page.serve import WalletPage
from tests.processes.quick_city import QuickCity


@pytest.fixture(scope="package")
def city(tmp_path_factory: pytest.TempPathFactory, seed: int) -> Iterator[Town]:
    """Its service alone."""
    with Town(tmp_path_factory.mktemp("town"), seed, QuickCity) as made:
        made.found()
        yield made


@pytest.fixture(scope="package")
def served(city: Town) -> Iterator[WalletPage]:
    """The page, joined to it."""
    with WalletPage(city.city.url, city.city.ca_file) as page:
        yield page
