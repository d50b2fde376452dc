"""The code readers: a test code is shown on the screens, and what the reader gives must be that very text. DESIGN §3.

A serial scanner, a camera, or the scanner on the head: each by its own driver. The code is new each time, so that an
old scan is none; it is no KGO code, so that no terminal would ever take it for a payment.
"""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Event, Lock, Thread
from typing import Protocol

from offline_ledger.errors import Refusal, ScannerMute, ScannerReadsWrong
from offline_ledger.protocol.label import decode_label
from offline_ledger.seen_text import shown
from offline_ledger.terminal.selftest.plan import Step
from offline_ledger.terminal.selftest.runner import Check, Facts, Part
from offline_ledger.terminal.selftest.turn import Asked, Turn

CODE_START = "KGO-TEST/"
"""No KGO code begins so (`KGO1…`)."""
CODE_BYTES = 8
POLL_S = 0.05
READ_MAX = 16
READ_CHARACTERS_MAX = 40
JOIN_S_MAX = 3.0


class Texts(Protocol):
    """What came from a reader since the last call, and what was wrong."""

    def texts(self) -> Sequence[str]: ...

    def gone(self) -> Refusal | None: ...


class Reader(Protocol):
    """A driver that gives texts: `drivers.scanner`, `drivers.camera`, `pos_app.drivers.wedge`."""

    @property
    def is_lost(self) -> bool: ...

    def open(self) -> object: ...

    def poll(self, timeout_s: float) -> list[str]: ...

    def take_refusals(self) -> list[Refusal]: ...

    def wake(self) -> None: ...

    def close(self) -> None: ...


class PolledReader:
    """A reader of its own port, polled by a thread while it is tried."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        reader.open()  # what is read before its port is open is an old customer's, and thrown away
        self._lock = Lock()
        self._texts: list[str] = []
        self._trouble: Refusal | None = None
        self._is_ending = Event()
        self._thread = Thread(target=self._watch, name="self-test reader", daemon=True)
        self._thread.start()

    def texts(self) -> Sequence[str]:
        """Since the last call."""
        with self._lock:
            found, self._texts = self._texts, []
            return found

    def gone(self) -> Refusal | None:
        """Why it is not there, or what it could not read last."""
        with self._lock:
            return self._trouble

    def close(self) -> None:
        """Its port is free."""
        self._is_ending.set()
        self._reader.wake()
        self._thread.join(JOIN_S_MAX)

    def _watch(self) -> None:
        while not self._is_ending.is_set():
            texts, refusals = self._reader.poll(POLL_S), self._reader.take_refusals()
            with self._lock:
                self._texts = [*self._texts, *texts][-READ_MAX:]
                self._trouble = refusals[-1] if refusals else self._trouble
        self._reader.close()


IsOwn = Callable[[str], bool]


def nobodys(_text: str) -> bool:
    """A device that has no label yet."""
    return False


def own_label(device: str, city: str) -> IsOwn:
    """The label of this device, by its id and city; another's is another text."""

    def is_own(text: str) -> bool:
        try:
            label = decode_label(text)
        except Refusal:
            return False
        return (label.device, label.city) == (device, city)

    return is_own


class ScannerPart:
    """One reader under its part's name: `scanner`, `camera`, `wedge`."""

    def __init__(
        self,
        name: str,
        open_reader: Callable[[Turn], Texts],
        *,
        is_fitted: bool,
        needs: tuple[str, ...] = (),
        is_own_label: IsOwn = nobodys,
    ) -> None:
        """`is_own_label`: is this the code of this very device's label? It is as good as the code on the screen."""
        self._name, self._open, self._is_fitted = name, open_reader, is_fitted
        self._needs, self._is_own_label = needs, is_own_label
        self._reader: Texts | None = None

    def part(self) -> Part:
        """Its one check."""
        step = Step(self._name, "reads", needs_hands=True, needs=self._needs, is_fitted=self._is_fitted)
        return Part(self._name, (Check(step, self._reads),), self._close)

    def _reads(self, turn: Turn) -> Facts:
        if self._reader is None:
            self._reader = self._open(turn)
        reader = self._reader
        code = CODE_START + os.urandom(CODE_BYTES).hex().upper()
        reader.texts()
        read: list[str] = []

        def is_read() -> bool:
            read.extend(reader.texts())
            return bool(read)

        turn.show(Asked(f"{self._name}.reads", f"selftest.now.{self._name}.reads", is_wish=True, code=code))
        if not turn.wait(is_read, turn.times.hand_s):
            trouble = reader.gone()
            raise trouble if trouble is not None else ScannerMute(f"{turn.times.hand_s:.0f} s")
        if code not in read and not any(self._is_own_label(text) for text in read):
            raise ScannerReadsWrong(shown(read[-1][:READ_CHARACTERS_MAX]))
        return {"characters": len(read[-1]), "by": "code" if code in read else "label"}

    def _close(self) -> None:
        reader, self._reader = self._reader, None
        if isinstance(reader, PolledReader):
            with suppress(OSError):
                reader.close()
