"""The operator's `shifts` says what the Z report of a real till says, read from the shop's receipts by other code.

A till sells for cash, KGO and PromptPay, voids, refunds, moves cash, counts, closes and syncs. DESIGN §5, §7, §8.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from offline_ledger.protocol.shop_event import ShopEventKind
from simulators.demo.processes import wait_until
from simulators.shop_desk.books import z_of
from tests.counter_lessons.street import DEVICE, MERCHANT, Street, number_on

Z_NAMES = ("sales", "bill_satang", "kgo", "kgo_satang", "coupon_satang", "cash_satang", "promptpay_satang",
           "back_satang", "back_kgo", "back_cash_satang", "in_satang", "out_satang")  # fmt: skip


@pytest.fixture
def street(tmp_path: Path, seed: int) -> Iterator[Street]:
    made = Street(tmp_path, seed)
    yield made
    made.close()


def shifts(street: Street) -> list[dict[str, Any]]:
    _code, said = street.town.city.ask("shifts", "--device", DEVICE, "--json", may_fail=True)
    return json.loads(said)


def test_the_operators_line_is_the_tills_z_report(street: Street) -> None:
    mali, somchai, _nok = street.people
    street.ready()
    first = street.sell("120.50", "1000")
    second = street.sell_with_kgo("60", 5, mali)
    street.done("next")
    street.to_pay("80")
    street.done("promptpay")
    number_on(street.done("promptpay_confirm"))
    street.done("next")
    third = street.sell_with_kgo("40", 7, somchai)
    street.done("receipts")
    street.done("receipt", number=str(third))
    street.done("void", number=str(third))
    street.done("back")
    street.done("receipt", number=str(second))
    street.done("refund_start", number=str(second))
    street.done("refund", number=str(second), typed="25")
    street.done("back")
    street.done("back")
    street.done("shift")
    street.done("cash_in", typed="33")
    street.done("cash_out", typed="12")
    street.done("count", typed="600")
    assert street.done("close_shift").screen == "report"
    street.ready()
    street.sell("15")
    books = street.check()

    closed, opened = shifts(street)
    assert {name: closed[name] for name in Z_NAMES} == dict(zip(Z_NAMES, z_of(books, 1), strict=True))
    assert closed["sales"] == 4 and closed["kgo"] == 1_200 and closed["promptpay_satang"] == 8_000
    assert (closed["voids"], closed["refunds"], closed["cashiers"]) == (1, 1, ["01"])
    [report] = [one for one in books.events if one.what == ShopEventKind.SHIFT_CLOSED]
    assert (closed["float_satang"], closed["expected_satang"]) == report.sums[12:14]
    assert closed["counted_satang"] == 60_000 == report.sums[14]
    assert closed["difference_satang"] == 60_000 - report.sums[13]
    assert (closed["owner"], closed["device"], closed["number"]) == (MERCHANT, DEVICE, 1)
    assert (closed["state"], closed["checked"], closed["findings"]) == ("closed", "equal", [])
    assert (opened["state"], opened["checked"], opened["sales"], opened["closed_at_s"]) == ("open", "equal", 1, None)
    code, table = street.town.city.ask("shifts")
    assert code == 0 and "ปิดกะ" in table and "ยังเปิดอยู่" in table and "300.50" in table

    street.ready()  # what the shop puts aside is not hidden: its voucher has no shift
    assert first == 1
    street.to_pay("50")
    street.done("kgo", typed="3")
    assert street.show(mali, 3).screen == "pay"
    street.done("hold")
    street.till.wait_synced()
    wait_until(lambda: shifts(street)[1]["checked"] == "waiting", "the voucher at the city", step_s=0.3)
    [finding] = shifts(street)[1]["findings"]
    assert finding["key"] == "untold" and finding["voucher"] == len(street.books().vouchers)
