"""The code on a device's label: which device, of which city, on which board, with which key. Pure. docs/protocol.md.

Nothing in it is signed: anyone can draw one. What it says is worth what a record says of the same device.
"""

from hashlib import sha256
from typing import NamedTuple

from offline_ledger.errors import LabelDamaged, LabelNotOurs, Refusal, WrongCodeType
from offline_ledger.protocol import cbor, qr
from offline_ledger.protocol.kinds import KEY_ID_BYTES
from offline_ledger.protocol.qr import QrType
from offline_ledger.protocol.wallet import CITY_CHARACTERS_MAX, ID_CHARACTERS_MAX

SERIAL_CHARACTERS_MAX = 20
SUM_BYTES = 3
VERSION_MAX = 5
CHARACTERS_MAX_M = 122
"""Of version 5 at level M; what is longer is drawn at level L."""
CHARACTERS_MAX = 154
"""Of version 5 at level L."""


class Label(NamedTuple):
    """`key_id`: 8 bytes, or none for a device without a key; `serial` empty where none was read."""

    device: str
    city: str
    serial: str
    key_id: bytes


def encode_label(label: Label) -> str:
    """The text to draw. ValueError: a part is longer than a label may have."""
    _check(label)
    parts = _parts(label)
    text = qr.encode(QrType.LABEL, *parts, _sum(parts))
    if len(text) > CHARACTERS_MAX:
        raise ValueError(f"{len(text)} characters are more than version {VERSION_MAX} holds")
    return text


def level_of(text: str) -> str:
    """At which level it is drawn."""
    return "M" if len(text) <= CHARACTERS_MAX_M else "L"


def decode_label(text: str) -> Label:
    """Raises LabelNotOurs: another code; LabelDamaged: it begins like a label's, and is not whole."""
    is_like_ours = text.startswith(f"{qr.PREFIX}{QrType.LABEL}")
    try:
        code = qr.decode(text)
        if code.type is not QrType.LABEL:
            raise WrongCodeType(code.type.value)
    except Refusal as refusal:
        raise (LabelDamaged if is_like_ours else LabelNotOurs)(str(refusal)) from refusal
    *parts, found = code.objects
    if found != _sum(tuple(parts)):
        raise LabelDamaged("another sum")
    try:
        device, city, serial = (part.decode("utf-8") for part in parts[:3])
        label = Label(device, city, serial, parts[3])
        _check(label)
    except ValueError as error:
        raise LabelDamaged("not its fields") from error
    return label


# --- inside


def _parts(label: Label) -> tuple[bytes, ...]:
    return (*(text.encode() for text in (label.device, label.city, label.serial)), label.key_id)


def _sum(parts: tuple[bytes, ...]) -> bytes:
    return sha256(cbor.encode(list(parts))).digest()[:SUM_BYTES]


def _check(label: Label) -> None:
    for text, low, high in (
        (label.device, 1, ID_CHARACTERS_MAX),
        (label.city, 1, CITY_CHARACTERS_MAX),
        (label.serial, 0, SERIAL_CHARACTERS_MAX),
    ):
        if not low <= len(text) <= high or not text.isprintable():
            raise ValueError(f"{low} to {high} printable characters: {text[:40]!r}")
    if len(label.key_id) not in (0, KEY_ID_BYTES):
        raise ValueError(f"a key id of {len(label.key_id)} bytes")
