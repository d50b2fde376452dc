"""PINs as argon2id. What it costs is chosen for a Raspberry Pi (decision 0170). Knows no cashier.

A hash says its own cost; one that would take more than this machine has is no hash of ours.
"""

from typing import NamedTuple

from offline_ledger.errors import ShopFileDamaged


class PinCost(NamedTuple):
    """What one try costs."""

    memory_kib: int
    passes: int


COST = PinCost(19_456, 2)
"""OWASP's least for argon2id: 19 MiB, two passes, one thread. 16 ms where this was measured, on a Raspberry Pi 4 some
five times that; more memory would be taken from the page beside it."""
MEMORY_KIB_MAX = 65_536
PASSES_MAX = 10


def hash_of(pin: str, cost: PinCost) -> str:
    """With a salt of its own, as the text that argon2's own tools read."""
    from argon2 import PasswordHasher  # a till that sells by key alone asks for no PIN

    return PasswordHasher(cost.passes, cost.memory_kib, 1).hash(pin)


def is_hash_of(kept: str, pin: str, cost: PinCost) -> bool:
    """Is it this PIN? Raises ShopFileDamaged."""
    from argon2 import PasswordHasher, extract_parameters
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        found = extract_parameters(kept)
        if found.memory_cost > MEMORY_KIB_MAX or found.time_cost > PASSES_MAX or found.parallelism != 1:
            raise ShopFileDamaged("a PIN's hash costs more than any of ours")
        return PasswordHasher(cost.passes, cost.memory_kib, 1).verify(kept, pin)
    except InvalidHashError as error:
        raise ShopFileDamaged("a PIN's hash is none") from error
    except VerificationError:
        return False


def is_of_cost(kept: str, cost: PinCost) -> bool:
    """Was it made at this cost? If not, it is made anew when its PIN is known."""
    from argon2 import extract_parameters

    found = extract_parameters(kept)
    return (found.memory_cost, found.time_cost) == cost
