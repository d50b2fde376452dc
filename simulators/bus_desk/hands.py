"""The hands around the bus on the desk: one action after another, as people, cables and power would. DESIGN §11.

A code reaches the program only as a picture that a scanner's decoder reads, a card only by PC/SC, the driver only by
words and buttons. Judges nothing.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from random import Random
from threading import Lock

from offline_ledger.money import KGO
from offline_ledger.protocol.wallet import Audience
from simulators.bus_desk.desk import BusDesk
from simulators.bus_desk.town import FARE_KGO
from simulators.bus_desk.watch import DARK, Watch
from simulators.bus_desk.words import ACTIONS, NEW, mistake_in
from simulators.card.foreign import ForeignCard, ForeignSort
from simulators.card.virtual import Tear, VirtualCard, Where
from simulators.cheats import (
    clone,
    flipped_signatures,
    foreign_signature,
    same_counter_other_audience,
    screenshot,
    understated_sum,
)
from simulators.clock import RtcFault
from simulators.demo.city import CITY
from simulators.demo.desk import QUIET_S, is_light
from simulators.demo.processes import DeadlinePassed, Said, wait_until
from simulators.demo.story import PROMPTPAY
from simulators.demo.town import Person
from simulators.fault_link import Mode
from simulators.head.device import Button
from simulators.pcsc import PcscDaemon
from simulators.qr_picture import qr_picture
from simulators.scanner import PictureUnreadable, read_picture
from simulators.scene import HOPELESS, Scene, render

LIGHT_S_MAX = 10.0
"""A light later than this is none; a silent card is given up after 5 s."""
SETTLED_S_MAX = 8.0
"""The light before stands 2 s; a card service that comes back is seen within 5 s."""
SETTLED_US = 100_000
"""Three times what a screen takes to be drawn."""
ANSWER_S_MAX = 5.0
DRIVEN_S_MAX = 2.0
OLD_S = 120
SHOP_KGO, LITTLE_KGO = 20 * KGO, 10 * KGO
SLOW_CARD_S = 0.15
"""So long for each APDU: a worn card in a cold reader."""
SILENT_FROM = 2
PAYING = 3
"""The APDU of a tap in which the purse pays: select, allowance in two parts, pay. docs/card.md."""
TORN_BYTES = {Where.IN_COMMAND: 20, Where.IN_ANSWER: 40}
KILL_DELAY_S_MAX = 0.0002
SLOW_NETWORK_MS = 1_500
NOISE_PER_MILLION = 2_000
"""Bytes changed on the head's cable: one frame in ten or so; a sound cable changes none."""
_ANSWERS = ("phase", "command_refused", "annulled", "waybill", "report", "companion", "stop", "driver")
_MID_TAP = ("kill_mid_tap", "kill_mid_card", "unplug_mid_tap")
_STANDING = ("wait", "out_of_service", "locked", DARK)


class Unfit(Exception):
    """This cannot be done now; why, in words."""


class Busy(Exception):
    """Something else is being done."""


