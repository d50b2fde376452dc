"""A driver's desk in one process, on a disk that a test can spoil; it can lose its power. Keys are TEST ONLY."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Lock
from typing import TypeVar, cast

from bus_validator.companion import Companion
from bus_validator.driver_desk import DriverDesk
from bus_validator.route_files import RouteFiles
from bus_validator.stops import Position
from bus_validator.trip import SHIFT_META, decode_shift
from offline_ledger.errors import Refusal
from offline_ledger.protocol.device import EventKind
from offline_ledger.protocol.shift_event import ShiftEventKind, decode_shift_event
from offline_ledger.terminal.outcome import Light
from offline_ledger.terminal.program import MachineClock, Opened
from offline_ledger.terminal.running import Running
from offline_ledger.terminal.station import Station
from offline_ledger.terminal.uplink import HttpsUplink
from offline_ledger.texts import Texts
from simulators.clock import FakeClock
from simulators.demo.processes import wait_until
from simulators.storage.disk import DiskFaults
from tests.bus_validator.crewed import open_station, provision, sign_files, spoilt_disk
from tests.protocol.test_crew_file import MALI
from tests.protocol.test_route_file import STOPS
from tests.terminal.city_in_test import CITY, NOW_S
from tests.terminal.desk import DeskWallet, FlatBus, issue

CARD = MALI.cards[0]
PIN_LINE = "sign-on D-01 274905"
T = TypeVar("T")


class Said:
    """What a running program is to the desk: it keeps what was said, and jobs until they have their turn."""

    def __init__(self) -> None:
        self.lines: list[dict[str, object]] = []
        self.jobs: deque[Callable[[], None]] = deque()
        self._deciding = Lock()
        self.troubles: dict[str, Refusal | None] = {}
        self.is_stopped = False
        self.answer: dict[str, Callable[[list[str]], Sequence[Mapping[str, object]]]] = {}
        self.command: Callable[[list[str]], object] = lambda _words: None

    @property
    def lamp(self) -> "Said":
        return self

    def say(self, **said: object) -> None:
        self.lines.append(said)

    def refuse_command(self, refusal: Refusal, sentence: str = "", **_values: str) -> None:
        told = {"sentence": sentence} if refusal.key == "command_unknown" else {}
        self.lines.append({"refused": refusal.key, **told})

    def note(self, what: str, refusal: Refusal | None) -> None:
        self.troubles[what] = refusal

    def do(self, job: Callable[[], None]) -> None:
        if not self.is_stopped:
            self.jobs.append(job)

    def answers(self, word: str, answer: Callable[[list[str]], Sequence[Mapping[str, object]]]) -> None:
        self.answer[word] = answer

    def turn(self, job: Callable[[], T]) -> T:
        with self._deciding:
            return job()

    def do_jobs(self) -> None:
        """One after another, and none beside a turn: as on the one deciding thread."""
        while self.jobs:
            with self._deciding:
                self.jobs.popleft()()

    def hearing(self, act: Callable[[], None]) -> list[dict[str, object]]:
        before = len(self.lines)
        act()
        return self.lines[before:]

    def ready_when_unlit(self) -> None:
        return None


class Bus:
    """One bus with its crew; it can lose its power, and its disk can be spoilt."""

    def __init__(self, folder: Path, faults: DiskFaults) -> None:
        self.folder, self.faults, self.clock = folder, faults, FakeClock(NOW_S)
        self.texts = Texts("en")
        self._riders = 100
        self.start()

    def start(self) -> None:
        self._open = ExitStack()
        self.station: Station = self._open.enter_context(open_station(self.folder, self.clock))
        self.said = Said()
        running = cast(Running, self.said)
        values: dict[str, object] = {"device.language": "en", "device.city": CITY}
        nothing = cast(HttpsUplink, None)
        opened = Opened(self.station, nothing, cast(MachineClock, self.clock), values, self.folder / "bus.toml")
        self.files = RouteFiles(
            self.station, self.folder / "routes.kgo", self.folder / "crew.kgo", self.said.troubles.__setitem__
        )
        self.companion = Companion()
        self.desk = DriverDesk(opened, running, self.files, self.companion)
        self.said.command = lambda words: self.desk.obey(words, self.texts)
        self.desk.begin()
        self.said.lines.clear()

    def close(self) -> None:
        self.faults.is_full, self.faults.writes_fail, self.faults.sync_fails_at = False, False, None
        self._open.close()

    def restart(self) -> None:
        """A pulled plug: what was not written is gone. The counter of a new boot begins anew."""
        self.station.journal.reopen_and_verify()
        self.close()
        self.start()

    def look_again(self) -> None:
        """As the next tick does after a disk error."""
        self.faults.is_full, self.faults.writes_fail, self.faults.sync_fails_at = False, False, None
        self.station.journal.reopen_and_verify()
        self.desk.look()

    def do(self, line: str) -> dict[str, object]:
        """The last thing that was said to it."""
        assert self.desk.obey(line.split(), self.texts)
        return self.said.lines[-1] if self.said.lines else {}

    def sign_on(self) -> None:
        self.desk.proved(CARD)

    def pin(self, line: str = PIN_LINE) -> None:
        self.desk.obey(line.split(), self.texts)

    def pin_is_checked(self) -> None:
        wait_until(lambda: bool(self.said.jobs), "the PIN's thread", step_s=0.001)
        self.said.do_jobs()

    def board(self, *, is_seen: bool = True) -> DeskWallet:
        held = issue(self._riders)
        self._riders += 1
        held.next()
        trip = self.desk.trip
        assert trip is not None
        outcome = self.station.acceptor.accept(held.code(self.clock.wall_s()), FlatBus(trip=trip.trip))
        assert outcome.light is Light.ACCEPTED_CASH_DUE and outcome.sequence is not None, outcome
        if is_seen:
            self.station.acceptor.shown(outcome)
        self.desk.took(outcome.sequence)
        return held

    def at_stop(self, at: int) -> Position:
        return Position(STOPS[at].latitude_e6, STOPS[at].longitude_e6, self.clock.mono_ms() // 1_000, 0)

    def refused(self) -> list[object]:
        return [line["refused"] for line in self.said.lines if "refused" in line]

    def events(self) -> list[ShiftEventKind]:
        self.station.journal.flush()
        found = self.station.journal.events_after(0, 1_000)
        return [ShiftEventKind(decode_shift_event(one.body).what) for one in found if one.kind == EventKind.SHIFT]

    def kept(self) -> Mapping[str, object]:
        """What a restart would find."""
        state = decode_shift(self.station.journal.meta_get(SHIFT_META))
        run = state.run
        return {
            "phase": state.phase.name.lower(),
            "driver": state.driver or None,
            "route": None if run is None else run.route,
            "trip": None if run is None else run.trip,
            "stop": None if run is None else run.stop,
        }

    def facts(self) -> Mapping[str, object]:
        return {name: value for name, value in self.desk.facts().items() if name != "is_moving"}


@contextmanager
def crewed_bus(folder: Path) -> Iterator[Bus]:
    """With routes and crew, in a new folder; its disk is the test's to spoil."""
    provision(folder)
    sign_files(folder)
    with spoilt_disk(folder.name) as faults:
        bus = Bus(folder, faults)
        yield bus
        bus.close()
