"""`pay_to_done`, `terminal_rss`: a real `kgo-pos` with its page, both displays in real Chromium. Issue: the counter.

`pay_to_done`: from the first byte of a code on the scanner's wire to the picture of the approval on the cashier's and
the customer's display, whichever is later; the voucher is durable before either. `terminal_rss`: the program's own
memory once all of it is loaded, after these sales, both pages open, everything synced.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from time import monotonic, time, time_ns

from playwright.sync_api import Browser, Page, sync_playwright

from offline_ledger.protocol.wallet import Audience, Concession
from simulators.demo.desk import SHOP, DeskSettings
from simulators.demo.processes import wait_until
from simulators.demo.town import CITY, Person, Town
from simulators.shop_desk.till import PIN_TEST_ONLY, Shop, TillDesk
from tests.bench.measure import Row, row_of
from tests.conftest import CHROMIUM, CHROMIUM_OPTIONS
from tests.processes.quick_city import QuickCity

SALES, WARM = 40, 3
SALE_S = 0.35
"""Five presses, and the page takes twenty a second."""
SEED = 4
CUP_KGO = 200
"""Of which 43 stay under the sample campaign's day."""
GOODS = Path("pos_app/sample_goods.csv")
_WATCH = """() => {
  window.painted = {};
  const look = () => {
    const till = document.getElementById("till");
    const name = till.dataset.screen + " " + (document.querySelector("[class*=light-accepted]") ? "approved" : "");
    if (name === window.shown) return;
    window.shown = name;
    requestAnimationFrame(() => setTimeout(() => {
      window.painted[name] = performance.timeOrigin + performance.now();
    }));
  };
  new MutationObserver(look).observe(document.body, {subtree: true, childList: true, attributes: true});
  look();
}"""


def rows(folder: Path) -> Iterator[Row]:
    """Both."""
    folder = folder.resolve()
    with ExitStack() as stack:
        town = stack.enter_context(Town(folder, SEED, QuickCity))
        town.found()
        place = (folder / "till-1", SEED)
        who = DeskSettings(SHOP, "till-1", CITY, town.city.ca_file, town.city.port, *place, has_camera=False)
        till = stack.enter_context(TillDesk(who, Shop(goods=GOODS)))
        till.enrol(town.city.token("till-1", "shop", "coffee-1"))
        till.start()
        till.wait_synced()
        (buyer,) = town.add_people((("Mali", Concession.ADULT),))
        playwright = stack.enter_context(sync_playwright())
        sandbox = ("--no-sandbox",) if os.geteuid() == 0 else ()
        options = [*CHROMIUM_OPTIONS, *sandbox]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        stack.callback(browser.close)
        displays = [_opened(browser, till.url), _opened(browser, f"{till.url}customer")]
        till.hands.sign_in("01", PIN_TEST_ONLY)
        till.hands.press("open_shift", typed="500")
        paid = [_sale(till, buyer, displays) for _ in range(WARM + SALES)]
        yield row_of("pay_to_done", "ms", paid[WARM:])
        till.wait_synced()
        yield row_of("terminal_rss", "MB", [_rss_bytes(till.program.pid) / 1e6])


def _opened(browser: Browser, url: str) -> Page:
    page = browser.new_page(viewport={"width": 1024, "height": 600})
    page.goto(url)
    page.wait_for_selector("#till")
    page.evaluate(_WATCH)
    return page


def _sale(till: TillDesk, buyer: Person, displays: list[Page]) -> float:
    """One sale, half of it by code; how long its approval took, in ms."""
    hands, until_s = till.hands, monotonic() + SALE_S
    hands.press("add_amount", typed="10")
    hands.press("pay")
    hands.press("kgo", typed="2")
    for page, screen in zip(displays, ("wait_kgo", "ask"), strict=True):
        page.wait_for_selector(f'#till[data-screen="{screen}"]')
        page.evaluate("() => { window.painted = {}; }")
    buyer.wallet.new_intent(Audience.SHOP, CUP_KGO)
    code = buyer.wallet.code(int(time()))
    begun_ms = time_ns() / 1e6
    till.scanner.send(code)
    names = ("pay approved", "approved approved")
    for page, name in zip(displays, names, strict=True):
        page.wait_for_function("name => window.painted[name] !== undefined", arg=name)
    painted = [
        float(page.evaluate("name => window.painted[name]", name)) for page, name in zip(displays, names, strict=True)
    ]
    hands.look()
    hands.press("cash")
    hands.press("next")
    wait_until(lambda: hands.look().screen == "sale", "the next sale")
    wait_until(lambda: monotonic() > until_s, "the page to take presses again")
    return max(painted) - begun_ms


def _rss_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
