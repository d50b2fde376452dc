"""Readers that come and go while the card service stays, as a USB reader does: a service that behaves, without cards.

pcscd finds no serial reader anew while it runs, so what a pulled cable gives stands here as PC/SC describes it; cards
and the real service are in tests/card. Only looked at with virtual readers: never run with a USB reader.
"""

import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from offline_ledger.errors import (
    CardReaderInUse,
    CardReaderLost,
    CardReaderMissing,
    CardServiceForbidden,
    CardServiceMissing,
    CardSilent,
    CardTorn,
    DeviceSupportMissing,
    ForeignCard,
    Refusal,
)
from offline_ledger.terminal.drivers.card import CardReader, CardSettings, refusal_for
from offline_ledger.terminal.drivers.card_lane import CardLane, LaneStuck
from offline_ledger.terminal.drivers.card_pcsc import PNP, Code, PcscError, ReaderState, Scard
from simulators.card.applet import Applet
from tests.card.desk import TestDesk, new_card

QUICK = CardSettings(back_off_first_s=0.01, back_off_last_s=0.02)
DEADLINE_S = 5.0


class Service:
    """Readers by name; a change is seen by the next wait. `gone`: every call fails with this code."""

    def __init__(self) -> None:
        self.states: dict[str, ReaderState] = {}
        self.gone: int | None = None
        self.opened = self.released = 0
        self._version = 0
        self._changed = threading.Condition()

    def open(self) -> "Service":
        self._check()
        self.opened += 1
        return self

    def plug(self, name: str, has_card: bool = False, is_mute: bool = False, insertions: int = 0) -> None:
        raw = (insertions << 16) | (0x20 if has_card else 0x10) | (0x200 if is_mute else 0)
        with self._changed:
            self.states[name] = ReaderState(name, raw, True, has_card, is_mute, insertions, b"")
            self._version += 1
            self._changed.notify_all()

    def unplug(self, name: str) -> None:
        with self._changed:
            del self.states[name]
            self._version += 1
            self._changed.notify_all()

    def readers(self) -> list[str]:
        self._check()
        return list(self.states)

    def wait(self, known: Sequence[tuple[str, int]], timeout_s: float) -> list[ReaderState] | None:
        self._check()
        with self._changed:
            if any(name not in self.states for name, _ in known if name != PNP):
                raise PcscError(Code.UNKNOWN_READER, "wait")  # as pcsc-lite does, unless it goes during the wait
            self._changed.wait_for(lambda: self._differs(known), timeout_s)
            return [self._state(name) for name, _ in known] if self._differs(known) else None

    def cancel(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def release(self) -> None:
        self.released += 1

    def _differs(self, known: Sequence[tuple[str, int]]) -> bool:
        return any(self._state(name).raw != raw for name, raw in known)

    def _state(self, name: str) -> ReaderState:
        if name == PNP:
            return ReaderState(PNP, self._version << 16, True, False, False, self._version, b"")
        return self.states.get(name) or ReaderState(name, 0x4, False, False, False, 0, b"")

    def _check(self) -> None:
        if self.gone is not None:
            raise PcscError(self.gone, "service")


class Bench:
    def __init__(self, settings: CardSettings = QUICK) -> None:
        self.service, self.desk = Service(), TestDesk()
        self.driver = CardReader(settings, self.desk, open_service=self.service.open)
        self.refusals: list[Refusal] = []

    def until(self, is_so: Callable[[], bool]) -> None:
        until_s = time.monotonic() + DEADLINE_S
        while not is_so():
            assert time.monotonic() < until_s, (self.refusals, self.driver.health())
            self.driver.poll(0.01)
            self.refusals += self.driver.take_refusals()

    def told(self) -> list[type[Refusal]]:
        self.driver.poll(0.05)
        self.refusals += self.driver.take_refusals()
        found, self.refusals = [type(one) for one in self.refusals], []
        return found


def test_a_reader_is_missing_then_there_then_lost_then_back() -> None:
    bench = Bench()
    bench.until(lambda: bench.driver.is_lost)
    assert bench.told() == [CardReaderMissing] and bench.told() == []
    bench.service.plug("A")
    bench.until(lambda: not bench.driver.is_lost)
    assert bench.driver.health().readers == ("A",)
    bench.service.unplug("A")
    bench.until(lambda: bench.driver.is_lost)
    assert bench.told() == [CardReaderLost] and bench.told() == []
    bench.service.plug("A")
    bench.until(lambda: not bench.driver.is_lost)
    assert bench.told() == [] and bench.service.opened == 1


def test_a_reader_goes_during_a_wait() -> None:
    bench = Bench()
    bench.service.plug("A")
    bench.until(lambda: bench.driver.health().readers == ("A",))
    pulled = threading.Timer(0.1, bench.service.unplug, ("A",))
    pulled.start()
    bench.driver.poll(DEADLINE_S)
    bench.until(lambda: bench.driver.is_lost)
    assert bench.told() == [CardReaderLost] and bench.service.opened == 1


def test_one_of_two_readers_goes_and_the_other_works_on() -> None:
    bench = Bench()
    bench.service.plug("A")
    bench.service.plug("B")
    bench.until(lambda: bench.driver.health().readers == ("A", "B"))
    bench.service.unplug("A")
    bench.until(lambda: bench.driver.health().readers == ("B",))
    assert bench.told() == [CardReaderLost]
    assert not bench.driver.is_lost, "one is left"
    bench.service.plug("C")
    bench.until(lambda: bench.driver.health().readers == ("B", "C"))
    bench.service.unplug("B")
    bench.until(lambda: bench.driver.health().readers == ("C",))
    assert bench.told() == [CardReaderLost], "the next loss is told too"


def test_only_the_readers_of_the_settings_are_used() -> None:
    bench = Bench(QUICK._replace(readers=("door", "counter")))
    for name in ("A door 00 00", "Yubikey", "counter 00 01"):
        bench.service.plug(name)
    bench.until(lambda: bool(bench.driver.health().readers))
    assert bench.driver.health().readers == ("A door 00 00", "counter 00 01")


@pytest.mark.parametrize("code", [Code.NO_SERVICE, Code.SERVICE_STOPPED, Code.INVALID_HANDLE, Code.LIBRARY, 0x12345678])
def test_any_failure_of_the_service_is_tried_again_and_told_once(code: int) -> None:
    bench = Bench()
    bench.service.plug("A")
    bench.until(lambda: bench.driver.health().connected)
    bench.service.gone = code
    bench.until(lambda: bench.driver.is_lost)
    assert bench.told() == [CardServiceMissing] and bench.told() == []
    assert bench.service.released == bench.service.opened == 1
    assert f"{code:08X}" in bench.driver.health().last_error
    bench.service.gone = None
    bench.until(lambda: not bench.driver.is_lost)
    assert bench.service.opened == 2 and bench.driver.health().readers == ("A",)


def test_a_service_that_lets_us_not_in_is_not_one_that_is_missing() -> None:
    bench = Bench()
    bench.service.gone = Code.FORBIDDEN
    bench.until(lambda: bench.driver.is_lost)
    assert bench.told() == [CardServiceForbidden] and bench.told() == []
    bench.service.gone = Code.NO_SERVICE
    bench.until(lambda: bool(bench.refusals))
    assert bench.told() == [CardServiceMissing], "another trouble is told"


def test_a_mute_card_is_silent_once() -> None:
    bench = Bench()
    bench.service.plug("A", has_card=True, is_mute=True, insertions=1)
    bench.until(lambda: bool(bench.desk.failed_with))
    bench.told()
    assert [type(one) for one in bench.desk.failed_with] == [CardSilent]
    bench.service.plug("A", insertions=2)
    bench.told()
    bench.service.plug("A", has_card=True, is_mute=True, insertions=3)
    bench.until(lambda: len(bench.desk.failed_with) == 2)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (Code.REMOVED, CardTorn),
        (Code.RESET, CardTorn),
        (Code.NOT_TRANSACTED, CardTorn),
        (Code.NO_CARD, CardTorn),
        (Code.COMM_ERROR, CardTorn),
        (Code.READER_UNAVAILABLE, CardTorn),
        (0x12345678, CardTorn),
        (Code.UNRESPONSIVE, CardSilent),
        (Code.SHARING, CardReaderInUse),
        (Code.FORBIDDEN, CardServiceForbidden),
        (Code.UNSUPPORTED, ForeignCard),
        (Code.PROTOCOL, ForeignCard),
    ],
)
def test_what_the_service_says_of_a_card(code: int, kind: type[Refusal]) -> None:
    assert type(refusal_for(PcscError(code, "connect"))) is kind


