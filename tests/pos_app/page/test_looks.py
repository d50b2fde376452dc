"""Every screen as it is seen, in a real browser: nothing cut off, hidden, too small, or hard to see or read out.

Each screen in both languages; in a slice each at one of the three sizes, in the soak at all of them.
"""

import io
import re
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
import zxingcpp
from axe_playwright_python.base import AXE_SCRIPT
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.pos_app.page import views
from tests.pos_app.page.served import Served

TERMINALS, PHONE, SMALL_PHONE = ((1024, 600), (1280, 800)), (390, 844), (360, 640)
SIZES = (*TERMINALS, PHONE, SMALL_PHONE)
TARGET_PX_MIN = 44
MODULE_PX_MIN = 3
GREEN = "rgb(11, 107, 47)"
AXE = """async () => {
  const found = await axe.run(document, { resultTypes: ["violations"],
    runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    rules: { region: { enabled: false }, "page-has-heading-one": { enabled: false } } });
  return found.violations.filter(one => one.impact === "serious" || one.impact === "critical")
    .map(one => [one.id, one.nodes[0].html.slice(0, 160), one.nodes[0].failureSummary]);
}"""
MEASURED = """() => {
  const found = [], root = document.getElementById("approve") ?? document;
  const seen = (one) => one.getClientRects().length && getComputedStyle(one).visibility !== "hidden"
    && !one.closest("[inert], .unseen, dialog:not([open])");
  const told = (one) => one.outerHTML.replace(/<svg.*?<[/]svg>/g, "").slice(0, 140);
  const wide = document.documentElement;
  if (wide.scrollWidth > innerWidth) found.push(`scrolls sideways: ${wide.scrollWidth} > ${innerWidth}`);
  for (const one of root.querySelectorAll("button, input, label.choice, .pick label")) {
    if (!seen(one) || ["radio", "hidden"].includes(one.type)) continue;
    const box = one.getBoundingClientRect();
    if (box.width < SMALLEST - .5 || box.height < SMALLEST - .5) {
      if (!one.closest(".box")) found.push(`too small ${box.width}x${box.height}: ${told(one)}`);
    }
    one.scrollIntoView({ block: "center", inline: "nearest", behavior: "instant" });
    const now = one.getBoundingClientRect();
    const hit = document.elementFromPoint(now.left + now.width / 2, now.top + now.height / 2);
    if (!one.contains(hit) && !hit?.contains(one)) found.push(`covered by ${hit && told(hit)}: ${told(one)}`);
  }
  for (const one of root.querySelectorAll("button, p, b, h1, h2, dt, dd, li, span, small, label, kbd")) {
    if (!seen(one) || !one.textContent.trim()) continue;
    const style = getComputedStyle(one), box = one.getBoundingClientRect();
    if (style.display !== "inline" && one.scrollWidth > one.clientWidth + 1) found.push(`cut off: ${told(one)}`);
    if (style.overflowY === "hidden" && one.scrollHeight > one.clientHeight + 1) found.push(`cut below: ${told(one)}`);
    if (box.right > innerWidth + 1 || box.left < -1) found.push(`outside: ${told(one)}`);
    if (one.matches(".press") && one.scrollHeight > one.clientHeight + 1) found.push(`too low: ${told(one)}`);
  }
  const bar = document.getElementById("top").getBoundingClientRect();
  for (const one of document.querySelectorAll("#top *")) {
    const box = one.getBoundingClientRect();
    if (seen(one) && (box.bottom > bar.bottom + 1 || box.top < bar.top - 1)) found.push(`out of the bar: ${told(one)}`);
  }
  for (const one of document.querySelectorAll("#link b, #link small")) {
    const lines = new Set([...one.getClientRects()].map((box) => Math.round(box.top)));
    const high = one.getBoundingClientRect().height, line = parseFloat(getComputedStyle(one).lineHeight);
    if (lines.size > 1 || high > 1.5 * line) found.push(`wraps in the badge: ${told(one)}`);
  }
  scrollTo(0, 0);
  return found;
}"""

