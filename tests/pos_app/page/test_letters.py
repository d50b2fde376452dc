"""Letters on the screen, in a real browser that is touched: what they type and never lose, where they stand, who opens
them. Issue: the counter, everything by touch; decision 0198."""

from collections.abc import Iterator
from contextlib import closing

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, Page, expect

from tests.pos_app.page import views
from tests.pos_app.page.fingers import LETTERS, does, find, key_of, write
from tests.pos_app.page.served import Served
from tests.pos_app.page.test_hands import CODE, PERSON_MS, is_there, scan, shows, troubles_of, until
from tests.pos_app.page.test_looks import AXE, MEASURED, PHONE, SIZES, TARGET_PX_MIN

FIELDS = {"sale": "search", "shift": "reason", "first-manager": "first-name"}
"""The text field of each screen that has one; the bill's name is asked for in a window of its own."""
LAYOUTS = {"th": (47, 47), "en": (47, 47)}
THAI = "กขฃคฅฆงจฉชซฌญฎฏฐฑฒณดตถทธนบปผฝพฟภมยรลวศษสหฬอฮฯะัาำิีึืฺุู฿เแโใไๅๆ็่้๊๋์ํ๐๑๒๓๔๕๖๗๘๙ฤ"
ENGLISH = "".join(chr(code) for code in range(0x21, 0x7F))
PLACES = """(field) => {
  const box = (one) => one.getBoundingClientRect(), at = document.getElementById(field);
  const found = [...document.querySelectorAll("#found .good")];
  const shelf = found.length && innerWidth > 900 ? box(document.getElementById("found")).bottom : 0;
  found.at(-1)?.scrollIntoView({ block: "nearest" });
  const lowest = Math.max(box(at).bottom, shelf, found.length && box(found.at(-1)).bottom);
  found[0]?.scrollIntoView({ block: "nearest" });
  at.scrollIntoView({ block: "nearest" });
  return [box(document.getElementById("letters")).top, box(at).top, lowest,
    box(document.querySelector(at.closest("dialog") ? "body" : "#strip")).top];
}"""
TOPMOST = """(field) => {
  const at = document.getElementById(field), box = at.getBoundingClientRect();
  return [box.top + 2, box.bottom - 2].every(y => document.elementFromPoint(box.left + box.width / 2, y) === at);
}"""
HELD_MS = 1_300
MANY = 4


@pytest.fixture
def served() -> Iterator[Served]:
    one = Served()
    yield one
    one.close()


def opens(page: Page, field: str) -> None:
    page.locator(f"[data-letters={field}]").tap()
    expect(page.locator(LETTERS)).to_be_visible()


