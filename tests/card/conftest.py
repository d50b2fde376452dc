"""A real pcscd for the tests of this folder; one on a machine, so whoever runs side by side takes turns."""

from collections.abc import Iterator

import pytest

from simulators.pcsc import READERS_MAX, PcscDaemon


@pytest.fixture
def pcsc() -> Iterator[PcscDaemon]:
    """Two readers."""
    with PcscDaemon(2) as daemon:
        yield daemon


@pytest.fixture
def many_readers() -> Iterator[PcscDaemon]:
    """As many as a pcscd takes."""
    with PcscDaemon(READERS_MAX) as daemon:
        yield daemon
