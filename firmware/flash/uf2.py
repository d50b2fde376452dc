"""A UF2 file judged before it is copied to a board: whole, for the RP2040, for its flash. Pure; writes nothing.

Format: github.com/microsoft/uf2. Blocks of 512 bytes, each with three magic words, its number, their count, where its
payload goes, and the family of chips it is for.
"""

import struct
from typing import NamedTuple

from offline_ledger.errors import BaseDamaged, BaseForOtherChip

RP2040_FAMILY = 0xE48BFF56
UF2_BYTES_MAX = 8 << 20
BLOCK_BYTES = 512
FLASH_START, FLASH_END = 0x1000_0000, 0x1020_0000
"""The 2 MiB of a Pico W, RP2040 datasheet 2.2."""
_HEAD = struct.Struct("<8I")
_START, _SECOND, _END = 0x0A324655, 0x9E5D5157, 0x0AB16F30
_NOT_FOR_FLASH, _HAS_FAMILY = 0x1, 0x2000
_PAYLOAD_BYTES = 256
"""The RP2040's ROM takes no other size (datasheet 2.8.4.2)."""


class Uf2(NamedTuple):
    """A good one."""

    blocks: int
    first: int
    end: int


def check_uf2(data: bytes) -> Uf2:
    """What it is. Raises BaseDamaged, BaseForOtherChip."""
    blocks, rest = divmod(len(data), BLOCK_BYTES)
    if not blocks or rest:
        raise BaseDamaged(f"{len(data)} bytes are no whole blocks")
    targets: set[int] = set()
    for number in range(blocks):
        targets.add(_check_block(data[number * BLOCK_BYTES : (number + 1) * BLOCK_BYTES], number, blocks))
    if len(targets) != blocks:
        raise BaseDamaged("two blocks for one place")
    return Uf2(blocks, min(targets), max(targets) + _PAYLOAD_BYTES)


def _check_block(block: bytes, number: int, blocks: int) -> int:
    """Where its payload goes."""
    start, second, flags, target, size, found, count, family = _HEAD.unpack_from(block)
    if (start, second) != (_START, _SECOND) or int.from_bytes(block[-4:], "little") != _END:
        raise BaseDamaged(f"block {number} has no UF2 marks")
    if (found, count) != (number, blocks) or flags & _NOT_FOR_FLASH or size != _PAYLOAD_BYTES:
        raise BaseDamaged(f"block {number} says {found} of {count}")
    if not flags & _HAS_FAMILY or family != RP2040_FAMILY:
        raise BaseForOtherChip(f"family 0x{family:08x}")
    if not FLASH_START <= target <= FLASH_END - _PAYLOAD_BYTES or target % _PAYLOAD_BYTES:
        raise BaseForOtherChip(f"address 0x{target:08x}")
    return target
