"""A UF2 is whole and for this chip, or it is named. FIELD_LESSONS 34."""

import random
import struct
from collections.abc import Callable

import pytest

from firmware.flash.uf2 import BLOCK_BYTES, FLASH_END, FLASH_START, check_uf2
from offline_ledger.errors import BaseDamaged, BaseForOtherChip, Refusal
from simulators.board import RP2350_FAMILY, Base, uf2_of

GOOD = uf2_of(Base(), blocks=8)


def test_a_good_one() -> None:
    assert check_uf2(GOOD) == (8, FLASH_START, FLASH_START + 8 * 256)
    assert check_uf2(uf2_of(Base(), blocks=1, start=FLASH_END - 256)) == (1, FLASH_END - 256, FLASH_END)


def patched(at: int, value: int) -> bytes:
    """A word of the fourth block is another."""
    data = bytearray(GOOD)
    struct.pack_into("<I", data, 3 * BLOCK_BYTES + at, value)
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "refusal"),
    [
        (b"", BaseDamaged),
        (b"<html>not found</html>", BaseDamaged),
        (GOOD[:-1], BaseDamaged),
        (GOOD[:-BLOCK_BYTES], BaseDamaged),  # the count says eight
        (GOOD[BLOCK_BYTES:], BaseDamaged),
        (GOOD + GOOD, BaseDamaged),
        (bytes(BLOCK_BYTES), BaseDamaged),
        (patched(0, 0), BaseDamaged),
        (patched(4, 0), BaseDamaged),
        (patched(8, 0x2001), BaseDamaged),
        (patched(16, 476), BaseDamaged),
        (patched(20, 4), BaseDamaged),
        (patched(24, 9), BaseDamaged),
        (patched(508, 0), BaseDamaged),
        (patched(12, FLASH_START), BaseDamaged),  # the first block's place
        (patched(8, 0), BaseForOtherChip),  # no family is named
        (patched(28, RP2350_FAMILY), BaseForOtherChip),
        (patched(12, FLASH_START - 256), BaseForOtherChip),
        (patched(12, FLASH_END), BaseForOtherChip),
        (patched(12, FLASH_START + 1), BaseForOtherChip),
        (patched(12, 0x2000_0000), BaseForOtherChip),  # RAM
        (uf2_of(Base(), family=RP2350_FAMILY), BaseForOtherChip),
    ],
)
def test_every_other_is_refused(data: bytes, refusal: type[Refusal]) -> None:
    with pytest.raises(refusal):
        check_uf2(data)


def test_whatever_the_bytes_are_it_is_judged(rng: random.Random, slice_of: Callable[[int, int], int]) -> None:
    for _ in range(slice_of(20_000, 300)):
        data = bytearray(GOOD)
        for _ in range(rng.randrange(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        try:
            check_uf2(bytes(data))
        except (BaseDamaged, BaseForOtherChip):
            continue
