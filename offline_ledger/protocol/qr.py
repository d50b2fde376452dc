"""QR text: `KGO1`, a type letter, `:`, Base45 of a list of signed objects. Pure. DESIGN §4."""

from enum import StrEnum
from typing import cast

from offline_ledger.errors import CodeDamaged, Malformed, NotOurCode, TooLarge, WrongCodeType
from offline_ledger.protocol import base45, cbor
from offline_ledger.protocol.kinds import OBJECT_BYTES_MAX
from offline_ledger.values import frozen

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


_COUNT = {
    QrType.PRESENTMENT: 2,
    QrType.PAYMENT: 2,
    QrType.REQUEST: 2,
    QrType.COUPON: 1,
    QrType.RECEIPT: 1,
}


@frozen
class QrCode:
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
    try:
        qr_type = QrType(text[4])
    except ValueError as error:
        raise WrongCodeType(text[4]) from error
    value = cbor.decode(base45.decode(text[6:]), OBJECT_BYTES_MAX)
    if type(value) is not list or len(cast(list[object], value)) != _COUNT[qr_type]:
        raise Malformed("list of objects expected")
    objects = cast(list[object], value)
    if any(type(member) is not bytes for member in objects):
        raise Malformed("list of byte strings expected")
    return QrCode(qr_type, tuple(cast(list[bytes], objects)))
