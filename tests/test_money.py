"""Amounts as people write them, read by one rule everywhere: till, phone, commands, files. DESIGN §2."""

import argparse
from collections.abc import Callable

import pytest

from offline_ledger.money import format_minor, parse_minor, share_down, share_nearest, share_up
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


@pytest.mark.parametrize(
    ("amount_minor", "part", "whole", "down", "nearest", "up"),
    [
        (0, 7, 107, 0, 0, 0),
        (27_450, 7, 107, 1_795, 1_796, 1_796),
        (107, 7, 107, 7, 7, 7),
        (1, 1, 2, 0, 1, 1),
        (5, 1, 2, 2, 3, 3),
        (4, 1, 3, 1, 1, 2),
        (5, 1, 3, 1, 2, 2),
    ],
)
def test_a_part_is_rounded_as_its_name_says(
    amount_minor: int, part: int, whole: int, down: int, nearest: int, up: int
) -> None:
    found = [share(amount_minor, part, whole) for share in (share_down, share_nearest, share_up)]
    assert found == [down, nearest, up]


@pytest.mark.parametrize("share", [share_down, share_nearest, share_up])
@pytest.mark.parametrize("wrong", [(-9, 1, 3), (9, -1, 3), (9, 1, 0), (9, 1, -3)])
def test_no_part_of_less_than_nothing(share: Callable[[int, int, int], int], wrong: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="share_down takes"):
        share(*wrong)


@pytest.mark.parametrize("text", BAD)
def test_what_could_be_misread_is_no_amount(text: str) -> None:
    with pytest.raises(ValueError, match="not an amount"):
        parse_minor(text)
    with pytest.raises(argparse.ArgumentTypeError):
        amount(Texts("th"))(text)
