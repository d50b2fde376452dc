"""A validator's own things in one process: station, journal, crew and routes; the disk is the test's to spoil."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

from bus_validator.trip import Run
from offline_ledger.errors import StorageFull
from offline_ledger.protocol import cose
from offline_ledger.protocol.city import BULLETIN, Bulletin
from offline_ledger.protocol.crew_file import CREW_KIND, Crew, encode_crew
from offline_ledger.protocol.device import DeviceRole
from offline_ledger.protocol.kinds import Kind
from offline_ledger.protocol.route_file import ROUTES_KIND, RouteFile, encode_routes
from offline_ledger.rules.limits import Limits
from offline_ledger.terminal.journal import Journal
from offline_ledger.terminal.own_identity import DeviceFiles
from offline_ledger.terminal.station import Station, StationSettings
from simulators.clock import FakeClock
from simulators.keys import SimulatedKey
from simulators.storage.disk import DiskFaults, simulated_disk
from tests.protocol.test_crew_file import CREW
from tests.protocol.test_route_file import TOWN
from tests.terminal.city_in_test import BULLETIN_TEST_ONLY, CITY, DEVICE, NOW_S
from tests.terminal.provisioned import provision_bus

LIFE_S = 90_000


def sign_file(
    path: Path,
    body: RouteFile | Crew,
    counter: int = 1,
    *,
    key: SimulatedKey = BULLETIN_TEST_ONLY,
    from_s: int = NOW_S - 60,
    mode: int = 0o600,
) -> Path:
    """A file of the city's, put in the place of the one before, as whoever copies one does."""
    is_routes = isinstance(body, RouteFile)
    kind, said = (ROUTES_KIND, encode_routes(body)) if is_routes else (CREW_KIND, encode_crew(body))
    made = Bulletin(CITY, kind, (1, counter), NOW_S - 60, from_s, from_s + LIFE_S, said)
    raw = cose.sign1(BULLETIN.encode(made), cose.external_aad(Kind.BULLETIN, CITY), key.key_id, key.sign).raw
    path.write_bytes(raw)
    path.chmod(mode)
    return path


def sign_files(folder: Path) -> tuple[Path, Path]:
    """Routes and crew."""
    return sign_file(folder / "routes.kgo", TOWN), sign_file(folder / "crew.kgo", CREW)


def provision(folder: Path) -> Path:
    """As enrolment and a first sync left it, without a trip; the settings file."""
    return provision_bus(folder, NOW_S, folder / "scanner", trip=None)


@contextmanager
def spoilt_disk(name: str) -> Iterator[DiskFaults]:
    """Every journal that is opened meanwhile lies on this disk."""
    faults, usual = DiskFaults(), Journal.open
    with simulated_disk(f"crewed-{name}", faults) as disk, pytest.MonkeyPatch.context() as patched:
        patched.setattr(Journal, "open", partial(usual, vfs=disk.name))
        yield faults


def fill(journal: Journal, faults: DiskFaults) -> None:
    """The disk is full from here on, and so are the log and the room that was kept for emptying it."""
    faults.is_full = True
    written, before = 0, -1
    while written != before:
        before = written
        for size in (200_000, 4_000, 1):
            with suppress(StorageFull):
                for _ in range(1_000):
                    journal.meta_put(f"test.{written}", bytes(size))
                    written += 1
        with suppress(StorageFull):
            journal.flush()  # empties the log, if there is room


@contextmanager
def open_station(folder: Path, clock: FakeClock) -> Iterator[Station]:
    """The one of a provisioned folder, with a time that the city has said."""
    files = DeviceFiles(folder / "device.key", folder / "device.cert", folder / "trust.list")
    settings = StationSettings(
        CITY, DEVICE, DeviceRole.VALIDATOR, files, folder / "journal.db", folder / "deny", "kgo-bus test"
    )
    station = Station(settings, clock, Limits())
    station.keeper.heard_time_answer(clock.wall_s(), clock.mono_ms(), clock.mono_ms())
    try:
        yield station
    finally:
        station.close()


def typed_run(route: str, trip: str, stop: str | None) -> Run:
    """A run that no route file knows."""
    return Run(route, 0, trip, None, 0, stop or "", 0, 0, 0, 0)
