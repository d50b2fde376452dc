"""The desk's page: over HTTP as its server answers, and in a real browser as a person sees and presses it. DESIGN §11.

One desk serves both, for founding a city is most of the time; the program is ended while the page is still open.
"""

import asyncio
import contextlib
import json
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect

from simulators.bus_desk.news import LISTENERS_MAX, News, Stream
from simulators.demo.reader_files import EVENT_MASK, open_copy, rows

PAGE_S_MAX = 60
LIGHT_S_MAX = 10
END_S_MAX = 2.5
"""Less than the three seconds that a server grants to connections that do not end by themselves."""
SIZES = ((1280, 800), (1024, 600), (390, 844), (844, 390), (1920, 1080))
CONTRAST_MIN = 4.5
"""WCAG 2.2 AA for text of this size."""


class Desk:
    """Asks one page's server, with the headers that a browser would send."""

    def __init__(self, port: int, folder: Path) -> None:
        self.port, self.folder = port, folder
        self.url = f"http://127.0.0.1:{port}"

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes, str]:
        """Status, body, content security policy."""
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=PAGE_S_MAX)) as link:
            link.request(method, path, body, headers)
            answer = link.getresponse()
            return answer.status, answer.read(), answer.headers.get("content-security-policy", "")

    def press(self, line: object) -> tuple[int, str]:
        status, body, _policy = self.ask("POST", "/act", json.dumps({"do": line}).encode(), Origin=self.url)
        return status, body.decode()

    @contextlib.contextmanager
    def listening(self) -> Iterator["Listener"]:
        """One stream of its news."""
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=PAGE_S_MAX)) as link:
            yield Listener(link)

    def vouchers(self) -> int:
        """In its journal, read from a copy."""
        with closing(open_copy(self.folder / "bus" / "journal.db", self.folder / "read-by-test")) as journal:
            return rows(journal, f"SELECT count(*) FROM entries WHERE NOT id & {EVENT_MASK}")[0][0]


class Listener:
    """What one stream told."""

    def __init__(self, link: HTTPConnection) -> None:
        link.request("GET", "/events")
        self._answer = link.getresponse()
        self.status = self._answer.status
        self.state: dict[str, Any] = {}

    def next(self) -> None:
        """One more message."""
        line = self._answer.readline()
        if line.startswith(b"data: "):
            self.state |= json.loads(line.removeprefix(b"data: "))

    def wait_for(self, light: str, last_screen: object = None) -> dict[str, Any]:
        """Until the ring shows it and, since that is drawn after it, the screen another picture than the last one."""
        until_s = time.monotonic() + LIGHT_S_MAX
        while self.state.get("light") != light or self.state["screen"] == last_screen:
            assert time.monotonic() < until_s, self.state
            self.next()
        return dict(self.state)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[tuple[Desk, "subprocess.Popen[bytes]"]]:
    folder = tmp_path / "b"
    words = ("bus", "--language", "en", "--no-cards", "--small", "--folder", str(folder), "--seed", "3")
    program = subprocess.Popen((sys.executable, "-m", "simulators", *words), stdout=subprocess.PIPE)
    try:
        yield Desk(_port(program), folder), program
    finally:
        if program.poll() is None:
            program.send_signal(signal.SIGTERM)
        try:
            program.communicate(timeout=PAGE_S_MAX)
        except subprocess.TimeoutExpired:
            program.kill()
            raise


def _port(program: "subprocess.Popen[bytes]") -> int:
    assert program.stdout is not None
    until_s, heard = time.monotonic() + PAGE_S_MAX, b""
    while time.monotonic() < until_s:
        if select.select([program.stdout], (), (), 0.2)[0]:
            heard += program.stdout.read1(4_096)  # type: ignore[attr-defined]
        found = re.search(rb"http://127\.0\.0\.1:(\d+)/", heard)
        if found is not None:
            return int(found[1])
    raise AssertionError(heard)


def test_the_page_shows_what_is_pressed_and_takes_presses_from_itself_alone(
    desk: tuple[Desk, "subprocess.Popen[bytes]"], chromium: Browser
) -> None:
    served, program = desk
    it_serves_nothing_from_elsewhere_and_answers_nobody_else(served)
    its_news_are_what_the_head_shows(served)
    it_makes_room_for_as_many_pages_as_it_says(served)
    with contextlib.closing(chromium.new_context(viewport={"width": 1280, "height": 800})) as context:
        page = context.new_page()
        trouble = its_trouble(page, served.url)
        page.goto(served.url)
        expect(page.locator("#live")).to_contain_text("live")
        its_letters_come_with_it(page)
        it_is_worked_by_keyboard(page, served)
        a_pulled_plug_is_told_in_words(page)
        for width, height in SIZES:
            page.set_viewport_size({"width": width, "height": height})
            page.evaluate(DRAWN)
            nothing_is_cut_off_and_the_device_stays_in_sight(page, height)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            every_text_can_be_told_from_its_ground(page)
        assert trouble == []
        # its end, with the page still open
        threads = Path(f"/proc/{program.pid}/task").glob("*/children")
        children = [child for thread in threads for child in thread.read_text().split()]
        assert len(children) >= 3, "city, validator, head"
        program.send_signal(signal.SIGTERM)
        expect(page.locator("#live"), "the server waits for its pages").to_contain_text(
            "this is old", timeout=END_S_MAX * 1_000
        )
        assert program.wait(PAGE_S_MAX) == 0
        assert not [child for child in children if Path(f"/proc/{child}").exists()], "every process has ended"


