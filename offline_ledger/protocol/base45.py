"""Base45 (RFC 9285): the QR alphanumeric alphabet, so wedge and serial scanners pass it unharmed. Pure. DESIGN §4.

Decoding reckons all groups at once in one big integer with a lane of three bytes per group of three characters:
a group is worth at most 44·(1 + 45 + 2025) < 2^17, so no lane reaches into the next.
"""

from offline_ledger.errors import CodeDamaged

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
_PAIRS = tuple(ALPHABET[low] + ALPHABET[high] for high in range(45) for low in range(45))
_NO_VALUE = 0xFF
_VALUES = bytes(ALPHABET.find(chr(code)) & _NO_VALUE for code in range(256))
_GROUPS_MAX = 256
"""Texts of so many groups, all of ours, share one mask; longer ones get their own."""
_LANE_LOW = b"\x00\x00\xff"
_LOW = int.from_bytes(_LANE_LOW * _GROUPS_MAX, "big")


def encode(data: bytes) -> str:
    """Two bytes to three characters; a last single byte to two."""
    parts: list[str] = []
    for at in range(0, len(data) - 1, 2):
        high, rest = divmod(data[at] << 8 | data[at + 1], 2025)
        parts.append(_PAIRS[rest] + ALPHABET[high])
    if len(data) & 1:
        parts.append(_PAIRS[data[-1]])
    return "".join(parts)


def decode(text: str) -> bytes:
    """The bytes of `text`; CodeDamaged for a wrong length, character or value. Work grows with the length alone."""
    groups, rest = divmod(len(text), 3)
    if rest == 1:
        raise CodeDamaged("length is not that of Base45")
    try:
        values = text.encode("ascii").translate(_VALUES)
    except UnicodeEncodeError as error:
        raise CodeDamaged("a character outside Base45") from error
    if _NO_VALUE in values:
        raise CodeDamaged("a character outside Base45")
    if rest:
        groups, values = groups + 1, values + b"\x00"
    lanes = int.from_bytes(values, "big")
    low = _LOW if groups <= _GROUPS_MAX else int.from_bytes(_LANE_LOW * groups, "big")
    worth = ((lanes >> 16 & low) + 45 * (lanes >> 8 & low) + 2025 * (lanes & low)).to_bytes(3 * groups, "big")
    if any(worth[0::3]) or (rest and worth[-2]):
        raise CodeDamaged("a value outside Base45")
    pairs = bytearray(2 * groups)
    pairs[0::2], pairs[1::2] = worth[1::3], worth[2::3]
    if rest:
        del pairs[-2]
    return bytes(pairs)
