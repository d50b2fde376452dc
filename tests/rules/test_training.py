"""Which cities train, and for which role a program enrols there."""

import pytest

from offline_ledger.protocol.device import DeviceRole
from offline_ledger.protocol.wallet import CITY_CHARACTERS_MAX
from offline_ledger.rules.training import TRAINING_SUFFIX, is_training_city, role_in


@pytest.mark.parametrize(
    ("city", "is_training"),
    [
        ("TH-40-TRAINING", True),
        ("TH-40", False),
        ("TH-40-TRAININGS", False),
        ("TH-40-training", False),
        ("TRAINING", False),
        ("TRAINING-TH-40", False),
        ("", False),
    ],
)
def test_a_training_city_is_known_by_the_end_of_its_name(city: str, is_training: bool) -> None:
    assert is_training_city(city) is is_training
    for role in (DeviceRole.SHOP, DeviceRole.VALIDATOR):
        assert role_in(city, role) is (DeviceRole.TRAINING if is_training else role)


def test_the_names_of_thai_provinces_leave_room_for_it() -> None:
    assert len("TH-40" + TRAINING_SUFFIX) <= CITY_CHARACTERS_MAX
