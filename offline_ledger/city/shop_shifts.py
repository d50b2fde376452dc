"""A shop's shifts as its own events tell them: one till's events in their order become shifts. Pure. DESIGN §5.

Sums of a shift are the shop's own declaration; here they are only added up, and held against what the till itself said
of them. Whether the vouchers say the same is `shop_shift_check`. Events are hostile: nothing that a device writes
raises here, each oddity is a finding with a name.
"""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import accumulate
from typing import NamedTuple

from offline_ledger.errors import Malformed
from offline_ledger.money import AMOUNT_MINOR_MAX
from offline_ledger.protocol.shop_event import (
    SaleSums,
    ShopEvent,
    ShopEventKind,
    audit_head_of,
    sale_sums_of,
    shop_event_in,
)

SHIFTS_MAX = 3_700
"""Of one till: ten years of a shift a day; what comes after them is added to the last one."""
FINDINGS_MAX = 20
CASHIERS_MAX = 8
BETWEEN = (ShopEventKind.DRAWER_OPENED, ShopEventKind.AUDIT_HEAD)
"""What may happen while no shift is open."""
Z_SUMS = (
    "sales", "bill", "kgo", "kgo_satang", "coupon", "cash", "promptpay", "back", "back_kgo", "back_cash", "in", "out",
    "float", "expected", "counted",
)  # fmt: skip
"""What SHIFT_CLOSED says, in its order."""


class Checked(StrEnum):
    """Do the shift's events and the vouchers say the same? WAITING: something is not here, or not decided."""

    EQUAL = "equal"
    WAITING = "waiting"
    DIFFERS = "differs"


class Key(StrEnum):
    """What was found; its text is `city.shifts.finding.KEY`."""

    UNREADABLE = "unreadable"
    SUMS = "sums"
    ADDS_UP = "adds_up"
    TOO_MANY = "too_many"
    OTHER_SHIFT = "other_shift"
    NUMBER = "number"
    NOT_CLOSED = "not_closed"
    NO_OPENING = "no_opening"
    REFERS = "refers"
    TWICE = "twice"
    REPORT = "report"
    EXPECTED = "expected"
    LEG = "leg"
    KIND = "kind"
    REJECTED = "rejected"
    NOT_CHARGED = "not_charged"
    LOST = "lost"
    UNKNOWN = "unknown"
    NOT_HERE = "not_here"
    HELD = "held"
    SUSPENSE = "suspense"
    UNTOLD = "untold"


WAITS = frozenset({Key.LOST, Key.UNKNOWN, Key.NOT_HERE, Key.HELD, Key.SUSPENSE, Key.UNTOLD})
"""Nothing contradicts: the rest may still come, or be decided."""


class Finding(NamedTuple):
    """`event`, `voucher`: which (0: none). `what`: which sum; `said` and `found`: by the event, and elsewhere."""

    key: Key
    event: int = 0
    voucher: int = 0
    what: str = ""
    said: int = 0
    found: int = 0


@dataclass(slots=True)
class ShopShift:
    """One shift of one till. Minor units; times are the till's. `opened_at_s` None: its opening is not among its
    events; `closed_at_s` None: nor its closing."""

    number: int
    first_event: int
    at_s: int
    device: str = ""
    owner: str = ""
    opened_at_s: int | None = None
    closed_at_s: int | None = None
    is_newest: bool = False
    cashiers: list[str] = field(default_factory=list[str])
    sales: int = 0
    voids: int = 0
    refunds: int = 0
    bill_satang: int = 0
    kgo: int = 0
    kgo_satang: int = 0
    coupon_satang: int = 0
    cash_satang: int = 0
    promptpay_satang: int = 0
    back_satang: int = 0
    back_kgo: int = 0
    back_cash_satang: int = 0
    float_satang: int = 0
    in_satang: int = 0
    out_satang: int = 0
    counted_satang: int | None = None
    head: tuple[int, str] | None = None
    """Rows and newest link of the till's audit log, as it was told last in this shift or at its end."""
    after: int = 0
    """The newest voucher when the last of its events happened."""
    findings: list[Finding] = field(default_factory=list[Finding])
    found: int = 0
    """How many findings there are; the first ones are kept."""
    checked: Checked = Checked.EQUAL
    is_torn: bool = False
    """Events of it are lost: its sums are only what is left."""

    @property
    def is_open(self) -> bool:
        """Is it the till's newest, and not closed?"""
        return self.is_newest and self.closed_at_s is None

    @property
    def expected_satang(self) -> int:
        """What the drawer should hold."""
        held_satang = self.float_satang + self.cash_satang + self.in_satang
        return held_satang - self.out_satang - self.back_cash_satang

    @property
    def difference_satang(self) -> int | None:
        """Counted less expected; None where it was not counted since something changed it."""
        return None if self.counted_satang is None else self.counted_satang - self.expected_satang

    def note(self, finding: Finding) -> None:
        """One more; a difference outweighs what waits."""
        self.found += 1
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append(finding)
        if finding.key not in WAITS:
            self.checked = Checked.DIFFERS
        elif self.checked is Checked.EQUAL:
            self.checked = Checked.WAITING


