"""Fingers on the page: nothing but taps, on a screen that is touched. Letters are found as they are drawn."""

import json
import re
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Locator, Page, expect

LETTERS = "#letters"
_LEVELS = ((), ("shift",), ("switch",), ("switch", "shift"))


def key_of(page: Page, letter: str) -> Locator:
    """The key that types it, of those that are drawn now."""
    return (
        page.locator(f"{LETTERS} [data-letter={json.dumps(letter, ensure_ascii=False)}]").locator("visible=true").first
    )


def does(page: Page, name: str) -> None:
    """Taps a key that types nothing; `switch`: between Thai and English."""
    other = {"th": "en", "en": "th"}
    at = page.locator(LETTERS).get_attribute("data-layout") or ""
    page.locator(f"{LETTERS} [data-does={other[at] if name == 'switch' else name}]").tap()


def write(page: Page, field: str, text: str) -> None:
    """Touches the field, or on a phone the button beside it, and taps letter by letter."""
    if page.locator(LETTERS).is_hidden():
        page.locator(f"[data-letters={field}]").tap()
    expect(page.locator(LETTERS)).to_be_visible()
    for letter in text:
        if letter == " ":
            does(page, "space")
            continue
        for level in _LEVELS:
            for name in level:
                does(page, name)
            if key_of(page, letter).count():
                break
            if level:
                does(page, level[0])  # back; a pressed shift goes with its language
        else:
            raise AssertionError(f"no key types {letter!r}")
        key_of(page, letter).tap()


def find(page: Page, words: str, count: int) -> None:
    """Goods by their name: typed, and so many found. Earlier letters find other goods; these are waited for."""
    with page.expect_response(lambda one: parse_qs(urlsplit(one.url).query).get("q") == [words]):
        write(page, "search", words)
    expect(page.locator("#found .good")).to_have_count(count)


def digits(page: Page, text: str) -> None:
    """On the keypad of the screen, or of what lies over it."""
    pad = page.locator("#approve" if page.locator("#approve").count() else "#main")
    for digit in text:
        pad.locator(f'.digit[data-digit="{digit}"]').tap()


def press(page: Page, button: str, screen: str) -> None:
    """Taps a button, says yes where it is asked about, and sees this screen when the till has answered."""
    is_asked = page.locator(button).get_attribute("hx-confirm") is not None
    with page.expect_response(lambda one: one.request.method == "POST"):
        page.locator(button).tap()
        if is_asked:
            page.locator("#sure-yes").tap()
    expect(page.locator("#till")).to_have_attribute("data-screen", re.compile(f"^{screen}$"))
    expect(page.locator("body")).not_to_have_attribute("data-busy", re.compile(""))
