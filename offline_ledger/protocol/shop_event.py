"""What a till journals about its shift: bodies of `EventKind.SHIFT`, with numbers from 16 on. Pure. DESIGN §2, §5.

A voucher says what a sale came to; these say with which money it was paid, in whose shift, and what the drawer held.
What was sold is not in them: the city has no need to know a citizen's shopping. `after` is the last voucher when it
happened: vouchers and events are numbered apart, and this joins them.
"""

import re
from enum import IntEnum
from typing import NamedTuple, cast

from offline_ledger.errors import Malformed, Refusal
from offline_ledger.protocol import cbor
from offline_ledger.protocol.device import EVENT_BYTES_MAX
from offline_ledger.protocol.fields import amount, items, row, text, time_s, uint
from offline_ledger.protocol.wallet import ID_CHARACTERS_MAX

COUNT_MAX = 1 << 48
SUMS_MAX = 32
NOTE_CHARACTERS_MAX = 80
_LINK = re.compile("[0-9a-f]{64}")


class ShopEventKind(IntEnum):
    """What happened; numbers below 16 are those of a bus (`protocol.shift_event`)."""

    SHIFT_OPENED = 16
    """sums: opening float, satang"""
    SALE_CLOSED = 17
    """sums: as `SaleSums`; refers: the sale's voucher"""
    RETURNED = 18
    """sums: as `SaleSums`, what went back; refers: the voucher that gave it back"""
    CASH_IN = 19
    """sums: satang; note: why"""
    CASH_OUT = 20
    """sums: satang; note: why"""
    COUNTED = 21
    """sums: counted, expected, satang"""
    SHIFT_CLOSED = 22
    """sums: as the till's shift totals"""
    HANDED_OVER = 23
    """sums: counted, expected, satang; note: to whom"""
    DRAWER_OPENED = 24
    """without a sale; note: why"""
    AUDIT_HEAD = 25
    """sums: how many rows the till's audit log has had; note: the link of the newest, as 64 hex digits"""


class SaleSums(NamedTuple):
    """One sale or return in sums. `bill_satang` = discount by KGO + coupon + cash + PromptPay. PromptPay is what the
    cashier says has come: unverified. `vat_satang` is in the bill. `is_void`: 1 for a return of the whole sale."""

    bill_satang: int
    kgo: int
    kgo_satang: int
    coupon_satang: int
    cash_satang: int
    promptpay_satang: int
    vat_satang: int
    pieces: int
    goods_discount_satang: int
    is_void: int = 0


class ShopEvent(NamedTuple):
    """One of them. `shift` counts the till's shifts; `refers` is 0 where there is nothing to refer to."""

    what: int
    at_s: int
    trust: int
    shift: int
    cashier: str
    after: int
    refers: int
    sums: tuple[int, ...]
    note: str


_ROW = row(
    uint(31, 16),
    time_s(),
    uint(2),
    uint(COUNT_MAX),
    text(ID_CHARACTERS_MAX, 0),
    uint(COUNT_MAX),
    uint(COUNT_MAX),
    items(amount(), SUMS_MAX),
    text(NOTE_CHARACTERS_MAX, 0),
)


def encode_shop_event(event: ShopEvent) -> bytes:
    """The body. Raises what `decode_shop_event` raises: what nobody could read is never journaled."""
    values = [int(member) if isinstance(member, int) else member for member in event]
    body = cbor.encode([*values[:7], list(event.sums), event.note])
    decode_shop_event(body)
    return body


def decode_shop_event(body: bytes) -> ShopEvent:
    """What it says. Raises the reading refusals."""
    return ShopEvent(*cast(tuple[int, int, int, int, str, int, int, tuple[int, ...], str],
                           _ROW(cbor.decode(body, EVENT_BYTES_MAX))))  # fmt: skip


def shop_event_in(body: bytes) -> ShopEvent | None:
    """The same for a reader of other devices' words; None for one that does not fit."""
    try:
        return decode_shop_event(body)
    except Refusal:
        return None


def audit_head_of(event: ShopEvent) -> tuple[int, str] | None:
    """Number and link (hex) of an AUDIT_HEAD; None where it says none."""
    is_one = event.what == ShopEventKind.AUDIT_HEAD and len(event.sums) == 1 and _LINK.fullmatch(event.note)
    return (event.sums[0], event.note) if is_one else None


def sale_sums_of(event: ShopEvent) -> SaleSums:
    """The sums of a sale or a return. Raises Malformed."""
    if len(event.sums) != len(SaleSums._fields):
        raise Malformed(f"{len(event.sums)} sums")
    return SaleSums(*event.sums)
