"""What the city's tests share: an empty city in a folder of its own."""

from pathlib import Path

import pytest

from tests.city.town import Town


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return Town(tmp_path)
