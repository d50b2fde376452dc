"""A GPS receiver on a pseudo-terminal: NMEA each second as it drives along stops, wrong in every usual way. DESIGN §11.

The program under test opens `link` as it would open `/dev/serial0`. `tick` lets a second pass: the bus drives on, waits
at stops, and GGA and RMC go out (with sentences that nobody needs, as real receivers send them). What goes wrong has a
name in `Fault`; one that lasts is there until it is taken away. Time is the caller's, so a test drives an hour in
a moment.

    python -m simulators.gps --link /tmp/gps0 --route 8 --direction 0
    tick 30 | fault no_fix | well no_fix | unplug | plug | speed 40 | where | run | quit      (one a line)
"""

import argparse
import os
import random
import select
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import reduce
from math import atan2, cos, degrees, hypot, radians
from operator import xor
from pathlib import Path

from offline_ledger.city.routes import compile_feed
from offline_ledger.texts import Texts
from simulators.obeying import obey
from simulators.pty_port import PtyDevice
from simulators.sample_town import FEED

Point = tuple[int, int]
"""Latitude and longitude in millionths of degrees."""
PIECE_BYTES_MAX = 64
METRES_PER_DEGREE = 111_320
SPEED_KMH, SPEED_KMH_MAX = 30, 150
TICK_S_MAX = 36_000
DWELL_S = 12
NOISE_M = 4.0
WEEKS_IN_ROLLOVER = 1_024
START_UTC_S = 1_795_000_000


class Fault(Enum):
    """What is wrong with the receiver, until it is well again; `…_ONCE` with the next second only."""

    NO_FIX = "no_fix"  # under a roof: status V, no position
    SILENT = "silent"  # it hangs: nothing comes
    WRONG_CHECKSUM = "wrong_checksum"  # a bad cable
    NO_CHECKSUM = "no_checksum"
    GARBAGE = "garbage"  # bytes of another speed
    BINARY = "binary"  # set to a maker's own protocol
    ROLLOVER = "rollover"  # its weeks began anew: 1,024 weeks ago
    DATE_1980 = "date_1980"  # as it left the factory
    NO_DATE = "no_date"  # position known, date not yet
    FROZEN_TIME = "frozen_time"  # the same second again and again
    FEW_SATELLITES = "few_satellites"
    JUMPS = "jumps"  # houses mirror the signal: 300 m off now and then
    HALF_LINE_ONCE = "half_line_once"
    UNPLUG_MID_LINE_ONCE = "unplug_mid_line_once"


