"""A validator with crew, routes and a satellite receiver, beside its head and cards. Keys are TEST ONLY."""

import contextlib
import random
import time
from collections.abc import Iterator
from pathlib import Path

from offline_ledger.city.routes import compile_feed
from offline_ledger.city.routes_crew import read_crew
from offline_ledger.protocol import cose
from offline_ledger.protocol.city import BULLETIN, Bulletin
from offline_ledger.protocol.crew_file import CREW_KIND, encode_crew
from offline_ledger.protocol.kinds import Kind
from offline_ledger.protocol.route_file import ROUTES_KIND, RouteFile, encode_routes
from offline_ledger.texts import Texts
from simulators.gps import SimulatedGps
from simulators.sample_town import CREW_LIST, FEED
from tests.processes.full_bus import FullBus, full_bus
from tests.terminal.city_in_test import BULLETIN_TEST_ONLY, CITY

DRIVER, PIN = "D-01", "274905"
TRIP_SETTINGS = '[trip]\nroutes_file = "routes.kgo"\ncrew_file = "crew.kgo"\n'
SETTINGS = TRIP_SETTINGS + '[gps]\nport = "gps"\n'


def sign(path: Path, kind: int, body: object, counter: int) -> None:
    """A file of the city's, good for these days."""
    now_s = int(time.time())
    made = Bulletin(CITY, kind, (1, counter), now_s - 60, now_s - 60, now_s + 90_000, body)  # type: ignore[arg-type]
    key = BULLETIN_TEST_ONLY
    raw = cose.sign1(BULLETIN.encode(made), cose.external_aad(Kind.BULLETIN, CITY), key.key_id, key.sign).raw
    path.write_bytes(raw)
    path.chmod(0o600)


def sign_files(folder: Path) -> RouteFile:
    """The sample town's routes and crew, as the city would sign them."""
    texts = Texts("en")
    routes = compile_feed(FEED, texts)
    crew = read_crew(CREW_LIST.read_bytes(), "transit", str(CREW_LIST), texts, random.Random(1).randbytes)
    sign(folder / "routes.kgo", ROUTES_KIND, encode_routes(routes), 1)
    sign(folder / "crew.kgo", CREW_KIND, encode_crew(crew), 1)
    return routes


@contextlib.contextmanager
def driven_bus(folder: Path, *, cards: bool = False) -> Iterator[tuple[FullBus, SimulatedGps, RouteFile]]:
    """The sample town's route 8 lies before its receiver."""
    routes = sign_files(folder)
    pattern = next(one for one in routes.patterns if routes.routes[one.route].route_id == "8" and one.direction == 0)
    way = [(stop.latitude_e6, stop.longitude_e6) for stop in routes.stops_of(pattern)]
    with SimulatedGps(folder / "gps", way, start_utc_s=int(time.time())) as gps:
        with full_bus(folder, cards=cards, trip=None, settings=SETTINGS) as bus:
            yield bus, gps, routes