class Hands:
    """One pair of hands: what they do, they do one after another, on one thread that lives as long as they."""

    def __init__(self, desk: BusDesk, watch: Watch, seed: int) -> None:
        self._desk, self._watch = desk, watch
        self._random = Random(f"{seed}:hands")
        self._lock = Lock()
        self._thread = ThreadPoolExecutor(1, "hands")
        self._used: str | None = None
        self._newest = ""
        self._held: dict[str, VirtualCard] = {}
        self._clones = 0
        self.presented_us = 0
        """When the last code left the scanner or the last card touched a reader, on the watch's clock."""

    def __enter__(self) -> "Hands":
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown(cancel_futures=True)
        for card in self._held.values():
            card.remove()

    @property
    def is_busy(self) -> bool:
        """Is something being done?"""
        return self._lock.locked()

    def act(self, line: str) -> Said | None:
        """Carry out one action; the line with which the program answered, if it did. Raises Busy, Unfit, and
        ValueError for what is no action."""
        mistake = mistake_in(line)
        if mistake is not None:
            raise ValueError(mistake)
        with self.turn():
            return self._thread.submit(self._act, line.split()).result()

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Nothing else is done meanwhile: for other hands that hold the same phones. Raises Busy."""
        if not self._lock.acquire(blocking=False):
            raise Busy
        try:
            yield
        finally:
            self._lock.release()

    def _act(self, words: list[str]) -> Said | None:
        word, *more = words
        if ACTIONS[word].presents or word in _MID_TAP:
            self.settle()
        if not self._desk.is_running and word in ("driver", "sync", "drive", "kill", *_MID_TAP):
            raise Unfit("the validator does not run")
        if ACTIONS[word].group == "card" or word in ("foreign", "card_service", "kill_mid_card"):
            self._pcsc()
        if word == "driver":
            return self._driver(more)
        found: Callable[..., Said | None] = getattr(self, f"_{word}")
        return found(*more)

    def settle(self) -> None:
        """Until the light of the one before is out and drawn away: the next passenger steps up."""
        with contextlib.suppress(DeadlinePassed):
            wait_until(self._is_settled, "the light before to go", SETTLED_S_MAX)

    def _is_settled(self) -> bool:
        quiet_us = self._watch.now_us() - self._watch.changed_us
        return self._watch.light in _STANDING and quiet_us > SETTLED_US

    # --- phones

    def _person(self, who: str) -> Person:
        people = self._desk.town.people
        if who == NEW and not self._newest:
            self._newest = self._desk.town.add_person().name
        return people[self._newest if who == NEW else who]

    def _ride(self, who: str) -> Said | None:
        if who == NEW:
            self._newest = ""
        person = self._person(who)
        person.wants(Audience.TRANSIT, FARE_KGO)
        return self._scan(person.code())

    def _again(self, who: str) -> Said | None:
        return self._scan(self._with_intent(who).code())

    def _screenshot(self, who: str) -> Said | None:
        return self._scan(screenshot(self._with_intent(who).wallet, int(time.time()) - OLD_S))

    def _shop_code(self, who: str) -> Said | None:
        person = self._person(who)
        person.wants(Audience.SHOP, SHOP_KGO)
        return self._scan(person.code())

    def _little(self, who: str) -> Said | None:
        person = self._person(who)
        person.wants(Audience.TRANSIT, LITTLE_KGO)
        return self._scan(person.code())

    def _glare(self, who: str) -> Said | None:
        return self._scan(self._with_intent(who).code(), HOPELESS["glare_all"])

    def _torn_text(self, who: str) -> Said | None:
        code = self._with_intent(who).code()
        return self._send(code[: len(code) // 2])

    def _renew(self, who: str) -> None:
        self._desk.town.renew(self._person(who))

    def _with_intent(self, who: str) -> Person:
        person = self._person(who)
        if not person.wallet.state.n:
            person.wants(Audience.TRANSIT, FARE_KGO)
        return person

    def _scan(self, code: str, scene: Scene | None = None) -> Said | None:
        picture = qr_picture(code)
        if scene is not None:
            picture = render(picture, scene, seed=self._random.getrandbits(32))
        try:
            return self._send(read_picture(picture))
        except PictureUnreadable:
            return None  # a scanner that reads nothing sends nothing

    def _send(self, text: str) -> Said | None:
        mark = self._present()
        self._desk.head.scan(text)
        return self._light(mark) if self._desk.head.is_plugged else None

    # --- what is no phone of this city

    def _other_city(self) -> Said | None:
        return self._scan(self._desk.town.other_citys_code())

    def _promptpay(self) -> Said | None:
        return self._scan(PROMPTPAY)

    def _coupon(self, kind: str) -> Said | None:
        if kind == "used":
            if self._used is None:
                raise Unfit("no coupon was shown yet")
            return self._scan(self._used)
        if kind == "other_vehicle":
            self._desk.add_other_bus()
        text = self._desk.town.coupon(kind)
        if kind == "good":
            self._used = text
        return self._scan(text)

    def _cheat(self, trick: str, who: str) -> Said | None:
        person, now_s = self._with_intent(who), int(time.time())
        held, town = person.wallet, self._desk.town
        if trick == "clone":  # two phones, one money: the other one rides first
            self._clones += 1
            to = town.folder / "phones" / f"clone-{self._clones}"
            twin = clone(town.folder / "phones" / person.name, to, CITY, self._clones)
            twin.new_intent(Audience.TRANSIT, FARE_KGO)
            return self._scan(twin.code(now_s))
        if trick == "same_counter":
            return self._scan(same_counter_other_audience(held, Audience.TRANSIT, FARE_KGO + KGO, now_s))
        if trick == "understated":
            held.new_intent(Audience.TRANSIT, FARE_KGO)
            return self._scan(understated_sum(held, FARE_KGO, now_s))
        if trick == "foreign_signature":
            other = next(one for one in town.people.values() if one is not person)
            return self._scan(foreign_signature(person.code(), CITY, other.wallet))
        return self._scan(flipped_signatures(person.code(), CITY))

    # --- cards

    def _card(self, who: str) -> Said | None:
        return self._tap(self._held_card(who))

    def _card_second(self, who: str) -> Said | None:
        return self._tap(self._held_card(who), reader=1)

    def _card_hold(self, who: str) -> Said | None:
        card = self._held_card(who)
        mark = self._insert(card)
        self._held[who] = card
        return self._light(mark)

    def _card_lift(self, who: str) -> None:
        card = self._held.pop(who, None)
        if card is None:
            raise Unfit(f"{who}'s card is not held")
        self._lift(card)

    def _card_torn(self, who: str, where: str) -> Said | None:
        place = Where(where)
        return self._tap(self._held_card(who), tear=Tear(PAYING, place, TORN_BYTES.get(place, 0)))

    def _card_slow(self, who: str) -> Said | None:
        card = self._held_card(who)
        card.pause_s = SLOW_CARD_S
        try:
            return self._tap(card)
        finally:
            card.pause_s = 0.0

    def _card_silent(self, who: str) -> Said | None:
        card = self._held_card(who)
        card.silent_from = SILENT_FROM
        try:
            return self._tap(card)
        finally:
            card.silent_from = None

    def _two_cards(self) -> Said | None:
        """The card service looks at each reader in its own time; slow cards still talk when it has seen both."""
        both = first, second = [held.card for held in self._desk.town.cards.values()][:2]
        for card in both:
            card.pause_s = SLOW_CARD_S
        self._insert(second, reader=1)
        mark = self._insert_beside(first)
        try:
            return self._light(mark)
        finally:
            for card in both:
                self._lift(card)
                card.pause_s = 0.0

    def _foreign(self, sort: str) -> Said | None:
        return self._tap(VirtualCard(ForeignCard(ForeignSort(sort))))

    def _held_card(self, who: str) -> VirtualCard:
        if who in self._held:
            self._card_lift(who)
        return self._desk.town.cards[who].card

    def _tap(self, card: VirtualCard, reader: int = 0, tear: Tear | None = None) -> Said | None:
        mark = self._insert(card, reader, tear)
        try:
            return self._light(mark)
        finally:
            self._lift(card)

    def _insert(self, card: VirtualCard, reader: int = 0, tear: Tear | None = None) -> int:
        for who in list(self._held):
            self._card_lift(who)
        self._desk.wait_reader_empty()
        return self._insert_beside(card, reader, tear)

    def _insert_beside(self, card: VirtualCard, reader: int = 0, tear: Tear | None = None) -> int:
        mark = self._present()
        try:
            card.insert(self._pcsc().readers[reader].port, tear)
        except OSError:
            raise Unfit("the card service does not run") from None
        return mark

    def _lift(self, card: VirtualCard) -> None:
        card.remove()
        self._desk.card_left()

    def _pcsc(self) -> PcscDaemon:
        if self._desk.pcsc is None:
            raise Unfit("this desk has no card reader")
        return self._desk.pcsc

    # --- the driver

    def _driver(self, words: list[str]) -> Said | None:
        if words[0] == "route":
            self._desk.road.start_over()
        mark = self._mark()
        self._desk.program.tell(" ".join(words))
        return self._said(lambda said: any(key in said for key in _ANSWERS), mark, ANSWER_S_MAX)

    def _button(self, side: str, how: str) -> None:
        self._desk.head.press(Button.ONE if side == "left" else Button.TWO, long=how == "long")

    def _drive(self) -> Said | None:
        mark = self._mark()
        self._desk.road.drive_on()
        return self._said(lambda said: "stop" in said, mark, DRIVEN_S_MAX)

    # --- cables, power, network

    def _head(self, what: str) -> None:
        head = self._desk.head
        does: dict[str, Callable[[], None]] = {
            "unplug": head.unplug,
            "plug": head.plug,
            "freeze": head.freeze,
            "restart": head.restart,
            "noise": partial(head.set_noise, NOISE_PER_MILLION),
            "quiet": partial(head.set_noise, 0),
            "open_cover": partial(head.tamper, True),
            "close_cover": partial(head.tamper, False),
        }
        does[what]()

    def _gps(self, what: str) -> None:
        road = self._desk.road
        does: dict[str, Callable[[], None]] = {
            "unplug": road.unplug,
            "plug": road.plug,
            "no_fix": partial(road.set_fix, has_fix=False),
            "fix": partial(road.set_fix, has_fix=True),
        }
        does[what]()

    def _clock(self, what: str) -> None:
        faults = {"reset": RtcFault.RESET, "gone": RtcFault.GONE, "well": RtcFault.NONE}
        self._desk.rtc.fail(faults[what])

    def _card_service(self, what: str) -> None:
        pcsc = self._pcsc()
        pcsc.stop()
        self._desk.has_card_service = what == "start"
        if what == "start":
            pcsc.start()

    def _network(self, what: str) -> None:
        modes = {"cut": (Mode.REFUSE, 0), "lose": (Mode.BLACK_HOLE, 0), "slow": (Mode.PASS, SLOW_NETWORK_MS)}
        self._desk.set_network(*modes.get(what, (Mode.PASS, 0)))

    def _sync(self) -> Said | None:
        if not self._desk.is_linked:
            raise Unfit("the network is cut")
        self._desk.wait_synced()
        return None

    def _kill(self) -> None:
        self._desk.kill()

    def _start(self) -> Said:
        return self._desk.start()

    def _unplug_mid_tap(self, who: str) -> Said | None:
        """The cable goes as soon as the code is on its way."""
        person = self._person(who)
        person.wants(Audience.TRANSIT, FARE_KGO)
        code = person.code()
        mark = self._present()
        self._desk.head.scan(code)
        self._desk.head.unplug()
        return self._light(mark)

    def _kill_mid_tap(self, who: str) -> None:
        """Somewhere between the voucher and its light, or near it."""
        person = self._person(who)
        person.wants(Audience.TRANSIT, FARE_KGO)
        code = person.code()
        self._killed(lambda: self._desk.head.scan(code))

    def _kill_mid_card(self, who: str) -> None:
        card = self._held_card(who)
        self._desk.wait_reader_empty()
        self._killed(lambda: card.insert(self._pcsc().readers[0].port))
        self._lift(card)

    def _killed(self, present: Callable[[], None]) -> None:
        desk = self._desk
        wait_until(lambda: time.time_ns() - desk.journal_touched_ns() > QUIET_S * 1e9, "the journal to come to rest")
        since_ns = desk.journal_touched_ns()
        self._present()
        present()
        desk.kill_when_written(self._random.uniform(0, KILL_DELAY_S_MAX), LIGHT_S_MAX / 4, since_ns)

    # --- what the program says

    def _present(self) -> int:
        self.presented_us = self._watch.now_us()
        return self._mark()

    def _mark(self) -> int:
        return self._desk.program.mark()

    def _light(self, mark: int) -> Said | None:
        return self._said(is_light, mark, LIGHT_S_MAX)

    def _said(self, fits: Callable[[Said], bool], mark: int, wait_s: float) -> Said | None:
        if not self._desk.is_running:
            return None
        try:
            return self._desk.program.wait_for(fits, mark, "an answer", wait_s)
        except DeadlinePassed:
            return None
