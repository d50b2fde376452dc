"""The cashier's hands on the page, in a real browser: keys, fingers, a scanner that types, two windows, a restart.

FIELD_LESSONS 3, 14, 15, 17, 18 as a person meets them. One browser and one page for all, as it is at a till.
"""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from playwright.sync_api import Browser, Page, expect

from offline_ledger.errors import StaleScreen
from pos_app.page.render import Renderer
from pos_app.page.server import PageServer
from tests.pos_app.page import views
from tests.pos_app.page.served import Served
from tests.pos_app.page.wedge import type_code

SCANNER_MS, PERSON_MS = 2, 120
STALLED_MAX = 8
HEARD_MS, LOOK_MS = 3_000, 90
CODE = "KGO1:6BF+XN TS3$H0Y*J58S.S-W5H/C M0II5%XHC9B5G2"
BARCODE = "8850999220017"
STALE = str(StaleScreen.number)
RESTART_MS = 8_000
FIELDS = {
    "sale": ("#amount-sale", "#search"),
    "pay": ("#amount-pay",),
    "locked": ("#pin-locked",),
    "first-manager": ("#first-name", "#first-code", "#first-pin"),
    "no-shift": ("#amount-open",),
    "receipts": ("#find",),
    "refund": ("#q-1", "#amount-refund"),
    "shift": ("#amount-shift", "#reason"),
    "approve": ("#approve-code", "#approve-pin"),
}
"""Every field that a person types into, by screen."""
THAI_SCANNER = """() => {
  const say = (key, code, shiftKey) => document.activeElement.dispatchEvent(
    new KeyboardEvent("keydown", { key, code, shiftKey, bubbles: true, cancelable: true }));
  const keys = [["ฏ", "KeyK", true], ["ฌ", "KeyG", true], ["ๅ", "Digit1", false], ["ซ", "Semicolon", true],
    ["ฝ", "Slash", false], ["๓", "Minus", true], [" ", "Space", false], ["ภ", "Digit4", true], ["Enter", "Enter"]];
  for (const key of keys) say(...key);
}"""
PASTE = """(text) => {
  const dataTransfer = new DataTransfer();
  dataTransfer.setData("text/plain", text);
  return document.activeElement.dispatchEvent(
    new InputEvent("beforeinput", { inputType: "insertFromPaste", dataTransfer, bubbles: true, cancelable: true }));
}"""
PLACES = """() => [...document.querySelectorAll("#main button, #main input")]
  .map(one => JSON.stringify(one.getBoundingClientRect()))"""


@pytest.fixture
def served() -> Iterator[Served]:
    one = Served()
    yield one
    one.close()


def test_all_by_keys_and_a_scanner_never_types_into_a_field(served: Served, chromium: Browser) -> None:
    with closing(chromium.new_context(viewport={"width": 1024, "height": 600})) as context:
        page = context.new_page()
        trouble = troubles_of(page, served.origin)
        page.goto(served.origin)
        a_bill_is_keyed_in_and_paid_in_cash_by_keys_alone(page, served)
        amounts_take_what_is_an_amount(page, served)
        a_scanner_types_into_no_field(page, served)
        what_a_person_types_stays(page, served)
        a_scanner_on_a_thai_keyboard_is_understood(page, served)
        what_is_pasted_is_refused_kindly(page, served)
        assert trouble == []


def test_all_by_fingers_and_nothing_is_lost_or_done_twice(served: Served, chromium: Browser) -> None:
    with closing(chromium.new_context(viewport={"width": 1024, "height": 600}, has_touch=True)) as context:
        page = context.new_page()
        trouble = troubles_of(page, served.origin)
        page.goto(served.origin)
        a_bill_is_tapped_in(page, served)
        a_double_tap_is_one_payment(page, served)
        goods_are_found_and_tapped(page, served)
        another_category_begins_at_its_first_goods(page, served)
        news_change_neither_focus_nor_what_is_half_typed(page, served)
        nothing_moves_when_something_is_told(page, served)
        a_grave_press_is_asked_about_first(page, served)
        two_windows_show_one_sale_and_pay_it_once(page, served)
        the_customers_display_follows_and_takes_codes_alone(page, served)
        assert trouble == []
        a_restart_is_told_and_got_over(page, served)


