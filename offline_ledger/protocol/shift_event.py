"""What a validator journals about driver and trip: bodies of `EventKind.SHIFT`. Pure. DESIGN §2, §5; decision 0141.

`after` is the last voucher when it happened: vouchers and events are numbered apart, and this joins them, so that a
waybill can be drawn from the journal alone. The city keeps these events and changes nothing by them.
"""

from enum import IntEnum
from typing import NamedTuple, cast

from offline_ledger.errors import Malformed, Refusal
from offline_ledger.protocol import cbor
from offline_ledger.protocol.device import EVENT_BYTES_MAX
from offline_ledger.protocol.fields import row, text, time_s, uint
from offline_ledger.protocol.wallet import ID_CHARACTERS_MAX

COUNT_MAX = 1 << 48


class ShiftEventKind(IntEnum):
    """What happened; numbers from 16 on are kept for shops."""

    SIGNED_ON = 1
    SIGNED_OFF = 2
    DRIVER_CHANGED = 3
    TRIP_STARTED = 4
    TRIP_ENDED = 5
    LOCKED = 6
    UNLOCKED = 7


class ShiftEvent(NamedTuple):
    """One of them. Text is empty and `direction` 0 where there is none. `driver`: who it is from now on, or was last.
    `shift`: counts the drivers' turns at this device. `routes_counter`: which route file; 0 for none."""

    what: int
    at_s: int
    trust: int
    shift: int
    driver: str
    after: int
    route: str
    direction: int
    trip: str
    stop: str
    routes_counter: int


_ID = text(ID_CHARACTERS_MAX, 0)
_ROW = row(
    uint(15, 1),
    time_s(),
    uint(2),
    uint(COUNT_MAX),
    text(ID_CHARACTERS_MAX),
    uint(COUNT_MAX),
    _ID,
    uint(1),
    _ID,
    _ID,
    uint(1 << 32),
)


def encode_shift_event(event: ShiftEvent) -> bytes:
    """The body. Raises what `decode_shift_event` raises: what nobody could read is never journaled."""
    body = cbor.encode([int(member) if isinstance(member, int) else member for member in event])
    decode_shift_event(body)
    return body


def decode_shift_event(body: bytes) -> ShiftEvent:
    """What it says. Raises the reading refusals."""
    return ShiftEvent(*cast(tuple[int, int, int, int, str, int, str, int, str, str, int],
                            _ROW(cbor.decode(body, EVENT_BYTES_MAX))))  # fmt: skip


def shift_event_in(body: bytes) -> ShiftEvent | None:
    """The same for a reader of other devices' words; None for one that does not fit."""
    try:
        return decode_shift_event(body)
    except Refusal:
        return None


def check_kind(event: ShiftEvent) -> ShiftEventKind:
    """The kind as a name. Raises Malformed for one that this version does not know."""
    try:
        return ShiftEventKind(event.what)
    except ValueError as error:
        raise Malformed(f"shift event {event.what}") from error
