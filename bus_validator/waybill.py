"""The waybill of one trip: who drove, who boarded, which coins are due. Pure: from journal rows alone. DESIGN §5.

Nothing is counted as it happens, so a power cut leaves nothing to repair: the same rows give the same waybill. A
boarding whose green nobody saw, and whose wallet did not come back, is not charged and not counted; an annulled one is
counted as annulled, for the driver who annulled it. Amounts: KGO in 1/100 KGO, coins in satang. Never changes a row.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bus_validator.trip import Run
from offline_ledger.errors import AlreadyAccepted
from offline_ledger.protocol.device import EventKind, PlaceKey, Voucher, VoucherKind, event_values
from offline_ledger.protocol.shift_event import ShiftEventKind, shift_event_in

VOUCHERS_MAX = 5_000
"""Of one trip; a full bus takes 80."""
BOARDED = frozenset({VoucherKind.BOARDING, VoucherKind.COUPON})
UNKNOWN_CONCESSION = -1
"""Of an allowance that is gone nobody knows."""
NO_CONCESSION = -2
"""A coupon has none."""


class TripVoucher(NamedTuple):
    """One voucher and the fare class of the allowance behind it. `is_open`: charged, but its green was not recorded as
    shown and its wait is not over. `is_sent`: the city has acknowledged it. `is_uncharged`: its wait ended, maybe after
    the trip did, and nobody had come back for the green."""

    voucher: Voucher
    concession: int
    is_open: bool
    is_sent: bool
    is_uncharged: bool = False


class TripEvent(NamedTuple):
    """One journaled event, in the order of their numbers."""

    kind: int
    body: bytes


class Sums(NamedTuple):
    """What adds up. `satang` are declared coins; `annulled_…` went back out of them."""

    boardings: int = 0
    kgo: int = 0
    satang: int = 0
    annulled: int = 0
    annulled_kgo: int = 0
    annulled_satang: int = 0

    @property
    def net_boardings(self) -> int:
        """Without the annulled ones."""
        return self.boardings - self.annulled

    @property
    def net_kgo(self) -> int:
        """KGO that the operator is owed."""
        return self.kgo - self.annulled_kgo

    @property
    def coins_due_satang(self) -> int:
        """What the driver hands over."""
        return self.satang - self.annulled_satang


class Part(NamedTuple):
    """One driver's part. `refusals` are without the repeats; `uncharged_greens` were paid before a power cut."""

    driver: str
    sums: Sums
    refusals: int
    repeats: int
    uncharged_greens: int


class Line(NamedTuple):
    """Boardings of one product and fare class, annulled ones left out."""

    product: str
    concession: int
    boardings: int
    kgo: int
    satang: int


class Waybill(NamedTuple):
    """The whole. `not_charged`: power cuts that nobody rode out; `open`: those that still wait; `unsent`: vouchers that
    the city has not acknowledged; `missing`: rows that are gone from this device, so the sums are too low."""

    run: Run
    parts: tuple[Part, ...]
    lines: tuple[Line, ...]
    sums: Sums
    first_at_s: int | None
    last_at_s: int | None
    ended_at_s: int | None
    not_charged: int
    open: int
    unsent: int
    missing: int

    @property
    def refusals(self) -> int:
        """Of all drivers."""
        return sum(part.refusals for part in self.parts)

    @property
    def repeats(self) -> int:
        """Of all drivers."""
        return sum(part.repeats for part in self.parts)

    @property
    def uncharged_greens(self) -> int:
        """Of all drivers."""
        return sum(part.uncharged_greens for part in self.parts)


@dataclass
class _Turn:
    """A driver's turn: from the first voucher after `after`."""

    driver: str
    after: int
    refusals: int = 0
    repeats: int = 0
    uncharged_greens: int = 0


@dataclass
class _Told:
    """What the events say."""

    turns: list[_Turn]
    ended_after: int | None = None
    ended_at_s: int | None = None


def waybill_of(run: Run, vouchers: Iterable[TripVoucher], events: Iterable[TripEvent], missing: int = 0) -> Waybill:
    """From the rows from `run.first_sequence` and `run.first_event` on; what belongs to another trip is passed over."""
    told = _read_events(run, events)
    found = [one for one in vouchers if _is_of(one.voucher, run, told)]
    boarded = {one.voucher.sequence: one for one in found if one.voucher.kind in BOARDED and not one.is_uncharged}
    annulled = [
        one.voucher for one in found if one.voucher.kind == VoucherKind.ANNUL and one.voucher.refers_to in boarded
    ]
    parts = _parts(told.turns, boarded.values(), annulled)
    times = sorted(one.voucher.at_s for one in boarded.values())
    return Waybill(
        run=run,
        parts=parts,
        lines=_lines(boarded, annulled),
        sums=Sums(*(sum(column) for column in zip(*(part.sums for part in parts), strict=True))) if parts else Sums(),
        first_at_s=times[0] if times else None,
        last_at_s=times[-1] if times else None,
        ended_at_s=told.ended_at_s,
        not_charged=sum(one.voucher.kind in BOARDED and one.is_uncharged for one in found),
        open=sum(one.is_open for one in boarded.values()),
        unsent=sum(not one.is_sent for one in found),
        missing=missing,
    )


