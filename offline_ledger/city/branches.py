"""What one terminal had behind it when it signed a voucher: its own chain, or the branch of a fork. DESIGN §7, §8.

A fork is the same device twice: a restored image, a cloned card. Each copy knows what it accepted itself, and what came
before the two parted; so a released fork is judged by its own branch, never by the other one. Only reads.
"""

from dataclasses import dataclass
from typing import NamedTuple

from offline_ledger.city.store import Store
from offline_ledger.protocol import cose, device
from offline_ledger.protocol.device import Voucher
from offline_ledger.protocol.kinds import OBJECT_BYTES_MAX, Kind


class Stored(NamedTuple):
    """A voucher as it is kept, and what became of it."""

    voucher: Voucher
    outcome: int
    refusal: int
    raw: bytes


def fork_record(device_id: str, identity: bytes) -> str:
    """The name under which a released fork's spend and postings are remembered."""
    return f"{device_id}~{identity.hex()[:8]}"


def stored_voucher(store: Store, record: str, sequence: int) -> Stored | None:
    """By the name it was posted under, a released fork's too."""
    device_id, _, fork = record.partition("~")
    key = (device_id, sequence)
    if fork:
        rows = store.fetch(
            "SELECT raw, outcome, refusal, identity FROM fork_vouchers WHERE device = ? AND sequence = ?", key
        )
        row = next((row for row in rows if row[3].hex().startswith(fork)), None)
    else:
        row = store.one("SELECT raw, outcome, refusal FROM vouchers WHERE device = ? AND sequence = ?", key)
    if row is None:
        return None
    signed = cose.parse_sign1(row[0], cose.external_aad(Kind.VOUCHER, store.city))
    return Stored(device.VOUCHER.decode(signed.payload, OBJECT_BYTES_MAX), row[1], row[2], row[0])


@dataclass(frozen=True, slots=True)
class Branch:
    """Where a voucher stands: its device's own chain through `main_through`, then `forked`, sequence → record."""

    device: str
    main_through: int
    forked: dict[int, str]
    is_main: bool

    def has(self, record: str, sequence: int) -> bool:
        """Had the terminal made this one itself before?"""
        return self.record_at(sequence) == record

    def record_at(self, sequence: int) -> str | None:
        """The record of an earlier voucher of this branch."""
        if 0 < sequence <= self.main_through:
            return self.device
        return self.forked.get(sequence)


class Branches:
    """Of the devices of one transaction; a device's forks are read once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._forks: dict[str, dict[bytes, tuple[int, bytes]]] = {}

    def before(self, record: str, voucher: Voucher) -> Branch:
        """Everything that the terminal had made before this voucher."""
        if "~" not in record:
            return Branch(voucher.device, voucher.sequence - 1, {}, is_main=True)
        known = self._forks_of(voucher.device)
        forked: dict[int, str] = {}
        at = voucher.previous
        while at in known:
            sequence, previous = known[at]
            forked[sequence] = fork_record(voucher.device, at)
            at = previous
        return Branch(voucher.device, voucher.sequence - 1 - len(forked), forked, is_main=False)

    def _forks_of(self, device_id: str) -> dict[bytes, tuple[int, bytes]]:
        """Identity → (sequence, previous). `previous` is a hash over what it names, so there is no circle."""
        if device_id not in self._forks:
            rows = self._store.fetch(
                "SELECT identity, sequence, previous FROM fork_vouchers WHERE device = ?", (device_id,)
            )
            self._forks[device_id] = {row[0]: (row[1], row[2]) for row in rows}
        return self._forks[device_id]
