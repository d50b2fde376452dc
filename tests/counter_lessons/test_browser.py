"""Lessons 3, 8, 17 and 18 where they need a browser: two tabs, a wedge scanner, a wiped profile, a kiosk that dies."""

import os
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path

from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright

from offline_ledger.money import KGO
from offline_ledger.protocol.wallet import Audience
from simulators.demo.processes import wait_until
from tests.conftest import CHROMIUM, CHROMIUM_OPTIONS
from tests.counter_lessons.street import Street, number_on
from tests.pos_app.page import test_hands

WATER, WATER_BAHT = "2000010000012", "7.00"
FINGERS_MS = 140
"""Between two keys."""
AMOUNT = "#main input[data-home]"
PAGE_MS_MAX = 15_000


def screen(page: Page) -> str:
    """Which one the page shows."""
    return page.locator("#till").get_attribute("data-screen") or ""


def scan(page: Page, text: str, *, basket: int | None = None) -> None:
    """As a scanner that is a keyboard types. `basket`: the lines of the sale once it was heard."""
    lines = page.locator("#basket li")
    test_hands.scan(page, "", text, heard=None if basket is None else lambda: lines.count() == basket)
    if basket is not None:
        expect(lines).to_have_count(basket)


def test_lesson_17_a_wedge_scanner_never_types_into_the_amount_and_the_customer_display_clears(
    street: Street, chromium: Browser
) -> None:
    page, display = chromium.new_page(), chromium.new_page()
    page.goto(street.till.url)
    display.goto(f"{street.till.url}customer")
    amount = page.locator(AMOUNT)
    expect(amount).to_be_focused()
    page.keyboard.type("45", delay=FINGERS_MS)
    expect(amount).to_have_value("45")
    scan(page, WATER, basket=1)
    expect(amount).to_have_value("45")  # what fingers typed is theirs still
    expect(page.locator("#basket")).to_contain_text(WATER_BAHT)
    page.keyboard.press("Enter")
    expect(page.locator("#basket li")).to_have_count(2)
    expect(display.locator("main")).to_contain_text("52.00")
    page.keyboard.press("F12")
    expect(page.locator("#till")).to_have_attribute("data-screen", "pay")
    for code in (WATER, "1000", "99999999"):
        page.locator(AMOUNT).focus()
        scan(page, code)
        expect(page.locator("body")).not_to_have_attribute("data-busy", "")
        expect(page.locator(AMOUNT)).to_have_value("")
        assert screen(page) == "pay" and page.locator(".tenders li").count() == 0, "a barcode is no money"
    expect(page.locator("#due")).to_contain_text("52.00")
    page.keyboard.type("100", delay=FINGERS_MS)
    page.keyboard.press("F9")
    expect(page.locator("#change")).to_contain_text("48.00")
    expect(display.locator("main.c-thanks")).to_contain_text("48.00")
    page.keyboard.press("F12")
    expect(display.locator("main.c-idle")).to_be_visible(timeout=PAGE_MS_MAX)
    assert "48.00" not in display.locator("main").inner_text()
    (sold,) = street.books().closed[-1:]
    assert (sold.bill_satang, sold.pieces, [given for *_rest, given, _sequence in sold.paid]) == (5_200, 2, [10_000])


def test_lesson_17_a_wedge_scanner_is_heard_where_the_customers_window_has_the_keys(
    street: Street, chromium: Browser
) -> None:
    page, display = chromium.new_page(), chromium.new_page()
    page.goto(street.till.url)
    display.goto(f"{street.till.url}customer")
    display.bring_to_front()  # somebody has touched the customer's screen
    test_hands.scan(display, "", WATER, heard=lambda: WATER_BAHT in display.locator("main").inner_text())
    expect(display.locator("main")).to_contain_text(WATER_BAHT)
    street.hands.look()
    street.done("add_amount", typed="93")
    street.done("pay")
    street.done("kgo", typed="20")
    expect(display.locator("main.c-ask")).to_be_visible()
    mali = street.customer(0).wallet
    mali.new_intent(Audience.SHOP, 20 * KGO)
    code = mali.code(int(time.time()))
    test_hands.scan(display, "", code, heard=lambda: street.hands.look().screen == "pay")
    wait_until(lambda: street.hands.look().screen == "pay", "the code to pay")
    display.keyboard.type("5", delay=FINGERS_MS)  # fingers do nothing there, least of all an F12 on money
    for key in ("Enter", "F9", "F12"):
        display.keyboard.press(key)
    assert street.hands.look().screen == "pay"
    street.done("cash")
    expect(display.locator("main.c-thanks")).to_be_visible()
    (sold,) = street.books().closed[-1:]
    assert (sold.bill_satang, sold.pieces) == (10_000, 2)
    assert [kind for kind, *_rest in sold.paid] == ["kgo", "cash"]
    page.close()


