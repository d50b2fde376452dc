"""A day at the real till by touch alone: the first manager, a shift, goods found by their letters, a bill put aside by
name, cash, a refund that the manager signs for, cash with its reason, the count and the Z. Issue: the counter.

No key is ever pressed: the page is asked at the end whether it saw one.
"""

import re
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from pos_app.store.audit_log import AuditLog
from pos_app.store.shop_file import ShopFile
from simulators.demo.city import CITY
from simulators.demo.desk import SHOP, DeskSettings
from simulators.demo.town import Town
from simulators.shop_desk.till import PIN_TEST_ONLY, Shop, TillDesk
from tests.pos_app.page.fingers import LETTERS, digits, does, find, press, write
from tests.pos_app.page.test_looks import PHONE, TERMINALS
from tests.processes.quick_city import QuickCity

DEVICE = "till-1"
GOODS = Path("pos_app/sample_goods.csv")
MANAGER, CASHIER = "ป้าแดง ใจดี", "สมชาย"
LABEL, REASON = "โต๊ะ ๔ ริมน้ำ", "เงินทอนเพิ่ม"
START_MS = 20_000
WATCH = "window.keysSeen = 0; addEventListener('keydown', () => window.keysSeen++, true);"
DO = "#main .press.main"


@pytest.fixture
def till(tmp_path: Path, seed: int) -> Iterator[TillDesk]:
    """Nobody has a PIN at it yet."""
    with ExitStack() as stack:
        town = Town(tmp_path, seed, QuickCity)
        stack.callback(town.close)
        town.found()
        folder = tmp_path / DEVICE
        who = DeskSettings(SHOP, DEVICE, CITY, town.city.ca_file, town.city.port, folder, seed, has_camera=False)
        made = stack.enter_context(TillDesk(who, Shop(goods=GOODS, people=())))
        made.enrol(town.city.token(DEVICE, SHOP.role, "coffee-1"))
        made.start()
        yield made


@pytest.mark.parametrize("size", [TERMINALS[0], PHONE])
def test_a_day_by_touch_alone(till: TillDesk, chromium: Browser, size: tuple[int, int]) -> None:
    width, height = size
    context = chromium.new_context(viewport={"width": width, "height": height}, has_touch=True)
    context.add_init_script(WATCH)
    page = context.new_page()
    page.goto(till.url)
    the_first_manager_opens_the_shift(page)
    till.stop()
    till.command("cashiers", "add", "02", CASHIER, "--role", "cashier", typed=f"{PIN_TEST_ONLY}\n")
    till.start()
    a_cashier_signs_in(page)
    goods_are_found_by_their_letters(page)
    a_bill_is_put_aside_by_name_and_fetched(page)
    number = it_is_paid_in_cash(page)
    kgo_is_asked_for_and_promptpay_taken(page)
    the_manager_signs_for_a_refund(page, number)
    cash_comes_in_with_its_reason(page)
    the_drawer_is_counted_and_the_shift_closed(page)
    assert page.evaluate("window.keysSeen") == 0, "no key was pressed"
    context.close()
    till.stop()
    with closing(ShopFile(till.folder / "shop.db")) as file:
        logged = [(one.entry.who, one.entry.action, one.entry.values) for one in AuditLog(file).rows()]
    assert ("02", "cash_in", {"satang": 20_000, "why": REASON}) in logged
    assert [values["by"] for _who, action, values in logged if action == "approve"] == ["01", "01"]


def shows(page: Page, screen: str) -> None:
    expect(page.locator("#till")).to_have_attribute("data-screen", screen, timeout=START_MS)


def the_first_manager_opens_the_shift(page: Page) -> None:
    shows(page, "first_manager")
    write(page, "first-name", MANAGER)
    expect(page.locator("#first-name")).to_have_value(MANAGER)
    does(page, "done")
    expect(page.locator("#first-code"), "on to what is still empty").to_be_focused()
    digits(page, "01")
    page.locator("#first-pin").tap()
    digits(page, PIN_TEST_ONLY)
    press(page, DO, "no_shift")
    expect(page.locator("#top .who")).to_contain_text(MANAGER)
    digits(page, "500")
    press(page, DO, "sale")


