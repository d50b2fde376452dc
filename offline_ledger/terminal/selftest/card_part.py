"""The card reader: a KGO card laid on it says its version; nothing is asked of its purse. docs/card.md, DESIGN §5.

The driver speaks to the card as at every tap, and its desk asks for no payment. A bank's or transit card shows that the
antenna works, and is told; the check waits for one of ours.
"""

from threading import Event, Lock, Thread

from offline_ledger.errors import CardReaderMute, Refusal
from offline_ledger.terminal.card_desk import CardOffer
from offline_ledger.terminal.drivers.card import CardReader, CardSettings
from offline_ledger.terminal.selftest.plan import Step
from offline_ledger.terminal.selftest.runner import Check, Facts, Part
from offline_ledger.terminal.selftest.turn import Asked, Turn

POLL_S = 0.2
THERE_S_MAX = 5.0
"""For the card service to name a reader."""
JOIN_S_MAX = 4.0


class _Desk:
    """Hears what lies on the reader, and asks nothing of it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.offer: CardOffer | None = None
        self.trouble: Refusal | None = None

    def offered(self, offer: CardOffer) -> bytes | None:
        with self._lock:
            self.offer = offer
        return None

    def answered(self, offer: CardOffer, payment: bytes) -> None:
        """Never: nothing was asked."""

    def declined(self, offer: CardOffer, refusal: Refusal) -> None:
        """Never: nothing was asked."""

    def failed(self, refusal: Refusal) -> None:
        with self._lock:
            self.trouble = refusal


class CardPart:
    """The card readers of one terminal."""

    def __init__(self, *, is_fitted: bool) -> None:
        self._is_fitted = is_fitted
        self._desk = _Desk()
        self._driver: CardReader | None = None
        self._trouble: Refusal | None = None
        self._is_ending = Event()
        self._thread = Thread(target=self._watch, name="self-test card", daemon=True)

    def part(self) -> Part:
        """Is it there, and does it read?"""
        checks = (
            Check(Step("card", "reader", is_fitted=self._is_fitted), self._there),
            Check(
                Step("card", "reads", needs_hands=True, needs=("card.reader",), is_fitted=self._is_fitted), self._reads
            ),
        )
        return Part("card", checks, self._close)

    def _opened(self) -> CardReader:
        if self._driver is None:
            self._driver = CardReader(CardSettings(), self._desk)
            self._thread.start()
        return self._driver

    def _there(self, turn: Turn) -> Facts:
        driver = self._opened()
        if not turn.wait(lambda: bool(driver.health().readers), THERE_S_MAX):
            raise self._trouble or CardReaderMute("no reader")
        return {"readers": list(driver.health().readers)}

    def _reads(self, turn: Turn) -> Facts:
        driver = self._opened()
        self._desk.offer = self._desk.trouble = None
        turn.show(Asked("card.reads", "selftest.now.card.reads", is_wish=True))
        turn.wait(lambda: driver.health().applet_version is not None, turn.times.hand_s)
        version = driver.health().applet_version
        if version is None:
            raise self._desk.trouble or self._trouble or CardReaderMute(f"{turn.times.hand_s:.0f} s")
        return {"applet_version": version}

    def _watch(self) -> None:
        driver = self._driver
        assert driver is not None
        while not self._is_ending.is_set():
            driver.poll(POLL_S)
            self._trouble = next(iter(driver.take_refusals()), self._trouble)
        driver.close()

    def _close(self) -> None:
        if self._driver is not None:
            self._is_ending.set()
            self._driver.wake()
            self._thread.join(JOIN_S_MAX)
