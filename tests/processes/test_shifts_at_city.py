"""The operator's `shifts` says what the Z report of a real till says, read from the shop's receipts by other code.

A till sells for cash, KGO and PromptPay, voids, refunds, moves cash, counts, closes and syncs. DESIGN §5, §7, §8.
"""

import json
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from offline_ledger.protocol.shop_event import ShopEventKind
from pos_app.store.audit_log import START, link_of
from simulators.demo.processes import PYTHON, wait_until
from simulators.demo.reader_files import open_copy, rows
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


def audit_rows(street: Street) -> list[dict[str, Any]]:
    """Of the file as it is on the disk now, read without a lock."""
    with closing(open_copy(street.till.folder / "shop.db", street.folder / "scratch" / "audit")) as file:
        found = rows(file, "SELECT number, action, link FROM audit ORDER BY number")
    return [{"number": number, "action": action, "link": link.hex()} for number, action, link in found]


def verify(street: Street) -> subprocess.CompletedProcess[str]:
    words = ("--settings", str(street.till.settings_file), "--language", "en", "audit-log", "--verify")
    return subprocess.run([*PYTHON, "pos_app", *words], capture_output=True, text=True, timeout=60, check=False)


def test_a_log_written_anew_after_the_till_was_killed_is_found_and_an_honest_one_is_not(street: Street) -> None:
    street.ready()
    street.sell("20")
    street.done("next")
    for delay_s in (0.0, 0.01, 0.03, 0.08):  # the plug is pulled around the row and its head
        street.done("shift")
        street.kill_after(delay_s, "x_report")
        honest = verify(street)
        assert honest.returncode == 0 and "agree with the signed journal" in honest.stdout, honest
        street.restart()
        street.ready()
    street.done("shift")
    street.done("close_shift")
    street.check()
    assert street.till.stop() == 0
    [told] = shifts(street)
    assert verify(street).returncode == 0

    with closing(sqlite3.connect(street.till.folder / "shop.db")) as file, file:
        kept = file.execute("SELECT number, at_s, trust, who, action, given FROM audit ORDER BY number").fetchall()
        link, numbered = START, 0
        file.execute("DELETE FROM audit")
        for row in kept:
            if row[4] == "sale":
                continue  # it never happened
            numbered += 1
            link = link_of(link, (numbered, *row[1:]))
            file.execute("INSERT INTO audit VALUES(?, ?, ?, ?, ?, ?, ?)", (numbered, *row[1:], link))
        file.execute("UPDATE audit_ends SET last_number = ?, last_link = ?", (numbered, link))
    found = verify(street)
    assert found.returncode == 1 and found.stderr.startswith("1955 "), found
    assert told["head"]["link"] not in {row["link"] for row in audit_rows(street)}, "and the city has the old one"
    for path in street.till.folder.glob("shop.db*"):
        path.unlink()
    emptied = verify(street)
    assert emptied.returncode == 1 and emptied.stderr.startswith("1955 "), emptied


def test_the_operators_line_is_the_tills_z_report(street: Street) -> None:
    mali, somchai = street.customer(0), street.customer(1)
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

    log = {row["number"]: row for row in audit_rows(street)}
    assert log[closed["head"]["rows"]]["action"] == "close_shift", "the log as it stood when the shift was closed"
    assert log[closed["head"]["rows"]]["link"] == closed["head"]["link"]

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
