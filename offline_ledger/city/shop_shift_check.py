"""Shops' shifts out of the ledger, each held against the vouchers of its till that the city has. DESIGN §5, §7, §8.

An event says with which money a sale was paid; the voucher that it names says what the city posted. Reads device by
device, in pieces; never writes, and never raises for what a device wrote. Only the till's vouchers are judged here, the
books behind them are `audit`'s.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from offline_ledger.city.bench import LAPSED
from offline_ledger.city.shop_shifts import Claim, Finding, Fold, Key, ShopShift
from offline_ledger.city.store import Row, SqlValue, Store
from offline_ledger.errors import OwnerUnknown, Refusal, ReportTooLong, UnknownDevice
from offline_ledger.protocol import cose, device
from offline_ledger.protocol.city import Outcome
from offline_ledger.protocol.device import DeviceRole, EventKind, PlaceKey, VoucherKind
from offline_ledger.protocol.kinds import OBJECT_BYTES_MAX, Kind
from offline_ledger.protocol.shop_event import ShopEvent, shop_event_in
from offline_ledger.rules.civil import civil_day, day_start_s
from offline_ledger.rules.limits import DAY_S

ROWS_MAX = 200_000
CLAIMS_AT_ONCE = 500
_OPENED_START = b"\x89\x10"
"""So the body of SHIFT_OPENED begins: nine members, the first is 16."""
GIVES_BACK = (VoucherKind.REFUND, VoucherKind.VOID)
_COLUMNS = "sequence, outcome, refusal, kind, kgo, satang, raw"


class Wanted(NamedTuple):
    """Which shifts: of one device, of one owner, opened between two civil days; None: all."""

    device: str | None = None
    owner: str | None = None
    first_day: int | None = None
    last_day: int | None = None

    def has(self, shift: ShopShift) -> bool:
        """By the day on which it began."""
        day = civil_day(shift.at_s)
        return not (
            (self.first_day is not None and day < self.first_day) or (self.last_day is not None and day > self.last_day)
        )


class Coupons(NamedTuple):
    """What the coupons of one sale were worth together; `sequence`: of the last of them."""

    sequence: int
    satang: int


_NO_COUPONS = Coupons(0, 0)
_UNPOSTED: dict[int, Key] = {
    Outcome.REJECTED: Key.REJECTED,
    Outcome.HELD: Key.HELD,
    Outcome.SUSPENSE: Key.SUSPENSE,
}


def shop_shifts(store: Store, wanted: Wanted) -> list[ShopShift]:
    """By owner, device and their order there. Raises UnknownDevice, OwnerUnknown, ReportTooLong. Call it within a
    snapshot."""
    if wanted.owner is not None and store.one("SELECT 1 FROM owners WHERE owner = ?", (wanted.owner,)) is None:
        raise OwnerUnknown(wanted.owner)
    if wanted.device is not None and store.one("SELECT 1 FROM devices WHERE device = ?", (wanted.device,)) is None:
        raise UnknownDevice(wanted.device)
    found: list[ShopShift] = []
    rows = store.fetch(
        "SELECT device, owner, through_sequence FROM devices WHERE role = ?1 AND coalesce(?2, device) = device"
        " AND coalesce(?3, owner) = owner ORDER BY owner, device",
        (DeviceRole.SHOP, wanted.device, wanted.owner),
    )
    for name, owner, through in rows:
        for shift in _Till(store, name, through).shifts(wanted):
            shift.device, shift.owner = name, owner
            found.append(shift)
        if len(found) > ROWS_MAX:
            raise ReportTooLong(f"> {ROWS_MAX}")
    return found


class _Till:
    """One device's."""

    def __init__(self, store: Store, name: str, through: int) -> None:
        self._store, self._name, self._through = store, name, through
        self._lapsed = {row[0] for row in self._rows("SELECT sequence FROM unratified WHERE state = ?", LAPSED)}
        self._coupons: dict[str, Coupons] = {}
        self._paid_by_coupon: set[str] = set()
        self._after = 0
        """The newest voucher before what is read."""
        self._is_short = False
        """Something refers to what was not read."""

    def shifts(self, wanted: Wanted) -> list[ShopShift]:
        """Of a period only what was sent about then, unless that refers to what was before: the answer is the same."""
        begin = None if wanted.first_day is None else self._begin_before(wanted.first_day)
        if begin is not None:
            number, opened = begin
            self._after = opened.after
            found = self._read(wanted, number, opened.shift - 1)
            if not self._is_short:
                return found
        self._after, self._paid_by_coupon = 0, set()
        return self._read(wanted, 0, 0)

    # --- inside

    def _begin_before(self, first_day: int) -> tuple[int, ShopEvent] | None:
        """The last opened shift that came a day or more before: a till's clock may be ahead by less."""
        row = self._store.one(
            "SELECT number, body FROM events WHERE device = ? AND kind = ? AND received_at_s < ?"
            " AND substr(body, 1, 2) = ? ORDER BY number DESC LIMIT 1",
            (self._name, EventKind.SHIFT, day_start_s(first_day) - DAY_S, _OPENED_START),
        )
        event = None if row is None else shop_event_in(row[1])
        return None if row is None or event is None else (row[0], event)

    def _read(self, wanted: Wanted, first: int, before: int) -> list[ShopShift]:
        self._coupons = self._read_coupons()
        gaps = [row[0] for row in self._rows("SELECT first FROM event_gaps WHERE first >= ?", first)]
        fold = Fold(sorted(gaps), before)
        events = self._store.stream(
            "SELECT number, body, received_at_s FROM events WHERE device = ? AND number >= ? AND kind = ?"
            " ORDER BY number",
            (self._name, first, EventKind.SHIFT),
        )
        for event in events:
            fold.take(*event)
            if len(fold.claims) >= CLAIMS_AT_ONCE:
                self._check(fold.claims, wanted)
        fold.end()
        self._check(fold.claims, wanted)
        if fold.shifts:
            self._look_for_untold(fold)
        return [shift for shift in fold.shifts if wanted.has(shift)]

    def _rows(self, asked: str, value: SqlValue) -> list[Row]:
        return self._store.fetch(f"{asked} AND device = ?", (value, self._name))

    def _check(self, claims: list[Claim], wanted: Wanted) -> None:
        """A till with coupons is looked at whole: any sale may be the one that used them."""
        self._is_short |= any(claim.refers <= self._after for claim in claims)
        mine = [claim for claim in claims if self._coupons or wanted.has(claim.shift)]
        claims.clear()
        rows = self._store.fetch_in(
            f"SELECT {_COLUMNS} FROM vouchers WHERE device = ? AND sequence IN (?*)",
            [claim.refers for claim in mine],
            first=(self._name,),
        )
        known = {row[0]: row for row in rows}
        for claim in mine:
            for finding in self._findings(claim, known.get(claim.refers)):
                claim.shift.note(finding)

    def _findings(self, claim: Claim, row: Row | None) -> Iterator[Finding]:
        at = (claim.event, claim.refers)
        if row is None:
            yield Finding(Key.NOT_HERE, *at, found=self._through)
            return
        _sequence, outcome, refusal, kind, kgo, satang, raw = row
        if outcome in _UNPOSTED:
            yield Finding(_UNPOSTED[outcome], *at, found=refusal)
        if claim.refers in self._lapsed:
            yield Finding(Key.NOT_CHARGED, *at)
        if kind not in _kinds_of(claim):
            yield Finding(Key.KIND, *at, said=_kinds_of(claim)[0], found=kind)
            return
        place, coupons = self._place(raw), _NO_COUPONS
        bill, sale = place.get(PlaceKey.BILL_SATANG), place.get(PlaceKey.SALE)
        if isinstance(sale, str) and not claim.is_back:
            coupons = self._coupons.get(sale, _NO_COUPONS)
            self._paid_by_coupon.add(sale)
            self._is_short |= coupons.satang != claim.sums.coupon_satang
            yield from _leg(at, "coupon", claim.sums.coupon_satang, coupons.satang)
        if kind == VoucherKind.COUPON:  # coupons paid all of it, this one among them
            kgo = satang = bill = 0
        yield from _leg(at, "kgo", claim.sums.kgo, kgo)  # a coupon is told in baht
        yield from _leg(at, "money", claim.sums.cash_satang + claim.sums.promptpay_satang, satang)
        if isinstance(bill, int):
            yield from _leg(at, "bill", claim.sums.bill_satang, bill + coupons.satang)

    def _place(self, raw: bytes) -> Mapping[int, object]:
        try:
            signed = cose.parse_sign1(raw, cose.external_aad(Kind.VOUCHER, self._store.city))
            return device.VOUCHER.decode(signed.payload, OBJECT_BYTES_MAX).place
        except Refusal:
            return {}

    def _read_coupons(self) -> dict[str, Coupons]:
        """What was taken on paper, by sale."""
        found: dict[str, Coupons] = {}
        asked = "SELECT sequence, raw FROM vouchers WHERE device = ? AND sequence > ? AND kind = ? AND outcome <> ?"
        given = (self._name, self._after, VoucherKind.COUPON, Outcome.REJECTED)
        for sequence, raw in self._store.stream(asked, given):
            place = self._place(raw)
            name, satang = place.get(PlaceKey.SALE), place.get(PlaceKey.BILL_SATANG)
            if isinstance(name, str) and isinstance(satang, int):
                found[name] = Coupons(sequence, found.get(name, _NO_COUPONS).satang + satang)
        return found

    def _look_for_untold(self, fold: Fold) -> None:
        """Vouchers of which no event tells: of a sale put aside, or of one that the shop left out. One that was taken
        back before it was closed, or never charged, is no sale."""
        kinds = ", ".join(str(int(kind)) for kind in (VoucherKind.SALE, *GIVES_BACK))
        rows = self._store.stream(
            f"SELECT sequence, kind, refers_to FROM vouchers WHERE device = ? AND sequence > ? AND kind IN ({kinds})"
            " AND outcome <> ? ORDER BY sequence",
            (self._name, self._after, Outcome.REJECTED),
        )
        untold = {row[0]: (row[1], row[2]) for row in rows if row[0] not in fold.told and row[0] not in self._lapsed}
        self._is_short |= any(refers is not None and refers <= self._after for _kind, refers in untold.values())
        voided = {refers for kind, refers in untold.values() if kind == VoucherKind.VOID}
        for sequence, (kind, refers) in untold.items():
            if sequence not in voided and not (kind == VoucherKind.VOID and refers in untold):
                fold.shift_of(sequence).note(Finding(Key.UNTOLD, voucher=sequence))
        for name in self._coupons.keys() - self._paid_by_coupon:
            sequence = self._coupons[name].sequence
            if sequence not in fold.told:
                fold.shift_of(sequence).note(Finding(Key.UNTOLD, voucher=sequence))


def _kinds_of(claim: Claim) -> tuple[VoucherKind, ...]:
    """What its voucher may be."""
    if claim.is_back:
        return (VoucherKind.VOID,) if claim.sums.is_void else (VoucherKind.REFUND,)
    is_paper = claim.sums.coupon_satang and claim.sums.coupon_satang == claim.sums.bill_satang
    return (VoucherKind.SALE, VoucherKind.COUPON) if is_paper else (VoucherKind.SALE,)


def _leg(at: tuple[int, int], what: str, said: int, found: int) -> Iterator[Finding]:
    if said != found:
        yield Finding(Key.LEG, *at, what, said, found)
