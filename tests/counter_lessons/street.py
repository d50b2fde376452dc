"""One city, one till with its page, customers with phones: what the lessons are tried on. Real processes all."""

import re
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from threading import Thread

import apsw

from offline_ledger.errors import PageTooFast
from offline_ledger.money import KGO
from offline_ledger.protocol.wallet import Audience, Concession
from simulators.demo.city import CITY
from simulators.demo.desk import SHOP, DeskSettings
from simulators.demo.processes import DeadlinePassed, wait_until
from simulators.demo.town import Person, Town
from simulators.fault_link import Plan
from simulators.shop_desk.books import Books, faults, read_books
from simulators.shop_desk.hands import Hands, Seen
from simulators.shop_desk.till import PEOPLE, PIN_TEST_ONLY, Shop, TillDesk
from tests.processes.quick_city import QuickCity

DEVICE = "till-1"
MANAGER = PEOPLE[0][1]
NAMES = ("Mali", "Somchai", "Nok")
MERCHANT = "coffee-1"
GOODS = Path("pos_app/sample_goods.csv")
STEPS_MAX, COPIES_MAX = 24, 5
ANSWER_S_MAX = 10.0
USED_KGO_MAX = 40 * KGO
"""Of an allowance, when its customer comes to pay. What the shop's campaign takes of one wallet in a day has room for a
lesson after it, with the full counts too; what is left of the allowance (R) and what one till takes of it (a) are more.
"""
CEILINGS, MANY = {"hour_max": 100, "day_max": 500, "source_day_max": 50}, 40
"""Of `registering` in the city's settings, and how much higher here."""
SLOW_S = 0.06
"""A pace that the page's service bears without end: twenty presses a second."""
NUMBER = re.compile(r'class="paid">.*?<small>[^<]*?([0-9]{6})', re.DOTALL)
BADGE = re.compile(r'id="link" class="link-([a-z]+)"')
TROUBLE = re.compile(r'class="cell trouble">.*?<small>[^<]*?([0-9]{4})', re.DOTALL)


class OpenCity(QuickCity):
    """Registers as many customers as a long day brings from one place."""

    def init(self) -> None:
        """As any, but for that."""
        super().init()
        text = self.settings.read_text(encoding="utf-8")
        for name, ceiling in CEILINGS.items():
            assert f"\n{name} = {ceiling}\n" in text
            text = text.replace(f"\n{name} = {ceiling}\n", f"\n{name} = {ceiling * MANY}\n")
        self.settings.write_text(text, encoding="utf-8")