def test_lesson_03_two_tabs_press_at_once_and_one_sale_is_closed(street: Street, chromium: Browser) -> None:
    tabs = [chromium.new_page() for _ in range(2)]
    tabs[1].route("**/events", lambda asked: asked.abort())  # it hears no news: its picture is an old one
    for tab in tabs:
        tab.goto(street.till.url)
    before = len(street.books().closed)
    for at in range(3):
        street.hands.look()
        street.to_pay("20")
        tabs[1].evaluate("() => refresh()")
        for tab in tabs:
            expect(tab.locator("#till")).to_have_attribute("data-screen", "pay")
        for tab in tabs:
            tab.evaluate("() => document.getElementById('b-cash')?.click()")
        for tab in tabs:
            expect(tab.locator("#till")).to_have_attribute("data-screen", "done")
        wait_until(lambda at=at: len(street.books().closed) == before + at + 1, "one receipt more")
        street.hands.look()
        street.done("next")
    assert len(street.books().closed) == before + 3


def browsers_of(profile: Path) -> list[int]:
    """Ids of the processes that were started for this profile."""
    found: list[int] = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if str(profile).encode() in (process / "cmdline").read_bytes():
                found.append(int(process.name))
    return found


def open_kiosk(playwright: Playwright, profile: Path, url: str) -> Page:
    """A browser with a profile on the disk, as the kiosk has it."""
    sandbox = ("--no-sandbox",) if os.geteuid() == 0 else ()
    options = [*CHROMIUM_OPTIONS, *sandbox]
    opened = playwright.chromium.launch_persistent_context(profile, executable_path=CHROMIUM, args=options)
    page = opened.pages[0] if opened.pages else opened.new_page()
    page.goto(url)
    return page


def test_lesson_08_and_18_the_kiosk_dies_its_profile_is_wiped_and_the_same_sale_stands_there(
    street: Street, tmp_path: Path
) -> None:
    profile = tmp_path / "profile"
    with sync_playwright() as playwright:
        page = open_kiosk(playwright, profile, street.till.url)
        page.keyboard.type("45", delay=FINGERS_MS)
        page.keyboard.press("Enter")
        scan(page, WATER, basket=2)
        page.keyboard.press("F12")
        expect(page.locator("#till")).to_have_attribute("data-screen", "pay")
        page.keyboard.type("20", delay=FINGERS_MS)
        page.keyboard.press("F9")
        expect(page.locator("#due")).to_contain_text("32.00")
        for started in browsers_of(profile):
            with suppress(ProcessLookupError):
                os.kill(started, signal.SIGKILL)
        wait_until(lambda: not browsers_of(profile), "the browser to be gone")
        shutil.rmtree(profile)
        page = open_kiosk(playwright, profile, street.till.url)
        expect(page.locator("#due")).to_contain_text("32.00")
        expect(page.locator("ul.tenders li")).to_have_count(1)
        expect(page.locator(AMOUNT)).to_be_focused()
        page.keyboard.press("F9")
        expect(page.locator("#till")).to_have_attribute("data-screen", "done")
        page.context.close()
    number = number_on(street.hands.look())
    (sold,) = [one for one in street.books().closed if one.number == number]
    assert [satang for _kind, satang, *_rest in sold.paid] == [2_000, 3_200]
