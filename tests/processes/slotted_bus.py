"""A real `kgo-bus` that its service starts by the real launcher from one of two slots, with a scanner and a city.

A slot is a program that runs from a tree of sources; another version is a changed copy of this one. Keys are TEST ONLY.
"""

import contextlib
import shutil
import sys
import time
from collections.abc import Container, Iterator, Mapping
from pathlib import Path

from offline_ledger.errors import CommandTakenBack, CommandUnsettled, NotRunning
from offline_ledger.terminal.control_commands import asked
from offline_ledger.terminal.journal import Journal
from offline_ledger.terminal.journal_rows import EventRow, VoucherRow
from offline_ledger.terminal.signers.key_file import open_key_file
from offline_ledger.terminal.updates.start import GOOD, STAGED, Slot, State
from simulators.clock import SimulatedRtc
from simulators.demo.desk import is_light
from simulators.demo.processes import DeadlinePassed, Said, wait_until
from simulators.fault_link import Mode, Plan
from simulators.fault_proxy import FaultProxy
from simulators.scanner import SimulatedScanner, Suffix
from tests.processes.lone_bus import AGAIN_S, CHEAP_FARE
from tests.processes.serviced import Service
from tests.terminal.city_in_test import CityInTest, DeviceInTest
from tests.terminal.desk import DeskWallet
from tests.terminal.https_city import HttpsCity, make_authority, server_context
from tests.terminal.provisioned import DEVICE, provision_bus
from tests.terminal.updates.slot_desk import ROOT, SlotDesk

PACKAGES = ("offline_ledger", "bus_validator", "firmware")
RUN = """#!{python}
import sys
sys.path.insert(0, {tree!r})
{first}
from bus_validator.__main__ import main
sys.exit(main())
"""
AT_LENGTH = """
from offline_ledger.terminal.updates import proving
proving.DEADLINE_TIMES = 60
"""
"""A sound version proves itself after a second, and has as long to do it as in the field: six of those seconds pass
while a busy machine loads its link."""
VERSION = "offline_ledger/terminal/program.py"


def changed_tree(folder: Path, version: str, changes: Mapping[str, tuple[tuple[str, str], ...]]) -> Path:
    """A copy of the sources of this version with changes: file → (what stands there once, what shall)."""
    for name in PACKAGES:
        shutil.copytree(ROOT / name, folder / name)
    for file, pairs in {VERSION: (('VERSION = "0.1.0"', f'VERSION = "{version}"'),), **changes}.items():
        source = (folder / file).read_text(encoding="utf-8")
        for old, new in pairs:
            assert source.count(old) == 1, (file, old)
            source = source.replace(old, new)
        (folder / file).write_text(source, encoding="utf-8")
    return folder


