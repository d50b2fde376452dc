"""Amounts as people write them, read by one rule everywhere: till, phone, commands, files. DESIGN §2."""

import argparse

import pytest

from offline_ledger.money import format_minor, parse_minor
from offline_ledger.texts import Texts
from offline_ledger.texts.command_line import amount

GOOD = [
    ("120", 12_000), ("120.5", 12_050), ("120.50", 12_050), ("1,234.56", 123_456), ("1,234", 123_400), ("0.01", 1),
    ("12,345,678", 1_234_567_800), ("0120", 12_000), ("๑๒๐", 12_000), ("๑,๒๓๔.๕๐", 123_450),
    ("9999999999", 10**12 - 100), ("9,999,999,999.99", 10**12 - 1), (" 30 ", 3_000),
]  # fmt: skip
BAD = [
    "120,50", "3,0", "30,00", "1,,2", ",5", "5,", "1,000,00", "1,23.4", "12,34,567", "1234,567", "0,123,4", ",", "",
    ".", ".5", "5.", "1.234", "1.2.3", "1,234.5,6", "-5", "+5", "1e3", "NaN", "inf", "１２０", "٣", "²", "1 234",
    "1.2,345", "99999999999", "9" * 5_000,
]  # fmt: skip


@pytest.mark.parametrize(("text", "minor"), GOOD)
def test_digits_thai_or_not_with_thousands_grouped_or_not(text: str, minor: int) -> None:
    assert parse_minor(text) == minor
    assert parse_minor(format_minor(minor)) == minor
    assert amount(Texts("th"))(text) == minor


@pytest.mark.parametrize("text", BAD)
def test_what_could_be_misread_is_no_amount(text: str) -> None:
    with pytest.raises(ValueError, match="not an amount"):
        parse_minor(text)
    with pytest.raises(argparse.ArgumentTypeError):
        amount(Texts("th"))(text)
