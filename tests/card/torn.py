"""One reader, one driver, one card after another: each is torn out at one place, then held to the reader again."""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from threading import Event, Thread
from typing import NamedTuple

from offline_ledger.errors import Refusal
from offline_ledger.protocol.card import Ins, Status
from offline_ledger.terminal.drivers.card import CardReader, CardSettings
from offline_ledger.terminal.drivers.card_pcsc import PcscContext, Scard
from simulators.card.applet import Applet
from simulators.card.virtual import Exchange, Tear, VirtualCard, Where
from simulators.pcsc import Reader
from tests.card.desk import FARE_KGO, BooksWrong, TestDesk, new_card, read_allowance, request_for, say

RESERVE_KGO = 10_000_000
BEFORE_KGO = 100_000
"""What the card paid before: S then has the width of most cards in use."""
HEARD_S_MAX = 10.0
_POLL_S = 0.05
_STAGES = (Where.BEFORE_WRITE, Where.ASIDE_WRITTEN, Where.AFTER_WRITE)


class Place(NamedTuple):
    """Where to tear, on a card that has paid before or a new one."""

    tear: Tear
    has_paid: bool


def places(exchanges: Sequence[Exchange], has_paid: bool) -> Iterator[Place]:
    """Every byte of every command and answer, and each stage of each write."""
    for number, one in enumerate(exchanges):
        for size in range(one.command_bytes):
            yield Place(Tear(number, Where.IN_COMMAND, size), has_paid)
        if one.wrote:
            yield from (Place(Tear(number, stage), has_paid) for stage in _STAGES)
        for size in range(one.answer_bytes + 1):
            yield Place(Tear(number, Where.IN_ANSWER, size), has_paid)


class Polling:
    """A driver polled by a thread of its own, as the scan loop does; what it raises is raised in the test."""

    def __init__(self, reader: CardReader) -> None:
        self._reader = reader
        self._ended = Event()
        self._raised: list[Exception] = []
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raises what the thread raised."""
        if self._raised:
            raise self._raised[0]

    def close(self) -> None:
        self._ended.set()
        self._reader.wake()
        self._thread.join(HEARD_S_MAX)
        self._reader.close()

    def _run(self) -> None:
        try:
            while not self._ended.is_set():
                assert self._reader.poll(0.5) == []
        except (Refusal, BooksWrong, AssertionError, OSError, RuntimeError, ValueError, AttributeError) as error:
            self._raised.append(error)


class Tally(NamedTuple):
    """What became of the torn taps."""

    torn: int = 0
    recovered: int = 0
    """The payment was on the card already and came at the next tap."""
    paid_anew: int = 0
    paid_at_once: int = 0
    """Torn only after the last byte."""


class TornLane:
    """Works through places on one reader. Raises AssertionError naming the place."""

    def __init__(self, reader: Reader, folder: Path, random: Random) -> None:
        self._reader = reader
        self._folder = folder
        self._random = random
        self._scard = Scard()
        self._context = PcscContext(self._scard)
        self._desk = TestDesk()
        self._driver = CardReader(CardSettings(readers=(reader.name,)), self._desk)
        self._polling = Polling(self._driver)
        self._cards = 0
        self.tally = Tally()

    def close(self) -> None:
        self._polling.close()
        self._context.release()

    def sample(self, has_paid: bool) -> list[Exchange]:
        """The exchanges of a whole tap."""
        self._desk = self._new_desk()
        applet = self._card(has_paid)
        with VirtualCard(applet, applet.file) as card:
            card.insert(self._reader.port)
            self._wait(lambda: bool(self._desk.paid), "a whole tap")
            found = list(card.exchanges)
        self._wait_empty()
        return found

    def tear(self, place: Place) -> None:
        """One card, torn at this place, then held again: its request is paid once, by one payment."""
        self._desk = desk = self._new_desk()
        applet = self._card(place.has_paid)
        before = applet.file.load()
        with VirtualCard(applet, applet.file) as card:
            card.insert(self._reader.port, place.tear)
            self._wait(lambda: card.torn.is_set() and desk.heard.is_set(), f"{place} was not torn")
            at_once = len(desk.paid)
            had_paid = applet.file.load().n - before.n - at_once
            card.insert(self._reader.port)
            self._wait(lambda: len(desk.paid) > at_once, f"{place} was not paid: {desk.failed_with}")
        self._wait_empty()
        after = applet.file.load()
        assert desk.open is None and not desk.declined_with, f"{place} {desk}"
        assert after.n == before.n + 1 + at_once, place
        spent_before, spent = (one.sum_kgo + one.authorised_kgo for one in (before, after))
        assert spent == spent_before + FARE_KGO * (1 + at_once), place
        assert after.payment == desk.by_request[after.request_hash], place
        assert len(desk.by_request) == 1 + at_once, place
        self.tally = Tally(
            self.tally.torn + 1,
            self.tally.recovered + had_paid,
            self.tally.paid_anew + 1 - at_once - had_paid,
            self.tally.paid_at_once + at_once,
        )

    def _new_desk(self) -> TestDesk:
        desk = TestDesk(self._random.getrandbits(32))
        desk.asks_again = self._random.random() < 0.5
        self._driver._desk = desk  # the next card's; the driver asks at each call
        return desk

    def _card(self, has_paid: bool) -> Applet:
        self._cards += 1
        applet = new_card(self._folder, self._cards, RESERVE_KGO)
        if has_paid:
            allowance, _ = read_allowance(applet.file.load().allowance)
            earlier = request_for(allowance.pass_id, self._random.randbytes(16), BEFORE_KGO)
            applet.answer(bytes.fromhex("00A404000AF04B474F57414C4C455400"))
            assert say(applet, Ins.PAY, earlier.raw)[1] == Status.OK
        return applet

    def _wait(self, is_so: Callable[[], bool], what: str) -> None:
        until_s = time.monotonic() + HEARD_S_MAX
        while not is_so():
            self._polling.check()
            assert time.monotonic() < until_s, what
            time.sleep(_POLL_S)
        self._polling.check()

    def _wait_empty(self) -> None:
        """Until the service has seen that the card is out: else the next one would be the same to it."""
        until_s, raw = time.monotonic() + HEARD_S_MAX, 0
        while True:
            states = self._context.wait([(self._reader.name, raw)], 1.0) or []
            raw = states[0].raw if states else raw
            if states and not states[0].has_card:
                return
            assert time.monotonic() < until_s, "still there"
