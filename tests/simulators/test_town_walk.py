"""One walk through the town on the desk, on a terminal of its own: all its pages in a real browser, every program real.

A wallet page registers and pays in the shop by a photograph of its screen; paper, network, power and books follow; then
Ctrl-C, and nothing is left running. One town serves it all, for founding a city is most of the time. DESIGN §11.
"""

import contextlib
import io
import json
from collections.abc import Callable, Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect

from simulators.qr_picture import qr_picture
from simulators.shop_desk.till import PIN_TEST_ONLY
from simulators.town_desk.page import PICTURE_BYTES_MAX
from tests.simulators.test_desk_page import CONTRAST_MIN, CONTRASTS, its_trouble
from tests.simulators.town_run import TownRun
from tests.simulators.wallet_page.phone import SIZE, Phone

PERSON_MS = 60
"""Between two keys: slower than a scanner types."""
SIZES = ((1280, 800), (390, 844))
SHOWN_MS = 15_000
OFFLINE_MS = 25_000
"""A till that has just exchanged tries again in a second, and again before it says that it is offline."""
ASKED_S_MAX = 20
CONFLICT = "Failed to load resource: the server responded with a status of 409 (Conflict)"

Answer = tuple[int, bytes, str]
Ask = Callable[..., Answer]


@pytest.fixture
def town(tmp_path: Path) -> Iterator[TownRun]:
    with closing(TownRun(tmp_path / "t", "--port", "0", "--no-cards")) as run:
        yield run


class Till:
    """Fingers on the cashier's page."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        page.goto(url)

    def at(self, screen: str) -> None:
        expect(self.page.locator("#till")).to_have_attribute("data-screen", screen, timeout=SHOWN_MS)

    def press(self, name: str) -> None:
        self.page.bring_to_front()  # a window behind others draws once a second
        self.page.locator(f"#b-{name}").click()

    def types(self, field: str, text: str) -> None:
        self.page.locator(f"#{field}").press_sequentially(text, delay=PERSON_MS)

    def open_shift(self) -> None:
        """Signs in and counts the float."""
        self.types("pin-locked", PIN_TEST_ONLY)
        self.page.keyboard.press("Enter")
        self.at("no_shift")
        self.types("amount-open", "500")
        self.page.keyboard.press("Enter")
        self.at("sale")

    def ask_kgo(self, *goods: str, kgo: str) -> None:
        """Until the customer's code is waited for."""
        self.page.bring_to_front()
        for sku in goods:
            self.page.locator(f"#g-{sku}").click()
        expect(self.page.locator("#basket")).to_have_attribute("data-count", str(len(goods)))
        self.press("pay")
        self.at("pay")
        self.types("amount-pay", kgo)
        self.press("kgo")
        self.at("wait_kgo")

    def cash(self) -> None:
        """The rest, to the last satang."""
        self.at("pay")
        self.press("cash")
        self.at("done")

    def next(self) -> None:
        self.press("next")
        self.at("sale")


class TownView:
    """The town's own page."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.trouble = its_trouble(page, url.rstrip("/"))
        page.goto(url)
        expect(page.locator("#live")).to_contain_text("live")
        self.badge("shop", "synced")
        self.badge("bus", "synced")

    def badge(self, whose: str, badge: str, wait_ms: int = SHOWN_MS) -> None:
        expect(self.page.locator(f"#badge-{whose}")).to_have_attribute("data-badge", badge, timeout=wait_ms)

    def press(self, name: str) -> None:
        self.page.bring_to_front()
        self.page.get_by_role("button", name=name).click()

    def told(self, *words: str) -> None:
        """What came of the last press."""
        expect(self.page.locator("#hand")).to_have_attribute("aria-busy", "false", timeout=SHOWN_MS)
        for word in words:
            expect(self.page.locator("#result")).to_contain_text(word, timeout=SHOWN_MS)

    def switch(self, name: str, *, is_on: bool) -> None:
        self.page.bring_to_front()
        self.page.locator(f"#{name}").click()
        expect(self.page.locator(f"#{name}")).to_have_attribute("aria-checked", str(is_on).lower())

    def holds(self, what: str, value: str) -> None:
        """A cell of the shop's books."""
        expect(self.page.locator(f"#book-shop-{what}")).to_have_text(value, timeout=SHOWN_MS)


