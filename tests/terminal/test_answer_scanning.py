"""`enrol --scan` ends by a signal whenever it comes, as one that may be given again. DESIGN §8."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bus_validator.settings import SETTINGS
from offline_ledger.errors import AnswerIncomplete
from offline_ledger.protocol.device import DeviceRole
from offline_ledger.protocol.kinds import KEY_ID_BYTES
from offline_ledger.terminal.answer_scanning import scan_answer
from offline_ledger.terminal.program import Place, Program, read_terminal_settings
from offline_ledger.terminal.scan_loop import ScanLoop
from offline_ledger.texts import Texts
from tests.terminal.provisioned import provision_bus

TICK_S = 0.000_05


class SignalAt(Texts):
    """Texts at whose saying a signal comes: the command has come just so far."""

    def __init__(self, key: str, number: signal.Signals) -> None:
        super().__init__("en")
        self._key, self._number = key, number

    def get(self, key: str, **values: object) -> str:
        if key == self._key:
            signal.raise_signal(self._number)
        return super().get(key, **values)


@pytest.fixture
def open_input(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nobody types."""
    reading, writing = os.pipe()
    with os.fdopen(reading) as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        yield
        os.close(writing)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    settings = provision_bus(tmp_path, int(time.time()), tmp_path / "scanner")
    about = Program("kgo-bus", "help.bus", DeviceRole.VALIDATOR, lambda _opened: 0, SETTINGS)
    return Place(about, read_terminal_settings(about, settings), settings)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("before", [signal.default_int_handler, signal.SIG_IGN], ids=["asked", "ignored"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.usefixtures("open_input")
def test_a_signal_before_it_reads_ends_it_too(
    place: Place, number: signal.Signals, before: Callable[..., object] | signal.Handlers
) -> None:
    """`ignored`: as a shell without job control starts what it puts into the background."""
    kept = signal.signal(number, before)
    try:
        with pytest.raises(AnswerIncomplete) as ended:
            scan_answer(place, bytes(KEY_ID_BYTES), SignalAt("terminal.scan.begin", number))
        assert signal.getsignal(number) is before
    finally:
        signal.signal(number, kept)
    assert ended.value.waiting_helps


@pytest.mark.timeout(60)
def test_a_signal_while_it_stops_does_not_wait_for_itself() -> None:
    """The handler runs on the very thread that is ending the loop, between any two of its steps."""
    loop = ScanLoop(lambda _text: None, lambda _source, _refusal: None, lambda: None)
    count = 0

    def stop(_number: int, _frame: object) -> None:
        nonlocal count
        count += 1
        loop.stop()

    kept = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, TICK_S, TICK_S)
    try:
        while count < 20:
            loop.stop()
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0.0)
        signal.signal(signal.SIGVTALRM, kept)
    assert loop.is_stopping
