"""A device on a port that comes and goes, polled by one thread: what every such driver does alike. DESIGN §11.

One `poll` waits for bytes and opens the port again with growing pauses when it was lost. It needs no event loop and no
thread of its own; a loop that watches several devices registers `fileno()` and polls with 0. What the bytes mean is
said by the driver that is built on this.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Generic, TypeVar

from offline_ledger.errors import Refusal
from offline_ledger.terminal.drivers.serial_port import SerialPort
from offline_ledger.terminal.drivers.untaken import Untaken

T = TypeVar("T")


class PolledPort(ABC, Generic[T]):
    """Of `T`, which is what its bytes become: a text, a fix. `wake` may come from any thread."""

    def __init__(self, port: SerialPort, untaken: Untaken, now_s: Callable[[], float]) -> None:
        """`untaken` is also who hears of the port's losses."""
        self._port, self._untaken, self._now_s = port, untaken, now_s

    def open(self) -> bool:
        """Try to open the port now; False (and a refusal to take) if that fails. `poll` tries again."""
        self._port.connect()
        return self._port.is_open

    @property
    def is_lost(self) -> bool:
        """Its loss was told, and it is not back."""
        return self._port.is_lost

    def fileno(self) -> int | None:
        """The open port for a selector, or None while it is lost (then `poll` now and then)."""
        return self._port.fileno()

    def poll(self, timeout_s: float) -> list[T]:
        """What arrives within `timeout_s`, at once when there is any; an empty list after it or after `wake`."""
        until_s = self._now_s() + timeout_s
        while not self._port.is_closed:
            now_s = self._now_s()
            self._port.connect_if_due()
            refused_before = self._untaken.refused
            come = self._overdue(now_s)
            is_told = bool(come) or self._untaken.refused > refused_before  # nothing more is waited for
            left_s = 0.0 if is_told else max(0.0, min(until_s - now_s, self._pause_left_s(now_s)))
            woken, readable = self._port.wait(left_s)
            if readable:
                come += self._read()
            if come or woken or self._untaken.refused > refused_before or self._now_s() >= until_s:
                return come
        return []

    def take_refusals(self) -> list[Refusal]:
        """Refusals since the last call, oldest first: bytes that were of no use, and each loss of the port once."""
        return self._untaken.take()

    def wake(self) -> None:
        """Make a `poll` in another thread return now."""
        self._port.wake()

    def close(self) -> None:
        """Let the port go for good. Call it from the polling thread, after `wake` if need be."""
        self._port.close()

    def _read(self) -> list[T]:
        received = self._port.read()
        if received is None:
            self._tell_lost()
            return []
        return self._take_in(received)

    def _tell_lost(self) -> None:
        self._cut_off()
        self._port.tell_lost()

    # --- what a driver says of its own device

    @abstractmethod
    def _take_in(self, received: bytes) -> list[T]:
        """What these bytes complete."""

    @abstractmethod
    def _cut_off(self) -> None:
        """The port is gone: forget what was begun, and tell of it."""

    def _overdue(self, now_s: float) -> list[T]:
        """What the passing of time completes."""
        return []

    def _pause_left_s(self, now_s: float) -> float:
        """Until time completes something."""
        return float("inf")