def _is_of(voucher: Voucher, run: Run, told: _Told) -> bool:
    if voucher.sequence < run.first_sequence or (told.ended_after or voucher.sequence) < voucher.sequence:
        return False
    return voucher.kind == VoucherKind.ANNUL or voucher.place.get(PlaceKey.TRIP) == run.trip


def _read_events(run: Run, events: Iterable[TripEvent]) -> _Told:
    told = _Told([])
    for event in events:
        if event.kind == EventKind.SHIFT:
            _take_shift(told, run, event.body)
        elif told.turns and told.ended_after is None:
            _count(told.turns[-1], event.kind, event_values(event.body))
    return told


def _take_shift(told: _Told, run: Run, body: bytes) -> None:
    event = shift_event_in(body)
    if event is None or told.ended_after is not None:
        return
    if event.what == ShiftEventKind.TRIP_STARTED and event.trip == run.trip and not told.turns:
        told.turns.append(_Turn(event.driver, event.after))
    elif event.what == ShiftEventKind.DRIVER_CHANGED and told.turns and event.driver != told.turns[-1].driver:
        told.turns.append(_Turn(event.driver, event.after))
    elif event.what == ShiftEventKind.TRIP_ENDED and told.turns:
        told.ended_after, told.ended_at_s = event.after, event.at_s


def _count(turn: _Turn, kind: int, said: list[object]) -> None:
    if kind == EventKind.REFUSAL and len(said) == 3:
        if said[0] == AlreadyAccepted.number:
            turn.repeats += 1
        else:
            turn.refusals += 1
    elif kind == EventKind.UNCHARGED_GREEN:
        turn.uncharged_greens += 1


def _parts(turns: Sequence[_Turn], boarded: Iterable[TripVoucher], annulled: Iterable[Voucher]) -> tuple[Part, ...]:
    """Each driver once, in the order of their first turns; a turn with no driver is one without a crew file."""
    sums: dict[str, Sums] = {turn.driver: Sums() for turn in turns} or {"": Sums()}
    for one in boarded:
        driver, voucher = _driver_at(turns, one.voucher.sequence), one.voucher
        before = sums[driver]
        sums[driver] = before._replace(
            boardings=before.boardings + 1,
            kgo=before.kgo + voucher.kgo,
            satang=before.satang + _declared_satang(voucher),
        )
    for voucher in annulled:
        driver = _driver_at(turns, voucher.sequence)
        before = sums[driver]
        sums[driver] = before._replace(
            annulled=before.annulled + 1,
            annulled_kgo=before.annulled_kgo + voucher.kgo,
            annulled_satang=before.annulled_satang + voucher.satang,
        )
    return tuple(
        Part(
            driver,
            found,
            sum(turn.refusals for turn in turns if turn.driver == driver),
            sum(turn.repeats for turn in turns if turn.driver == driver),
            sum(turn.uncharged_greens for turn in turns if turn.driver == driver),
        )
        for driver, found in sums.items()
    )


def _driver_at(turns: Sequence[_Turn], sequence: int) -> str:
    """Whose turn a voucher fell into."""
    found = turns[0].driver if turns else ""
    for turn in turns:
        if turn.after < sequence:
            found = turn.driver
    return found


def _declared_satang(voucher: Voucher) -> int:
    """Coins, as far as nobody else vouches for them."""
    verified = voucher.place.get(PlaceKey.VERIFIED_SATANG)
    return voucher.satang - (verified if isinstance(verified, int) else 0)


def _lines(boarded: dict[int, TripVoucher], annulled: Iterable[Voucher]) -> tuple[Line, ...]:
    gone = {voucher.refers_to for voucher in annulled}
    found: dict[tuple[str, int], Line] = {}
    for sequence, one in boarded.items():
        if sequence in gone:
            continue
        is_coupon = one.voucher.kind == VoucherKind.COUPON
        key = (one.voucher.product, NO_CONCESSION if is_coupon else one.concession)
        line = found.get(key, Line(*key, 0, 0, 0))
        found[key] = line._replace(
            boardings=line.boardings + 1,
            kgo=line.kgo + one.voucher.kgo,
            satang=line.satang + _declared_satang(one.voucher),
        )
    return tuple(found[key] for key in sorted(found))
