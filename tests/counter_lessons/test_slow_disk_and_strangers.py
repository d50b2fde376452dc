"""A worn card freezes no screen and shows no early green; another site, a guesser and hostile bodies get nothing."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from random import Random
from threading import Event, Thread
from urllib.parse import urlencode, urlsplit

import pytest

from offline_ledger.errors import (
    AmountNotPositive,
    AmountTooLong,
    BarcodeUnknown,
    FieldWrong,
    NotAnAmount,
    PageFormUnfit,
    PageNotOurs,
    PageTooFast,
    PageTooLarge,
    PinWait,
    PinWrong,
    QuantityWrong,
)
from offline_ledger.money import KGO
from offline_ledger.protocol.wallet import Audience
from offline_ledger.terminal.patience import WORKING_S
from simulators.demo.processes import wait_until
from simulators.shop_desk.hands import Hands
from simulators.shop_desk.till import PIN_TEST_ONLY
from tests.counter_lessons.street import SLOW_S, Street, number_on, pause

LOOKS = 12
LOOK_S_MAX = 0.4
"""On two busy cores a drawn screen takes 20 ms; a sync of half a second would be seen."""
WRITES_BEFORE_PAID = 2
"""Voucher and event are synced one after the other before the page says paid."""
WORKING = "light-working"
FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize("sync_ms", [20, 100, 500])
def test_a_slow_disk_freezes_no_screen_and_shows_no_early_green(street: Street, sync_ms: int) -> None:
    street.till.stop()
    street.till.start(sync_ms)
    try:
        street.ready()
        street.done("add_amount", typed="45")
        waited_s: list[float] = []
        for key in ("add_amount", "quantity", "pay"):
            began_s = time.monotonic()
            street.done(key, typed="2" if key == "quantity" else "20", line="1")
            waited_s.append(time.monotonic() - began_s)
        assert min(waited_s) < LOOK_S_MAX, "a key that writes nothing at once waited for the disk"
        answered: list[float] = []
        eyes = Hands(street.till.url)
        looked_s: list[float] = []
        began_s = time.monotonic()

        def press() -> None:
            street.done("cash", typed="500")
            answered.append(time.monotonic() - began_s)

        finger = Thread(target=press)
        finger.start()
        while finger.is_alive():
            look_s = time.monotonic()
            seen = eyes.look()
            looked_s.append(time.monotonic() - look_s)
            pause(0.03)
            if seen.screen == "done":
                assert time.monotonic() - began_s >= WRITES_BEFORE_PAID * sync_ms / 1000, "an early green"
        finger.join()
        assert answered[0] >= WRITES_BEFORE_PAID * sync_ms / 1000
        assert sorted(looked_s)[len(looked_s) // 2] < LOOK_S_MAX, "the screen was frozen"
        number = number_on(street.hands.seen)
        street.done("next")
        street.to_pay("40")
        street.done("kgo", typed="1")
        customer = street.customer(0)
        customer.wants(Audience.SHOP, KGO)
        began_s = time.monotonic()
        with looking(eyes) as seen_meanwhile:
            assert street.scan(customer.code()).screen == "pay"
        assert time.monotonic() - began_s >= sync_ms / 1000, "an early light"
        assert sync_ms / 1000 < 2 * WORKING_S or any(WORKING in html for html in seen_meanwhile), "a silent screen"
        street.till.program.kill()
        assert number in {one.refers for one in street.books().events}, "paid was said and not kept"
    finally:
        street.till.stop()


@contextmanager
def looking(eyes: Hands) -> Iterator[list[str]]:
    """What the screen showed while the block ran."""
    seen: list[str] = []
    over = Event()

    def look() -> None:
        while not over.wait(0.03):
            seen.append(eyes.look().html)

    thread = Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


class Stranger:
    """Something else in the same browser, or on the same machine."""

    def __init__(self, street: Street) -> None:
        parts = urlsplit(street.till.url)
        self._host, self.port = parts.hostname or "", parts.port or 0
        self.origin = f"http://{self._host}:{self.port}"
        answer = self.ask("GET", "/", None, {})
        self.cookie = answer[1].partition(";")[0]
        self.seen = street.hands.look().revision

    def proof(self, **other: str) -> dict[str, str]:
        """The headers of our own page, but for these."""
        own = {
            "Origin": self.origin,
            "Content-Type": FORM,
            "Cookie": self.cookie,
            "X-Till-Token": self.cookie.partition("=")[2],
            "X-Till-Seen": str(self.seen),
            "Sec-Fetch-Site": "same-origin",
        }
        return own | {name.replace("_", "-"): value for name, value in other.items()}

    def ask(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> tuple[int, str, str]:
        """Status, cookie, text; the status is 0 where the line was closed."""
        link = HTTPConnection(self._host, self.port, timeout=10)
        try:
            link.request(method, path, body, headers)
            answer = link.getresponse()
            return answer.status, answer.headers.get("set-cookie", ""), answer.read().decode("utf-8", "replace")
        except (OSError, HTTPException):
            return 0, "", ""
        finally:
            link.close()


def test_another_sites_page_posting_to_the_till_is_refused(street: Street) -> None:
    street.done("add_amount", typed="45")
    stranger = Stranger(street)
    body = urlencode({"typed": "1"}).encode()
    pause(SLOW_S)
    before = street.hands.look().html
    for other in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": f"http://127.0.0.1:{stranger.port + 1}"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"X_Till_Token": "guessed"},
        {"Cookie": ""},
        {"Host": "evil.example"},
        {"Host": f"evil.example:{stranger.port}"},
    ):
        status, _cookie, text = stranger.ask("POST", "/act/add_amount", body, stranger.proof(**other))
        assert status == 403 and str(PageNotOurs.number) in text, (other, status)
    status, cookie, _text = stranger.ask("GET", "/screen", None, {"Host": f"evil.example:{stranger.port}"})
    assert (status, cookie) == (403, ""), "a name that was bent to this machine reads the screen"
    assert street.hands.look().html == before
    assert stranger.ask("POST", "/act/add_amount", body, stranger.proof())[0] == 200, "and our own page is not"
    assert "46.00" in street.hands.look().html


def test_guessing_a_pin_costs_growing_waits_that_a_restart_does_not_shorten(street: Street) -> None:
    street.done("lock")
    answers = [street.press("sign_in", code="02", pin=f"{at:06d}").refusal for at in range(6)]
    assert set(answers) == {PinWrong.number, PinWait.number} and answers[:2] == [PinWrong.number] * 2
    assert answers[-1] == PinWait.number and answers == sorted(answers)
    assert street.press("sign_in", code="02", pin=PIN_TEST_ONLY).refusal == PinWait.number, "the right one waits too"
    street.till.program.kill()
    street.till.start()
    assert street.press("sign_in", code="02", pin=PIN_TEST_ONLY).refusal == PinWait.number
    assert street.press("sign_in", code="01", pin=PIN_TEST_ONLY).screen == "sale", "and nobody else"
    assert "000003" not in (street.till.folder / "program.log").read_text(), "a PIN in a log"
    street.done("lock")
    wait_until(lambda: not street.press("sign_in", code="02", pin=PIN_TEST_ONLY).refusal, "the wait to end", step_s=0.2)


HOSTILE = (
    (b"typed=" + b"9" * 9_000, PageTooLarge),
    (b"typed=%FF%FE", PageFormUnfit),
    (b"\xff\xfe", PageFormUnfit),
    (b"&" * 4_000, None),
    (b"a=1&" * 300, PageFormUnfit),
    (b"typed=" + b"1" * 81, PageFormUnfit),
    (json.dumps({"typed": "45"}).encode(), NotAnAmount),
    (b"typed=12345678901", AmountTooLong),
    (b"typed=0", AmountNotPositive),
    (b"typed=-5", NotAnAmount),
    (b"typed=1e3", NotAnAmount),
    (b"typed=1.001", NotAnAmount),
    (b"typed=NaN", NotAnAmount),
    (urlencode({"typed": "0×5"}).encode(), QuantityWrong),
    (urlencode({"typed": "99999×5"}).encode(), QuantityWrong),
    (urlencode({"typed": "5", "name": "\u202eevil"}).encode(), FieldWrong),
    (urlencode({"typed": "5", "name": "a\x00b"}).encode(), FieldWrong),
)


def test_hostile_bodies_change_nothing_and_get_a_number(street: Street, rng: Random) -> None:
    stranger = Stranger(street)
    before = street.hands.look().html
    for body, refusal in HOSTILE:
        pause(SLOW_S)
        status, _cookie, text = stranger.ask("POST", "/act/add_amount", body, stranger.proof())
        assert status in (200, 400, 413) and "Traceback" not in text, (body[:40], status)
        strip = text.partition('id="strip"')[2][:1_000]
        assert refusal is None or str(refusal.number) in strip, (body[:40], refusal)
    for path in (
        "/act/nothing",
        "/act/",
        "/act/__init__",
        "/act/..%2f..%2fetc",
        "/static/../settings.toml",
        "/wp-login",
    ):
        status, _cookie, text = stranger.ask("POST", path, b"typed=1", stranger.proof())
        assert status in (200, 403, 404, 405) and "Traceback" not in text, (path, status)
    for seen in ("", "-1", "x", "9" * 40):
        pause(SLOW_S)
        text = stranger.ask("POST", "/act/pay", b"", stranger.proof(X_Till_Seen=seen))[2]
        assert str(PageFormUnfit.number) in text, seen
    for _ in range(20):
        pause(SLOW_S)
        noise = rng.randbytes(rng.randrange(200))
        assert stranger.ask("POST", "/scanned", noise, stranger.proof())[0] in (200, 400, 413)
    assert 'data-count="0"' in street.hands.look().html and 'data-count="0"' in before
    pause(0.5)
    street.hands.scan_by_keys("8850000000000")  # it is looked up behind the answer
    wait_until(lambda: str(BarcodeUnknown.number) in street.hands.look().html, "what is wrong with the barcode")
    assert street.sell("20")


def test_a_stuck_key_does_not_stop_the_till(street: Street, slice_of: Callable[[int, int], int]) -> None:
    """A script or a key that hangs presses without end; a sale by code goes on beside it."""
    stuck = Hands(street.till.url)
    answers = [stuck.press("category", None, id="ก๋วยเตี๋ยว").refusal for _ in range(slice_of(2_000, 90))]
    assert PageTooFast.number in answers and set(answers) <= {0, PageTooFast.number}
    street.hands.look()
    street.sell_with_kgo("20", 1, street.customer(0))
