"""Every screen of the wallet page in both languages: nothing cut off, everything large enough.

DESIGN §1: old and disabled people, colour never alone. axe looks for what it can know; the rest is measured here.
"""

from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, ViewportSize

from simulators.demo.town import Town
from simulators.wallet_page.serve import WalletPage
from tests.simulators.wallet_page.phone import Phone
from tests.simulators.wallet_page.walk import walk

SIZES: tuple[ViewportSize, ...] = ({"width": 390, "height": 844}, {"width": 320, "height": 568})
TARGET_PX_MIN = 44
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"], "resultTypes": ["violations"]}
NEXT_FRAMES = "new Promise((shown) => requestAnimationFrame(() => requestAnimationFrame(() => shown())))"
CUT_OFF = """() => [...document.querySelectorAll("main *, header *")]
    .filter((one) => one.getClientRects().length && getComputedStyle(one).position !== "absolute"
        && (one.getBoundingClientRect().right > innerWidth + 1
            || (one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).display !== "inline")))
    .map((one) => one.outerHTML.slice(0, 160))"""
TOO_SMALL = """(least) => [...document.querySelectorAll("a, button, summary, input, label.button")]
    .filter((one) => one.getClientRects().length && getComputedStyle(one).position !== "absolute")
    .filter((one) => one.getBoundingClientRect().height < least || one.getBoundingClientRect().width < least)
    .map((one) => one.outerHTML.slice(0, 160))"""


@pytest.mark.parametrize(("language", "scheme"), [("th", "light"), ("en", "dark")])
def test_every_screen_can_be_read_and_pressed(
    city: Town, served: WalletPage, chromium: Browser, tmp_path: Path, language: str, scheme: str
) -> None:
    context = chromium.new_context(viewport=SIZES[0], color_scheme=scheme)  # type: ignore[arg-type]
    context.add_init_script(f'localStorage.setItem("kgo-language", "{language}");')
    phone = Phone(context, served.url)
    screens: list[str] = []
    for name in walk(context, phone, city.city.folder, tmp_path):
        screens.append(name)
        for size in reversed(SIZES):
            phone.page.set_viewport_size(size)
            phone.page.evaluate(NEXT_FRAMES)
            assert phone.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, name
            assert phone.page.evaluate(CUT_OFF) == [], name
            assert phone.page.evaluate(TOO_SMALL, TARGET_PX_MIN) == [], name
        assert _found_by_axe(phone.page) == [], name
        if name in ("home", "ride"):
            its_letters_come_with_it(phone.page)
    assert len(screens) == 12
    assert phone.page.evaluate("document.documentElement.lang") == language


def _found_by_axe(page: Page) -> list[Any]:
    found = Axe().run(page, options=RULES).response["violations"]
    return [(one["id"], [node["html"][:160] for node in one["nodes"]]) for one in found]


def its_letters_come_with_it(page: Page) -> None:
    """Thai is drawn with the font that the page brings, whatever this machine has."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("DOM.enable")
    devtools.send("CSS.enable")
    root = devtools.send("DOM.getDocument")["root"]["nodeId"]
    for selector in ("h1", "#brand", "main p"):
        node = devtools.send("DOM.querySelector", {"nodeId": root, "selector": selector})["nodeId"]
        fonts = devtools.send("CSS.getPlatformFontsForNode", {"nodeId": node})["fonts"]
        assert fonts and all(font["isCustomFont"] for font in fonts), (selector, fonts)
