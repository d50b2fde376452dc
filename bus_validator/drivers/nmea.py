"""NMEA 0183 as a GPS receiver sends it: bytes to fixes. Pure. DESIGN §3, §5; the sentences RMC and GGA.

A sentence without a right checksum is no sentence. Position and speed are RMC's, quality and satellites the newest
GGA's: of the same second, or, where a receiver sends it last, of the one before. A date before 2020 is a receiver that
counts its weeks wrong or does not know yet: its position is used, its time is not. Never reads a port, never decides
which stop it is, never sets a clock.
"""

import re
from collections import deque
from datetime import UTC, datetime
from typing import NamedTuple

import pynmea2

from offline_ledger.errors import GpsDateWrong, GpsGarbled, GpsNoFix, Refusal

LINE_BYTES_MAX = 160
"""The standard says 82; receivers send longer ones of their own."""
GARBLED_BYTES_MAX = 2_048
"""So much without one right sentence is no noise any more: two seconds of a receiver at 9600 baud."""
NO_FIX_S = 60
"""A warm receiver needs a few seconds, a cold one under half a minute in the open; after this it is told, once."""
SATELLITES_MIN = 4
"""Three give a flat guess, and no time that can be trusted."""
GGA_MS_MAX = 1_500
"""So long a GGA counts: receivers send one a second, before or after the RMC."""
SETTLED_FIXES = 10
"""Seconds that a receiver's time must run with ours before it is offered: a cold one starts with its battery's."""
DRIFT_MS_MAX = 1_500
LATE_MS, TIME_ERROR_MS = 500, 1_000
"""The sentence of a second ends between 0.05 and 1 s after it at 9600 baud: the middle, and as much to both sides as
the rest of the way to this program may take."""
YEAR_MIN, YEAR_MAX = 2020, 2099
CENTURY_TURN = 80
"""Two digits from here on are of the last century: GPS began in 1980."""
KNOT_MM_S_PER_MILLE = 514_444
SPEED_MM_S_MAX = 60_000
"""216 km/h: no bus; a wild figure from a receiver that has just woken."""

_COORDINATE = re.compile(r"([0-9]{2,3})([0-9]{2})\.([0-9]{1,7})")
_DECIMAL = re.compile(r"([0-9]{1,5})(?:\.([0-9]{1,6}))?")
_TIME = re.compile(r"([01][0-9]|2[0-3])([0-5][0-9])([0-5][0-9]|60)(?:\.([0-9]{1,6}))?")
_DATE = re.compile(r"(0[1-9]|[12][0-9]|3[01])(0[1-9]|1[0-2])([0-9]{2})")


class Fix(NamedTuple):
    """Where the bus is, in millionths of degrees. `utc_ms`: None when the date is impossible. `quality`: GGA's, 1 for a
    plain fix, 0 when no GGA came lately. `at_mono_ms`: when it arrived, by the driver's monotonic clock."""

    latitude_e6: int
    longitude_e6: int
    speed_mm_s: int | None
    course_cdeg: int | None
    utc_ms: int | None
    quality: int
    satellites: int
    at_mono_ms: int


class GpsTime(NamedTuple):
    """What satellites say about the time, as `rules.clock.apply_gps` takes it."""

    said_ms: int
    error_ms: int
    mono_ms: int


