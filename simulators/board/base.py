"""UF2 files of simulated boards: made, and read as the chip's ROM reads them. DESIGN §11.

Written from the format's description (github.com/microsoft/uf2), apart from the bench's own reader. A made base holds
a name and a version instead of machine code: MicroPython itself is nobody's to ship here.
"""

import struct
from typing import NamedTuple

RP2040_FAMILY = 0xE48BFF56
RP2350_FAMILY = 0xE48BFF59
FLASH_START = 0x1000_0000
BLOCK_BYTES = 512
PAYLOAD_BYTES = 256
_START, _SECOND, _END = 0x0A324655, 0x9E5D5157, 0x0AB16F30
_HAS_FAMILY = 0x2000
_MARK = b"KGO-SIMULATED-BASE"


class Base(NamedTuple):
    """What a board's MicroPython says of itself: `os.uname()`'s release and machine."""

    release: str = "1.24.1"
    machine: str = "Raspberry Pi Pico W with RP2040"


def uf2_of(base: Base, *, family: int = RP2040_FAMILY, blocks: int = 64, start: int = FLASH_START) -> bytes:
    """A UF2 of so many blocks that a simulated board takes as its MicroPython."""
    said = b"\0".join((_MARK, base.release.encode(), base.machine.encode(), b""))
    payload = said.ljust(blocks * PAYLOAD_BYTES, b"\xa5")
    made = bytearray()
    for number in range(blocks):
        piece = payload[number * PAYLOAD_BYTES :][:PAYLOAD_BYTES]
        at = start + number * PAYLOAD_BYTES
        made += struct.pack("<8I", _START, _SECOND, _HAS_FAMILY, at, PAYLOAD_BYTES, number, blocks, family)
        made += piece.ljust(476, b"\0") + struct.pack("<I", _END)
    return bytes(made)


def base_of(written: bytes, family: int) -> Base | None:
    """What the ROM has taken of these bytes: nothing before every block of its family is there."""
    taken: dict[int, bytes] = {}
    needed = -1
    for at in range(0, len(written) - BLOCK_BYTES + 1, BLOCK_BYTES):
        block = written[at : at + BLOCK_BYTES]
        start, second, _, target, size, _, count, found = struct.unpack_from("<8I", block)
        if (start, second, found) == (_START, _SECOND, family) and block.endswith(struct.pack("<I", _END)):
            taken[target] = block[32 : 32 + size]
            needed = count
    if len(taken) != needed:
        return None
    mark, release, machine, _ = b"".join(taken[at] for at in sorted(taken)).split(b"\0", 3)
    return Base(release.decode(), machine.decode()) if mark == _MARK else None
