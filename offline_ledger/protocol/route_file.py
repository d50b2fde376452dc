"""The compact route file that a validator carries: bytes <-> routes, stops and patterns. Pure. DESIGN §2, §3, §4.

It is a bulletin of a kind that travels as a file and never by sync (decision 0140): the city's bulletin key signs it,
so a stop or a route that somebody else wrote is noticed. `kgo-city routes` compiles it from a GTFS feed on the desk.
Never reads a feed, never verifies a signature, never knows where the bus is.
"""

from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import NamedTuple

from offline_ledger.errors import Refusal, RouteFileWrong
from offline_ledger.protocol import cose
from offline_ledger.protocol.city import BULLETIN, Bulletin
from offline_ledger.protocol.cose import Signed
from offline_ledger.protocol.fields import Field, Layout, items, row, text, uint
from offline_ledger.protocol.kinds import CITY_OBJECT_BYTES_MAX, Kind
from offline_ledger.protocol.wallet import ID_CHARACTERS_MAX

ROUTES_KIND = 5
"""Its number among the bulletin kinds; not one that sync carries, so a shop never loads the bus's stops."""
ROUTE_FILE_BYTES_MAX = CITY_OBJECT_BYTES_MAX
"""As for every bulletin: about 1,700 stops and 300 patterns with names in two languages (measured 151 bytes a stop)."""
ROUTES_MAX = 200
STOPS_MAX = 2_000
PATTERNS_MAX = 400
PATTERN_STOPS_MAX = 150
STARTS_MAX = 300
"""Departures of one pattern: one every five minutes, day and night, is 288."""
START_MINUTE_MAX = 48 * 60 - 1
"""GTFS counts a late run beyond midnight on: 25:10 is ten past one of the next day."""
NAME_CHARACTERS_MAX = 64
SHORT_NAME_CHARACTERS_MAX = 16
DIRECTION_MAX = 1
LATITUDE_E6_MAX = 90_000_000
LONGITUDE_E6_MAX = 180_000_000
DIGEST_SHOWN = 16
"""Hexadecimal digits of the digest that a person compares; all 64 stand in the city's output too."""


class Route(NamedTuple):
    """A line as passengers know it. `route_id`: GTFS."""

    route_id: str
    short_name: str
    name_th: str
    name_en: str


class Stop(NamedTuple):
    """Where people get on. Degrees in millionths (0.11 m of latitude)."""

    stop_id: str
    name_th: str
    name_en: str
    latitude_e6: int
    longitude_e6: int


class Pattern(NamedTuple):
    """One way of driving a route: its stops in order. `route`: place among the routes; `stops`: places among the stops;
    `starts`: minutes after midnight in Bangkok at which the feed has a departure, rising, may be none."""

    route: int
    direction: int
    headsign_th: str
    headsign_en: str
    stops: tuple[int, ...]
    starts: tuple[int, ...]


class RouteFile(NamedTuple):
    """All that a validator knows of the network. Of one direction the usual pattern stands first."""

    agency: str
    feed_version: str
    routes: tuple[Route, ...]
    stops: tuple[Stop, ...]
    patterns: tuple[Pattern, ...]

    def stops_of(self, pattern: Pattern) -> tuple[Stop, ...]:
        """Its stops in order."""
        return tuple(self.stops[at] for at in pattern.stops)

    def patterns_of(self, route_id: str) -> tuple[Pattern, ...]:
        """Every pattern of a route, as the file has them."""
        return tuple(one for one in self.patterns if self.routes[one.route].route_id == route_id)

    def pattern_for(self, route_id: str, direction: int) -> Pattern | None:
        """The usual pattern of one direction."""
        return next((one for one in self.patterns_of(route_id) if one.direction == direction), None)


class SignedRoutes(NamedTuple):
    """A route file as it came: parsed, not yet verified."""

    bulletin: Bulletin
    routes: RouteFile
    signed: Signed

    @property
    def digest(self) -> str:
        """SHA-256 of the file, in hexadecimal: what the technician holds against the city's output."""
        return digest_of(self.signed.raw)