def troubles_of(page: Page, origin: str) -> list[str]:
    """What goes wrong from now on: its console, its script, requests that leave this till."""
    found: list[str] = []
    page.on("console", lambda message: found.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: found.append(str(error)))
    page.on("request", lambda one: None if one.url.startswith(origin + "/") else found.append(one.url))
    return found


def shows(page: Page, served: Served, view: views.View | None = None, customer: views.View | None = None) -> None:
    """Puts a view on the screen and waits for it."""
    served.desk.show(view, customer)
    is_there(page, served)


def is_there(page: Page, served: Served) -> None:
    expect(page.locator(f'#till[data-revision="{served.desk.revision}"]')).to_be_attached()


def acts_of(served: Served) -> list[str]:
    return [name for name, _fields in served.desk.acts]


# --- keys


def a_bill_is_keyed_in_and_paid_in_cash_by_keys_alone(page: Page, served: Served) -> None:
    keys = page.keyboard
    expect(page.locator("#amount-sale")).to_be_focused()
    keys.type("45", delay=PERSON_MS)
    keys.press("Enter")
    expect(page.locator("#bill")).to_have_text("฿45.00")
    expect(page.locator("#amount-sale")).to_have_value("")
    keys.type("3*12.50", delay=PERSON_MS)
    expect(page.locator("#amount-sale")).to_have_value("3×12.50")
    keys.press("Enter")
    expect(page.locator("#bill")).to_have_text("฿82.50")
    expect(page.locator("#basket input:checked")).to_have_value("2")
    keys.press("Delete")
    expect(page.locator("#bill")).to_have_text("฿45.00")
    keys.press("Enter")  # nothing is typed: to the payment
    expect(page.locator("#amount-pay")).to_be_focused()
    keys.press("Escape")
    expect(page.locator("#amount-sale")).to_be_focused()
    keys.press("F12")
    expect(page.locator("#amount-pay")).to_be_focused()
    keys.press("Enter")
    expect(page.locator("#say")).not_to_be_empty()
    keys.type("100", delay=PERSON_MS)
    keys.press("F9")
    expect(page.locator("#change")).to_have_text("฿55.00")
    expect(page.locator("#b-next")).to_be_focused()
    keys.type("1250", delay=PERSON_MS)  # the first key starts the next sale, and counts
    expect(page.locator("#amount-sale")).to_have_value("1250")
    expect(page.locator("#amount-sale")).to_be_focused()
    keys.press("Escape")
    expect(page.locator("#amount-sale")).to_have_value("")
    assert served.desk.paid == [4_500]
    keys.press("F1")
    expect(page.locator("#help[open]")).to_contain_text("F12")
    keys.press("Escape")
    keys.press("F3")
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.locator("#b-pay")).to_contain_text("Pay")
    keys.press("F3")
    expect(page.locator("html")).to_have_attribute("lang", "th")


def amounts_take_what_is_an_amount(page: Page, served: Served) -> None:
    field = page.locator("#amount-sale")
    for typed, kept in (
        ("12.345", "12.34"),
        ("1.2.3", "1.23"),
        ("9876543210987", "9876543210"),
        ("a1-b", "1"),
        ("๑๒", "12"),
    ):
        page.keyboard.type(typed, delay=PERSON_MS)
        expect(field).to_have_value(kept)
        page.keyboard.press("Escape")


def a_scanner_types_into_no_field(page: Page, served: Served) -> None:
    for screen, fields in FIELDS.items():
        shows(page, served, views.tills()[screen])
        for field in fields:
            page.locator(field).fill("")
            page.locator(field).focus()
            for code in (CODE, BARCODE):
                scan(page, field, code)
                until(page, lambda code=code: served.desk.scans[-1:] == [code])
            expect(page.locator(field)).to_have_value("")
            is_there(page, served)
            expect(page.locator(field), "and the focus stayed").to_be_focused()
    shows(page, served, views.tills()["sale"])
    acts = len(served.desk.acts)
    page.locator("#b-pay").focus()  # a scanner's Enter presses no button either
    scan(page, "", CODE)
    until(page, lambda: served.desk.scans[-1] == CODE)
    is_there(page, served)
    shows(page, served, views.tills()["done"])
    scan(page, "", BARCODE, ends=False)
    until(page, lambda: served.desk.scans[-1] == BARCODE)
    assert len(served.desk.acts) == acts, "nothing was pressed by any of them"


