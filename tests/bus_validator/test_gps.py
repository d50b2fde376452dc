"""The GPS driver on a pty that drives along the sample town: fixes, plugs, garbage, dates, time. DESIGN §5, §11."""

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import reduce
from operator import xor
from pathlib import Path

import pytest

from bus_validator.drivers.gps import GpsSettings, SerialGps
from bus_validator.drivers.nmea import (
    GARBLED_BYTES_MAX,
    LATE_MS,
    LINE_BYTES_MAX,
    NO_FIX_S,
    SETTLED_FIXES,
    TIME_ERROR_MS,
    Fix,
    NmeaReader,
)
from bus_validator.stops import Position, Progress, follow
from offline_ledger.city.routes import compile_feed
from offline_ledger.errors import (
    DevicePortForbidden,
    DevicePortInUse,
    GpsDateWrong,
    GpsGarbled,
    GpsLost,
    GpsNoFix,
    Refusal,
)
from offline_ledger.protocol.device import ClockTrust
from offline_ledger.rules.clock import apply_gps, clock_at_boot, now
from offline_ledger.rules.limits import Limits
from offline_ledger.terminal.drivers.serial_port import refusal_for
from offline_ledger.texts import Texts
from simulators.gps import START_UTC_S, Fault, SimulatedGps, path_of
from simulators.sample_town import FEED

PATH = path_of("8", 0)


@pytest.fixture
def gps(tmp_path: Path, seed: int) -> Iterator[SimulatedGps]:
    with SimulatedGps(tmp_path / "gps", PATH, seed=seed) as made:
        yield made


@pytest.fixture
def driver(gps: SimulatedGps, tmp_path: Path) -> Iterator[SerialGps]:
    made = SerialGps(GpsSettings(str(tmp_path / "gps"), back_off_first_s=0.01, back_off_last_s=0.02))
    assert made.open()
    yield made
    made.close()


def polled(driver: SerialGps, count: int) -> list[Fix]:
    """So many fixes, within a bounded number of polls."""
    found: list[Fix] = []
    for _ in range(200):
        found += driver.poll(0.05)
        if len(found) >= count:
            break
    return found


def sentence(body: str) -> bytes:
    return f"${body}*{reduce(xor, body.encode(), 0):02X}\r\n".encode()


# --- from bytes


def test_a_fix_is_read_to_the_last_digit() -> None:
    reader = NmeaReader()
    reader.push(sentence("GPGGA,031530.00,1625.80400,N,10249.80000,E,1,09,0.9,165.0,M,-28.0,M,,"), 5)
    (fix,) = reader.push(sentence("GPRMC,031530.00,A,1625.80400,N,10249.80000,E,10.00,271.5,211126,,,A"), 9)
    at_ms = int(datetime(2026, 11, 21, 3, 15, 30, tzinfo=UTC).timestamp()) * 1000
    assert fix == Fix(16_430_067, 102_830_000, 5_144, 27_150, at_ms, 1, 9, 9)
    (south,) = reader.push(sentence("GNRMC,031531,A,1625.80400,S,10249.80000,W,,,211126,,,A"), 1_506)
    assert (south.latitude_e6, south.longitude_e6, south.speed_mm_s, south.quality) == (
        -16_430_067,
        -102_830_000,
        None,
        0,
    )


def test_a_receiver_that_sends_its_satellites_after_its_position_is_believed_too() -> None:
    """As every u-blox does: RMC first, GGA last; the satellites are those of the second before."""
    reader, mono_ms = NmeaReader(), 0
    for at in range(SETTLED_FIXES + 2):
        mono_ms, clock = at * 1000, f"0315{at:02}.00"
        found = reader.push(sentence(f"GNRMC,{clock},A,1625.80400,N,10249.80000,E,0,0,211126,,,A"), mono_ms + 100)
        assert [fix.satellites for fix in found] == [9 if at else 0]
        reader.push(sentence("GNVTG,,,,,,,,,N"), mono_ms + 200)
        reader.push(sentence(f"GNGGA,{clock},1625.80400,N,10249.80000,E,1,09,0.9,165.0,M,-28.0,M,,"), mono_ms + 300)
    assert reader.time is not None
    reader.drop()  # what comes after a pulled cable begins anew
    clock = "031600.00"
    (fix,) = reader.push(sentence(f"GNRMC,{clock},A,1625.80400,N,10249.80000,E,0,0,211126,,,A"), mono_ms + 400)
    assert fix.satellites == 0 and reader.time is None