class NmeaReader:
    """The state of one receiver's stream; `mono_ms` is any monotonic clock in milliseconds."""

    def __init__(self) -> None:
        self._line = bytearray()
        self._skipping = False
        self._since_good = 0
        self._garbled_told = self._no_fix_told = self._date_told = False
        self._no_fix_since_ms: int | None = None
        self._gga: tuple[int, int, int] | None = None  # when it came, quality, satellites
        self._refusals: deque[Refusal] = deque(maxlen=8)
        self._last: Fix | None = None
        self._settled = 0
        self.sentences = self.bad_lines = self.without_fix = 0

    @property
    def time(self) -> GpsTime | None:
        """The receiver's time, once it has proved itself; None before, and without enough satellites."""
        last = self._last
        if last is None or last.utc_ms is None or self._settled < SETTLED_FIXES or last.satellites < SATELLITES_MIN:
            return None
        return GpsTime(last.utc_ms + LATE_MS, TIME_ERROR_MS, last.at_mono_ms)

    def push(self, received: bytes, mono_ms: int) -> list[Fix]:
        """The fixes that these bytes complete."""
        fixes: list[Fix] = []
        self._since_good += len(received)
        for piece in received.replace(b"\r", b"\n").splitlines(keepends=True):
            ended = piece.endswith(b"\n")
            body = piece.rstrip(b"\n")
            if self._skipping or len(self._line) + len(body) > LINE_BYTES_MAX:
                self.bad_lines += not self._skipping
                self._line.clear()
                self._skipping = not ended
                continue
            self._line += body
            if ended and self._line:
                line = bytes(self._line)
                self._line.clear()
                fix = self._read(line, mono_ms)
                if fix is not None:
                    fixes.append(fix)
        if self._since_good > GARBLED_BYTES_MAX:
            self._since_good = 0
            if not self._garbled_told:
                self._garbled_told = True
                self._refusals.append(GpsGarbled(f"{GARBLED_BYTES_MAX} bytes without a sentence"))
        return fixes

    def drop(self) -> None:
        """The port was lost: nothing goes on from here."""
        self._line.clear()
        self._skipping = False
        self._since_good = self._settled = 0
        self._last = self._gga = self._no_fix_since_ms = None

    def take_refusals(self) -> list[Refusal]:
        """What was told since the last call: each trouble once, and again only after it was over."""
        taken = list(self._refusals)
        self._refusals.clear()
        return taken

    def _read(self, line: bytes, mono_ms: int) -> Fix | None:
        try:
            text = line.decode("ascii")
            said = pynmea2.parse(text, check=True) if text.startswith("$") else None
        except pynmea2.SentenceTypeError:
            said, text = None, ""  # right, and of a kind that says nothing to us
        except (pynmea2.ParseError, UnicodeDecodeError, ValueError, TypeError, IndexError, KeyError, AttributeError):
            said = None
            text = "bad"
        if said is None and text:
            self.bad_lines += 1
            return None
        self.sentences += 1
        self._since_good, self._garbled_told = 0, False
        data: list[str] = [] if said is None else list(said.data)
        kind = "" if said is None else getattr(said, "sentence_type", "")
        if kind == "GGA" and len(data) >= 7:
            self._gga = (mono_ms, _whole(data[5]), _whole(data[6]))
        return self._rmc(data, mono_ms) if kind == "RMC" and len(data) >= 9 else None

    def _rmc(self, data: list[str], mono_ms: int) -> Fix | None:
        latitude, longitude = _degrees(data[2], data[3], "NS", 90), _degrees(data[4], data[5], "EW", 180)
        if data[1] != "A" or latitude is None or longitude is None:
            self._lacks_fix(mono_ms)
            return None
        self._no_fix_since_ms, self._no_fix_told = None, False
        gga = self._gga
        quality, satellites = gga[1:] if gga is not None and mono_ms - gga[0] <= GGA_MS_MAX else (0, 0)
        fix = Fix(
            latitude,
            longitude,
            _speed(data[6]),
            _scaled(data[7], 100),
            self._utc_ms(data[0], data[8]),
            quality,
            satellites,
            mono_ms,
        )
        self._settle(fix)
        return fix

    def _lacks_fix(self, mono_ms: int) -> None:
        self.without_fix += 1
        self._settled, self._last = 0, None
        if self._no_fix_since_ms is None:
            self._no_fix_since_ms = mono_ms
        elif mono_ms - self._no_fix_since_ms >= NO_FIX_S * 1000 and not self._no_fix_told:
            self._no_fix_told = True
            self._refusals.append(GpsNoFix(f"{NO_FIX_S} s"))

    def _utc_ms(self, time: str, date: str) -> int | None:
        found, day = _TIME.fullmatch(time), _DATE.fullmatch(date)
        if found is None or day is None:
            return None
        year = int(day[3]) + (1900 if int(day[3]) >= CENTURY_TURN else 2000)
        if not YEAR_MIN <= year <= YEAR_MAX:
            if not self._date_told:
                self._date_told = True
                self._refusals.append(GpsDateWrong(f"{year}-{day[2]}-{day[1]}"))
            return None
        try:
            midnight = datetime(year, int(day[2]), int(day[1]), tzinfo=UTC)
        except ValueError:
            return None  # the 31st of a short month
        self._date_told = False
        seconds = int(found[1]) * 3600 + int(found[2]) * 60 + int(found[3])
        return (int(midnight.timestamp()) + seconds) * 1000 + int((found[4] or "0").ljust(3, "0")[:3])

    def _settle(self, fix: Fix) -> None:
        """Counts the seconds in which the receiver's time runs as ours does."""
        before, self._last = self._last, fix
        if fix.utc_ms is None or before is None or before.utc_ms is None:
            self._settled = 0
            return
        gone_ms, said_ms = fix.at_mono_ms - before.at_mono_ms, fix.utc_ms - before.utc_ms
        is_steady = said_ms > 0 and abs(said_ms - gone_ms) <= DRIFT_MS_MAX
        self._settled = min(self._settled + 1, SETTLED_FIXES) if is_steady else 0


def _whole(said: str) -> int:
    return int(said) if said.isascii() and said.isdigit() and len(said) <= 3 else 0


def _degrees(said: str, side: str, sides: str, degrees_max: int) -> int | None:
    """`1625.8040`, `N` as millionths of a degree."""
    found = _COORDINATE.fullmatch(said)
    if found is None or side not in sides or not side or int(found[2]) >= 60:
        return None
    minutes_e6 = int(found[2]) * 1_000_000 + int(found[3].ljust(6, "0")[:6])
    e6 = int(found[1]) * 1_000_000 + (minutes_e6 + 30) // 60
    if e6 > degrees_max * 1_000_000:
        return None
    return e6 if side == sides[0] else -e6


def _scaled(said: str, times: int) -> int | None:
    found = _DECIMAL.fullmatch(said)
    return None if found is None else int(found[1]) * times + int((found[2] or "0").ljust(6, "0")) * times // 1_000_000


def _speed(said: str) -> int | None:
    thousandths = _scaled(said, 1_000)
    if thousandths is None:
        return None
    speed_mm_s = thousandths * KNOT_MM_S_PER_MILLE // 1_000_000
    return speed_mm_s if speed_mm_s <= SPEED_MM_S_MAX else None