@pytest.mark.parametrize("size", SIZES)
def test_every_key_can_be_hit_read_and_named_and_covers_nothing_it_serves(
    served: Served, chromium: Browser, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    width, height = size
    monkeypatch.setattr(served.desk, "search", lambda _words: views.GOODS * MANY)
    with closing(chromium.new_context(viewport={"width": width, "height": height}, has_touch=True)) as context:
        page = context.new_page()
        trouble = troubles_of(page, served.origin)
        page.goto(served.origin)
        page.evaluate(AXE_SCRIPT)
        for language in ("th", "en"):
            for screen, field in FIELDS.items():
                shows(page, served, {**views.tills()[screen], "language": language})
                opens(page, field)
                if field == "search":
                    find(page, "ก" if language == "th" else "e", MANY * len(views.GOODS))
                the_letters_leave_room(page, field)
                if screen == "sale":
                    every_level_is_whole(page)
                    assert page.evaluate(AXE) == [], (size, language)
                does(page, "done")
                expect(page.locator(LETTERS)).to_be_hidden()
            shows(page, served, {**views.tills()["sale"], "language": language})
            page.locator("#search").fill("")
            page.locator("#b-hold").tap()
            opens(page, "label")
            the_letters_leave_room(page, "label")
            assert page.evaluate(AXE) == [], (size, language)
            page.locator("#hold-no").tap()
            expect(page.locator(LETTERS)).to_be_hidden()
        assert trouble == []


def the_letters_leave_room(page: Page, field: str) -> None:
    letters_top, field_top, shown_bottom, over_top = page.evaluate(PLACES, field)
    assert over_top <= field_top and shown_bottom <= letters_top + 1, (field, letters_top, field_top, shown_bottom)
    assert page.evaluate(TOPMOST, field), f"something lies over {field}"


def every_level_is_whole(page: Page) -> None:
    """Both languages, both levels: sizes, places, names, and together every letter there is."""
    seen: dict[str, str] = {}
    for layout in ("th", "en"):
        if page.locator(LETTERS).get_attribute("data-layout") != layout:
            does(page, "switch")
        for _level in range(2):
            measured = MEASURED.replace("SMALLEST", str(TARGET_PX_MIN))
            wrong = page.evaluate(
                measured.replace('document.getElementById("approve") ?? document', 'document.getElementById("letters")')
            )
            assert wrong == []
            assert page.locator(f"{LETTERS} button").locator("visible=true").count() >= 47 + 6
            keys = f"{LETTERS} .key:not(.beside, .does)"
            seen[layout] = seen.get(layout, "") + "".join(
                page.eval_on_selector_all(keys, "all => all.map(one => one.dataset.letter)")
            )
            marks = page.eval_on_selector_all(
                f"{LETTERS} .mark", "all => all.map(one => one.getAttribute('aria-label'))"
            )
            assert all(marks) and (marks or layout == "en"), "a lone mark is drawn on a circle and has its name"
            does(page, "shift")
    assert set(THAI) - set(seen["th"]) == set() and set(ENGLISH) - set(seen["en"]) == set()
    assert all(len(all_keys) == len(set(all_keys)) == 94 for all_keys in seen.values())


def test_they_type_as_keys_do_and_a_scanner_types_nothing(served: Served, chromium: Browser) -> None:
    with closing(chromium.new_context(viewport={"width": 1024, "height": 600}, has_touch=True)) as context:
        page = context.new_page()
        trouble = troubles_of(page, served.origin)
        page.goto(served.origin)
        fingers_open_them_and_keys_do_not(page)
        words_are_typed_and_taken_back_letter_by_letter(page)
        a_selection_is_replaced_and_the_end_is_kept(page, served)
        keys_and_a_scanner_do_what_they_always_do(page, served)
        no_swap_closes_them_in_a_word(page, served)
        they_go_with_their_field(page, served)
        assert trouble == []


def fingers_open_them_and_keys_do_not(page: Page) -> None:
    letters, search, asks = page.locator(LETTERS), page.locator("#search"), page.locator("[data-letters=search]")
    page.keyboard.press("F2")
    expect(search).to_be_focused()
    expect(letters).to_be_hidden()
    page.locator("#amount-sale").click()
    search.click()  # a mouse has a keyboard beside it
    expect(search).to_be_focused()
    expect(letters).to_be_hidden()
    expect(asks).to_have_attribute("aria-expanded", "false")
    search.tap()
    expect(letters).to_be_visible()
    expect(search).to_be_focused()
    expect(search, "the device's own letters stay below").to_have_attribute("inputmode", "none")
    expect(asks).to_have_attribute("aria-expanded", "true")
    asks.tap()
    expect(letters).to_be_hidden()
    expect(search).not_to_have_attribute("inputmode", "none")
    asks.tap()
    expect(letters).to_be_visible()
    page.locator("#amount-sale").tap()
    expect(letters, "an amount has keys of its own").to_be_hidden()
    expect(asks).to_have_attribute("aria-expanded", "false")
    page.keyboard.press("F2")
    asks.focus()
    page.keyboard.press("Enter")  # by keyboard too, as a switch or a screen reader presses
    expect(letters).to_be_visible()
    key_of(page, "ก").focus()
    page.keyboard.press("Enter")
    expect(search).to_have_value("ก")
    page.locator(f"{LETTERS} [data-does=clear]").tap()


def words_are_typed_and_taken_back_letter_by_letter(page: Page) -> None:
    search = page.locator("#search")
    page.evaluate("window.heard = 0; document.getElementById('search').addEventListener('input', () => window.heard++)")
    write(page, "search", "ก๋วยเตี๋ยว ๒ Qr 7")
    expect(search).to_have_value("ก๋วยเตี๋ยว ๒ Qr 7")
    assert page.evaluate("window.heard") == len("ก๋วยเตี๋ยว ๒ Qr 7"), "each is heard as a key is"
    expect(search, "and the field keeps the focus").to_be_focused()
    does(page, "clear")
    does(page, "switch")
    write(page, "search", "ที่")
    for left in ("ที", "ท", "", ""):
        does(page, "back")
        expect(search).to_have_value(left)
    write(page, "search", "ชาเย็น")
    box = page.locator(f"{LETTERS} [data-does=back]").bounding_box()
    assert box
    page.mouse.move(box["x"] + 9, box["y"] + 9)
    page.mouse.down()  # held
    page.wait_for_timeout(HELD_MS)
    page.mouse.up()
    expect(search).to_have_value("")
    write(page, "search", "ชา")
    page.wait_for_timeout(2 * 90)
    expect(search, "let go, it has stopped").to_have_value("ชา")


def a_selection_is_replaced_and_the_end_is_kept(page: Page, served: Served) -> None:
    search = page.locator("#search")
    search.evaluate("one => { one.value = 'กขคง'; one.setSelectionRange(1, 3); }")
    write(page, "search", "ม")
    expect(search).to_have_value("กมง")
    assert search.evaluate("one => [one.selectionStart, one.selectionEnd]") == [2, 2]
    does(page, "back")
    expect(search).to_have_value("กง")
    search.evaluate("one => { one.value = '🍜ก🍜'; one.setSelectionRange(5, 5); }")
    does(page, "back")
    expect(search, "half a sign is no sign").to_have_value("🍜ก")
    most = int(search.get_attribute("maxlength") or "")
    search.evaluate("(one, most) => { one.value = 'a'.repeat(most); one.setSelectionRange(most, most); }", most)
    write(page, "search", "ก")
    expect(search).to_have_value("a" * most)
    does(page, "clear")
    find(page, "ข้าว", 1)
    page.locator("#found .good").tap()
    expect(page.locator("#bill")).to_have_text("฿10.00")
    expect(page.locator(LETTERS), "the field is empty again, and the letters gone").to_be_hidden()
    expect(search).to_have_value("")
    assert served.desk.acts[-1] == ("add_item", {"sku": "003"})


def keys_and_a_scanner_do_what_they_always_do(page: Page, served: Served) -> None:
    search = page.locator("#search")
    write(page, "search", "ชา")
    scans, acts = len(served.desk.scans), len(served.desk.acts)
    scan(page, "", CODE)
    until(page, lambda: served.desk.scans[scans:] == [CODE])
    is_there(page, served)
    expect(search, "a scanner's code is no word").to_have_value("ชา")
    expect(page.locator(LETTERS)).to_be_visible()
    expect(search).to_be_focused()
    page.keyboard.type("ดำ", delay=PERSON_MS)
    expect(search).to_have_value("ชาดำ")
    page.keyboard.press("Backspace")
    expect(page.locator(LETTERS), "a real key beside them closes nothing").to_be_visible()
    key_of(page, "ำ").tap()
    expect(search).to_have_value("ชาดำ")
    assert len(served.desk.acts) == acts
    does(page, "clear")


def no_swap_closes_them_in_a_word(page: Page, served: Served) -> None:
    search = page.locator("#search")
    write(page, "search", "ก๋")
    view = served.desk.view()
    shows(page, served, {**view, "link": views.OFFLINE, "light": views.light("try_again", "", views.DAMAGED)})
    expect(page.locator(LETTERS)).to_be_visible()
    expect(page.locator("[data-letters=search]")).to_have_attribute("aria-expanded", "true")
    expect(search).to_have_attribute("inputmode", "none")
    shows(page, served, {**view, "language": "en"})
    expect(page.locator(f"{LETTERS} [data-does=done]")).to_have_text("Done")
    expect(page.locator(LETTERS)).to_have_attribute("aria-label", "Letters")
    key_of(page, "ว").tap()  # still Thai, where the word is
    expect(search).to_have_value("ก๋ว")
    expect(search).to_be_focused()
    shows(page, served, view)
    does(page, "clear")


def they_go_with_their_field(page: Page, served: Served) -> None:
    letters = page.locator(LETTERS)
    write(page, "search", "ช")
    shows(page, served, views.tills()["pay"])
    expect(letters).to_be_hidden()
    expect(page.locator("#amount-pay")).to_be_focused()
    shows(page, served, views.tills()["shift"])
    write(page, "reason", "ค่าน้ำแข็ง")
    shows(page, served, {**views.tills()["shift"], "approve": views.approve("cash_out", satang=50_000)})
    expect(letters, "somebody's PIN is asked for").to_be_hidden()
    expect(page.locator("#approve-code")).to_be_focused()
    shows(page, served, views.tills()["shift"])
    expect(page.locator("#reason")).to_have_value("ค่าน้ำแข็ง")
    shows(page, served, views.tills()["sale"])
    page.locator("#b-hold").tap()
    write(page, "label", "โต๊ะ 4")
    page.locator("#hold-yes").tap()
    until(page, lambda: served.desk.acts[-1:] == [("hold", {"label": "โต๊ะ 4"})])
    expect(letters).to_be_hidden()
    page.locator("#b-hold").tap()
    expect(page.locator("#label"), "the next bill has a name of its own").to_have_value("")
    write(page, "label", "ก")
    page.locator("#hold-no").tap()
    expect(letters).to_be_hidden()
    page.locator("#search").tap()
    expect(letters, "they are whole after a window that was theirs for a moment").to_be_visible()
    does(page, "done")


def test_a_phone_has_letters_of_its_own_and_ours_where_they_are_asked_for(served: Served, chromium: Browser) -> None:
    width, height = PHONE
    with closing(chromium.new_context(viewport={"width": width, "height": height}, has_touch=True)) as context:
        page = context.new_page()
        page.goto(served.origin)
        search, letters = page.locator("#search"), page.locator(LETTERS)
        search.tap()
        expect(search).to_be_focused()
        expect(letters).to_be_hidden()
        expect(search, "the phone's own come up").not_to_have_attribute("inputmode", "none")
        write(page, "search", "ชา")
        expect(search).to_have_value("ชา")
        expect(search, "and go again").to_have_attribute("inputmode", "none")
        shows(page, served, {**served.desk.view(), "link": views.OFFLINE})
        expect(search).to_have_attribute("inputmode", "none")
        page.locator("[data-letters=search]").tap()
        expect(letters).to_be_hidden()
        expect(search).not_to_have_attribute("inputmode", "none")
