"""One street for all lessons that a process tries, as far as they leave it fit for the next one."""

from collections.abc import Iterator

import pytest

from tests.counter_lessons.street import Street


@pytest.fixture(scope="session")
def one_street(tmp_path_factory: pytest.TempPathFactory, seed: int) -> Iterator[Street]:
    made = Street(tmp_path_factory.mktemp("street"), seed)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def street(one_street: Street) -> Iterator[Street]:
    """Fit for a lesson; after each of them all books agree."""
    one_street.ready()
    yield one_street
    one_street.ready()
    one_street.check()