class Claim(NamedTuple):
    """What an event says of a voucher, to be held against it. `name`: of the event."""

    shift: ShopShift
    event: int
    is_back: bool
    refers: int
    sums: SaleSums


class Fold:
    """One till's events, oldest first. `shifts` are complete after `end`; take `claims` out as often as you like."""

    def __init__(self, gaps: Iterable[int] = (), before: int = 0) -> None:
        """`gaps`: numbers of events that are lost, the first of each run, rising. `before`: the shift before the first
        one that is told here."""
        self.shifts: list[ShopShift] = []
        self.claims: list[Claim] = []
        self.told: dict[int, int] = {}
        """Vouchers that an event told of, and in which of `shifts`."""
        self._gaps = list(reversed(list(gaps)))
        self._now: ShopShift | None = None
        self._number = before
        self._is_torn = False
        self._through: list[int] = []

    def take(self, number: int, body: bytes, received_at_s: int) -> None:
        """One event of `EventKind.SHIFT`. Never raises for what is in it."""
        while self._gaps and self._gaps[-1] < number:
            self._tear(self._gaps.pop())
        event = shop_event_in(body)
        if event is None:
            self._shift_for(number, self._number, received_at_s).note(Finding(Key.UNREADABLE, number))
            return
        if event.what == ShopEventKind.SHIFT_OPENED and len(self.shifts) < SHIFTS_MAX:
            self._open(number, event)
            return
        if event.what == ShopEventKind.AUDIT_HEAD and self.shifts and event.shift == self.shifts[-1].number:
            self._take_head(self.shifts[-1], number, event)
            return
        if event.what in BETWEEN and self._now is None:
            return
        shift = self._shift_for(number, event.shift, event.at_s)
        shift.after = max(shift.after, event.after)
        if event.cashier not in shift.cashiers and len(shift.cashiers) < CASHIERS_MAX:
            shift.cashiers.append(event.cashier)
        if event.shift != shift.number:
            shift.note(Finding(Key.OTHER_SHIFT, number, said=event.shift, found=shift.number))
        self._add(shift, number, event)

    def end(self) -> None:
        """There are no more."""
        while self._gaps:
            self._tear(self._gaps.pop())
        if self.shifts:
            self.shifts[-1].is_newest = True

    def shift_of(self, sequence: int) -> ShopShift:
        """In which shift this voucher was made, by what the events say; of one after all of them, the newest."""
        if not self._through:
            self._through = list(accumulate((shift.after for shift in self.shifts), max))
        return self.shifts[min(bisect_left(self._through, sequence), len(self.shifts) - 1)]

    # --- inside

    def _open(self, number: int, event: ShopEvent) -> None:
        before, was_torn = self._now, self._is_torn
        is_next = event.shift == self._number + 1
        if before is not None and not was_torn:
            before.note(Finding(Key.NOT_CLOSED, number))
        shift = self._begin(event.shift, number, event.at_s)
        shift.opened_at_s, shift.after = event.at_s, event.after
        shift.cashiers.append(event.cashier)
        if was_torn and not is_next and event.shift > self._number:
            shift.note(Finding(Key.LOST, number))  # perhaps whole shifts
        elif not is_next:
            shift.note(Finding(Key.NUMBER, number, said=event.shift, found=self._number + 1))
        self._number = event.shift
        shift.float_satang = _sum(shift, number, event, 1)

    def _begin(self, number: int, first_event: int, at_s: int) -> ShopShift:
        self._is_torn = False
        self._now = ShopShift(number, first_event, at_s)
        self.shifts.append(self._now)
        return self._now

    def _shift_for(self, number: int, said: int, at_s: int) -> ShopShift:
        """The one that is open; where none is, or another one after a gap, one whose opening is not there."""
        now, was_torn = self._now, self._is_torn
        if len(self.shifts) >= SHIFTS_MAX and (now is None or said != now.number):
            self._now = self.shifts[-1]
            self._now.note(Finding(Key.TOO_MANY, number, found=SHIFTS_MAX))
            return self._now
        if now is not None and not (was_torn and now.number != said):
            self._is_torn = False
            return now
        made = self._begin(said, number, at_s)
        self._number, made.is_torn = max(self._number, said), was_torn
        made.note(Finding(Key.LOST if was_torn else Key.NO_OPENING, number))
        return made

    def _tear(self, first: int) -> None:
        self._is_torn = True
        if self._now is not None:
            self._now.note(Finding(Key.LOST, first))
            self._now.is_torn = True

    @staticmethod
    def _take_head(shift: ShopShift, number: int, event: ShopEvent) -> None:
        head = audit_head_of(event)
        if head is None:
            shift.note(Finding(Key.SUMS, number))
        shift.head = head or shift.head

    def _add(self, shift: ShopShift, number: int, event: ShopEvent) -> None:
        match event.what:
            case ShopEventKind.SALE_CLOSED | ShopEventKind.RETURNED:
                self._sale(shift, number, event)
            case ShopEventKind.CASH_IN:
                shift.in_satang += _sum(shift, number, event, 1)
                shift.counted_satang = None
            case ShopEventKind.CASH_OUT:
                shift.out_satang += _sum(shift, number, event, 1)
                shift.counted_satang = None
            case ShopEventKind.COUNTED | ShopEventKind.HANDED_OVER:
                shift.counted_satang = _sum(shift, number, event, 2)
                said, ours = event.sums[-1:], _clamped(shift.expected_satang)
                if len(event.sums) == 2 and said != (ours,) and not shift.is_torn:
                    shift.note(Finding(Key.EXPECTED, number, what="expected", said=said[0], found=ours))
            case ShopEventKind.SHIFT_CLOSED:
                _check_report(shift, number, event)
                shift.closed_at_s, self._now = event.at_s, None
            case ShopEventKind.AUDIT_HEAD:
                self._take_head(shift, number, event)
            case ShopEventKind.DRAWER_OPENED:
                pass
            case _:
                shift.note(Finding(Key.UNKNOWN, number, said=event.what))

    def _sale(self, shift: ShopShift, number: int, event: ShopEvent) -> None:
        try:
            sums = sale_sums_of(event)
        except Malformed:
            shift.note(Finding(Key.SUMS, number, event.refers))
            return
        is_back = event.what == ShopEventKind.RETURNED
        shift.counted_satang = None
        if is_back:
            shift.voids += bool(sums.is_void)
            shift.refunds += not sums.is_void
            shift.back_satang += sums.bill_satang
            shift.back_kgo += sums.kgo
            shift.back_cash_satang += sums.cash_satang
        else:
            shift.sales += 1
            shift.bill_satang += sums.bill_satang
            shift.kgo += sums.kgo
            shift.kgo_satang += sums.kgo_satang
            shift.coupon_satang += sums.coupon_satang
            shift.cash_satang += sums.cash_satang
            shift.promptpay_satang += sums.promptpay_satang
        paid = sums.kgo_satang + sums.coupon_satang + sums.cash_satang + sums.promptpay_satang
        if paid != sums.bill_satang:
            shift.note(Finding(Key.ADDS_UP, number, event.refers, "bill", sums.bill_satang, paid))
        if not 0 < event.refers <= event.after:
            shift.note(Finding(Key.REFERS, number, event.refers))
            return
        if event.refers in self.told:
            other = self.shifts[self.told[event.refers]]
            shift.note(Finding(Key.TWICE, number, event.refers, said=shift.number, found=other.number))
            return
        self.told[event.refers] = len(self.shifts) - 1
        self.claims.append(Claim(shift, number, is_back, event.refers, sums))