def scan(page: Page, field: str, code: str, *, ends: bool = True, heard: Callable[[], bool] | None = None) -> None:
    """As a scanner types it; again where this machine stood still for so long in between that the page gave up, unless
    it was `heard` all the same."""
    for _ in range(STALLED_MAX):
        if type_code(page, code, ends=ends):
            return
        for _ in range(HEARD_MS // LOOK_MS if heard else 2):
            page.wait_for_timeout(LOOK_MS)
            if heard and heard():
                return
        if field:
            page.locator(field).fill("")
            page.locator(field).focus()
    raise AssertionError("this machine is too busy to play a scanner")


def until(page: Page, holds: Callable[[], bool]) -> None:
    for _ in range(500):
        if holds():
            return
        page.wait_for_timeout(10)
    raise AssertionError("it never came")


def what_a_person_types_stays(page: Page, served: Served) -> None:
    scans = len(served.desk.scans)
    shows(page, served, views.selling([]))
    page.locator("#search").focus()
    page.keyboard.type("tea 8850", delay=PERSON_MS)
    expect(page.locator("#search")).to_have_value("tea 8850")
    page.locator("#search").fill("")
    page.locator("#amount-sale").focus()
    page.keyboard.type("1234567.50", delay=PERSON_MS)
    expect(page.locator("#amount-sale")).to_have_value("1234567.50")
    page.keyboard.press("Escape")
    page.keyboard.type("456", delay=SCANNER_MS)  # three fingers at once are no scanner
    expect(page.locator("#amount-sale")).to_have_value("456")
    page.wait_for_timeout(200)
    page.keyboard.press("Escape")
    assert len(served.desk.scans) == scans


def a_scanner_on_a_thai_keyboard_is_understood(page: Page, served: Served) -> None:
    """The keys send Thai letters, but their places are what the scanner meant."""
    page.evaluate(THAI_SCANNER)
    until(page, lambda: served.desk.scans[-1] == "KG1:/_ $")


def what_is_pasted_is_refused_kindly(page: Page, served: Served) -> None:
    shows(page, served, views.selling([]))
    field = page.locator("#amount-sale")
    field.focus()
    for text in (CODE, "12345678901", "-5", "1.234", "🍜"):
        page.evaluate(PASTE, text)
        expect(page.locator("#say")).to_have_text("ช่องนี้พิมพ์เอง วางข้อความไม่ได้")
        expect(field).to_have_value("")
    page.evaluate(PASTE, "1,234.50")
    expect(field).to_have_value("1234.50")
    page.keyboard.press("Escape")
    page.locator("#search").focus()
    assert not page.evaluate(PASTE, CODE * 3)


# --- fingers


def a_bill_is_tapped_in(page: Page, served: Served) -> None:
    for digit in ("1", "2", ".", "5", "0"):
        page.locator(f'.digit[data-digit="{digit}"]').tap()
    expect(page.locator("#amount-sale")).to_have_value("12.50")
    expect(page.locator("#amount-sale"), "the keypad takes no focus").to_be_focused()
    page.locator('.digit[data-digit="back"]').tap()
    page.locator("#b-add").tap()
    expect(page.locator("#bill")).to_have_text("฿12.50")


def a_double_tap_is_one_payment(page: Page, served: Served) -> None:
    page.locator("#b-pay").tap()
    expect(page.locator("#amount-pay")).to_be_focused()
    served.desk.slow = threading.Event()
    paid, before = len(served.desk.paid), len(served.desk.acts)
    box = page.locator("#b-cash").bounding_box()
    assert box is not None
    for _ in range(3):
        page.touchscreen.tap(box["x"] + 20, box["y"] + 20)
    expect(page.locator("#b-cash")).to_be_disabled()
    page.keyboard.press("F9")
    page.keyboard.press("Enter")
    served.desk.slow.set()
    served.desk.slow = None
    expect(page.locator("#b-next")).to_be_focused()
    assert len(served.desk.paid) == paid + 1 and acts_of(served)[before:] == ["cash"]
    page.locator("#b-next").tap()
    expect(page.locator("#amount-sale")).to_be_focused()


def goods_are_found_and_tapped(page: Page, served: Served) -> None:
    page.locator("#search").tap()
    page.keyboard.type("rice", delay=SCANNER_MS)  # four so fast may be a code, but are not
    expect(page.locator("#found .good")).to_have_count(1)
    expect(page.locator("#shelf")).to_be_hidden()
    page.keyboard.press("Enter")
    expect(page.locator("#bill")).to_have_text("฿10.00")
    expect(page.locator("#search")).to_have_value("")
    expect(page.locator("#amount-sale")).to_be_focused()
    page.locator('.digit[data-digit="3"]').tap()
    page.locator('.digit[data-digit="×"]').tap()
    page.locator("#g-001").tap()
    expect(page.locator("#bill")).to_have_text("฿160.00")
    expect(page.locator("#amount-sale")).to_have_value("")
    page.keyboard.type("77", delay=PERSON_MS)
    page.locator("#g-006").tap()  # its price is asked for: what is typed
    expect(page.locator("#bill")).to_have_text("฿237.00")


def another_category_begins_at_its_first_goods(page: Page, served: Served) -> None:
    """A sale that goes on within one category leaves the shelf where the cashier put it."""
    before = served.desk.view()
    goods = [{**one, "sku": f"{number:03d}"} for number, one in enumerate(views.GOODS * 6)]
    shelf = page.locator("#shelf")
    shows(page, served, {**before, "goods": goods})
    shelf.evaluate("one => one.scrollTo(0, 150)")
    shows(page, served, {**served.desk.view(), "goods": goods, "light": views.light("accepted")})
    assert shelf.evaluate("one => one.scrollTop") == 150
    drinks = [{**one, "sku": f"d{one['sku']}", "category": "drinks"} for one in goods]
    shows(page, served, {**served.desk.view(), "goods": drinks, "category": "drinks"})
    expect(page.locator("#g-d000")).to_be_in_viewport()
    assert shelf.evaluate("one => one.scrollTop") == 0
    shows(page, served, before)


def news_change_neither_focus_nor_what_is_half_typed(page: Page, served: Served) -> None:
    page.keyboard.type("12", delay=PERSON_MS)
    view = served.desk.view()
    shows(page, served, {**view, "link": views.OFFLINE, "light": views.light("try_again", "", views.DAMAGED)})
    expect(page.locator("#link")).to_contain_text("148")
    expect(page.locator("#amount-sale")).to_have_value("12")
    page.keyboard.type("3", delay=PERSON_MS)
    expect(page.locator("#amount-sale")).to_have_value("123")
    page.keyboard.press("F3")
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.locator("#amount-sale")).to_have_value("123")
    page.keyboard.press("F3")
    page.keyboard.press("Escape")
    page.locator("#search").tap()
    page.keyboard.type("te", delay=PERSON_MS)
    shows(page, served, {**view, "link": views.ATTENTION})
    expect(page.locator("#search")).to_be_focused()
    expect(page.locator("#search")).to_have_value("te")
    page.locator("#search").fill("")
    expect(page.locator("#found .good")).to_have_count(0)
    page.locator("#amount-sale").focus()


