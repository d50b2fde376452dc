"""A GTFS feed compiled into the compact route file of a validator. DESIGN §2 (GTFS names and ids), §3.

Trips that stop at the same stops in the same order are one pattern; what is kept of each trip is when it starts. A
voucher's place carries ids of at most 32 characters, so longer ones are mistakes here. All mistakes are reported at
once. Never writes a file, never signs.
"""

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from offline_ledger.city.routes_feed import Line, Problems, read_feed
from offline_ledger.errors import FeedTooLarge
from offline_ledger.protocol.route_file import (
    LATITUDE_E6_MAX,
    LONGITUDE_E6_MAX,
    NAME_CHARACTERS_MAX,
    PATTERN_STOPS_MAX,
    PATTERNS_MAX,
    ROUTES_MAX,
    SHORT_NAME_CHARACTERS_MAX,
    START_MINUTE_MAX,
    STARTS_MAX,
    STOPS_MAX,
    Pattern,
    Route,
    RouteFile,
    Stop,
)
from offline_ledger.protocol.wallet import ID_CHARACTERS_MAX
from offline_ledger.texts import Texts

DEGREES_PLACES = 6
SEQUENCE_DIGITS_MAX = 9
HEADWAY_S_MIN = 60
_DEGREES = re.compile(r"(-?)([0-9]{1,3})(?:\.([0-9]{1,20}))?")
_TIME = re.compile(r"([0-9]{1,2}):([0-5][0-9]):([0-5][0-9])")
_LANGUAGES = ("th", "en")
_NO_STOP = ("1", "2", "3", "4")
"""location_type of stations, entrances, nodes and boarding areas: nobody is picked up there."""


@dataclass
class _Trip:
    line: int
    route_id: str
    direction: int
    headsign: tuple[str, str]
    stops: list[tuple[int, str, int | None, int]] = field(default_factory=list[tuple[int, str, int | None, int]])
    """(stop_sequence, stop_id, minute of departure, line)"""


def compile_feed(path: Path, texts: Texts) -> RouteFile:
    """The route file of a feed (zip or folder). Raises FileUnusable, FeedTooLarge, FeedWrong with every mistake in the
    language of `texts`."""
    problems = Problems(texts)
    tables = read_feed(path, problems)
    return _Compiler(tables, problems).compiled()