def test_a_day_in_the_town_from_the_first_page_to_ctrl_c(
    town: TownRun, chromium: Browser, report: Callable[[str], None]
) -> None:
    pages = town.wait_ready()
    assert "แคชเชียร์: 01 มาลี, 02 สมชาย, 03 นก รหัส PIN 274905" in town.said.decode()
    it_answers_its_own_page_alone(pages["town"])
    with contextlib.closing(chromium.new_context(viewport={"width": 1280, "height": 800})) as context:
        view, till = TownView(context.new_page(), pages["town"]), Till(context.new_page(), pages["shop"])
        till.open_shift()
        a_wallet_page_pays_by_a_photograph_of_its_screen(context, view, till, pages)
        a_phone_reads_the_display_and_answers_while_the_shop_is_offline(view, till, pages, context)
        paper_and_power_fail_and_come_back(view, till)
        phones_without_a_network_say_so(view)
        a_window_that_shows_a_code_is_read_as_it_is_seen(view)
        a_picture_can_be_pasted_or_dropped(view)
        every_link_leads_to_its_page(context, view)
        it_can_be_read_by_everybody(view.page)
        view.press("kgo-city audit")
        expect(view.page.locator("#audit")).to_contain_text("ตรวจแล้ว ถูกต้อง", timeout=SHOWN_MS)
        assert view.trouble == [CONFLICT] * 4, "what could not be done, four times"
        children = town.children()
        assert len(children) >= 4, "city, validator, head, till"
        town.press_ctrl_c()
        town.press_ctrl_c()  # an impatient finger
        assert town.wait_end() == 0, town.said.decode()
    assert [child for child in children if Path(f"/proc/{child}").exists()] == []
    assert "ปิดแล้ว ทุกโปรแกรมจบแล้ว · stopped; every process has ended" in town.said.decode()
    report(f"the town on the desk: {len(children)} processes, all ended by Ctrl-C")


# --- in the shop


def a_wallet_page_pays_by_a_photograph_of_its_screen(
    context: BrowserContext, view: TownView, till: Till, pages: dict[str, str]
) -> None:
    phone = Phone(context, pages["wallet"])
    phone.page.set_viewport_size(SIZE)
    phone.register()
    expect(phone.page.locator("#left")).to_have_text("100.00")
    till.ask_kgo("K01", "K05", kgo="20")
    phone.pay_shop("20")
    photograph = {"name": "phone.png", "mimeType": "image/png", "buffer": phone.page.screenshot()}
    view.page.locator("#file").set_input_files([photograph])  # pyright: ignore[reportArgumentType]
    view.told("ผ่าน")
    till.cash()
    expect(view.page.locator("#papers")).to_contain_text("ใบที่ 1", timeout=SHOWN_MS)
    assert view.page.locator("#paper").evaluate("async one => (await one.decode(), one.naturalWidth)") == 576
    expect(view.page.locator("#drawer")).to_contain_text("ลิ้นชักเปิดอยู่")
    view.press("shut it")
    expect(view.page.locator("#drawer")).to_contain_text("ลิ้นชักปิดอยู่")
    for what, value in {"vouchers": "1", "acked": "1", "posted": "1", "kgo": "20.00", "credited": "20.00"}.items():
        view.holds(what, value)
    expect(view.page.locator("#book-shop-agrees")).to_contain_text("ตรงกัน")
    till.next()
    assert phone.trouble == []
    phone.page.close()


def a_phone_reads_the_display_and_answers_while_the_shop_is_offline(
    view: TownView, till: Till, pages: dict[str, str], context: BrowserContext
) -> None:
    view.page.locator("#who").select_option("Somchai")
    view.press("scan the customer's display and answer")
    view.told("ทำไม่ได้ตอนนี้", "shows no code")
    view.switch("net-shop", is_on=False)
    view.badge("shop", "offline", OFFLINE_MS)
    till.ask_kgo("K05", kgo="25")
    till.press("kgo_request")
    display = context.new_page()
    display.goto(pages["customer"])
    expect(display.locator("svg.qr")).to_be_visible()
    view.press("scan the customer's display and answer")
    view.told("ผ่าน", "จ่าย 25.00 KGO")
    display.close()
    till.cash()
    view.holds("pending", "1")
    view.press("the same code again")
    view.told("หมดอายุ")
    view.switch("net-shop", is_on=True)
    view.badge("shop", "synced", OFFLINE_MS)
    view.holds("credited", "45.00")
    till.next()


