"""What SELECT answers: the applet's version, what it can, how far it is made ready; and BER-TLV. Pure. docs/card.md."""

from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

from offline_ledger.errors import CardAnswerWrong, CardTorn, CardVersionUnknown
from offline_ledger.protocol.card import AID, VERSION

_TAG_TEMPLATE, _TAG_NAME, _TAG_OWN = 0x6F, 0x84, 0xA5
_TAG_VERSION, _TAG_CAPABILITIES, _TAG_CHAIN, _TAG_STATE = 0xC0, 0xC1, 0xC2, 0xC3


class AppletState(IntEnum):
    """How far the applet is made ready."""

    BLANK = 0
    PERSONALISED = 1
    LOADED = 2
    CLOSED = 3


EXTENDED = 1
"""Capability bit: commands may also come as one extended APDU."""


class AppletInfo(NamedTuple):
    """What SELECT answers: protocol version, capability bits, most bytes of a chained command, how far it is ready."""

    version: int
    capabilities: int
    chain_bytes_max: int
    state: int


def read_tlv(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(tag, value) of BER-TLV objects one after another: tags of one or two bytes, lengths to 255 (short form or 81).
    Raises CardTorn where the data end early, CardAnswerWrong."""
    at = 0
    while at < len(data):
        head = data[at : at + 4]
        tag_bytes = 2 if head[0] & 0x1F == 0x1F else 1
        tag = int.from_bytes(head[:tag_bytes], "big")
        at += tag_bytes
        length = data[at] if at < len(data) else 0x80
        at += 1
        if length == 0x81 and at < len(data):
            length = data[at]
            at += 1
        elif length > 0x7F:
            raise CardAnswerWrong("a length")
        if at + length > len(data):
            raise CardTorn("ends early")
        yield tag, data[at : at + length]
        at += length


def tlv(tag: int, value: bytes) -> bytes:
    """One BER-TLV object; ValueError for more than 255 bytes."""
    head = bytes((tag,)) if tag <= 0xFF else tag.to_bytes(2, "big")
    return head + (b"\x81" if len(value) > 0x7F else b"") + bytes((len(value),)) + value


def encode_info(info: AppletInfo) -> bytes:
    """The control information that SELECT answers."""
    own = b"".join(
        (
            tlv(_TAG_VERSION, bytes((info.version,))),
            tlv(_TAG_CAPABILITIES, info.capabilities.to_bytes(2, "big")),
            tlv(_TAG_CHAIN, info.chain_bytes_max.to_bytes(2, "big")),
            tlv(_TAG_STATE, bytes((info.state,))),
        )
    )
    return tlv(_TAG_TEMPLATE, tlv(_TAG_NAME, AID) + tlv(_TAG_OWN, own))


def decode_info(data: bytes) -> AppletInfo:
    """Tags that are not ours are passed over. Raises CardAnswerWrong, CardVersionUnknown."""
    template = _only(data, _TAG_TEMPLATE)
    if _only(template, _TAG_NAME) != AID:
        raise CardAnswerWrong("another name")
    own = _only(template, _TAG_OWN)
    version = _number(own, _TAG_VERSION, 1)
    if version != VERSION:
        raise CardVersionUnknown(f"version {version}")
    return AppletInfo(
        version, _number(own, _TAG_CAPABILITIES, 2), _number(own, _TAG_CHAIN, 2), _number(own, _TAG_STATE, 1)
    )


def _only(data: bytes, tag: int) -> bytes:
    found = [value for one, value in read_tlv(data) if one == tag]
    if len(found) != 1:
        raise CardAnswerWrong(f"tag {tag:02X}: {len(found)} times")
    return found[0]


def _number(data: bytes, tag: int, size: int) -> int:
    value = _only(data, tag)
    if len(value) != size:
        raise CardAnswerWrong(f"tag {tag:02X}: {len(value)} bytes")
    return int.from_bytes(value, "big")