class _Compiler:
    """One feed: its tables by name, and what is wrong with them."""

    def __init__(self, tables: dict[str, list[Line]], problems: Problems) -> None:
        self._tables = tables
        self._problems = problems
        self._language = self._default_language()
        self._translated = self._translations()

    def compiled(self) -> RouteFile:
        """Raises FeedWrong, FeedTooLarge."""
        routes, stops = self._routes(), self._stops()
        trips = self._trips(routes)
        self._stop_times(trips, stops)
        starts = self._frequencies(trips)
        self._problems.stop_if_any()
        driven = _grouped(trips, starts)
        found = self._put_together(routes, stops, driven)
        self._problems.stop_if_any()
        return found

    # --- names in two languages

    def _default_language(self) -> str:
        for file, column in (("feed_info.txt", "feed_lang"), ("agency.txt", "agency_lang")):
            for line in self._tables.get(file, []):
                said = line.get(column).lower()[:2]
                if said in _LANGUAGES:
                    return said
        return "th"

    def _translations(self) -> dict[tuple[str, str, str, str], str]:
        found: dict[tuple[str, str, str, str], str] = {}
        for line in self._tables.get("translations.txt", []):
            language = line.get("language").lower()[:2]
            if language in _LANGUAGES and line.get("translation"):
                which = line.get("record_id") or f"={line.get('field_value')}"
                found[line.get("table_name"), line.get("field_name"), which, language] = line.get("translation")
        return found

    def _both(self, file: str, line: int, name: str, value: str, record_id: str) -> tuple[str, str]:
        """The Thai and the English of a field; the feed's own where there is no translation."""
        table = file.removesuffix(".txt")
        found: list[str] = []
        for language in _LANGUAGES:
            by_id = self._translated.get((table, name, record_id, language))
            by_value = self._translated.get((table, name, f"={value}", language))
            found.append(value if language == self._language else by_id or by_value or value)
        for said in dict.fromkeys(found):
            self._check_text(file, line, name, said, NAME_CHARACTERS_MAX)
        return found[0], found[1]

    def _check_text(self, file: str, line: int, name: str, said: str, characters_max: int) -> bool:
        if 1 <= len(said) <= characters_max and said.isprintable():
            return True
        key = "empty" if not said else "unprintable" if len(said) <= characters_max else "long"
        self._problems.add(file, line, key, column=name, value=said[:40], high=characters_max)
        return False

    def _id(self, file: str, line: Line, column: str, known: dict[str, int]) -> str:
        """An id that is new in its file, or empty."""
        said = line.get(column)
        if not self._check_text(file, line.number, column, said, ID_CHARACTERS_MAX):
            return ""
        if said in known:
            self._problems.add(file, line.number, "twice", column=column, value=said, first=known[said])
            return ""
        known[said] = line.number
        return said

    # --- tables

    def _routes(self) -> dict[str, Route]:
        found: dict[str, Route] = {}
        known: dict[str, int] = {}
        for line in self._tables["routes.txt"]:
            route_id = self._id("routes.txt", line, "route_id", known)
            if not route_id:
                continue
            short, long = line.get("route_short_name"), line.get("route_long_name")
            short = short or route_id[:SHORT_NAME_CHARACTERS_MAX]
            self._check_text("routes.txt", line.number, "route_short_name", short, SHORT_NAME_CHARACTERS_MAX)
            names = self._both("routes.txt", line.number, "route_long_name", long or short, route_id)
            found[route_id] = Route(route_id, short, *names)
        return found

    def _stops(self) -> dict[str, Stop]:
        found: dict[str, Stop] = {}
        known: dict[str, int] = {}
        for line in self._tables["stops.txt"]:
            if line.get("location_type") in _NO_STOP:
                continue
            stop_id = self._id("stops.txt", line, "stop_id", known)
            if not stop_id:
                continue
            latitude = self._degrees(line, "stop_lat", LATITUDE_E6_MAX)
            longitude = self._degrees(line, "stop_lon", LONGITUDE_E6_MAX)
            if latitude == longitude == 0:
                self._problems.add("stops.txt", line.number, "null_island", value=stop_id)
            names = self._both("stops.txt", line.number, "stop_name", line.get("stop_name"), stop_id)
            found[stop_id] = Stop(stop_id, *names, latitude or 0, longitude or 0)
        return found

    def _degrees(self, line: Line, column: str, e6_max: int) -> int | None:
        found = _DEGREES.fullmatch(line.get(column))
        if found is not None:
            digits = (found[3] or "").ljust(DEGREES_PLACES, "0")[:DEGREES_PLACES]
            e6 = int(found[2]) * 10**DEGREES_PLACES + int(digits)
            if e6 <= e6_max:
                return -e6 if found[1] else e6
        self._problems.add("stops.txt", line.number, "degrees", column=column, value=line.get(column)[:40])
        return None

    def _trips(self, routes: dict[str, Route]) -> dict[str, _Trip]:
        found: dict[str, _Trip] = {}
        known: dict[str, int] = {}
        for line in self._tables["trips.txt"]:
            trip_id, route_id = line.get("trip_id"), line.get("route_id")
            if not trip_id or trip_id in known:
                key = "twice" if trip_id else "empty"
                self._problems.add("trips.txt", line.number, key, column="trip_id", value=trip_id[:40],
                                   first=known.get(trip_id, 0))  # fmt: skip
                continue
            known[trip_id] = line.number
            if route_id not in routes:
                self._problems.add("trips.txt", line.number, "unknown", column="route_id", value=route_id[:40])
                continue
            direction = line.get("direction_id") or "0"
            if direction not in ("0", "1"):
                self._problems.add("trips.txt", line.number, "direction", value=direction[:40])
                continue
            said = line.get("trip_headsign")
            headsign = self._both("trips.txt", line.number, "trip_headsign", said, trip_id) if said else ("", "")
            found[trip_id] = _Trip(line.number, route_id, int(direction), headsign)
        return found

    def _stop_times(self, trips: dict[str, _Trip], stops: dict[str, Stop]) -> None:
        file = "stop_times.txt"
        known = {line.get("trip_id") for line in self._tables["trips.txt"]}
        for line in self._tables[file]:
            trip_id, stop_id, sequence = line.get("trip_id"), line.get("stop_id"), line.get("stop_sequence")
            if trip_id not in known:
                self._problems.add(file, line.number, "unknown", column="trip_id", value=trip_id[:40])
                continue
            if stop_id not in stops:
                self._problems.add(file, line.number, "unknown", column="stop_id", value=stop_id[:40])
                continue
            if not (sequence.isascii() and sequence.isdigit() and len(sequence) <= SEQUENCE_DIGITS_MAX):
                self._problems.add(file, line.number, "number", column="stop_sequence", value=sequence[:40])
                continue
            time = line.get("departure_time") or line.get("arrival_time")
            seconds = self._seconds(file, line.number, "departure_time", time) if time else None
            if trip_id in trips:
                minute = None if seconds is None else seconds // 60
                trips[trip_id].stops.append((int(sequence), stop_id, minute, line.number))
        for trip_id, trip in trips.items():
            trip.stops.sort()
            for before, after in zip(trip.stops, trip.stops[1:], strict=False):
                if before[0] == after[0]:
                    self._problems.add(file, after[3], "sequence_twice", value=after[0], trip=trip_id[:40])
                elif before[1] == after[1]:
                    self._problems.add(file, after[3], "stop_in_a_row", value=after[1], trip=trip_id[:40])
            if not 2 <= len(trip.stops) <= PATTERN_STOPS_MAX:
                count, high = len(trip.stops), PATTERN_STOPS_MAX
                self._problems.add("trips.txt", trip.line, "stops_of_trip", value=trip_id[:40], count=count, high=high)

    def _seconds(self, file: str, number: int, column: str, said: str) -> int | None:
        found = _TIME.fullmatch(said)
        seconds = int(found[1]) * 3600 + int(found[2]) * 60 + int(found[3]) if found else -1
        if 0 <= seconds <= START_MINUTE_MAX * 60 + 59:
            return seconds
        self._problems.add(file, number, "time", column=column, value=said[:40])
        return None

    def _frequencies(self, trips: dict[str, _Trip]) -> dict[str, set[int]]:
        """Departures of trips that run every so many seconds; such a trip's own times are only a pattern."""
        file = "frequencies.txt"
        found: dict[str, set[int]] = defaultdict(set)
        for line in self._tables.get(file, []):
            trip_id = line.get("trip_id")
            first = self._seconds(file, line.number, "start_time", line.get("start_time"))
            end = self._seconds(file, line.number, "end_time", line.get("end_time"))
            headway = line.get("headway_secs")
            if trip_id not in trips:
                self._problems.add(file, line.number, "unknown", column="trip_id", value=trip_id[:40])
            elif not (headway.isascii() and headway.isdigit() and HEADWAY_S_MIN <= int(headway[:9]) <= 86_400):
                self._problems.add(file, line.number, "number", column="headway_secs", value=headway[:40])
            elif first is not None and end is not None:
                found[trip_id] |= {second // 60 for second in range(first, end, int(headway[:9]))}
        return found

    # --- the whole

    def _put_together(
        self, routes: dict[str, Route], stops: dict[str, Stop], driven: list[tuple["_Key", "_Driven"]]
    ) -> RouteFile:
        on_routes = {route_id for (route_id, _direction, _stops), _ in driven}
        at_stops = {stop_id for (_route, _direction, stop_ids), _ in driven for stop_id in stop_ids}
        used_routes = [one for one in routes.values() if one.route_id in on_routes]
        used_stops = [one for one in stops.values() if one.stop_id in at_stops]
        for count, high, what in (
            (len(used_routes), ROUTES_MAX, "routes"),
            (len(used_stops), STOPS_MAX, "stops"),
            (len(driven), PATTERNS_MAX, "patterns"),
        ):
            if count > high:
                raise FeedTooLarge(f"{count} {what}, at most {high}")
        if not driven:
            self._problems.add("trips.txt", 1, "no_trips")
        route_at = {one.route_id: at for at, one in enumerate(used_routes)}
        stop_at = {one.stop_id: at for at, one in enumerate(used_stops)}
        patterns: list[Pattern] = []
        for (route_id, direction, stop_ids), run in driven:
            if len(run.starts) > STARTS_MAX:
                self._problems.add("stop_times.txt", run.line, "starts", value=route_id, high=STARTS_MAX)
                continue
            last = stops[stop_ids[-1]]
            (thai, english), _count = run.headsigns.most_common(1)[0]
            places = tuple(stop_at[stop_id] for stop_id in stop_ids)
            headsign = (thai or last.name_th, english or last.name_en)
            patterns.append(Pattern(route_at[route_id], direction, *headsign, places, tuple(sorted(run.starts))))
        agency = self._tables["agency.txt"][0].get("agency_name") if self._tables["agency.txt"] else ""
        self._check_text("agency.txt", 2, "agency_name", agency, NAME_CHARACTERS_MAX)
        info = self._tables.get("feed_info.txt", [])
        version = info[0].get("feed_version") if info else ""
        if version:
            self._check_text("feed_info.txt", info[0].number, "feed_version", version, ID_CHARACTERS_MAX)
        return RouteFile(agency, version or "-", tuple(used_routes), tuple(used_stops), tuple(patterns))


@dataclass
class _Driven:
    """All trips of one pattern."""

    line: int
    trips: int = 0
    starts: set[int] = field(default_factory=set[int])
    headsigns: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])


_Key = tuple[str, int, tuple[str, ...]]


def _grouped(trips: dict[str, _Trip], starts: dict[str, set[int]]) -> list[tuple[_Key, _Driven]]:
    """(route, direction, stops) → its trips; of each route and direction the one with most trips first."""
    found: dict[_Key, _Driven] = {}
    for trip_id, trip in trips.items():
        key = (trip.route_id, trip.direction, tuple(stop_id for _sequence, stop_id, _minute, _line in trip.stops))
        run = found.setdefault(key, _Driven(trip.stops[0][3]))
        minutes = starts.get(trip_id)
        if minutes is None:
            first = trip.stops[0][2]
            minutes = set[int]() if first is None else {first}
        run.trips += max(1, len(minutes))
        run.starts |= minutes
        run.headsigns[trip.headsign] += 1
    order = {route_id: at for at, route_id in enumerate(dict.fromkeys(key[0] for key in found))}
    return sorted(found.items(), key=lambda one: (order[one[0][0]], one[0][1], -one[1].trips))
