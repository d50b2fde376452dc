"""Cards of others, as a terminal meets them: a bank card, transit tickets, identity papers, and one of nobody.

They answer to SELECT as the real ones do and hold nothing personal. `asked` notes every command, so that a test can
show that a terminal asked no more than "are you there?".
"""

from enum import Enum

from offline_ledger.protocol.card import Ins, Status
from offline_ledger.protocol.card_foreign import CALYPSO, PASSPORT, PPSE, THAI_ID
from offline_ledger.protocol.card_info import tlv

_VISA = bytes.fromhex("A0000000031010")


class ForeignSort(Enum):
    """Which card; the name stands in scenario files."""

    BANK = "bank"
    STORAGE = "storage"  # MIFARE Classic and the like: the reader makes up the ATR
    FELICA = "felica"
    DESFIRE = "desfire"
    CALYPSO = "calypso"
    IDENTITY = "identity"
    PASSPORT = "passport"
    UNKNOWN = "unknown"


def _entry(aid: bytes) -> bytes:
    """A payment directory with one application (EMV book B, 3.3)."""
    listed = tlv(0xBF0C, tlv(0x61, tlv(0x4F, aid) + tlv(0x87, b"\x01")))
    return tlv(0x6F, tlv(0x84, PPSE) + tlv(0xA5, listed))


_PLAIN = bytes.fromhex("3B80800101")
_SORTS: dict[ForeignSort, tuple[bytes, dict[bytes, bytes]]] = {
    ForeignSort.BANK: (_PLAIN, {PPSE: _entry(_VISA), _VISA: tlv(0x6F, tlv(0x84, _VISA))}),
    ForeignSort.STORAGE: (bytes.fromhex("3B8F8001804F0CA000000306030001000000006A"), {}),
    ForeignSort.FELICA: (bytes.fromhex("3B8F8001804F0CA00000030611003B0000000042"), {}),
    ForeignSort.DESFIRE: (bytes.fromhex("3B8180018080"), {}),
    ForeignSort.CALYPSO: (_PLAIN, {CALYPSO: tlv(0x6F, tlv(0x84, CALYPSO))}),
    ForeignSort.IDENTITY: (_PLAIN, {THAI_ID: tlv(0x6F, tlv(0x84, THAI_ID))}),
    ForeignSort.PASSPORT: (_PLAIN, {PASSPORT: b""}),
    ForeignSort.UNKNOWN: (_PLAIN, {}),
}


class ForeignCard:
    """A card without a wallet of ours."""

    def __init__(self, sort: ForeignSort) -> None:
        self.atr, self._applications = _SORTS[sort]
        self.asked: list[bytes] = []

    def reset(self) -> None:
        """Nothing is kept."""

    def answer(self, apdu: bytes) -> bytes:
        """SELECT of what it has; no to everything else."""
        self.asked.append(apdu)
        name = apdu[5 : 5 + apdu[4]] if len(apdu) > 5 and apdu[1] == Ins.SELECT else None
        found = None if name is None else self._applications.get(name)
        if found is None:
            return int(Status.INS_UNKNOWN if name is None else Status.NOT_FOUND).to_bytes(2, "big")
        return found + int(Status.OK).to_bytes(2, "big")