_ROW_OF_ROUTE = row(
    text(ID_CHARACTERS_MAX), text(SHORT_NAME_CHARACTERS_MAX), text(NAME_CHARACTERS_MAX), text(NAME_CHARACTERS_MAX)
)
_ROW_OF_STOP = row(
    text(ID_CHARACTERS_MAX),
    text(NAME_CHARACTERS_MAX),
    text(NAME_CHARACTERS_MAX),
    uint(LATITUDE_E6_MAX, -LATITUDE_E6_MAX),
    uint(LONGITUDE_E6_MAX, -LONGITUDE_E6_MAX),
)
_ROW_OF_PATTERN = row(
    uint(ROUTES_MAX - 1),
    uint(DIRECTION_MAX),
    text(NAME_CHARACTERS_MAX),
    text(NAME_CHARACTERS_MAX),
    items(uint(STOPS_MAX - 1), PATTERN_STOPS_MAX, 2),
    items(uint(START_MINUTE_MAX), STARTS_MAX),
)
ROUTE_FILE = Layout(
    RouteFile,
    Field(1, "agency", text(NAME_CHARACTERS_MAX)),
    Field(2, "feed_version", text(ID_CHARACTERS_MAX)),
    Field(3, "routes", items(_ROW_OF_ROUTE, ROUTES_MAX, 1)),
    Field(4, "stops", items(_ROW_OF_STOP, STOPS_MAX, 2)),
    Field(5, "patterns", items(_ROW_OF_PATTERN, PATTERNS_MAX, 1)),
)


def encode_routes(routes: RouteFile) -> Mapping[int, object]:
    """The body of the bulletin. Raises RouteFileWrong: what nobody could read is never signed."""
    body = ROUTE_FILE.to_map(routes)
    decode_routes(body)
    return body


def decode_routes(body: Mapping[int, object]) -> RouteFile:
    """What the body says, judged as a whole. Raises RouteFileWrong."""
    try:
        raw = ROUTE_FILE.from_map(dict(body))
    except Refusal as refusal:
        raise RouteFileWrong(str(refusal)) from refusal
    found = RouteFile(
        raw.agency,
        raw.feed_version,
        tuple(Route(*one) for one in raw.routes),
        tuple(Stop(*one) for one in raw.stops),
        tuple(Pattern(*one) for one in raw.patterns),
    )
    problem = next(_problems(found), None)
    if problem is not None:
        raise problem
    return found


def _problems(found: RouteFile) -> Iterator[RouteFileWrong]:
    """What no layout can say: names given twice, places that are none."""
    routes, stops = [one.route_id for one in found.routes], [one.stop_id for one in found.stops]
    if len(set(routes)) < len(routes):
        yield RouteFileWrong("a route twice")
    if len(set(stops)) < len(stops):
        yield RouteFileWrong("a stop twice")
    driven: set[tuple[int, int, tuple[int, ...]]] = set()
    for pattern in found.patterns:
        if pattern.route >= len(routes) or max(pattern.stops) >= len(stops):
            yield RouteFileWrong("a pattern names what is not there")
        if any(one == after for one, after in zip(pattern.stops, pattern.stops[1:], strict=False)):
            yield RouteFileWrong("a pattern stops twice at one stop in a row")
        if list(pattern.starts) != sorted(set(pattern.starts)):
            yield RouteFileWrong("departures that do not rise")
        if (key := (pattern.route, pattern.direction, pattern.stops)) in driven:
            yield RouteFileWrong("a pattern twice")
        driven.add(key)
    if {one.route for one in found.patterns} != set(range(len(routes))):
        yield RouteFileWrong("a route without stops")


def parse_route_file(raw: bytes, city: str) -> SignedRoutes:
    """Split and judge a file without trusting it; the caller verifies `signed`. Raises RouteFileWrong: no route file,
    damaged, or of another city (its `external_aad` would not verify either)."""
    try:
        signed = cose.parse_sign1(raw, cose.external_aad(Kind.BULLETIN, city), ROUTE_FILE_BYTES_MAX)
        bulletin = BULLETIN.decode(signed.payload, ROUTE_FILE_BYTES_MAX)
    except Refusal as refusal:
        raise RouteFileWrong(str(refusal)) from refusal
    if bulletin.kind != ROUTES_KIND:
        raise RouteFileWrong(f"a bulletin of kind {bulletin.kind}")
    if bulletin.city != city:
        raise RouteFileWrong(f"of the city {bulletin.city}")
    return SignedRoutes(bulletin, decode_routes(bulletin.body), signed)


def digest_of(raw: bytes) -> str:
    """SHA-256 of a whole file, in hexadecimal."""
    return sha256(raw).hexdigest()
