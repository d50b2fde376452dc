"""One bus on the desk: the real `kgo-bus`, enrolled at a real city, with every device simulated around it. DESIGN §11.

    with BusDesk(folder, seed) as desk:
        desk.program.tell("sign-on D-01 274905")

Head, card service, receiver, clock and network stay up while the program is killed and started. Everything is ended,
each process by its own id, when the desk is closed.
"""

import contextlib
import time
from pathlib import Path
from typing import NamedTuple

from firmware.link import messages
from offline_ledger.city.routes import compile_feed
from offline_ledger.protocol.route_file import Stop
from offline_ledger.texts import Texts
from simulators.bus_desk.road import Road
from simulators.bus_desk.town import BUS, OPERATOR, OTHER_BUS, BusTown
from simulators.clock import SimulatedRtc
from simulators.demo.city import CITY
from simulators.demo.processes import PYTHON, Child, DeadlinePassed, Said, run_tool, wait_until
from simulators.fault_link import Mode, Plan
from simulators.fault_proxy import FaultProxy
from simulators.head.device import SimulatedHead
from simulators.pcsc import LOOK_S, PcscDaemon
from simulators.sample_town import FEED

ROUTE, DIRECTION = "8", 0
READERS = 2
SYNC_S_MAX = 30.0
SIZES = {"large": (800, 480), "small": (320, 240)}
THEMES = ("day", "night", "high_contrast")
_SETTINGS = """\
[device]
city = "{city}"
id = "{device}"
language = "th"
[city]
url = "{url}"
ca_file = "{ca_file}"
[head]
port = "head"
[card]
reader = "{cards}"
[gps]
port = "gps"
[screen]
address = "file:screen.png"
width_px = {width}
height_px = {height}
theme = "{theme}"
[trip]
routes_file = "{routes}"
crew_file = "{crew}"
[clock]
rtc = "clock"
[sync]
rest_s = 1
"""


class Look(NamedTuple):
    """How the validator is built: its screen, and whether it has card readers (a machine has one card service)."""

    size: str = "large"
    theme: str = "day"
    has_cards: bool = True


