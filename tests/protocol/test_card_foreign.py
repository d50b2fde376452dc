"""What a card of others is told to be, by its ATR or the names it answers to."""

import pytest

from offline_ledger.errors import ForeignBankCard, ForeignCard, ForeignIdCard, ForeignTransitCard, Refusal
from offline_ledger.protocol.card_foreign import PROBES, ForeignKind, answers_to, kind_of_atr, refusal_for


@pytest.mark.parametrize(
    ("atr", "kind"),
    [
        ("3B8F8001804F0CA000000306030001000000006A", ForeignKind.TRANSIT),  # MIFARE Classic 1K
        ("3B8F8001804F0CA0000003060300030000000068", ForeignKind.TRANSIT),  # MIFARE Ultralight
        ("3B8F8001804F0CA00000030611003B0000000042", ForeignKind.TRANSIT),  # FeliCa
        ("3B8180018080", ForeignKind.TRANSIT),  # DESFire
        ("3B80800101", ForeignKind.UNKNOWN),
        ("3B6700002920006F789000", ForeignKind.UNKNOWN),  # a national identity card: a probe tells
        ("", ForeignKind.UNKNOWN),
    ],
)
def test_by_atr(atr: str, kind: ForeignKind) -> None:
    assert kind_of_atr(bytes.fromhex(atr)) is kind


@pytest.mark.parametrize(
    ("kind", "refusal"),
    [
        (ForeignKind.BANK, ForeignBankCard),
        (ForeignKind.TRANSIT, ForeignTransitCard),
        (ForeignKind.IDENTITY, ForeignIdCard),
        (ForeignKind.UNKNOWN, ForeignCard),
    ],
)
def test_each_kind_has_its_own_words(kind: ForeignKind, refusal: type[Refusal]) -> None:
    assert type(refusal_for(kind)) is refusal


@pytest.mark.parametrize(
    ("status", "is_there"), [(0x9000, True), (0x6283, True), (0x6110, True), (0x6A82, False), (0x6D00, False)]
)
def test_what_counts_as_yes(status: int, is_there: bool) -> None:
    assert answers_to(status) is is_there


def test_every_probe_asks_for_one_application() -> None:
    assert all(5 <= len(probe.aid) <= 16 and probe.kind is not ForeignKind.UNKNOWN for probe in PROBES)
    assert len({probe.aid for probe in PROBES}) == len(PROBES)
