"""A real `kgo-bus` with all its devices: a head in real MicroPython, cards over a real pcscd, a screen in a file.

Lights are read from the head's pixels, not from the program. Everything is ended when it is closed. Keys are TEST ONLY.
"""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

from bus_validator.boarding import Trip
from firmware.link import messages
from offline_ledger.protocol.card import Ins, select
from simulators.card.applet import Applet
from simulators.card.purse import PurseFile
from simulators.card.virtual import Tear, VirtualCard
from simulators.demo.processes import Said, wait_until
from simulators.head.device import SimulatedHead
from simulators.pcsc import LOOK_S, PcscDaemon, Reader
from tests.card.desk import allowance_for, initialising, say
from tests.processes.bus_program import BusProgram, write_chip
from tests.terminal.provisioned import FARE, TRIP, provision_bus

GREEN = (messages.ACCEPTED, messages.ACCEPTED_CASH_DUE)


def loaded_card(folder: Path, seed: int, reserve_kgo: int = 50_000) -> VirtualCard:
    """A card of the desk's city, with an allowance for these days."""
    folder.mkdir(parents=True, exist_ok=True)
    file = PurseFile(folder / f"card-{seed}.json")
    applet = Applet(file, seed)
    assert applet.answer(select())[-2:] == b"\x90\x00"
    point, _ = say(applet, Ins.INITIALISE, initialising())
    now_s = int(time.time())
    pass_id = seed.to_bytes(8, "big")
    changes = {"pass_id": pass_id, "not_before_s": now_s - 60, "expires_at_s": now_s + 90_000}
    say(applet, Ins.STORE_ALLOWANCE, allowance_for(point[2:], reserve_kgo, **changes).raw)  # type: ignore[arg-type]
    applet.reset()
    return VirtualCard(applet, file)


class FullBus(BusProgram):
    """One validator and the hands around it."""

    def __init__(
        self,
        folder: Path,
        readers: tuple[Reader, ...],
        trip: Trip | None,
        settings: str,
        protocol: tuple[int, int] | None,
    ) -> None:
        super().__init__(folder)
        self.readers = readers
        self.head = self._open.enter_context(SimulatedHead(folder / "head", protocol=protocol))
        cards = '[card]\nreader = "any"\n' if readers else ""
        provisioned = provision_bus(folder, int(time.time()), folder / "no-scanner", fare=FARE, trip=trip)
        text = provisioned.read_text().replace(f'port = "{folder / "no-scanner"}"\n', "")
        more = f'\n[head]\nport = "head"\n{cards}[screen]\naddress = "file:screen.png"\n{settings}'
        provisioned.write_text(text + more)
        self.settings = provisioned
        self._noticed_s = 0.0

    def ready(self) -> None:
        """The head waits for customers, and the screen shows something."""
        self.head.wait_for(messages.WAIT)
        wait_until(lambda: (self.folder / "screen.png").exists(), "the screen")

    def ready_closed(self) -> None:
        """The head shows that nobody can board yet."""
        self.head.wait_for(messages.OUT_OF_SERVICE)
        self.program.wait_for(lambda said: said.get("light") == "out_of_service", 0, "the closed door")

    def light(self, mark: int) -> Said:
        """The light's line since `mark`."""
        return self.program.wait_for(lambda said: "light" in said and said["light"] != "wait", mark, "a light")

    def scan(self, text: str) -> Said:
        """A code before the head's own scanner."""
        mark = self.program.mark()
        self.head.scan(text)
        return self.light(mark)

    def tap(self, card: VirtualCard, reader: int = 0) -> Said:
        """A card held to a reader until its light, then taken away."""
        mark = self.hold(card, reader)
        try:
            return self.light(mark)
        finally:
            self.lift(card)

    def hold(self, card: VirtualCard, reader: int = 0, tear: Tear | None = None) -> int:
        """A card put to a reader, once the service has seen the one before leave; the mark before it."""
        wait_until(lambda: time.monotonic() >= self._noticed_s, "the reader to be seen empty")
        mark = self.program.mark()
        card.insert(self.readers[reader].port, tear)
        return mark

    def lift(self, card: VirtualCard) -> None:
        """And taken away."""
        card.remove()
        self._noticed_s = time.monotonic() + 2 * LOOK_S

    def _set_chip(self) -> None:
        write_chip(self.folder / "rtc", int(time.time()))


@contextlib.contextmanager
def full_bus(
    folder: Path,
    *,
    cards: bool = True,
    trip: Trip | None = TRIP,
    settings: str = "",
    protocol: tuple[int, int] | None = None,
) -> Iterator[FullBus]:
    """A bus while the block runs; not started yet. `protocol`: the versions that its head speaks, if not the newest."""
    with contextlib.ExitStack() as stack:
        readers = stack.enter_context(PcscDaemon(2)).readers if cards else ()
        bus = FullBus(folder, readers, trip, settings, protocol)
        stack.callback(bus.close)
        yield bus