def _sum(shift: ShopShift, number: int, event: ShopEvent, count: int) -> int:
    """The first of its sums; a finding where there are not as many as there should be."""
    if len(event.sums) != count:
        shift.note(Finding(Key.SUMS, number))
    return event.sums[0] if event.sums else 0


def _check_report(shift: ShopShift, number: int, event: ShopEvent) -> None:
    """The Z report against what its events come to."""
    if len(event.sums) != len(Z_SUMS):
        shift.note(Finding(Key.SUMS, number))
        return
    if shift.is_torn:
        return
    ours = (
        shift.sales, shift.bill_satang, shift.kgo, shift.kgo_satang, shift.coupon_satang, shift.cash_satang,
        shift.promptpay_satang, shift.back_satang, shift.back_kgo, shift.back_cash_satang, shift.in_satang,
        shift.out_satang, shift.float_satang, shift.expected_satang, shift.counted_satang or 0,
    )  # fmt: skip
    for what, said, found in zip(Z_SUMS, event.sums, ours, strict=True):
        if said != _clamped(found):
            shift.note(Finding(Key.REPORT, number, what=what, said=said, found=found))


def _clamped(satang: int) -> int:
    """A sum as an event may have it."""
    return min(max(0, satang), AMOUNT_MINOR_MAX)