def paper_and_power_fail_and_come_back(view: TownView, till: Till) -> None:
    view.switch("fault-no_paper", is_on=True)
    till.ask_kgo("K01", kgo="10")
    view.page.locator("#who").select_option("Mali")
    view.page.locator("#kgo").fill("10")
    view.press("show a code to the scanner")
    view.told("ผ่าน")
    till.cash()
    view.press("kill the till (SIGKILL)")
    expect(view.page.locator("#runs")).to_contain_text("ปิดอยู่")
    view.press("show a code to the scanner")
    view.told("เครื่องของร้านปิดอยู่")
    view.switch("fault-no_paper", is_on=False)
    view.press("start it again")
    expect(view.page.locator("#runs")).to_contain_text("ทำงานอยู่", timeout=SHOWN_MS)
    view.badge("shop", "synced", OFFLINE_MS)
    expect(view.page.locator("#papers")).to_contain_text("ใบที่ 3", timeout=OFFLINE_MS)
    view.holds("credited", "55.00")


def phones_without_a_network_say_so(view: TownView) -> None:
    view.switch("net-phones", is_on=False)
    view.press("renew the allowance")
    view.told("โทรศัพท์ไม่มีเครือข่าย")
    view.switch("net-phones", is_on=True)
    view.press("renew the allowance")
    view.told("วงเงินใหม่")


WINDOW = """() => {
  navigator.mediaDevices.getDisplayMedia = async () => { // a person's choice of a window
    const image = new Image(), canvas = document.createElement("canvas");
    image.src = "phone.png?window";
    await image.decode();
    Object.assign(canvas, { width: 900, height: 700 });
    setInterval(() => canvas.getContext("2d").drawImage(image, 40, 20), 100);
    return canvas.captureStream(10);
  };
}"""


def a_window_that_shows_a_code_is_read_as_it_is_seen(view: TownView) -> None:
    """The code that the last phone showed; no sale is open for it now."""
    view.page.evaluate(WINDOW)
    view.press("look at another window")
    expect(view.page.locator("#result .icon")).to_have_count(1, timeout=SHOWN_MS)
    expect(view.page.locator("#seen")).to_be_hidden(timeout=SHOWN_MS)
    view.told("1204")


GIVEN = """async (how) => {
  const picture = await (await fetch("phone.png?given")).blob(), given = new DataTransfer();
  given.items.add(new File([picture], "phone.png", { type: "image/png" }));
  const place = document.getElementById("lens"), about = { bubbles: true, cancelable: true };
  document.getElementById("result").textContent = "";
  place.dispatchEvent(how === "paste" ? new ClipboardEvent(how, { ...about, clipboardData: given })
    : new DragEvent(how, { ...about, dataTransfer: given }));
}"""


def a_picture_can_be_pasted_or_dropped(view: TownView) -> None:
    for how in ("paste", "drop"):
        view.page.evaluate(GIVEN, how)
        view.told("1204")


def every_link_leads_to_its_page(context: BrowserContext, view: TownView) -> None:
    """And is the one that its name says; a till's page opens from this one too."""
    for name, title in {
        "the cashier": "",
        "the customer's display": "",
        "the bus": "รถเมล์บนโต๊ะ · The bus on the desk",
        "a wallet": "กระเป๋า KGO",
        "a second wallet": "กระเป๋า KGO",
    }.items():
        with context.expect_page() as opened:
            view.page.get_by_role("link", name=name).click()
        page = opened.value
        page.wait_for_load_state()
        shown = page.locator("#till, #screen").first
        expect(shown).to_be_visible()
        assert title in page.title(), (name, page.title())
        page.close()


# --- the town's page for everybody