class SlottedBus:
    """One validator in two slots; not started yet."""

    def __init__(self, folder: Path, city: CityInTest, proxy: FaultProxy, authority: Path) -> None:
        self.folder, self.city, self.proxy = folder, city, proxy
        self.slots = SlotDesk(folder)
        self._open = contextlib.ExitStack()
        port = folder / "scanner"
        self.scanner = self._open.enter_context(SimulatedScanner(port, suffix=Suffix.CRLF, seed=1))
        url = f"https://127.0.0.1:{proxy.port}"
        self.settings = provision_bus(folder, int(time.time()), port, url=url, ca_file=authority, fare=CHEAP_FARE)
        more = "[sync]\nrest_s = 1\n[update]\nprove_s = 1\n"
        self.settings.write_text(self.settings.read_text() + more)
        self._open.enter_context(SimulatedRtc(folder / "rtc"))  # it goes on from one start to the next
        city.devices[DEVICE] = DeviceInTest(open_key_file(folder / "device.key").point)
        self.fill("a", "0.1.0", ROOT)
        self.service: Service

    def fill(self, slot: str, version: str, tree: Path, first: str = AT_LENGTH) -> None:
        """What runs from this slot. `first`: what its program does before anything."""
        script = RUN.format(python=sys.executable, tree=str(tree), first=first)
        self.slots.fill(slot, version, script)

    def stage(self, version: str = "0.2.0") -> None:
        """Slot b holds a new version, and slot a has proved itself."""
        self.slots.put(State("a", Slot(GOOD, "0.1.0", "aa" * 32), Slot(STAGED, version, "bb" * 32)))

    def start(self, watchdog_s: float = 0.0, watched: Container[int] = ()) -> Said:
        """The service, until it is ready for the first time."""
        words = self.slots.words("--settings", str(self.settings))
        self.service = Service(words, self.folder, watchdog_s, watched)
        self._open.callback(self.service.close)
        return self.service.wait_ready()

    def ask(self, *words: str) -> Said:
        """At its control door, once that is open; the first line of the answer."""
        found: list[Said] = []

        def is_answered() -> bool:
            with contextlib.suppress(NotRunning, CommandTakenBack, CommandUnsettled):  # it ends just now
                found[:] = [dict(one) for one in asked(self.folder / "control.sock", list(words))]
            return bool(found)

        wait_until(is_answered, f"an answer to {' '.join(words)}")
        return found[0]

    def scan(self, held: DeskWallet) -> Said:
        """A code, and its light."""
        mark = self.service.mark()
        self.scanner.send(held.code(int(time.time())))
        return self.service.wait_for(is_light, mark, "light")

    def scan_until_dark(self, held: DeskWallet) -> Said:
        """A code, and its light, until that is over."""
        mark = self.service.mark()
        light = self.scan(held)
        self.service.wait_for(lambda said: said.get("light") == "wait", mark, "the light's end")
        return light

    def tap(self, held: DeskWallet) -> Said:
        """Held up again and again, as a passenger does, until it is accepted. Raises DeadlinePassed, which says what
        light came last."""
        lights: list[Said] = []

        def is_green() -> bool:
            mark = self.service.mark()
            self.scanner.send(held.code(int(time.time())))
            with contextlib.suppress(DeadlinePassed):
                lights.append(self.service.wait_for(is_light, mark, "light", AGAIN_S))
            return bool(lights) and lights[-1]["light"] in ("accepted", "accepted_cash_due", "already_accepted")

        try:
            wait_until(is_green, "a green light", step_s=0.1)
        except DeadlinePassed as late:
            raise DeadlinePassed(f"{late}: {lights[-1:] or self.service.said_since(0)[-5:]}") from late
        return lights[-1]

    def network(self, *, is_there: bool) -> None:
        """The city can be reached, or not."""
        self.proxy.apply(Plan() if is_there else Plan(mode=Mode.REFUSE))

    def active(self) -> str:
        """The slot whose turn it is."""
        return self.slots.now().active

    def wait_mark(self, slot: str, mark: str) -> None:
        """That the state says so of a slot."""
        wait_until(lambda: self.slots.now().slot(slot).mark == mark, f"slot {slot} {mark}")

    def journal(self) -> tuple[list[VoucherRow], list[EventRow]]:
        """All rows, once the service has ended."""
        with Journal.open(self.folder / "journal.db", device_id=DEVICE) as journal:
            return journal.pending(1_000, 0), journal.events_after(0, 1_000)

    def close(self) -> None:
        """Everything."""
        self._open.close()


@contextlib.contextmanager
def slotted_bus(folder: Path) -> Iterator[SlottedBus]:
    """While the block runs."""
    authority = make_authority(folder)
    city = CityInTest(lambda: int(time.time()))
    with (
        HttpsCity(city, server_context(folder, authority)) as server,
        FaultProxy(("127.0.0.1", server.port)) as proxy,
    ):
        bus = SlottedBus(folder, city, proxy, authority.ca_file)
        try:
            yield bus
        finally:
            bus.close()