def nothing_moves_when_something_is_told(page: Page, served: Served) -> None:
    view = {**served.desk.view(), "light": None, "notice": None}
    shows(page, served, view)
    before = page.evaluate(PLACES)
    for change in (
        {"light": views.light("refused", "", views.DENIED)},
        {"light": views.light("accepted"), "notice": {"refusal": views.EXPIRED}},
        {"troubles": [{"what": "printer", "refusal": views.DAMAGED}] * 3, "link": views.ATTENTION},
    ):
        shows(page, served, {**view, **change})
        assert page.evaluate(PLACES) == before


def a_grave_press_is_asked_about_first(page: Page, served: Served) -> None:
    count = len(served.desk.acts)
    page.keyboard.press("Shift+Delete")
    expect(page.locator("#sure[open]")).to_contain_text("ล้างทุกรายการในบิลนี้?")
    page.keyboard.press("Escape")
    expect(page.locator("#sure")).to_be_hidden()
    expect(page.locator("#amount-sale")).to_be_focused()
    assert len(served.desk.acts) == count
    page.locator("#b-clear").tap()
    page.locator("#sure-yes").tap()
    expect(page.locator("#basket .empty")).to_be_visible()
    assert acts_of(served)[count:] == ["clear"]


def two_windows_show_one_sale_and_pay_it_once(page: Page, served: Served) -> None:
    other = page.context.new_page()
    other.goto(served.origin)
    page.bring_to_front()
    page.keyboard.type("50", delay=PERSON_MS)
    page.keyboard.press("Enter")
    expect(other.locator("#bill")).to_have_text("฿50.00")
    page.keyboard.press("F12")
    expect(other.locator("#due")).to_have_text("฿50.00")
    expect(page.locator("#due")).to_have_text("฿50.00")
    paid = len(served.desk.paid)
    served.desk.slow = threading.Event()
    for one in (page, other):
        one.bring_to_front()
        one.keyboard.press("F9")
        expect(one.locator("#b-cash")).to_be_disabled()
    served.desk.slow.set()
    served.desk.slow = None
    for one in (page, other):
        one.bring_to_front()
        expect(one.locator("#change, .done .huge").first).to_be_visible()
    until(page, lambda: other.locator(".cell.notice").count() + page.locator(".cell.notice").count() >= 1)
    refused = page if page.locator(".cell.notice").count() else other
    for one in (page, other):
        one.evaluate("refresh()")
    expect(refused.locator(".cell.notice small"), "the window that came second hears so").to_have_text(STALE)
    expect((other if refused is page else page).locator(".cell.notice"), "and no other").to_have_count(0)
    assert len(served.desk.paid) == paid + 1
    other.close()
    page.bring_to_front()
    page.keyboard.press("F12")
    expect(page.locator("#amount-sale")).to_be_focused()