@pytest.mark.parametrize(
    "body",
    [
        "GPRMC,031530.00,V,1625.80400,N,10249.80000,E,0,0,211126,,,N",
        "GPRMC,031530.00,A,,,,,,,211126,,,N",
        "GPRMC,031530.00,A,9100.00000,N,10249.80000,E,0,0,211126,,,A",
        "GPRMC,031530.00,A,1660.00000,N,10249.80000,E,0,0,211126,,,A",
        "GPRMC,031530.00,A,1625.80400,X,10249.80000,E,0,0,211126,,,A",
        "GPRMC,031530.00,A,1625.80400,,10249.80000,E,0,0,211126,,,A",
        "GPRMC,031530.00,A,-1625.8040,N,10249.80000,E,0,0,211126,,,A",
        "GPRMC,031530.00,A,nan,N,inf,E,0,0,211126,,,A",
    ],
)
def test_what_is_no_position_is_none(body: str) -> None:
    reader = NmeaReader()
    assert reader.push(sentence(body), 0) == [] and reader.without_fix == 1 and reader.bad_lines == 0


@pytest.mark.parametrize(
    ("time", "date", "known"),
    [
        ("031530.00", "211126", True),
        ("235960.00", "311226", True),
        ("240000.00", "211126", False),
        ("031530.00", "310226", False),
        ("031530.00", "", False),
        ("", "211126", False),
    ],
)
def test_times_that_are_none_leave_the_position(time: str, date: str, known: bool) -> None:
    reader = NmeaReader()
    (fix,) = reader.push(sentence(f"GPRMC,{time},A,1625.80400,N,10249.80000,E,0,0,{date},,,A"), 0)
    assert (fix.utc_ms is not None) is known and reader.take_refusals() == []


@pytest.mark.parametrize("date", ["060180", "211199", "070407", "311219"])
def test_a_date_before_this_system_is_told_once(date: str) -> None:
    reader = NmeaReader()
    for at in range(3):
        (fix,) = reader.push(sentence(f"GPRMC,03153{at}.00,A,1625.80400,N,10249.80000,E,0,0,{date},,,A"), at)
        assert fix.utc_ms is None
    assert [type(one) for one in reader.take_refusals()] == [GpsDateWrong]


def test_bytes_may_come_in_any_pieces(rng: random.Random, tmp_path: Path) -> None:
    simulated = SimulatedGps(tmp_path / "none", PATH, seed=1)
    simulated.skip(30)
    seconds: list[bytes] = []
    for _ in range(40):
        simulated.skip(1)
        seconds.append(simulated.second())
    stream = b"".join(seconds)
    whole, pieces = NmeaReader(), NmeaReader()
    expected = whole.push(stream, 7)
    assert len(expected) == 40
    found: list[Fix] = []
    at = 0
    while at < len(stream):
        size = rng.randint(1, 90)
        found += pieces.push(stream[at : at + size], 7)
        at += size
    assert found == expected and pieces.bad_lines == 0 and pieces.sentences == whole.sentences == 160


def test_noise_never_makes_a_fix_or_a_crash(rng: random.Random, tmp_path: Path) -> None:
    simulated = SimulatedGps(tmp_path / "none", PATH, seed=2)
    reader, clean = NmeaReader(), NmeaReader()
    right: set[tuple[int, int]] = set()
    for _ in range(600):
        simulated.skip(1)
        sent = simulated.second()
        right |= {(one.latitude_e6, one.longitude_e6) for one in clean.push(sent, 0)}
        spoilt = bytearray(sent)
        for _ in range(rng.randint(0, 6)):
            spoilt[rng.randrange(len(spoilt))] = rng.randrange(256)
        for fix in reader.push(bytes(spoilt), 0):
            assert (fix.latitude_e6, fix.longitude_e6) in right
    assert reader.bad_lines > 100
    for _ in range(2_000):
        body = bytes(rng.choice(b"$GPRMCGAUBX,,,,*0123456789.ANSEW") for _ in range(rng.randint(0, 60)))
        checksum = reduce(xor, body, 0)
        reader.push(b"$" + body.replace(b"*", b"").replace(b"$", b"") + f"*{checksum:02X}\n".encode(), 0)