# --- over HTTP


def it_serves_nothing_from_elsewhere_and_answers_nobody_else(served: Desk) -> None:
    files = ("/", "/local_page.js", "/page.js", "/page.css", "/icon.svg", "/Sarabun-Medium.ttf", "/Sarabun-Bold.ttf")
    for path in (*files, "/actions"):
        status, body, policy = served.ask("GET", path)
        assert status == 200 and body and "default-src 'none'" in policy, path
        if not path.endswith(".ttf"):
            assert b"https://" not in body and b"//cdn" not in body, "nothing from elsewhere"
    assert served.ask("GET", "/screen.png")[1].startswith(b"\x89PNG")
    assert served.press("fly")[0] == 400 and served.press("driver quit")[0] == 400
    assert served.press(7)[0] == 400 and served.press(None)[0] == 400
    assert served.press("card Kaew")[0] == 409, "no reader here"
    assert served.press("x" * 2_000)[0] == 413
    good = b'{"do": "ride Mali"}'
    assert served.ask("POST", "/act", b"no JSON", Origin=served.url)[0] == 400
    assert served.ask("POST", "/act", good, Origin="http://elsewhere.example")[0] == 403
    assert served.ask("POST", "/act", good, Origin="null")[0] == 403
    assert served.ask("POST", "/act", good)[0] == 403, "no Origin: not a page"
    assert served.ask("GET", "/events", Host="elsewhere.example")[0] == 403, "a name that was bent to this machine"
    assert served.ask("GET", "/act")[0] == 405 and served.ask("GET", "/nothing")[0] == 404
    assert served.ask("GET", "/../town.py")[0] == 404


def its_news_are_what_the_head_shows(served: Desk) -> None:
    with served.listening() as listener:
        listener.wait_for("out_of_service")
        assert served.press("driver sign-on D-01 274905")[0] == 200
        assert served.press("driver route 8 0")[0] == 200
        before = listener.wait_for("wait")
        status, said = served.press("ride Mali")
        assert status == 200 and json.loads(said)["said"]["light"] == "accepted_cash_due"
        green = listener.wait_for("accepted_cash_due", before["screen"])
        assert green["ring"] != before["ring"]
        assert green["is"]["cards"] is False


def it_makes_room_for_as_many_pages_as_it_says(served: Desk) -> None:
    def told() -> int:
        with served.listening() as listener:
            return listener.status

    with contextlib.ExitStack() as several:
        until_s = time.monotonic() + LIGHT_S_MAX
        for _ in range(LISTENERS_MAX):
            while several.enter_context(served.listening()).status != 200:
                assert time.monotonic() < until_s, "the one before has left"
        assert told() == 503
    until_s = time.monotonic() + LIGHT_S_MAX
    while told() != 200:
        assert time.monotonic() < until_s, "they have all left"


# --- in a browser


