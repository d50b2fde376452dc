"""A real `kgo-bus` process in its own folder: started, ended, its journal read. Which devices it has is the user's."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

from offline_ledger.terminal.journal import Journal
from offline_ledger.terminal.journal_rows import EventRow, VoucherRow
from simulators.demo.processes import PYTHON, Child, Said
from tests.terminal.provisioned import DEVICE

TICK_S = 0.25


class BusProgram:
    """One validator's. `start` and `kill` as often as you like."""

    settings: Path

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._open = contextlib.ExitStack()
        self._child: Child | None = None

    @property
    def program(self) -> Child:
        """The running program."""
        assert self._child is not None
        return self._child

    def start(self, command: tuple[str, ...] | None = None) -> Said:
        """What it said when it was ready. `command`: another way to start it."""
        self._set_chip()
        command = command or (*PYTHON, "bus_validator", "--settings", str(self.settings))
        self._child = Child(DEVICE, command, self.folder / "program.log")
        with self._chip_going():
            return self.program.wait_for(lambda said: said.get("ready") is True, 0, "that it is ready")

    def journal(self) -> tuple[list[VoucherRow], list[EventRow]]:
        """All rows, once the program has ended."""
        with Journal.open(self.folder / "journal.db", device_id=DEVICE) as journal:
            return journal.pending(1_000, 0), journal.events_after(0, 1_000)

    def close(self) -> None:
        """End what runs and pull every plug."""
        if self._child is not None:
            self._child.kill()
        self._open.close()

    def _set_chip(self) -> None:
        """The clock chip, before a start and while it lasts."""
        raise NotImplementedError

    @contextlib.contextmanager
    def _chip_going(self) -> Iterator[None]:
        """A start may take longer than a code may be ahead, and a chip does not stand still meanwhile."""
        is_ready = Event()

        def go() -> None:
            while not is_ready.wait(TICK_S):
                self._set_chip()

        ticking = Thread(target=go, name="clock-chip")
        ticking.start()
        try:
            yield
        finally:
            is_ready.set()
            ticking.join()


def write_chip(path: Path, said: object) -> None:
    """What the chip says now; whoever reads it meets the whole of it."""
    new = path.with_name(f"{path.name}.new")
    new.write_text(f"{said}\n")
    new.replace(path)