def a_cashier_signs_in(page: Page) -> None:
    shows(page, "locked")
    page.locator("label.choice", has_text=CASHIER).tap()
    digits(page, PIN_TEST_ONLY)
    press(page, DO, "sale")


def goods_are_found_by_their_letters(page: Page) -> None:
    find(page, "บะหมี่เกี๊ยว", 1)
    page.locator("#found .good").tap()
    expect(page.locator("#bill")).to_have_text("฿55.00")
    expect(page.locator(LETTERS)).to_be_hidden()
    expect(page.locator("#search")).to_have_value("")


def a_bill_is_put_aside_by_name_and_fetched(page: Page) -> None:
    page.locator("#b-hold").tap()
    write(page, "label", LABEL)
    does(page, "done")
    press(page, "#hold-yes", "sale")
    expect(page.locator("#basket .empty")).to_be_visible()
    press(page, "#b-held", "held")
    page.locator(".rowlike", has_text=LABEL).tap()
    shows(page, "sale")
    expect(page.locator("#bill")).to_have_text("฿55.00")


def it_is_paid_in_cash(page: Page) -> str:
    press(page, "#b-pay", "pay")
    digits(page, "100")
    press(page, "#b-cash", "done")
    expect(page.locator("#change")).to_have_text("฿45.00")
    found = re.search("[0-9]{6}", page.locator(".paid small").inner_text())
    assert found
    press(page, "#b-next", "sale")
    return found[0]


def kgo_is_asked_for_and_promptpay_taken(page: Page) -> None:
    digits(page, "120")
    press(page, "#b-add", "sale")
    press(page, "#b-pay", "pay")
    digits(page, "20")
    press(page, "#b-kgo", "wait_kgo")
    press(page, "#b-kgo_request", "wait_kgo")
    expect(page.locator(".show .qr")).to_be_visible()
    press(page, "#b-kgo_cancel", "pay")
    press(page, "#b-promptpay", "promptpay")
    press(page, "#b-promptpay_cancel", "pay")
    press(page, "#b-promptpay", "promptpay")
    press(page, "#b-promptpay_confirm", "done")
    expect(page.locator(".unverified")).to_be_visible()
    press(page, "#b-print", "done")
    press(page, "#b-next", "sale")
    press(page, "#b-lock", "locked")
    a_cashier_signs_in(page)


def the_manager_signs_for_a_refund(page: Page, number: str) -> None:
    press(page, "#b-receipts", "receipts")
    digits(page, number)
    page.locator(DO).tap()
    expect(page.locator(".rowlike")).to_have_count(1)
    press(page, ".rowlike", "receipt")
    press(page, "#b-refund_start", "refund")
    page.locator('[data-step="1"]').first.tap()
    press(page, DO, "refund")
    expect(page.locator(".back-sums .total dd")).to_have_text(re.compile("฿"))
    press(page, "#b-refund", "refund-approve")
    digits(page, "01")
    page.locator("#approve-pin").tap()
    digits(page, PIN_TEST_ONLY)
    press(page, "#approve .main", "receipt")
    expect(page.locator(".state-refunded").first).to_be_visible()
    press(page, "#b-back", "receipts")
    press(page, "#b-back", "sale")


def cash_comes_in_with_its_reason(page: Page) -> None:
    press(page, "#b-shift", "shift")
    write(page, "reason", REASON)
    does(page, "done")
    expect(page.locator("#amount-shift")).to_be_focused()
    digits(page, "200")
    press(page, "#b-cash_in", "shift")
    expect(page.locator(".table .total dd")).to_have_text("฿700.00")


def the_drawer_is_counted_and_the_shift_closed(page: Page) -> None:
    digits(page, "700")
    press(page, "#b-count", "shift")
    expect(page.locator(".table dl")).to_contain_text("นับได้")
    press(page, "#b-x_report", "report")
    press(page, "#b-back", "shift")
    press(page, "#b-close_shift", "shift-approve")
    digits(page, "01")
    page.locator("#approve-pin").tap()
    digits(page, PIN_TEST_ONLY)
    press(page, "#approve .main", "report")
    expect(page.locator("h1").first).to_contain_text("Z")
