"""Every way to pay at the real counter, in one shift: code, request by QR, card, coupon, cash, PromptPay; part of it
goes back. The city posts all of it, and its audit is content. DESIGN §2, §5, §8.
"""

import io
import json
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import pytest
import zxingcpp
from PIL import Image
from playwright.sync_api import Browser, Page

from offline_ledger.protocol.wallet import Audience
from pos_app.promptpay import decode_payload
from simulators.bus_desk.town import BANGKOK, CARDS, BusTown, texts_on
from simulators.demo.city import CITY
from simulators.demo.desk import SHOP, DeskSettings, is_light
from simulators.demo.processes import wait_until
from simulators.pcsc import PcscDaemon
from simulators.shop_desk.till import PIN_TEST_ONLY, Shop, TillDesk

TILL = "till-1"
GREEN = "accepted"


class Counter(NamedTuple):
    """A till at work, its town, and a browser at the customer's display."""

    town: BusTown
    till: TillDesk
    pcsc: PcscDaemon
    display: Page

    def sell(self, baht: str) -> None:
        """Goods for so much, and to the ways to pay."""
        self.till.hands.press("add_amount", typed=baht)
        assert self.till.hands.press("pay").screen == "pay"

    def press(self, action: str, screen: str, **fields: str) -> None:
        """A key that leads to this screen."""
        seen = self.till.hands.press(action, None, **fields)
        assert (seen.screen, seen.refusal) == (screen, 0), seen.html[:2_000]

    def show(self, text: str) -> str:
        """A code before the scanner; its light."""
        mark = self.till.begin_show(text)
        return str(self.till.program.wait_for(is_light, mark, "a light")["light"])

    def photographed(self) -> str:
        """The code on the customer's display, by a phone's camera."""
        found: list[str] = []

        def look() -> bool:
            picture = Image.open(io.BytesIO(self.display.screenshot()))
            found[:] = [code.text for code in zxingcpp.read_barcodes(picture)]
            return bool(found)

        wait_until(look, "a code on the customer's display", step_s=0.1)
        return found[0]

    def is_at(self, screen: str) -> bool:
        """Is the till at this screen by now?"""
        return self.till.hands.look().screen == screen


@pytest.fixture
def counter(tmp_path: Path, seed: int, chromium: Browser) -> Iterator[Counter]:
    with ExitStack() as stack:
        town = BusTown(tmp_path, seed)
        stack.callback(town.close)
        pcsc = stack.enter_context(PcscDaemon(1))
        town.found()
        place = (tmp_path / TILL, seed)
        who = DeskSettings(SHOP, TILL, CITY, town.city.ca_file, town.city.port, *place, has_camera=False)
        till = stack.enter_context(TillDesk(who, Shop(people=(("01", "มาลี", "manager"),))))
        with till.settings_file.open("a", encoding="utf-8") as file:
            file.write('[card]\nreader = "any"\n')
        till.enrol(town.city.token(TILL, "shop", "coffee-1"))
        town.add_people()
        till.start()
        till.wait_synced()
        display = chromium.new_page(viewport={"width": 1024, "height": 600})
        display.goto(f"{till.url}customer")
        till.hands.sign_in("01", PIN_TEST_ONLY)
        assert till.hands.press("open_shift", typed="500").screen == "sale"
        yield Counter(town, till, pcsc, display)


def test_a_shift_with_every_way_to_pay_is_posted_to_the_satang(counter: Counter) -> None:
    till, mali = counter.till, counter.town.people["Mali"].wallet

    counter.sell("120")  # a small code, shown once
    counter.press("kgo", "wait_kgo", typed="20")
    mali.new_intent(Audience.SHOP, 2_000)
    assert counter.show(mali.code(int(time.time()))) == GREEN
    wait_until(lambda: counter.is_at("pay"), "the rest to be due")
    counter.press("cash", "done", typed="500")

    counter.sell("300")  # more than a code may carry: the till asks, the wallet answers
    counter.press("kgo", "wait_kgo", typed="80")
    request = counter.photographed()
    answer = mali.answer(request, int(time.time()))
    assert counter.show(answer) == GREEN
    wait_until(lambda: counter.is_at("pay"), "the rest to be due")
    assert counter.show(answer) == "already_accepted", "shown again, it pays nothing more"
    counter.press("promptpay", "promptpay")
    asked = decode_payload(counter.photographed())
    assert asked.amount_satang == 22_000
    counter.press("promptpay_confirm", "done")

    counter.sell("50")  # a card, in one go
    counter.press("kgo", "wait_kgo", typed="25")
    card = counter.town.cards[next(iter(CARDS))].card
    mark = till.program.mark()
    card.insert(counter.pcsc.readers[0].port)
    try:
        assert till.program.wait_for(is_light, mark, "the card's light")["light"] == GREEN
    finally:
        card.remove()
    wait_until(lambda: counter.is_at("pay"), "the rest to be due")
    counter.press("cash", "done", typed="25")

    today = datetime.now(BANGKOK).strftime("%Y-%m-%d")
    sheet = counter.town.folder / "shop.pdf"
    words = (TILL, "1", "--kgo", "20", "--until", today, "--out", str(sheet), "--note", "opening day")
    counter.town.city.ask("coupons", *words)
    counter.sell("45")  # paper
    assert counter.show(texts_on(sheet.read_bytes())[0]) == GREEN
    wait_until(lambda: "20.00" in till.hands.look().html, "the coupon among what was paid")
    counter.press("cash", "done", typed="25")

    counter.sell("80")  # a code before anybody said how many: its customer chose
    somchai = counter.town.people["Somchai"].wallet
    somchai.new_intent(Audience.SHOP, 1_000)
    assert counter.show(somchai.code(int(time.time()))) == GREEN
    wait_until(lambda: "10.00" in till.hands.look().html, "the KGO among what was paid")
    counter.press("cash", "done", typed="100")

    counter.press("receipts", "receipts")
    counter.press("receipt", "receipt", number="1")
    counter.press("refund_start", "refund", number="1")
    counter.press("refund", "receipt", number="1", typed="60")
    counter.press("back", "receipts")
    counter.press("back", "sale")
    counter.press("shift", "shift")
    counter.press("count", "shift", typed="650")
    counter.press("close_shift", "report")
    figures = re.sub(r"<[^>]+>", " ", till.hands.seen.html)
    for figure in ("595.00", "135.00", "220.00", "60.00", "670.00"):
        assert figure in figures, figures
    till.wait_synced()
    is_well, said = counter.town.city.audit()
    assert is_well, said
    _, statement = counter.town.city.ask("statement", "coffee-1")
    taken_kgo, back_kgo = 20 + 80 + 25 + 20 + 10, 10
    rewards_kgo = 2 + 4 - 1 + 1  # the shop gives 1 for every 50 baht in money
    assert f"{taken_kgo - back_kgo - rewards_kgo}.00" in statement, statement
    assert f"{100 + 220 + 25 + 25 + 70 - 50}.00" in statement, statement
    _, said = counter.town.city.ask("shifts", "--json")
    (shift,) = json.loads(said)
    assert (shift["checked"], shift["findings"], shift["state"]) == ("equal", [], "closed")
    coupon_kgo = 20  # told in baht
    in_shift = ((taken_kgo - coupon_kgo) * 100, coupon_kgo * 100, back_kgo * 100)
    assert (shift["kgo"], shift["coupon_satang"], shift["back_kgo"]) == in_shift