class BusDesk:
    """City, bus and devices. `start` and `kill` from one thread at a time."""

    def __init__(self, folder: Path, seed: int, look: Look = Look()) -> None:  # noqa: B008 - it is frozen
        self.folder = folder / "bus"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.seed = seed
        self.look = look
        self.town = BusTown(folder, seed)
        self._open = contextlib.ExitStack()
        self._child: Child | None = None
        self._mode = Mode.PASS
        self._noticed_s = 0.0
        self.stops: tuple[Stop, ...] = ()
        self.has_card_service = look.has_cards

    def __enter__(self) -> "BusDesk":
        try:
            self._set_up()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _set_up(self) -> None:
        enter = self._open.enter_context
        self._open.callback(self.town.close)
        self.pcsc = enter(PcscDaemon(READERS)) if self.look.has_cards else None
        self.town.found()
        self.network = enter(FaultProxy(("127.0.0.1", self.town.city.port)))
        self._write_settings(self.folder, BUS, f"https://localhost:{self.network.port}")
        self._enrol(self.folder, BUS)
        self.town.add_people()
        routes = compile_feed(FEED, Texts("th"))
        pattern = routes.pattern_for(ROUTE, DIRECTION)
        assert pattern is not None
        self.stops = tuple(routes.stops_of(pattern))
        way = [(stop.latitude_e6, stop.longitude_e6) for stop in self.stops]
        self.road = enter(Road(self.folder / "gps", way, self.seed))
        self.rtc = enter(SimulatedRtc(self.folder / "clock"))
        self.head = enter(SimulatedHead(self.folder / "head"))
        self.start()
        self.head.wait_for(messages.OUT_OF_SERVICE)
        wait_until(self.screen.exists, "the screen")
        self.wait_synced()

    def _write_settings(self, folder: Path, device: str, url: str) -> None:
        width, height = SIZES[self.look.size]
        text = _SETTINGS.format(
            city=CITY,
            device=device,
            url=url,
            ca_file=self.town.city.ca_file,
            cards="any" if self.look.has_cards else "none",
            width=width,
            height=height,
            theme=self.look.theme,
            routes=self.town.routes_file,
            crew=self.town.crew_file,
        )
        (folder / "settings.toml").write_text(text, encoding="utf-8")

    def _enrol(self, folder: Path, device: str) -> None:
        token = self.town.city.token(device, "validator", OPERATOR)
        words = (*PYTHON, "bus_validator", "--settings", str(folder / "settings.toml"), "enrol", "--token", token)
        run_tool("kgo-bus enrol", words, folder / "enrol.log")

    def add_other_bus(self) -> None:
        """A vehicle of the fleet that never comes: coupons may be for it. No cut network of this bus keeps it away."""
        other = self.town.folder / "other-bus"
        if not other.exists():
            other.mkdir()
            self._write_settings(other, OTHER_BUS, self.town.city.url)
            self._enrol(other, OTHER_BUS)

    # --- the program

    @property
    def screen(self) -> Path:
        """The picture that the validator draws."""
        return self.folder / "screen.png"

    @property
    def journal(self) -> Path:
        """The validator's journal."""
        return self.folder / "journal.db"

    @property
    def program(self) -> Child:
        """The running program."""
        assert self._child is not None
        return self._child

    @property
    def is_started(self) -> bool:
        """Was it ever started?"""
        return self._child is not None

    @property
    def is_running(self) -> bool:
        """Does the validator run?"""
        return self._child is not None and self._child.is_running

    def start(self) -> Said:
        """Start it; what it said when it was ready. One that runs stays."""
        if not self.is_running:
            words = (*PYTHON, "bus_validator", "--settings", str(self.folder / "settings.toml"))
            self._child = Child(BUS, words, self.folder / "program.log")
        return self.program.wait_for(lambda said: said.get("ready") is True, 0, "that it is ready")

    def kill(self) -> None:
        """SIGKILL, as a power cut for it alone."""
        self.program.kill()

    def kill_when_written(self, delay_s: float, give_up_s: float, since_ns: int) -> bool:
        """SIGKILL this long after the journal is written, or after `give_up_s`; whether it was written before."""
        until_s = time.monotonic() + give_up_s
        while self.journal_touched_ns() == since_ns and time.monotonic() < until_s:
            pass  # voucher and light are a millisecond apart: no time to sleep
        kill_s = time.monotonic() + delay_s
        while time.monotonic() < kill_s:
            pass
        self.kill()
        return self.journal_touched_ns() != since_ns

    def journal_touched_ns(self) -> int:
        """When the journal's log was last written."""
        log = self.journal.with_name(self.journal.name + "-wal")
        return log.stat().st_mtime_ns if log.exists() else 0

    # --- cards

    def wait_reader_empty(self) -> None:
        """Until the card service has seen the last card leave: it looks every 0.4 s."""
        wait_until(lambda: time.monotonic() >= self._noticed_s, "the reader to be seen empty")

    def card_left(self) -> None:
        """A card was taken away just now."""
        self._noticed_s = time.monotonic() + 2 * LOOK_S

    # --- the network

    @property
    def is_linked(self) -> bool:
        """Does the network pass everything?"""
        return self._mode is Mode.PASS

    def set_network(self, mode: Mode, delay_ms: int = 0) -> None:
        """From now on it is like this, for open connections too."""
        self._mode = mode
        self.network.apply(Plan(mode=mode, delay_ms=delay_ms))
        self.network.reset_links()
        if mode is Mode.PASS and self.is_running:
            self.program.tell("sync")

    def wait_synced(self, wait_s: float = SYNC_S_MAX) -> None:
        """Until a whole exchange left nothing waiting."""
        until_s = time.monotonic() + wait_s
        while time.monotonic() < until_s:
            mark = self.program.mark()
            self.program.tell("status")
            with contextlib.suppress(DeadlinePassed):
                said = self.program.wait_for(lambda one: "status" in one, mark, "its status", 2.0)
                if said["status"] == "synced":
                    return
            mark = self.program.mark()
            self.program.tell("sync")
            with contextlib.suppress(DeadlinePassed):
                self.program.wait_for(lambda one: one.get("status") == "synced", mark, "synced", 0.5)
        raise DeadlinePassed(f"{BUS} did not sync in {wait_s:.0f} s; see {self.folder / 'program.log'}")

    # --- the end

    def stop(self) -> list[str]:
        """A clean end of validator and city; what did not end well, in words."""
        codes = {"kgo-bus": self.program.stop("quit") if self.is_running else 0, "kgo-city": self.town.city.stop()}
        return [f"{name} ended with {code}" for name, code in codes.items() if code]

    def close(self) -> None:
        """End every process and pull every plug."""
        if self._child is not None:
            self._child.kill()
        self._open.close()