class Street:
    """The till may be killed and started as often as a test likes; `ready` makes it fit for the next one."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.town = Town(folder, seed, OpenCity)
        self.folder = folder
        try:
            self.town.found()
            settings = DeskSettings(
                SHOP, DEVICE, CITY, self.town.city.ca_file, self.town.city.port, folder / DEVICE, seed, has_camera=False
            )
            self.till = TillDesk(settings, Shop(goods=GOODS))
            self.till.enrol(self.town.city.token(DEVICE, SHOP.role, MERCHANT))
            self.till.start()
            self.till.wait_synced()
            self._people = self.town.add_people([(name, Concession.ADULT) for name in NAMES])
        except BaseException:
            self.town.close()
            raise

    def close(self) -> None:
        """Everything ends."""
        self.till.close()
        self.town.close()

    def customer(self, at: int, *, is_new: bool = False) -> Person:
        """Mali, Somchai or Nok, able to pay through a whole lesson: in place of one who has used up too much of an
        allowance another comes from the town. `is_new`: one who bought nothing today."""
        held = self._people[at].wallet
        if is_new or held.allowance.reserve_kgo - held.left_kgo > USED_KGO_MAX:
            (self._people[at],) = self.town.add_people([(f"{NAMES[at]}-{len(self.town.people)}", Concession.ADULT)])
        return self._people[at]

    # --- hands

    @property
    def hands(self) -> Hands:
        """At the page."""
        return self.till.hands

    def press(self, action: str, hands: Hands | None = None, /, **fields: str) -> Seen:
        """One key, at a pace that the service bears."""
        at = hands or self.hands
        shown = at.seen.revision
        for _ in range(100):
            seen = at.press(action, shown, **fields)
            if seen.refusal != PageTooFast.number:
                return seen
            pause(SLOW_S)
        raise AssertionError("the page's service never had a moment")

    def done(self, action: str, **fields: str) -> Seen:
        """A key that must not be refused."""
        seen = self.press(action, **fields)
        assert not seen.refusal, f"{action}: {seen.refusal} on {seen.screen}"
        return seen

    def ready(self) -> Seen:
        """A good link, the manager signed in, a shift open, nothing on the counter."""
        self.till.network.apply(Plan())
        if not self.till.is_started:
            self.till.start()
        for _ in range(STEPS_MAX):
            seen = self.hands.look()
            is_empty = 'id="basket"' in seen.html and 'data-count="0"' in seen.html and seen.screen == "sale"
            if is_empty and has_manager(seen):
                return seen
            if 'id="approve"' in seen.html:  # whoever is signed in may not do it alone
                self.press("approve", code="01", pin=PIN_TEST_ONLY)
                continue
            match seen.screen:
                case "locked":
                    self.press("sign_in", code="01", pin=PIN_TEST_ONLY)
                case "no_shift":
                    self.press("open_shift", typed="500")
                case "sale":
                    self.press("lock" if is_empty else "clear")  # a lesson has left somebody else there
                case "pay":
                    self.press("cancel_sale")
                case "wait_kgo":
                    self.press("kgo_cancel")
                case "promptpay":
                    self.press("promptpay_cancel")
                case "done":
                    self.press("next")
                case _:
                    self.press("back")
        raise AssertionError(f"the till is not ready: {self.hands.seen.screen} {self.hands.seen.refusal}")

    def to_pay(self, baht: str) -> Seen:
        """One amount in the basket, and the ways to pay on the screen."""
        self.done("add_amount", typed=baht)
        return self.done("pay")

    def sell(self, baht: str, given: str = "") -> int:
        """For cash; the receipt's number."""
        self.to_pay(baht)
        return number_on(self.done("cash", typed=given))

    def show(self, person: Person, kgo: int, code: str | None = None) -> Seen:
        """The customer confirms so many KGO and holds the phone to the scanner; the screen after its light."""
        person.wallet.new_intent(Audience.SHOP, kgo * KGO)
        return self.scan(code or person.wallet.code(int(time.time())))

    def scan(self, code: str) -> Seen:
        """By the scanner on its line; the screen after its light."""
        mark = self.till.begin_show(code)
        self.till.program.wait_for(lambda said: said.get("light") not in (None, "wait"), mark, "a light")
        self.till.tell("status", "troubles")  # the deciding thread has told the desk
        return self.hands.look()

    def sell_with_kgo(self, baht: str, kgo: int, person: Person) -> int:
        """KGO first, the rest in cash; the receipt's number."""
        self.to_pay(baht)
        self.done("kgo", typed=str(kgo))
        seen = self.show(person, kgo)
        assert seen.screen == "pay", (seen.screen, light_of(self))
        return number_on(self.done("cash"))

    # --- what happens to it

    def restart(self, *, signs_in: bool = True) -> Seen:
        """After a kill; the screen that the cashier finds."""
        self.till.start()
        return self.done("sign_in", code="01", pin=PIN_TEST_ONLY) if signs_in else self.hands.look()

    def kill_after(self, delay_s: float, action: str, **fields: str) -> Seen | None:
        """The plug is pulled so long after a key is pressed; what the page had shown by then."""
        answered: list[Seen] = []
        hands = self.hands

        def press() -> None:
            with suppress(OSError, HTTPException):
                answered.append(hands.press(action, **fields))

        thread = Thread(target=press)
        until_s = time.monotonic() + delay_s
        thread.start()
        while time.monotonic() < until_s:
            pass  # what is looked for lies between two writes: too short for a sleep
        self.till.program.kill()
        thread.join()
        return answered[0] if answered else None

    def with_printer(self, address: str) -> None:
        """The till as its settings have this printer; empty: none. Started, and ready."""
        self.till.stop()
        self.till.shop = self.till.shop._replace(printer=address)
        self.till.write_settings()
        self.till.start()
        self.ready()

    # --- books

    def books(self) -> Books:
        """As they are on the disks now; read again where a file was written while it was copied."""
        for tries_left in reversed(range(COPIES_MAX)):
            try:
                return read_books(self.till.folder, self.town.city.ledger, CITY, DEVICE, self.folder / "scratch")
            except apsw.Error:
                if not tries_left:
                    raise
                pause(SLOW_S)
        raise AssertionError("no copy was read")

    def check(self) -> Books:
        """Everything sent; the three books agree, and the city's own audit is content."""
        self.till.network.apply(Plan())
        self.till.wait_synced()
        told: list[Books] = []

        def agree() -> bool:  # what is written behind the cashier's back, and events after the last voucher
            self.till.program.tell("sync")
            told[:] = [self.books()]
            return not faults(told[0], is_synced=True)

        with suppress(DeadlinePassed):
            wait_until(agree, "the books to agree", ANSWER_S_MAX, step_s=0.2)
        assert faults(told[0], is_synced=True) == []
        is_well, said = self.town.city.audit()
        assert is_well, said
        return told[0]


def has_manager(seen: Seen) -> bool:
    """Is it the manager who is signed in?"""
    return f"<span>{MANAGER}" in seen.html.partition('class="who"')[2].partition("</p>")[0]


def number_on(seen: Seen) -> int:
    """Of the receipt that the page says is paid."""
    assert seen.screen == "done" and not seen.refusal, (seen.screen, seen.refusal)
    found = NUMBER.search(seen.html)
    assert found is not None
    return int(found[1])


def badge_of(seen: Seen) -> str:
    """What the page says of its link to the city."""
    found = BADGE.search(seen.html)
    assert found is not None
    return found[1]


def light_of(street: Street) -> dict[str, object]:
    """The last one that was not the light that waits."""
    return [said for said in street.till.program.said_since(0) if said.get("light") not in (None, "wait")][-1]


def pause(wait_s: float) -> None:
    """Time passes."""
    until_s = time.monotonic() + wait_s
    wait_until(lambda: time.monotonic() >= until_s, "time to pass", wait_s + 1)


def race(street: Street, action: str, windows: Sequence[Hands], **fields: str) -> list[Seen]:
    """The same key in several windows, at the same moment; the answers."""
    with ThreadPoolExecutor(len(windows)) as fingers:
        return list(fingers.map(lambda one: street.press(action, one, **fields), windows))
