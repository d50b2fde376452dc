"""Training: a city of its own, known by its name, where no terminal ever shows green. Pure. DESIGN §5.

`TH-40-TRAINING` trains for `TH-40`. The name is in every signature (external_aad), so nothing of a training city passes
in a real one, nor the other way round. Decision 0060. Never says what a role may do beyond that.
"""

from offline_ledger.errors import DeviceCertificateInvalid
from offline_ledger.protocol.device import DeviceRole

TRAINING_SUFFIX = "-TRAINING"


def is_training_city(city: str) -> bool:
    """Is this the id of a training city?"""
    return city.endswith(TRAINING_SUFFIX)


def role_in(city: str, role: DeviceRole) -> DeviceRole:
    """The role that a program enrols for and runs under: its own, or `TRAINING` in a training city."""
    return DeviceRole.TRAINING if is_training_city(city) else role


def told_rejected(city: str, rejected: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    """Of (sequence, refusal number) that the city rejected, those that somebody should ask about: that it posts nothing
    from training is no news."""
    return tuple(one for one in rejected if not is_practice(city, one[1]))


def is_practice(city: str, refusal_number: int) -> bool:
    """Is this why a training city posts nothing of its terminals?"""
    return is_training_city(city) and refusal_number == DeviceCertificateInvalid.number