OUT_OF_CARD = """() => [...document.querySelectorAll("#shelf .good")].filter((card) => {
  const words = card.querySelector(".words").getBoundingClientRect(), edge = card.getBoundingClientRect();
  return words.top < edge.top || words.bottom > edge.bottom || words.left < edge.left || words.right > edge.right;
}).map((card) => card.textContent)"""
OUT_OF_TABLE = """() => {
  const table = document.querySelector(".table"), edge = table.getBoundingClientRect();
  return [...table.querySelectorAll("dt, dd")].filter((one) => {
    const box = one.getBoundingClientRect();
    return box.bottom > edge.bottom + 1 || box.right > edge.right + 1;
  }).map((one) => one.textContent);
}"""
LONG_NAME = {
    "name_th": "ก๋วยเตี๋ยวเรือหมูน้ำตกชามใหญ่พิเศษ เพิ่มลูกชิ้นและตับ ไม่ใส่ผัก",
    "name_en": "Boat noodles with pork, large special bowl, extra meatballs and liver, no greens",
}


@pytest.fixture
def served() -> Iterator[Served]:
    one = Served()
    yield one
    one.close()


def test_every_screen_can_be_seen_read_and_reached(
    served: Served, chromium: Browser, slice_of: Callable[[int, int], int]
) -> None:
    sizes = slice_of(len(SIZES), 1)
    wrong: list[object] = []
    with closing(chromium.new_context()) as context:
        page = context.new_page()
        for kind, every in (("", views.tills()), ("customer", views.customers())):
            page.goto(f"{served.origin}/{kind}")
            page.evaluate(AXE_SCRIPT)
            for size, name, language in looked_at(every, sizes):
                page.set_viewport_size({"width": size[0], "height": size[1]})
                view = views.spoken(every[name], language)
                served.desk.show(**{"customer" if kind else "till": view})
                expect(page.locator(f'#till[data-revision="{served.desk.revision}"]')).to_be_attached()
                found = page.evaluate(AXE) + page.evaluate(MEASURED.replace("SMALLEST", str(TARGET_PX_MIN)))
                if size in TERMINALS and page.evaluate("document.documentElement.scrollHeight > innerHeight"):
                    found.append("does not fit the screen")
                wrong += [(kind, name, language, size, one) for one in found]
    assert wrong == []


def test_a_shifts_sums_are_all_seen_on_a_terminal_what_the_city_rejected_first(
    served: Served, chromium: Browser
) -> None:
    """Nothing says that a list goes on below its last line."""
    with closing(chromium.new_context()) as context:
        page = context.new_page()
        page.goto(served.origin)
        for width, height in TERMINALS:
            page.set_viewport_size({"width": width, "height": height})
            for language in ("th", "en"):
                served.desk.show(views.spoken(views.tills()["shift"], language))
                expect(page.locator(f'#till[data-revision="{served.desk.revision}"]')).to_be_attached()
                expect(page.locator(".table dl > div").first).to_have_id("rejected")
                table = page.locator(".table")
                assert table.evaluate("one => one.scrollHeight - one.clientHeight") <= 0, (width, language)


def test_every_row_of_a_report_is_seen_on_a_terminal(served: Served, chromium: Browser) -> None:
    with closing(chromium.new_context()) as context:
        page = context.new_page()
        page.goto(served.origin)
        for width, height in TERMINALS:
            page.set_viewport_size({"width": width, "height": height})
            for language in ("th", "en"):
                served.desk.show(views.spoken(views.tills()["report"], language))
                expect(page.locator(f'#till[data-revision="{served.desk.revision}"]')).to_be_attached()
                assert page.locator(".table dl > div").count() == len(views.report())
                assert page.evaluate(OUT_OF_TABLE) == [], (width, language)


def test_no_words_of_the_goods_leave_their_card_however_long_and_many(served: Served, chromium: Browser) -> None:
    goods = [
        {**one, "sku": f"{number:03d}", **(LONG_NAME if number % 2 else {})}
        for number, one in enumerate(views.GOODS * 4)
    ]
    with closing(chromium.new_context()) as context:
        page = context.new_page()
        page.goto(served.origin)
        for width, height in SIZES:
            page.set_viewport_size({"width": width, "height": height})
            for language in ("th", "en"):
                served.desk.show(views.spoken(views.selling(views.BASKET, goods=goods), language))
                expect(page.locator(f'#till[data-revision="{served.desk.revision}"]')).to_be_attached()
                expect(page.locator("#shelf .good")).to_have_count(len(goods))
                assert page.evaluate(OUT_OF_CARD) == [], (width, language)


