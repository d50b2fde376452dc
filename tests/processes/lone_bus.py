"""A real `kgo-bus` process in its own folder, with a scanner on a pty and a clock chip; the city is up to the test.

Codes come as bytes of the scanner, lights as lines; everything is ended when it is closed. Keys are TEST ONLY.
"""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

from bus_validator.boarding import Trip
from offline_ledger.rules.tariff import Product, ProductKind
from simulators.demo.desk import is_light
from simulators.demo.processes import DeadlinePassed, Said, wait_until
from simulators.scanner import SimulatedScanner, Suffix
from tests.processes.bus_program import BusProgram, write_chip
from tests.terminal.desk import DeskWallet, issue
from tests.terminal.provisioned import FARE, TRIP, provision_bus

LIFE_S = 90_000
AGAIN_S = 1.5
CHEAP_KGO = 100
CHEAP_FARE = Product("cheap", int(ProductKind.FLAT), "รถเมล์", "City bus", CHEAP_KGO, 100, None, None, None)
"""For many riders: a device's offline value F is 400 common fares."""


def rider(secret: int, cap_kgo: int = 5_000) -> DeskWallet:
    """A wallet with a fresh allowance, ready for its first ride."""
    now_s = int(time.time())
    held = issue(secret, not_before_s=now_s - 60, expires_at_s=now_s + LIFE_S)
    held.next(cap_kgo)
    return held


class LoneBus(BusProgram):
    """One validator. `start` and `kill` as often as you like; the scanner stays."""

    def __init__(self, folder: Path, url: str, ca_file: Path | None, fare: Product, trip: Trip | None) -> None:
        super().__init__(folder)
        port = folder / "scanner"
        self.scanner = self._open.enter_context(SimulatedScanner(port, suffix=Suffix.CRLF, seed=1))
        self.settings = provision_bus(folder, int(time.time()), port, url=url, ca_file=ca_file, fare=fare, trip=trip)
        self._chip_goes_right = True

    def set_chip(self, said: int | str | None) -> None:
        """What the clock chip says from now on, at every start; None: it is gone. Until then it goes right."""
        self._chip_goes_right = False
        self._write_chip(said)

    def _set_chip(self) -> None:
        if self._chip_goes_right:
            self._write_chip(int(time.time()))

    def _write_chip(self, said: int | str | None) -> None:
        chip = self.folder / "rtc"
        if said is None:
            chip.unlink(missing_ok=True)
        else:
            write_chip(chip, said)

    def set_trip(self, trip: str) -> Said:
        """The driver enters the trip."""
        mark = self.program.mark()
        self.program.tell(f"trip {trip}")
        return self.program.wait_for(lambda said: "trip" in said, mark, "the trip")

    def tap(self, held: DeskWallet, at_s: int | None = None) -> Said:
        """A code, and its light."""
        return self.scan(held.code(int(time.time()) if at_s is None else at_s))

    def scan(self, text: str) -> Said:
        """Any text, and its light."""
        mark = self.program.mark()
        self.scanner.send(text)
        return self.program.wait_for(is_light, mark, "a light")

    def until_paid(self, held: DeskWallet, sequence: int) -> None:
        """Hold the code up again and again, as a passenger does, until a light says that it paid under this number."""

        def is_paid() -> bool:
            mark = self.program.mark()
            self.scanner.send(held.code(int(time.time())))
            try:
                self.program.wait_for(lambda said: said.get("sequence") == sequence, mark, "a light", AGAIN_S)
            except DeadlinePassed:
                return False
            return True

        wait_until(is_paid, f"voucher {sequence}", step_s=0.4)

    def status(self) -> tuple[Said, list[Said]]:
        """The badge, and the troubles that were told with it."""
        mark = self.program.mark()
        self.program.tell("status")
        badge = self.program.wait_for(lambda said: "troubles" in said, mark, "a status")
        heard = self.program.said_since(mark)
        after = mark + next(at for at, said in enumerate(heard) if said is badge) + 1

        def told() -> list[Said]:
            return [said for said in self.program.said_since(after) if "trouble" in said][: badge["troubles"]]

        wait_until(lambda: len(told()) == badge["troubles"], "the troubles that stand")
        return badge, told()


@contextlib.contextmanager
def lone_bus(
    folder: Path,
    *,
    url: str = "https://127.0.0.1:9",
    ca_file: Path | None = None,
    fare: Product = FARE,
    trip: Trip | None = TRIP,
) -> Iterator[LoneBus]:
    """A bus while the block runs; not started yet. `trip`: the one it was on before."""
    bus = LoneBus(folder, url, ca_file, fare, trip)
    try:
        yield bus
    finally:
        bus.close()


@contextlib.contextmanager
def started_bus(folder: Path) -> Iterator[LoneBus]:
    """One that runs and can be asked."""
    with lone_bus(folder) as bus:
        bus.start()
        wait_until(lambda: (folder / "control.sock").exists(), "the door")
        yield bus