def test_a_line_without_an_end_holds_no_memory() -> None:
    reader = NmeaReader()
    for _ in range(100):
        assert reader.push(b"x" * 1_000, 0) == []
    assert len(reader._line) <= LINE_BYTES_MAX and reader.bad_lines == 1
    assert [type(one) for one in reader.take_refusals()] == [GpsGarbled]
    assert len(reader.push(b"\r\n" + sentence("GPRMC,031530,A,1625.8,N,10249.8,E,0,0,211126,,,A"), 0)) == 1


# --- the receiver's time


def drive_time(reader: NmeaReader, simulated: SimulatedGps, seconds: int, mono_ms: int) -> int:
    for _ in range(seconds):
        simulated.skip(1)
        mono_ms += 1_000
        reader.push(simulated.second(), mono_ms)
    return mono_ms


def test_time_is_offered_once_it_has_proved_itself(tmp_path: Path) -> None:
    reader, simulated = NmeaReader(), SimulatedGps(tmp_path / "none", PATH)
    mono_ms = drive_time(reader, simulated, SETTLED_FIXES, 0)
    assert reader.time is None
    mono_ms = drive_time(reader, simulated, 1, mono_ms)
    found = reader.time
    assert found is not None
    assert found.said_ms == (START_UTC_S + SETTLED_FIXES + 1) * 1000 + LATE_MS
    assert (found.error_ms, found.mono_ms) == (TIME_ERROR_MS, mono_ms)
    state, _ = apply_gps(clock_at_boot(START_UTC_S - 10**6, 0), found.said_ms, found.error_ms, found.mono_ms, Limits())
    at = now(state, mono_ms, Limits())
    assert at.trust is ClockTrust.HOLDOVER and abs(at.at_s - START_UTC_S - SETTLED_FIXES - 1) <= 1


@pytest.mark.parametrize(
    "fault",
    [
        Fault.ROLLOVER,
        Fault.DATE_1980,
        Fault.NO_DATE,
        Fault.FROZEN_TIME,
        Fault.FEW_SATELLITES,
        Fault.NO_FIX,
        Fault.SILENT,
    ],
)
def test_time_in_doubt_is_not_offered(tmp_path: Path, fault: Fault) -> None:
    reader, simulated = NmeaReader(), SimulatedGps(tmp_path / "none", PATH)
    simulated.faults = {fault}
    mono_ms = drive_time(reader, simulated, 30, 0)
    assert reader.time is None
    simulated.faults = set()
    drive_time(reader, simulated, 2 * SETTLED_FIXES, mono_ms)
    assert reader.time is not None, "and it is again when all is well"


# --- on the wire


def test_a_drive_along_the_route_is_followed_over_the_wire(gps: SimulatedGps, driver: SerialGps) -> None:
    stops = compile_feed(FEED, Texts("en"))
    pattern = stops.pattern_for("8", 0)
    assert pattern is not None
    line, progress, mono_s = stops.stops_of(pattern), Progress(0), 0
    for _ in range(120):
        gps.skip(9)
        gps.tick()
        mono_s += 10
        for fix in polled(driver, 1):
            progress = follow(line, progress, Position(fix.latitude_e6, fix.longitude_e6, mono_s, fix.speed_mm_s))
    assert gps.stop_at >= 6 and progress.stop_at in (gps.stop_at, gps.stop_at - 1)
    health = driver.health()
    assert health.fixes == 120 and health.bad_lines == 0 and health.satellites == 9 and health.fix_age_s == 0
    assert driver.take_refusals() == []


