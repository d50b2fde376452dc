"""QR text: `KGO1`, a type letter, `:`, Base45 of a list of signed objects. Pure. DESIGN §4."""

from enum import StrEnum
from typing import NamedTuple, cast

from offline_ledger.errors import CodeDamaged, Malformed, NotOurCode, Refusal, TooLarge, WrongCodeType
from offline_ledger.protocol import base45, cbor, cose
from offline_ledger.protocol.kinds import OBJECT_BYTES_MAX

PREFIX = "KGO1"
QR_CHARACTERS_MAX = 600
"""The largest code is version 15, level M."""


class QrType(StrEnum):
    """The letter after the prefix, and what the list holds."""

    PRESENTMENT = "P"
    """allowance, presentment"""
    PAYMENT = "A"
    """allowance, payment"""
    REQUEST = "Q"
    """device certificate, payment request"""
    COUPON = "C"
    """coupon"""
    RECEIPT = "V"
    """voucher; the city publishes device certificates, and both would not fit version 15-M"""
    ENROLMENT = "E"
    """enrolment, on its way to the city; never a customer's"""
    ANSWER_PART = "D"
    """key id of the device, sum of the answer, [number, count], a piece of it (`protocol.answer`)"""
    LABEL = "L"
    """what is stuck on a device (`protocol.label`); nothing in it is signed, and no terminal takes it"""


_TYPES: dict[str, QrType] = {qr_type.value: qr_type for qr_type in QrType}
_COUNT = {
    QrType.PRESENTMENT: 2,
    QrType.PAYMENT: 2,
    QrType.REQUEST: 2,
    QrType.COUPON: 1,
    QrType.RECEIPT: 1,
    QrType.ENROLMENT: 1,
    QrType.ANSWER_PART: 4,
    QrType.LABEL: 5,
}


class QrCode(NamedTuple):
    """A code of ours, taken apart but not judged."""

    type: QrType
    objects: tuple[bytes, ...]


def encode(qr_type: QrType, *objects: bytes) -> str:
    """The text to draw; ValueError when it would not fit version 15-M."""
    assert len(objects) == _COUNT[qr_type]
    text = f"{PREFIX}{qr_type.value}:{base45.encode(cbor.encode(list(objects)))}"
    if len(text) > QR_CHARACTERS_MAX:
        raise ValueError(f"{len(text)} characters do not fit a version 15-M code")
    return text


def decode(text: str) -> QrCode:
    """Size, prefix, letter, Base45, list. Refusals: TooLarge, NotOurCode, WrongCodeType, CodeDamaged, Malformed."""
    if len(text) > QR_CHARACTERS_MAX:
        raise TooLarge(f"{len(text)} characters") if text.startswith(PREFIX) else NotOurCode()
    if not text.startswith(PREFIX):
        raise NotOurCode()
    if len(text) < 7 or text[5] != ":":
        raise CodeDamaged("header")
    qr_type = _TYPES.get(text[4])
    if qr_type is None:
        raise WrongCodeType(text[4])
    data = base45.decode(text[6:])
    return QrCode(qr_type, _split(data, _COUNT[qr_type]) or _read_closely(data, _COUNT[qr_type]))


def _split(data: bytes, count: int) -> tuple[bytes, ...] | None:
    """The byte strings of a list of `count` without its being built by a parser; None: look closely."""
    if len(data) > OBJECT_BYTES_MAX or data[:1] != bytes((0x80 + count,)):
        return None
    objects: list[bytes] = []
    end = 1
    try:
        for _ in range(count):
            start, end = cose.bstr_bounds(data, end)
            objects.append(data[start:end])
    except Refusal:
        return None
    return tuple(objects) if end == len(data) else None


def _read_closely(data: bytes, count: int) -> tuple[bytes, ...]:
    value = cbor.decode(data, OBJECT_BYTES_MAX)
    if type(value) is not list or len(cast(list[object], value)) != count:
        raise Malformed("list of objects expected")
    objects = cast(list[object], value)
    if any(type(member) is not bytes for member in objects):
        raise Malformed("list of byte strings expected")
    return tuple(cast(list[bytes], objects))
