"""`key_to_paint`, `page_cold_load`, `page_bytes`: the cashier's page in a real Chromium. Issue: the counter.

`key_to_paint`: from a digit's key event to the picture that has it, with a full bill on the screen. `page_cold_load`: a
browser that never saw the page, to the picture with the page's own letters and a field that takes keys. `page_bytes`:
all that this load brought over the wire, with headers.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from time import perf_counter_ns

from playwright.sync_api import Browser, Page, sync_playwright

from pos_app.page.server import PageServer
from tests.bench.measure import Row, row_of
from tests.conftest import CHROMIUM, CHROMIUM_OPTIONS
from tests.pos_app.page.desks import MemoryDesk
from tests.pos_app.page.views import tills

KEYS, LOADS = 120, 15
KEY_MS = 70
"""Fast fingers, and slower than a scanner: each key is painted before the next comes."""
NS_PER_MS = 1_000_000
WINDOW = {"width": 1024, "height": 600}
_WATCH = """() => {
  window.taken = [];
  addEventListener("keydown", (event) => {
    if (!/^[0-9]$/.test(event.key)) return;
    requestAnimationFrame(() => setTimeout(() => window.taken.push(performance.now() - event.timeStamp)));
  });
}"""
_SEEN = """() => document.fonts.ready.then(() => new Promise(done => requestAnimationFrame(() => setTimeout(() =>
  done(document.activeElement?.id === "amount-sale")))))"""


def rows(_folder: Path) -> Iterator[Row]:
    """All three."""
    with ExitStack() as stack:
        desk = MemoryDesk()
        desk.show(tills()["sale"])
        server = PageServer(desk, 0)
        stack.callback(server.close)
        server.start()
        playwright = stack.enter_context(sync_playwright())
        sandbox = ("--no-sandbox",) if os.geteuid() == 0 else ()
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*CHROMIUM_OPTIONS, *sandbox])
        stack.callback(browser.close)
        loads = [_load(browser, server.url) for _ in range(LOADS + 1)][1:]  # the first one draws each template once
        yield row_of("key_to_paint", "ms", _keys(browser, server.url))
        yield row_of("page_cold_load", "ms", [took for took, _brought in loads])
        yield row_of("page_bytes", "KB", [brought / 1000 for _took, brought in loads])


def _load(browser: Browser, url: str) -> tuple[float, float]:
    """ms, bytes; in a profile that has nothing."""
    with closing(browser.new_context(viewport={"width": WINDOW["width"], "height": WINDOW["height"]})) as context:
        page = context.new_page()
        wire = context.new_cdp_session(page)
        wire.send("Network.enable")
        brought: list[float] = []
        wire.on("Network.loadingFinished", lambda event: brought.append(event["encodedDataLength"]))
        begun_ns = perf_counter_ns()
        page.goto(url)
        assert page.evaluate(_SEEN), "a key would go into the amount"
        took_ms = (perf_counter_ns() - begun_ns) / NS_PER_MS
        return took_ms, sum(brought)


def _keys(browser: Browser, url: str) -> list[float]:
    with closing(browser.new_context(viewport={"width": WINDOW["width"], "height": WINDOW["height"]})) as context:
        page = context.new_page()
        page.goto(url)
        page.wait_for_selector("#amount-sale:focus")
        page.evaluate(_WATCH)
        for number in range(KEYS):
            page.keyboard.type(str(1 + number % 9), delay=KEY_MS)
            if number % 9 == 8:
                page.keyboard.press("Escape")
        return _taken(page)


def _taken(page: Page) -> list[float]:
    page.wait_for_function("count => taken.length === count", arg=KEYS)
    return page.evaluate("taken")