def test_it_comes_back_after_each_unplug_and_tells_each_loss_once(gps: SimulatedGps, driver: SerialGps) -> None:
    for turn in range(1, 4):
        gps.tick(2)
        assert len(polled(driver, 2)) == 2
        gps.unplug()
        told: list[Refusal] = []
        for _ in range(5):
            assert driver.poll(0.02) == []
            told += driver.take_refusals()
        assert [type(one) for one in told] == [GpsLost] and driver.is_lost and driver.fileno() is None
        assert driver.time is None and driver.last_fix is not None
        gps.plug()
        for _ in range(100):
            driver.poll(0.02)
            if not driver.is_lost:
                break
        assert driver.health().connects == turn + 1 and driver.take_refusals() == []


def test_unplugged_in_the_middle_of_a_sentence(gps: SimulatedGps, driver: SerialGps) -> None:
    gps.faults = {Fault.UNPLUG_MID_LINE_ONCE}
    gps.tick()
    for _ in range(20):
        driver.poll(0.02)
    gps.plug()
    for _ in range(20):
        driver.poll(0.02)
    gps.tick(2)
    assert len(polled(driver, 2)) == 2 and driver.health().bad_lines == 0


@pytest.mark.parametrize("fault", [Fault.GARBAGE, Fault.BINARY, Fault.WRONG_CHECKSUM, Fault.NO_CHECKSUM])
def test_garbage_is_told_once_and_never_a_fix(gps: SimulatedGps, driver: SerialGps, fault: Fault) -> None:
    gps.faults = {fault}
    told: list[Refusal] = []
    for _ in range(2 * GARBLED_BYTES_MAX // 90):
        gps.tick()
        assert driver.poll(0.02) == []
        told += driver.take_refusals()
    assert [type(one) for one in told] == [GpsGarbled]
    gps.faults = set()
    gps.tick(3)
    assert len(polled(driver, 2)) >= 2


def test_half_a_sentence_costs_one_second(gps: SimulatedGps, driver: SerialGps) -> None:
    gps.faults = {Fault.HALF_LINE_ONCE}
    gps.tick(3)
    assert len(polled(driver, 2)) == 2 and driver.take_refusals() == []


def test_no_satellites_is_told_once_after_a_minute(tmp_path: Path) -> None:
    reader, simulated = NmeaReader(), SimulatedGps(tmp_path / "none", PATH)
    simulated.faults = {Fault.NO_FIX}
    mono_ms = drive_time(reader, simulated, NO_FIX_S, 0)
    assert reader.take_refusals() == []
    mono_ms = drive_time(reader, simulated, 100, mono_ms)
    assert [type(one) for one in reader.take_refusals()] == [GpsNoFix]
    simulated.faults = set()
    mono_ms = drive_time(reader, simulated, 1, mono_ms)
    simulated.faults = {Fault.NO_FIX}
    drive_time(reader, simulated, NO_FIX_S + 1, mono_ms)
    assert [type(one) for one in reader.take_refusals()] == [GpsNoFix]


@pytest.mark.parametrize(
    ("prepare", "refusal"),
    [
        (lambda path: None, GpsLost),
        (lambda path: path.mkdir(), GpsLost),
        (lambda path: path.write_text("not a port"), GpsLost),
    ],
)
def test_no_port_is_told(tmp_path: Path, prepare: Callable[[Path], object], refusal: type[Refusal]) -> None:
    prepare(tmp_path / "port")
    driver = SerialGps(GpsSettings(str(tmp_path / "port")))
    assert not driver.open() and driver.poll(0.0) == []
    assert [type(one) for one in driver.take_refusals()] == [refusal]
    driver.close()
    driver.close()
    assert driver.poll(1.0) == []


def test_a_port_in_use_is_told(gps: SimulatedGps, driver: SerialGps, tmp_path: Path) -> None:
    second = SerialGps(GpsSettings(str(tmp_path / "gps")))
    assert not second.open()
    assert [type(one) for one in second.take_refusals()] == [DevicePortInUse]
    second.close()


def test_a_forbidden_port_is_its_own_refusal() -> None:
    assert isinstance(refusal_for(PermissionError(13, "no"), "/dev/x", GpsLost), DevicePortForbidden)


def test_wake_ends_a_poll(driver: SerialGps) -> None:
    driver.wake()
    assert driver.poll(30.0) == []
