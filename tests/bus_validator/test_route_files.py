"""Route and crew file while the bus runs: taken when better, told when not, and every remedy takes effect by itself."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bus_validator.route_files import LOOK_MS, RouteFiles
from bus_validator.route_keeper import ROUTES_VERSION_META
from offline_ledger.errors import (
    BulletinRollback,
    CrewFileExposed,
    CrewFileMissing,
    Refusal,
    RouteFileMissing,
    RouteFileOutOfDate,
    RouteFileWrong,
    StorageFull,
    UnknownIssuer,
)
from offline_ledger.protocol import cbor
from offline_ledger.protocol.city import KeyRole
from offline_ledger.protocol.route_file import ROUTE_FILE_BYTES_MAX
from offline_ledger.terminal.station import Station
from simulators.clock import FakeClock
from simulators.keys import SimulatedKey
from simulators.storage.disk import DiskFaults
from tests.bus_validator.crewed import LIFE_S, fill, open_station, provision, sign_file, sign_files, spoilt_disk
from tests.protocol.test_crew_file import CREW
from tests.protocol.test_route_file import TOWN
from tests.terminal.city_in_test import NOW_S, ROLES, keys_of, trust_list

OTHER_TOWN = TOWN._replace(feed_version="sample-2")
NEW_KEY_TEST_ONLY = SimulatedKey(0xB012)


class Bus:
    """One validator's files, looked at every five seconds."""

    def __init__(self, folder: Path, faults: DiskFaults, station: Station, clock: FakeClock) -> None:
        self.folder, self.faults, self.station, self.clock = folder, faults, station, clock
        self.routes, self.crew = folder / "routes.kgo", folder / "crew.kgo"
        self.troubles: dict[str, Refusal | None] = {}
        self.start()

    def start(self) -> None:
        """As after a power cut: only the journal remembers."""
        self.files = RouteFiles(self.station, self.routes, self.crew, self.troubles.__setitem__)

    def look(self) -> None:
        """Five seconds later."""
        self.clock.advance(ms=LOOK_MS)
        self.files.look(self.clock.mono_ms())

    def said(self, name: str = "routes") -> type[Refusal] | None:
        refusal = self.troubles.get(name)
        return None if refusal is None else type(refusal)

    @property
    def counter(self) -> int | None:
        """Of the route file in force."""
        return None if self.files.routes is None else self.files.routes.held.version[1]


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Bus]:
    provision(tmp_path)
    sign_files(tmp_path)
    clock = FakeClock(NOW_S)
    with spoilt_disk(tmp_path.name) as faults, open_station(tmp_path, clock) as station:
        made = Bus(tmp_path, faults, station, clock)
        made.look()
        yield made
        faults.is_full = False


def test_what_lies_there_is_in_force_and_nothing_is_wrong(bus: Bus) -> None:
    assert bus.files.routes is not None and bus.files.routes.routes == TOWN
    assert bus.files.crew is not None and bus.files.crew.crew == CREW
    assert (bus.said("routes"), bus.said("crew")) == (None, None)


def test_a_newer_file_is_in_force_within_five_seconds_and_not_looked_for_before(bus: Bus) -> None:
    sign_file(bus.routes, OTHER_TOWN, 2)
    bus.clock.advance(ms=LOOK_MS - 1)
    bus.files.look(bus.clock.mono_ms())
    assert bus.counter == 1
    bus.clock.advance(ms=1)
    bus.files.look(bus.clock.mono_ms())
    assert bus.counter == 2 and bus.said() is None