def test_a_wake_between_polls_ends_the_next_one() -> None:
    bench = Bench()
    bench.service.plug("A")
    bench.until(lambda: bench.driver.health().connected)
    bench.driver.wake()
    begun_s = time.monotonic()
    assert bench.driver.poll(DEADLINE_S) == []
    assert time.monotonic() - begun_s < DEADLINE_S / 2
    bench.driver.close()
    assert bench.service.released == 1


class Pyscard:
    """pyscard's flat API over one card of ours."""

    SCARD_SCOPE_SYSTEM, SCARD_SHARE_EXCLUSIVE, SCARD_LEAVE_CARD = 2, 1, 0
    SCARD_PROTOCOL_T0, SCARD_PROTOCOL_T1, SCARD_PCI_T0, SCARD_PCI_T1 = 1, 2, 1, 2

    def __init__(self, applet: Applet) -> None:
        self._applet = applet

    def SCardEstablishContext(self, _scope: int) -> list[int]:
        return [0, 7]

    def SCardConnect(self, *_: object) -> list[int]:
        return [0, 8, self.SCARD_PROTOCOL_T1]

    def SCardTransmit(self, _card: int, _header: int, apdu: list[int]) -> list[object]:
        return [0, list(self._applet.answer(bytes(apdu)))]

    def SCardDisconnect(self, *_: int) -> list[int]:
        return [0]

    def SCardReleaseContext(self, _context: int) -> list[int]:
        return [0]


def test_a_card_that_has_paid_is_told_nothing_else_when_its_reader_does_not_let_go(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its green stands: a light that says "try again" would have it paid for nothing."""

    def hang(lane: CardLane) -> None:
        lane.end()
        raise LaneStuck("no answer")

    monkeypatch.setitem(sys.modules, "smartcard.scard", Pyscard(new_card(tmp_path)))
    bench = Bench()
    with monkeypatch.context() as stuck:
        stuck.setattr(CardLane, "leave", hang)
        bench.service.plug("A", has_card=True, insertions=1)
        bench.until(lambda: bool(bench.desk.paid) and "no answer" in bench.driver.health().last_error)
    assert bench.told() == [] and bench.desk.failed_with == [] and bench.driver.health().failed == 0
    bench.service.plug("A", insertions=2)
    bench.until(lambda: bench.driver.health().cards == 0)
    bench.service.plug("A", has_card=True, insertions=3)
    bench.until(lambda: len(bench.desk.paid) == 2)  # the next tap gets a lane of its own
    bench.driver.close()


def test_pyscard_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "smartcard.scard", None)
    with pytest.raises(DeviceSupportMissing, match="pyscard"):
        Scard()
    driver = CardReader(QUICK, TestDesk())
    driver.poll(0.05)
    assert [type(one) for one in driver.take_refusals()] == [DeviceSupportMissing]
    assert driver.is_lost
    driver.close()