class SimulatedGps(PtyDevice):
    """One receiver on one bus; methods block until the bytes are on the wire. Not for two threads at once."""

    def __init__(
        self,
        link: Path,
        path: Sequence[Point],
        *,
        speed_kmh: int = SPEED_KMH,
        dwell_s: int = DWELL_S,
        start_utc_s: int = START_UTC_S,
        noise_m: float = NOISE_M,
        seed: int = 0,
    ) -> None:
        assert len(path) >= 2
        super().__init__(link)
        self._path = list(path)
        self._dwell_s = dwell_s
        self._utc_s = start_utc_s
        self._noise_m = noise_m
        self._rng = random.Random(seed)
        self._at, self._gone_m, self._waits_s = 0, 0.0, dwell_s
        self._heading = 0.0
        self.speed_kmh = speed_kmh
        self.faults: set[Fault] = set()

    @property
    def utc_s(self) -> int:
        """The satellites' time of its last second, Unix."""
        return self._utc_s

    @property
    def stop_at(self) -> int:
        """The stop that the bus reached last, as a place in the path."""
        return self._at

    @property
    def is_standing(self) -> bool:
        """At a stop, or told to stand."""
        return self._waits_s > 0 or self.speed_kmh == 0

    @property
    def is_at_end(self) -> bool:
        """At the last stop."""
        return self._at == len(self._path) - 1

    @property
    def position(self) -> Point:
        """Where the bus really is."""
        here = self._path[self._at]
        if self.is_at_end:
            return here
        there = self._path[self._at + 1]
        share = min(1.0, self._gone_m / max(_metres(here, there), 1.0))
        return round(here[0] + (there[0] - here[0]) * share), round(here[1] + (there[1] - here[1]) * share)

    def go_to(self, stop_at: int) -> None:
        """Put the bus at a stop of its path."""
        self._at, self._gone_m, self._waits_s = min(max(stop_at, 0), len(self._path) - 1), 0.0, self._dwell_s

    def tick(self, seconds: int = 1) -> None:
        """Let so many seconds pass, each with its sentences."""
        for _ in range(seconds):
            self._utc_s += 1
            self._drive(self.speed_kmh * 1000 / 3600)
            self.send(self.second())

    def skip(self, seconds: int) -> None:
        """Let seconds pass without a word: under a bridge, or while nobody looks."""
        for _ in range(seconds):
            self._utc_s += 1
            self._drive(self.speed_kmh * 1000 / 3600)

    def second(self) -> bytes:
        """What the receiver sends for this second, faults and all; nothing while it is silent."""
        if Fault.SILENT in self.faults:
            return b""
        if Fault.GARBAGE in self.faults:
            return bytes(self._rng.randrange(0x80, 0x100) for _ in range(200))
        if Fault.BINARY in self.faults:
            return b"\xb5\x62\x01\x07" + self._rng.randbytes(96)
        lines = [self._gga(), "GPGSA,A,3,02,05,07,12,25,29,,,,,,,1.8,0.9,1.5", self._rmc(), "PUBX,00,1,2,3"]
        sent = b"".join(self._framed(line) for line in lines)
        if Fault.HALF_LINE_ONCE in self.faults:
            self.faults.discard(Fault.HALF_LINE_ONCE)
            return sent[: len(sent) // 3]
        return sent

    def send(self, data: bytes) -> None:
        """Put bytes on the wire; without a cable, or when nobody reads, they are lost."""
        if not self.is_plugged:
            return
        if Fault.UNPLUG_MID_LINE_ONCE in self.faults:
            self.faults.discard(Fault.UNPLUG_MID_LINE_ONCE)
            self._port.write(data[: len(data) // 2], self._piece_bytes)
            self.unplug()
            return
        self._port.write(data, self._piece_bytes)

    def obey(self, command: str) -> str:
        """Carry out one line of the control language; the answer is `ok …` or `error …`."""
        return obey(
            {
                "tick": lambda seconds: self.tick(min(int(seconds or "1"), TICK_S_MAX)),
                "fault": lambda names: self.faults.update(faults_of(names)),
                "well": lambda names: self.faults.difference_update(faults_of(names) or set(Fault)),
                "speed": self._set_speed,
                "stop": lambda number: self.go_to(int(number)),
                "plug": lambda _: self.plug(),
                "unplug": lambda _: self.unplug(),
                "where": lambda _: f"{self.position[0]} {self.position[1]} stop {self.stop_at}",
            },
            command,
        )

    def _set_speed(self, kmh: str) -> None:
        self.speed_kmh = min(max(int(kmh), 0), SPEED_KMH_MAX)

    def _drive(self, metres: float) -> None:
        if self._waits_s > 0:
            self._waits_s -= 1
            return
        while metres > 0 and not self.is_at_end:
            here, there = self._path[self._at], self._path[self._at + 1]
            left = _metres(here, there) - self._gone_m
            self._heading = _course(here, there)
            if metres < left:
                self._gone_m += metres
                return
            self._at, self._gone_m, self._waits_s = self._at + 1, 0.0, self._dwell_s
            return

    def _shown(self) -> Point:
        off_m = 300.0 if Fault.JUMPS in self.faults and self._rng.random() < 0.3 else self._noise_m
        latitude, longitude = self.position
        north, east = self._rng.uniform(-off_m, off_m), self._rng.uniform(-off_m, off_m)
        e6_per_m = 1_000_000 / METRES_PER_DEGREE
        return round(latitude + north * e6_per_m), round(longitude + east * e6_per_m)

    def _clock(self) -> tuple[str, str]:
        at = datetime.fromtimestamp(START_UTC_S if Fault.FROZEN_TIME in self.faults else self._utc_s, UTC)
        if Fault.ROLLOVER in self.faults:
            at -= timedelta(weeks=WEEKS_IN_ROLLOVER)
        day = "060180" if Fault.DATE_1980 in self.faults else "" if Fault.NO_DATE in self.faults else f"{at:%d%m%y}"
        return f"{at:%H%M%S}.00", day

    def _gga(self) -> str:
        clock, _ = self._clock()
        if Fault.NO_FIX in self.faults:
            return f"GPGGA,{clock},,,,,0,00,99.9,,M,,M,,"
        satellites = 3 if Fault.FEW_SATELLITES in self.faults else 9
        return f"GPGGA,{clock},{_nmea(*self._shown())},1,{satellites:02d},0.9,165.0,M,-28.0,M,,"

    def _rmc(self) -> str:
        clock, day = self._clock()
        if Fault.NO_FIX in self.faults:
            return f"GPRMC,{clock},V,,,,,,,{day},,,N"
        knots = 0.0 if self.is_standing or self.is_at_end else self.speed_kmh / 1.852
        return f"GNRMC,{clock},A,{_nmea(*self._shown())},{knots:.2f},{self._heading:.1f},{day},,,A"

    def _framed(self, line: str) -> bytes:
        checksum = reduce(xor, line.encode(), 0)
        if Fault.WRONG_CHECKSUM in self.faults:
            checksum ^= 0x10
        tail = "" if Fault.NO_CHECKSUM in self.faults else f"*{checksum:02X}"
        return f"${line}{tail}\r\n".encode()

    def _piece_bytes(self) -> int:
        return self._rng.randint(1, PIECE_BYTES_MAX)


def _metres(here: Point, there: Point) -> float:
    north, east = (there[0] - here[0]) / 1e6, (there[1] - here[1]) / 1e6
    return hypot(north, east * cos(radians(here[0] / 1e6))) * METRES_PER_DEGREE


def _course(here: Point, there: Point) -> float:
    east = (there[1] - here[1]) * cos(radians(here[0] / 1e6))
    return degrees(atan2(east, there[0] - here[0])) % 360


def _nmea(latitude_e6: int, longitude_e6: int) -> str:
    """`1625.80400,N,10249.80000,E`"""

    def part(e6: int, digits: int, sides: str) -> str:
        whole, rest = divmod(abs(e6), 1_000_000)
        return f"{whole:0{digits}d}{rest * 60 / 1e6:08.5f},{sides[e6 < 0]}"

    return f"{part(latitude_e6, 2, 'NS')},{part(longitude_e6, 3, 'EW')}"


def path_of(route: str, direction: int, feed: Path = FEED) -> list[Point]:
    """The stops of the usual pattern of a route in a feed (the sample town)."""
    town = compile_feed(feed, Texts("en"))
    pattern = town.pattern_for(route, direction)
    assert pattern is not None, f"the feed has no route {route} in direction {direction}"
    return [(stop.latitude_e6, stop.longitude_e6) for stop in town.stops_of(pattern)]


def faults_of(names: str) -> set[Fault]:
    """Raises ValueError: one that there is not."""
    return {Fault(name) for name in names.split()}


def main() -> int:
    """A receiver that obeys its standard input until `quit` or its end; after `run` a second passes each second."""
    parser = argparse.ArgumentParser(prog="simulators.gps", description="a GPS receiver on a pty, on a bus that drives")
    parser.add_argument("--link", type=Path, required=True, help="path under which programs find the port")
    parser.add_argument("--route", default="8", help="route of the sample town")
    parser.add_argument("--direction", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with SimulatedGps(options.link, path_of(options.route, options.direction), seed=options.seed) as gps:
        print("ready", flush=True)
        is_running, held = False, b""
        while True:
            if not select.select([sys.stdin.fileno()], (), (), 1.0 if is_running else None)[0]:
                gps.tick()
                continue
            received = os.read(sys.stdin.fileno(), 4_096)
            *lines, held = (held + received).split(b"\n")
            for line in (one.decode("utf-8", "replace").strip() for one in lines):
                if line == "quit":
                    return 0
                is_running = is_running or line == "run"
                print("ok" if line == "run" else gps.obey(line), flush=True)
            if not received:
                return 0


if __name__ == "__main__":
    sys.exit(main())