def damaged(bus: Bus) -> None:
    raw = bytearray(bus.routes.read_bytes())
    raw[len(raw) // 2] ^= 1
    bus.routes.write_bytes(raw)


def cut_off(bus: Bus) -> None:
    bus.routes.write_bytes(bus.routes.read_bytes()[:-1])


def emptied(bus: Bus) -> None:
    bus.routes.write_bytes(b"")


def huge(bus: Bus) -> None:
    bus.routes.write_bytes(bytes(ROUTE_FILE_BYTES_MAX + 1))


def of_another_kind(bus: Bus) -> None:
    sign_file(bus.routes, CREW, 9)


def of_nobody(bus: Bus) -> None:
    sign_file(bus.routes, OTHER_TOWN, 9, key=SimulatedKey(0x666))


def a_folder(bus: Bus) -> None:
    bus.routes.unlink()
    bus.routes.mkdir()


def a_pipe(bus: Bus) -> None:
    bus.routes.unlink()
    os.mkfifo(bus.routes)


def a_terminal(bus: Bus) -> None:
    bus.routes.unlink()
    bus.routes.symlink_to("/dev/tty")


def a_link_to_itself(bus: Bus) -> None:
    bus.routes.unlink()
    bus.routes.symlink_to(bus.routes)


SPOILT = [damaged, cut_off, emptied, huge, of_another_kind, of_nobody, a_folder, a_pipe, a_terminal, a_link_to_itself]


@pytest.mark.parametrize("spoil", SPOILT)
def test_a_worse_file_is_told_and_the_one_before_stays(bus: Bus, spoil: Callable[[Bus], None]) -> None:
    spoil(bus)
    bus.look()
    assert bus.counter == 1 and bus.files.routes is not None and bus.files.routes.routes == TOWN
    assert bus.said() is not None
    bus.look()
    assert bus.said() is not None, "it stands until it is mended"


@pytest.mark.parametrize("spoil", SPOILT)
def test_a_bus_that_starts_with_a_bad_file_drives_as_soon_as_a_good_one_lies_there(
    bus: Bus, spoil: Callable[[Bus], None]
) -> None:
    spoil(bus)
    bus.start()
    bus.look()
    assert bus.counter is None and bus.said() is not None
    if bus.routes.is_dir():
        bus.routes.rmdir()
    bus.routes.unlink(missing_ok=True)
    sign_file(bus.routes, OTHER_TOWN, 3)
    bus.look()
    assert (bus.counter, bus.said()) == (3, None)


def test_an_older_one_is_told_and_not_taken_after_a_restart_either(bus: Bus) -> None:
    sign_file(bus.routes, OTHER_TOWN, 5)
    bus.look()
    sign_file(bus.routes, TOWN, 4)
    bus.look()
    assert (bus.counter, bus.said()) == (5, BulletinRollback)
    bus.start()
    bus.look()
    assert (bus.counter, bus.said()) == (None, BulletinRollback)
    sign_file(bus.routes, OTHER_TOWN, 5)
    bus.look()
    assert (bus.counter, bus.said()) == (5, None), "the same again is no step back"


def test_one_that_is_removed_stays_in_force_and_is_told_before_the_next_start_misses_it(bus: Bus) -> None:
    cut_off(bus)
    bus.look()
    assert bus.said() is RouteFileWrong
    bus.routes.unlink()
    bus.look()
    assert (bus.counter, bus.said()) == (1, RouteFileMissing)
    bus.crew.unlink()
    bus.look()
    assert bus.said("crew") is CrewFileMissing and bus.files.crew is not None
    sign_file(bus.routes, OTHER_TOWN, 2)
    bus.look()
    assert bus.counter == 2


def test_other_content_at_the_same_time_is_seen(bus: Bus) -> None:
    """`cp -p` and archives keep the time of what they copy."""
    before = bus.routes.stat()
    sign_file(bus.routes, OTHER_TOWN, 2)
    os.utime(bus.routes, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (bus.routes.stat().st_mtime_ns, bus.routes.stat().st_ino) == (before.st_mtime_ns, before.st_ino)
    bus.look()
    assert bus.counter == 2


def test_a_link_is_followed_to_what_it_shows_now(bus: Bus) -> None:
    first, second = bus.folder / "first", bus.folder / "second"
    sign_file(first, TOWN, 2)
    sign_file(second, OTHER_TOWN, 3)
    bus.routes.unlink()
    bus.routes.symlink_to(first)
    bus.look()
    assert bus.counter == 2
    bus.routes.unlink()
    bus.routes.symlink_to(second)
    bus.look()
    assert bus.counter == 3


def test_a_crew_file_that_others_read_is_taken_once_its_rights_are_mended(bus: Bus) -> None:
    sign_file(bus.crew, CREW, 2, mode=0o644)
    bus.look()
    assert bus.said("crew") is CrewFileExposed
    bus.crew.chmod(0o600)  # what its remedy says; the content's time stays
    bus.look()
    assert bus.said("crew") is None
    assert bus.files.crew is not None and bus.files.crew.held.version == (1, 2)


def test_a_file_of_a_key_that_is_not_known_yet_is_taken_when_the_key_comes(bus: Bus) -> None:
    sign_file(bus.routes, OTHER_TOWN, 2, key=NEW_KEY_TEST_ONLY)
    bus.look()
    assert (bus.counter, bus.said()) == (1, UnknownIssuer)
    _first, digest = trust_list()
    keys = keys_of(*ROLES, (KeyRole.BULLETIN, NEW_KEY_TEST_ONLY))
    assert bus.station.trust.accept([trust_list(2, digest, keys=keys)[0]])
    bus.look()
    assert (bus.counter, bus.said()) == (2, None)


def test_on_a_full_disk_it_is_not_taken_and_tried_again(bus: Bus) -> None:
    """What is in force without its version kept could be taken back by a power cut."""
    fill(bus.station.journal, bus.faults)
    sign_file(bus.routes, OTHER_TOWN, 2)
    bus.look()
    assert (bus.counter, bus.said()) == (1, StorageFull)
    bus.faults.is_full = False
    bus.look()
    assert (bus.counter, bus.said()) == (2, None)
    assert bus.station.journal.meta_get(ROUTES_VERSION_META) == cbor.encode([1, 2])


def test_its_days_end_while_it_runs(bus: Bus) -> None:
    bus.clock.advance(ms=(LIFE_S - 60 - 10) * 1_000)
    bus.look()
    assert bus.said() is None
    bus.clock.advance(ms=10_000)
    bus.look()
    assert (bus.counter, bus.said(), bus.said("crew")) == (1, RouteFileOutOfDate, RouteFileOutOfDate)
    sign_file(bus.routes, OTHER_TOWN, 2, from_s=NOW_S + LIFE_S - 60)
    bus.look()
    assert (bus.counter, bus.said()) == (2, None)


def test_without_names_nothing_is_looked_for(bus: Bus) -> None:
    files = RouteFiles(bus.station, None, None, lambda _name, refusal: pytest.fail(str(refusal)) if refusal else None)
    files.look(0)
    assert files.routes is None and files.crew is None


def test_a_file_that_was_never_there_is_told_and_taken_when_it_comes(bus: Bus) -> None:
    for path in (bus.routes, bus.crew):
        path.unlink()
    bus.start()
    bus.look()
    assert (bus.counter, bus.said(), bus.said("crew")) == (None, RouteFileMissing, CrewFileMissing)
    bus.look()
    assert (bus.said(), bus.said("crew")) == (RouteFileMissing, CrewFileMissing), "it stands until it is there"
    sign_file(bus.routes, TOWN, 1)
    bus.look()
    assert (bus.counter, bus.said(), bus.said("crew")) == (1, None, CrewFileMissing)