def the_customers_display_follows_and_takes_codes_alone(page: Page, served: Served) -> None:
    display = page.context.new_page()
    display.goto(f"{served.origin}/customer")
    expect(display.locator(".hello")).to_be_visible()
    assert display.locator("button, input, form, [hx-post]").count() == 0
    for name in ("basket", "ask-request", "promptpay", "thanks", "idle"):
        shows(display, served, None, views.customers()[name])
        expect(display.locator(f"#till[data-screen={views.customers()[name]['screen']}]")).to_be_attached()
    before = (len(served.desk.acts), len(served.desk.scans))
    display.bring_to_front()  # it has the keys, as where somebody has touched the customer's screen
    display.keyboard.type("1250", delay=PERSON_MS)
    for key in ("Enter", "F12", "Delete", "F9", "Tab", "Escape"):
        display.keyboard.press(key)
    assert (len(served.desk.acts), len(served.desk.scans)) == before, "fingers do nothing there"
    for code in (CODE, BARCODE):
        scan(display, "", code)
        until(display, lambda code=code: served.desk.scans[-1:] == [code])
        is_there(display, served)
        expect(display.locator("#till"), "and it shows the customer's screen still").to_have_attribute(
            "data-screen", "idle"
        )
    assert display.locator("button, input, form, [hx-post]").count() == 0
    assert len(served.desk.acts) == before[0]
    display.close()


def a_restart_is_told_and_got_over(page: Page, served: Served) -> None:
    """The program is started anew behind the same address: the page says so, and goes on with the same sale."""
    page.keyboard.type("50", delay=PERSON_MS)
    page.keyboard.press("Enter")
    expect(page.locator("#bill")).to_have_text("฿50.00")
    page.keyboard.type("12", delay=PERSON_MS)
    served.server.close()
    expect(page.locator("#lost")).to_be_visible(timeout=RESTART_MS)
    expect(page.locator("#lost")).to_contain_text("กำลังเปิดเครื่องขายใหม่")
    served.server = PageServer(served.desk, served.port, renderer=Renderer(is_strict=True))
    served.server.start()
    expect(page.locator("#lost")).to_be_hidden(timeout=RESTART_MS)
    expect(page.locator("#bill")).to_have_text("฿50.00")
    expect(page.locator("#amount-sale"), "half an amount outlives it").to_have_value("12")
    page.keyboard.press("Enter")
    expect(page.locator("#bill"), "and presses are taken again").to_have_text(re.compile("฿62.00"))
