"""Base45 (RFC 9285) by table: the QR alphanumeric alphabet, so wedge and serial scanners pass it unharmed. Pure."""

from offline_ledger.errors import CodeDamaged

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
_PAIRS = tuple(ALPHABET[low] + ALPHABET[high] for high in range(45) for low in range(45))
_VALUE = {character: value for value, character in enumerate(ALPHABET)}
_PAIR_VALUE = {pair: value for value, pair in enumerate(_PAIRS)}


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
    """The bytes of `text`; CodeDamaged for a wrong length, character or value."""
    size = len(text)
    if size % 3 == 1:
        raise CodeDamaged("length is not that of Base45")
    whole = size - size % 3
    try:
        lanes = [_PAIR_VALUE[text[at : at + 2]] + 2025 * _VALUE[text[at + 2]] for at in range(0, whole, 3)]
        tail = [_PAIR_VALUE[text[whole:]]] if size != whole else []
        return b"".join([lane.to_bytes(2, "big") for lane in lanes]) + bytes(tail)
    except KeyError as error:
        raise CodeDamaged("a character outside Base45") from error
    except (OverflowError, ValueError) as error:
        raise CodeDamaged("a value outside Base45") from error
