"""A driver that is polled, what it told, and what each of them keeps: it comes back, it wakes, it is bounded."""

import threading
import time
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import pytest
import serial

from offline_ledger.errors import Refusal
from offline_ledger.terminal.drivers.scanner import LineScanner
from simulators.scanner import PtyScanner

DEADLINE_S = 10.0


class Polled(Protocol):
    """What these drivers have in common."""

    def poll(self, timeout_s: float) -> list[str]: ...

    def take_refusals(self) -> list[Refusal]: ...

    def wake(self) -> None: ...

    def health(self) -> object: ...


D = TypeVar("D", bound=Polled)
S = TypeVar("S", bound=LineScanner)
P = TypeVar("P", bound=PtyScanner)


class PollBench(Generic[D]):
    """A driver, what it told, and the poll loop around it."""

    def __init__(self, driver: D, deadline_s: float = DEADLINE_S) -> None:
        self.driver = driver
        self.texts: list[str] = []
        self.refusals: list[Refusal] = []
        self._deadline_s = deadline_s

    def poll(self, wait_s: float) -> None:
        self.texts += self.driver.poll(wait_s)
        self.refusals += self.driver.take_refusals()

    def until(self, condition: Callable[[], bool], what: str = "it") -> None:
        """Poll until the condition holds."""
        until_s = time.monotonic() + self._deadline_s
        while not condition():
            assert time.monotonic() < until_s, (what, self.texts, self.refusals, self.driver.health())
            self.poll(0.02)

    def during(self, work: Callable[[], object]) -> None:
        """Poll while a device works: a pty holds less than a whole code."""
        working = threading.Thread(target=work)
        working.start()
        self.until(lambda: not working.is_alive())
        working.join()

    def told(self) -> list[type[Refusal]]:
        return [type(refusal) for refusal in self.refusals]


class ScannerBench(PollBench[S], Generic[S, P]):
    """A scanner's driver on a simulated scanner's link."""

    def __init__(self, driver: S, device: P) -> None:
        super().__init__(driver)
        self.device = device

    def check_comes_and_goes(self, text: str, lost: type[Refusal]) -> None:
        """Plugged in late, pulled and plugged in again: read each time, and each loss told once."""
        assert not self.driver.open() and self.driver.is_lost
        assert self.driver.fileno() is None
        for turn in range(1, 4):
            self.device.plug()
            self.until(lambda: self.driver.health().connected)
            assert not self.driver.is_lost
            self.during(lambda: self.device.send(text))
            self.until(lambda turn=turn: self.texts == [text] * turn)
            self.device.unplug()
            self.until(lambda: not self.driver.health().connected)
            assert self.driver.health().connects == turn
            self.until(lambda turn=turn: len(self.refusals) == turn + 1)
        assert set(self.told()) == {lost}  # once per loss, however many tries each took
        assert self.driver.health().last_error
        self.driver.close()

    def check_old_scan_is_forgotten(self) -> None:
        """One from before the program ran."""
        with self.device:
            self.device.send("OLD")
            self.driver.open()
            self.device.send("NEW")
            self.until(lambda: bool(self.texts))
        assert self.texts == ["NEW"]
        self.driver.close()

    def check_bounded(self, send_rubbish: Callable[[], None], refusals_max: int) -> None:
        """Refusals that nobody takes, of more rubbish than there may be of them."""
        sender = threading.Thread(target=lambda: [send_rubbish() for _ in range(refusals_max + 5)])
        sender.start()
        until_s = time.monotonic() + DEADLINE_S
        while self.driver.health().refusals_dropped < 1:
            assert time.monotonic() < until_s
            self.driver.poll(0.02)
        assert len(self.driver.take_refusals()) == refusals_max
        self.until(lambda: not sender.is_alive())
        sender.join()

    def check_closed_is_closed(self) -> None:
        self.driver.close()
        self.driver.wake()
        assert self.driver.poll(DEADLINE_S) == []
        assert not self.driver.open()


def check_wake_ends_a_long_poll(driver: Polled) -> None:
    started_s = time.monotonic()
    waker = threading.Timer(0.05, driver.wake)
    waker.start()
    assert driver.poll(DEADLINE_S) == []
    assert time.monotonic() - started_s < DEADLINE_S / 2
    waker.join()


def forbid_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    """No right to any serial port; the test may run as root, whom nothing is forbidden."""

    def forbidden(*_: object, **__: object) -> None:
        raise serial.SerialException(13, "could not open port: permission denied")

    monkeypatch.setattr(serial, "Serial", forbidden)