def its_trouble(page: Page, url: str) -> list[str]:
    """What goes wrong from now on: errors on its console or in its script, requests that fail or leave this desk."""
    found: list[str] = []

    def say(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            found.append(message.text)

    def ask(request: Request) -> None:
        if not request.url.startswith(url + "/"):
            found.append(f"asked {request.url}")

    page.on("console", say)
    page.on("pageerror", lambda error: found.append(str(error)))
    page.on("request", ask)
    page.on("requestfailed", lambda request: found.append(f"{request.url}: {request.failure}"))
    return found


def its_letters_come_with_it(page: Page) -> None:
    """Thai is drawn with the font that the page brings, whatever this machine has."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("DOM.enable")
    devtools.send("CSS.enable")
    selectors = ("h1", "#light", "#buttons button", "#parts b", "#stops li")
    for selector in selectors:
        expect(page.locator(selector).first).not_to_be_empty()
    root = devtools.send("DOM.getDocument")["root"]["nodeId"]
    for selector in selectors:
        node = devtools.send("DOM.querySelector", {"nodeId": root, "selector": selector})["nodeId"]
        fonts = devtools.send("CSS.getPlatformFontsForNode", {"nodeId": node})["fonts"]
        assert fonts and all(font["isCustomFont"] for font in fonts), (selector, fonts)


def it_is_worked_by_keyboard(page: Page, served: Desk) -> None:
    before = served.vouchers()
    ride = page.get_by_role("button", name="new ride")
    page.locator("body").focus()
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement?.textContent") == ride.text_content():
            break
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid", "where the focus is"
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("ArrowDown")  # the next passenger in the list
    page.keyboard.press("Tab")
    picture = page.locator("#screen").get_attribute("src")
    page.keyboard.press("Enter")
    expect(page.locator("#result")).to_have_text("ride Somchai → ผ่าน เก็บเหรียญ accepted, coin due", timeout=10_000)
    assert page.evaluate("document.activeElement?.textContent") == ride.text_content(), "the focus stayed"
    expect(page.locator("#light")).to_have_text("ผ่าน เก็บเหรียญ accepted, coin due")
    expect(page.locator("#ring")).to_have_attribute("aria-label", re.compile("ผ่าน เก็บเหรียญ"))
    expect(page.locator("#screen")).not_to_have_attribute("src", picture or "")
    expect(page.locator("#tone")).to_have_text("เสียง sound 1319 1976 2637 2637 Hz")
    lit = page.locator("#ring circle").evaluate_all(
        "all => all.filter(one => one.getAttribute('fill') !== '#333').length"
    )
    assert lit and page.locator("#screen").evaluate("one => one.naturalWidth") == 320
    expect(page.locator("#book-vouchers")).to_have_text(str(before + 1))
    assert served.vouchers() == before + 1


def a_pulled_plug_is_told_in_words(page: Page) -> None:
    bus = page.get_by_role("group", name="Bus and devices")
    bus.get_by_label("หัวอ่าน", exact=True).select_option("unplug")
    bus.get_by_role("button", name="reader head").click()
    expect(page.locator("#part-head")).to_have_text("หัวอ่าน head ถอดอยู่ unplugged")
    expect(page.locator("#light")).to_have_text("ดับ dark")
    bus.get_by_label("หัวอ่าน", exact=True).select_option("plug")
    bus.get_by_role("button", name="reader head").click()
    expect(page.locator("#part-head")).to_have_text("หัวอ่าน head เสียบอยู่ plugged")


DRAWN = "new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(() => drawn())))"
"""The picture is of the size that was set."""
OVERFLOWING = """() => [...document.querySelectorAll("button, select, legend, dt, dd, li, p, figcaption, h1, h2, pre")]
    .filter(one => one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).display !== "inline"
        || one.getBoundingClientRect().right > one.closest("section, header").getBoundingClientRect().right + 1)
    .map(one => one.outerHTML.slice(0, 200))"""


def nothing_is_cut_off_and_the_device_stays_in_sight(page: Page, height: int) -> None:
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert page.evaluate(OVERFLOWING) == []
    page.get_by_role("button", name="start the validator").scroll_into_view_if_needed()
    screen, ring = page.evaluate(
        "['screen', 'ring'].map(id => document.getElementById(id).getBoundingClientRect().toJSON())"
    )
    assert screen["right"] <= ring["left"] and abs(screen["top"] - ring["top"]) < 2, "side by side"
    for one in (screen, ring):
        assert 0 <= one["top"] and one["bottom"] <= height, "in sight while the last button is pressed"


CONTRASTS = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b].map((one) => one / 255)
    .map((one) => one <= .04045 ? one / 12.92 : ((one + .055) / 1.055) ** 2.4)
    .reduce((sum, one, at) => sum + one * [.2126, .7152, .0722][at], 0);
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const one = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !one.getClientRects().length) continue;
    let ground = one;
    while (rgba(getComputedStyle(ground).backgroundColor)[3] < 255) ground = ground.parentElement;
    const colours = [getComputedStyle(one).color, getComputedStyle(ground).backgroundColor];
    const both = colours.map((colour) => light(rgba(colour)));
    found.push([(Math.max(...both) + .05) / (Math.min(...both) + .05), walker.currentNode.data.slice(0, 40)]);
  }
  return found;
}"""


def every_text_can_be_told_from_its_ground(page: Page) -> None:
    contrasts = page.evaluate(CONTRASTS)
    assert len(contrasts) > 100
    assert [one for one in contrasts if one[0] < CONTRAST_MIN] == []


# --- the news alone


def _told(look: Callable[[], dict[str, object]], messages: int, *, alive_s: float = 60.0, last: int = 10) -> list[str]:
    """What one listener of it gets."""
    looks = [0]

    def counted() -> dict[str, object]:
        looks[0] += 1
        return look()

    async def listen() -> list[str]:
        stream = News(counted, lambda: looks[0] > last, look_s=0.0, alive_s=alive_s).listener()
        assert isinstance(stream, Stream)
        found: list[str] = []
        async for piece in stream.body_iterator:
            found.append(str(piece))
            if len(found) == messages:
                break
        return found

    return asyncio.run(listen())


def test_news_are_all_at_first_then_what_is_new() -> None:
    states = iter([{"a": 1, "b": 2}, {"a": 1, "b": 2}, {"a": 1, "b": 3}, {"a": 2, "b": 3}])
    assert _told(lambda: dict(next(states)), 3) == [
        'data: {"a": 1, "b": 2}\n\n',
        'data: {"b": 3}\n\n',
        'data: {"a": 2}\n\n',
    ]


def test_a_silent_stream_says_that_it_is_alive_and_ends_with_the_desk() -> None:
    told = _told(lambda: {"a": 1}, 100, alive_s=0.0, last=5)
    assert told[0] == 'data: {"a": 1}\n\n' and set(told[1:]) == {": still here\n\n"}
    assert _told(lambda: {"a": 1}, 100, alive_s=60.0, last=5) == ['data: {"a": 1}\n\n']