OVERFLOWING = """() => [...document.querySelectorAll("button, select, input, .file, th, td, li, p, figcaption, h1, h2")]
    .filter(one => one.getClientRects().length && one.type !== "file" && getComputedStyle(one).display !== "inline"
        && one.scrollWidth > one.clientWidth + 1
        || one.getBoundingClientRect().right > one.closest("section, header").getBoundingClientRect().right + 1)
    .map(one => one.outerHTML.slice(0, 200))"""


def it_can_be_read_by_everybody(page: Page) -> None:
    page.bring_to_front()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for width, height in SIZES:
            page.set_viewport_size({"width": width, "height": height})
            assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
            assert page.evaluate(OVERFLOWING) == []
        contrasts = page.evaluate(CONTRASTS)
        assert len(contrasts) > 80 and [one for one in contrasts if one[0] < CONTRAST_MIN] == []
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
    small = "all => all.filter(one => one.getBoundingClientRect().height < 43.9).map(one => one.outerHTML)"
    assert page.locator("button, select, input:not([type=file]), .file").evaluate_all(small) == []


# --- over HTTP


def it_answers_its_own_page_alone(url: str) -> None:
    host = urlsplit(url).netloc
    origin = url.rstrip("/")

    def ask(method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        with closing(HTTPConnection(host, timeout=ASKED_S_MAX)) as link:
            link.request(method, path, body, headers)
            answer = link.getresponse()
            return answer.status, answer.read(), answer.headers.get("content-security-policy", "")

    files = ("/", "/local_page.js", "/page.js", "/lens.js", "/page.css", "/icon.svg", "/Sarabun-Medium.ttf")
    for path in (*files, "/town"):
        status, body, policy = ask("GET", path)
        assert status == 200 and body and "default-src 'none'" in policy, path
    assert ask("GET", "/paper.png")[0] == 404 and ask("GET", "/phone.png")[0] == 404, "nothing yet"
    assert ask("GET", "/act")[0] == 405 and ask("GET", "/../town.py")[0] == 404
    assert ask("GET", "/town", Host="elsewhere.example")[0] == 403, "a name that was bent to this machine"
    kill = b'{"do": "till kill"}'
    for headers in ({}, {"Origin": "null"}, {"Origin": "http://elsewhere.example"}):
        for path in ("/act", "/hold", "/hold-text"):
            assert ask("POST", path, kill, **headers)[0] == 403, (path, headers)
    what_is_sent_is_bounded(ask, origin)
    what_is_no_code_is_not_read(ask, origin)


def what_is_sent_is_bounded(ask: Ask, origin: str) -> None:
    for body in (b"no JSON", b"7", b'{"do": 7}', b'{"do": "fly"}', b'{"do": "code Mali 0"}', b'{"text": "audit"}'):
        assert ask("POST", "/act", body, Origin=origin)[0] == 400, body
    assert ask("POST", "/act", b'"%s"' % (b"x" * 5_000), Origin=origin)[0] == 413
    with contextlib.suppress(ConnectionError):  # it does not read to the end
        assert ask("POST", "/hold", bytes(PICTURE_BYTES_MAX + 1), Origin=origin)[0] == 413


def what_is_no_code_is_not_read(ask: Ask, origin: str) -> None:
    def held(picture: Image.Image, form: str = "PNG") -> Answer:
        made = io.BytesIO()
        picture.save(made, form)
        return ask("POST", "/hold", made.getvalue(), Origin=origin)

    for junk in (b"", b"GIF89a", b"\x89PNG\r\n\x1a\n", bytes(1_000)):
        status, body, _policy = ask("POST", "/hold", junk, Origin=origin)
        assert status == 409 and "PNG" in json.loads(body)["thai"], junk
    assert held(Image.new("L", (10, 10)), "GIF")[0] == 409
    assert held(Image.new("1", (6_000, 5_000)))[0] == 409, "more pixels than a screen has"
    empty = held(Image.new("L", (300, 300), 255))
    assert empty[0] == 200 and json.loads(empty[1]) == {"said": None}
    status, body, _policy = held(qr_picture("KGO1P:NONSENSE"))
    assert status == 200 and json.loads(body)["said"]["light"] in ("refused", "try_again")
    for text in ("", "ภาษาไทย", "A" * 900):
        assert ask("POST", "/hold-text", json.dumps({"text": text}).encode(), Origin=origin)[0] == 409
