"""What a card that is not ours probably is: by its ATR, and by the names it answers to. Pure. docs/card.md.

Only ever asks "are you there?" (SELECT): nothing on a foreign card is read. A guess is for the words on the screen.
"""

from enum import IntEnum
from typing import NamedTuple

from offline_ledger.errors import ForeignBankCard, ForeignCard, ForeignIdCard, ForeignTransitCard, Refusal
from offline_ledger.protocol.card import Status


class ForeignKind(IntEnum):
    """Whose card it may be."""

    UNKNOWN = 0
    BANK = 1
    TRANSIT = 2
    IDENTITY = 3


class Probe(NamedTuple):
    """An application name that only cards of this kind answer to."""

    aid: bytes
    kind: ForeignKind


PPSE = b"2PAY.SYS.DDF01"
"""Proximity payment system environment (EMV Contactless, book B)."""
PSE = b"1PAY.SYS.DDF01"
"""The same behind contacts (EMV book 1)."""
CALYPSO = b"1TIC.ICA"
THAI_ID = bytes.fromhex("A000000054480001")
PASSPORT = bytes.fromhex("A0000002471001")
"""ICAO 9303."""
PROBES = (
    Probe(PPSE, ForeignKind.BANK),
    Probe(PSE, ForeignKind.BANK),
    Probe(THAI_ID, ForeignKind.IDENTITY),
    Probe(PASSPORT, ForeignKind.IDENTITY),
    Probe(CALYPSO, ForeignKind.TRANSIT),
)

_STORAGE_CARD = bytes.fromhex("804F0CA000000306")
"""PC/SC part 3, 3.1.3.2.3: the historical bytes that a reader makes up for a card without ATR (MIFARE, FeliCa)."""
_DESFIRE = bytes.fromhex("3B8180018080")
_REFUSALS: dict[ForeignKind, type[Refusal]] = {
    ForeignKind.UNKNOWN: ForeignCard,
    ForeignKind.BANK: ForeignBankCard,
    ForeignKind.TRANSIT: ForeignTransitCard,
    ForeignKind.IDENTITY: ForeignIdCard,
}


def kind_of_atr(atr: bytes) -> ForeignKind:
    """TRANSIT for storage cards and DESFire, which transit systems use; UNKNOWN where only a probe can tell."""
    is_transit = _STORAGE_CARD in atr or atr.startswith(_DESFIRE)
    return ForeignKind.TRANSIT if is_transit else ForeignKind.UNKNOWN


def answers_to(status: int) -> bool:
    """Did the card say that it has what was selected? A deactivated file is there too."""
    return status in (Status.OK, Status.BLOCKED) or status >> 8 == 0x61


def refusal_for(kind: ForeignKind, detail: str = "") -> Refusal:
    """The refusal to show."""
    return _REFUSALS[kind](detail)