def looked_at(every: dict[str, views.View], sizes: int) -> Iterator[tuple[tuple[int, int], str, str]]:
    """By size, so that the window seldom changes."""
    for turn, size in enumerate(SIZES):
        for number, name in enumerate(every):
            for other, language in enumerate(("th", "en")):
                if (number + other - turn) % len(SIZES) < sizes:
                    yield size, name, language


def test_letters_codes_and_colours_are_what_they_must_be(served: Served, chromium: Browser) -> None:
    with closing(chromium.new_context(viewport={"width": 1024, "height": 600})) as context:
        page = context.new_page()
        page.goto(served.origin)
        its_letters_come_with_it(page, ("#top .shop b", ".cell b", ".press .words", ".search span", "#top .when"))
        served.desk.show(views.tills()["training"])
        expect(page.locator("[data-training]#till")).to_be_attached()
        its_training_cannot_be_mistaken(page)
        page.goto(f"{served.origin}/customer")
        for name, code in (("ask-request", views.QR), ("promptpay", views.PROMPTPAY)):
            served.desk.show(customer=views.customers()[name])
            expect(page.locator(f'#till[data-revision="{served.desk.revision}"]')).to_be_attached()
            a_code_can_be_read_from_the_screen(page, code)
        its_letters_come_with_it(page, ("#top .shop b", ".sum p", ".huge", ".second"))
        served.desk.show(customer=views.customers()["training"])
        expect(page.locator("[data-training]#till")).to_be_attached()
        its_training_cannot_be_mistaken(page)


def its_letters_come_with_it(page: Page, selectors: tuple[str, ...]) -> None:
    devtools = page.context.new_cdp_session(page)
    devtools.send("DOM.enable")
    devtools.send("CSS.enable")
    root = devtools.send("DOM.getDocument")["root"]["nodeId"]
    for selector in selectors:
        node = devtools.send("DOM.querySelector", {"nodeId": root, "selector": selector})["nodeId"]
        fonts = devtools.send("CSS.getPlatformFontsForNode", {"nodeId": node})["fonts"]
        assert fonts and all(font["isCustomFont"] and font["familyName"] == "Sarabun" for font in fonts), (
            selector,
            fonts,
        )


def its_training_cannot_be_mistaken(page: Page) -> None:
    frame = page.evaluate("getComputedStyle(document.getElementById('till'), '::before').borderImageSource")
    assert "repeating-linear-gradient" in frame
    assert page.locator(".training-sign").text_content() == "ฝึกหัด TRAINING" + (
        " · ไม่ใช่เงินจริง" if "customer" in page.url else ""
    )
    colours = page.evaluate(
        """() => [...document.querySelectorAll("#till *")].flatMap(one => {
        const style = getComputedStyle(one);
        return [style.color, style.backgroundColor, style.borderTopColor];
    })"""
    )
    assert colours and GREEN not in colours


def a_code_can_be_read_from_the_screen(page: Page, text: str) -> None:
    side, modules = page.locator(".qr").evaluate("one => [one.clientWidth, Number(one.dataset.modules)]")
    height = page.locator(".qr").evaluate("one => one.clientHeight")
    assert min(side, height) >= MODULE_PX_MIN * modules, (side, height, modules)
    picture = Image.open(io.BytesIO(page.screenshot()))
    read = zxingcpp.read_barcode(picture)
    assert read is not None and read.text == text


def test_a_light_has_a_shape_and_words_of_its_own(served: Served) -> None:
    signs: dict[str, tuple[str, str]] = {}
    for name in ("working", "accepted", "already_accepted", "refused", "try_again", "out_of_service"):
        served.desk.show(views.selling([], light=views.light(name)))
        html = served.ask("GET", "/screen")[2]
        found = re.search(rf'<div class="cell light light-{name}"><svg.*?d="([^"]+)".*?<b>([^<]+)', html)
        assert found, name
        signs[name] = (found[1], found[2])
    for which in (0, 1):
        assert len({sign[which] for sign in signs.values()}) == len(signs), signs
