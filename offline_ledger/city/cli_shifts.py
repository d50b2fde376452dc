"""`kgo-city shifts`: what a shop's shifts say of themselves, and whether its vouchers say the same. DESIGN §1, §5."""

import csv
from argparse import Namespace
from dataclasses import asdict
from io import StringIO

from offline_ledger.city import shop_shift_check, tables
from offline_ledger.city.console import OK, REFUSED, Console, refusal_title
from offline_ledger.city.shop_shift_check import Wanted
from offline_ledger.city.shop_shifts import Checked, Finding, Key, ShopShift
from offline_ledger.city.tables import Cell
from offline_ledger.money import format_minor

_HEADINGS = (
    "shifts.merchant", "fleet.device", "shifts.number", "shifts.opened", "shifts.closed", "shifts.cashiers",
    "shifts.sales", "shifts.voids", "shifts.refunds", "shifts.bill", "grant.kgo", "shifts.cash", "shifts.promptpay",
    "shifts.coupon", "shifts.back", "shifts.back_kgo", "shifts.back_cash", "shifts.float", "shifts.in", "shifts.out",
    "shifts.counted", "shifts.difference", "shifts.checked",
)  # fmt: skip
_CSV = (
    "merchant", "device", "shift", "opened", "closed", "cashiers", "sales", "voids", "refunds", "bill", "kgo", "cash",
    "promptpay_unverified", "coupon", "back", "back_kgo", "back_cash", "float", "cash_in", "cash_out", "counted",
    "difference", "checked", "state", "findings",
)  # fmt: skip
_COUNTED = frozenset({"sales"})
"""Sums that are no amounts."""
_FORMULA = ("=", "+", "-", "@")


def shifts(console: Console, said: Namespace) -> int:
    """One line per shift, then what does not fit; exit code 1 when the events of one and its vouchers differ."""
    days = console.days(said.first_day, said.last_day)
    with console.store() as store, store.snapshot():
        found = shop_shift_check.shop_shifts(store, Wanted(said.device, said.merchant, *days))
    differs = any(shift.checked is Checked.DIFFERS for shift in found)
    if said.json:
        console.json([_map(shift) for shift in found])
    elif said.csv:
        console.say(_csv(console, found).rstrip("\n"))
    else:
        console.table(_HEADINGS, [_row(console, shift) for shift in found])
        _findings(console, found)
    return REFUSED if differs else OK


def state_of(shift: ShopShift) -> str:
    """`open`, `closed`, or `unknown`: no end of it is among its events, and it is not the newest."""
    if shift.closed_at_s is not None:
        return "closed"
    return "open" if shift.is_open else "unknown"


def _findings(console: Console, found: list[ShopShift]) -> None:
    for shift in (one for one in found if one.found):
        console.say("")
        console.say(console.text("shifts.about", device=shift.device, number=shift.number))
        for finding in shift.findings:
            console.say(f"  {_told(console, finding)}")
        if shift.found > len(shift.findings):
            console.say(f"  {console.text('shifts.more', count=shift.found - len(shift.findings))}")
    for checked in (Checked.DIFFERS, Checked.WAITING):
        if any(shift.checked is checked for shift in found):
            console.say("")
            console.say(console.text(f"shifts.do.{checked.value}"))


def _told(console: Console, finding: Finding) -> str:
    said, found = (_number(finding, value) for value in (finding.said, finding.found))
    if finding.key is Key.KIND:
        said, found = (console.word("shifts.voucher", value) for value in (finding.said, finding.found))
    if finding.key in (Key.REJECTED, Key.HELD, Key.SUSPENSE):
        found = refusal_title(console.texts, finding.found)
    what = console.text(f"shifts.sum.{finding.what}") if finding.what else ""
    key = f"shifts.finding.{finding.key.value}"
    return console.text(key, event=finding.event, voucher=finding.voucher, what=what, said=said, found=found)


def _number(finding: Finding, value: int) -> str:
    return format_minor(value) if finding.what and finding.what not in _COUNTED else str(value)


def _row(console: Console, shift: ShopShift) -> tuple[Cell, ...]:
    state = state_of(shift)
    closed = console.time(shift.closed_at_s) if state == "closed" else console.text(f"shifts.state.{state}")
    return (
        shift.owner,
        shift.device,
        shift.number,
        console.time(shift.opened_at_s),
        closed,
        " ".join(shift.cashiers) or "-",
        *_counts(shift),
        *(_shown(value) for value in _amounts(shift)),
        console.text(f"shifts.checked.{shift.checked.value}"),
    )


def _counts(shift: ShopShift) -> tuple[int, int, int]:
    return shift.sales, shift.voids, shift.refunds


def _amounts(shift: ShopShift) -> tuple[int | None, ...]:
    """In the order of the columns."""
    return (
        shift.bill_satang,
        shift.kgo,
        shift.cash_satang,
        shift.promptpay_satang,
        shift.coupon_satang,
        shift.back_satang,
        shift.back_kgo,
        shift.back_cash_satang,
        shift.float_satang,
        shift.in_satang,
        shift.out_satang,
        shift.counted_satang,
        shift.difference_satang,
    )


def _shown(minor: int | None) -> str:
    return "-" if minor is None else format_minor(minor)


def _map(shift: ShopShift) -> dict[str, object]:
    said = asdict(shift)
    del said["is_newest"], said["after"]
    said["findings"] = [finding._asdict() for finding in shift.findings]
    said["head"] = None if shift.head is None else {"rows": shift.head[0], "link": shift.head[1]}
    said["expected_satang"], said["difference_satang"] = shift.expected_satang, shift.difference_satang
    said["state"] = state_of(shift)
    return said


def _csv(console: Console, found: list[ShopShift]) -> str:
    """Plain decimals without grouping, ISO times. What a till wrote is text to a spreadsheet, never a formula."""
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_CSV)
    for shift in found:
        cashiers = " ".join(shift.cashiers)
        writer.writerow(
            (
                shift.owner,
                shift.device,
                shift.number,
                *(tables.time_text(at_s, "en").rstrip("-") for at_s in (shift.opened_at_s, shift.closed_at_s)),
                f"'{cashiers}" if cashiers.startswith(_FORMULA) else cashiers,
                *_counts(shift),
                *(_shown(value).replace(",", "") if value is not None else "" for value in _amounts(shift)),
                console.text(f"shifts.checked.{shift.checked.value}"),
                console.text(f"shifts.state.{state_of(shift)}"),
                "; ".join(_told(console, finding) for finding in shift.findings),
            )
        )
    return out.getvalue()
