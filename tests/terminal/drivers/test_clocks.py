"""Readings of time on this box: the counter, a clock chip with each of its faults, the disciplined system clock."""

import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from offline_ledger.errors import ClockSourceLost
from offline_ledger.terminal.drivers.clocks import (
    RTC_S_MAX,
    NetworkTime,
    RtcChip,
    SystemTicker,
    network_time,
    reading_of,
)
from simulators.clock import FakeClock, RtcFault, SimulatedRtc

DEADLINE_S = 10.0
AT_S = 1_790_000_000


def wait_for(condition: Callable[[], bool]) -> None:
    until_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < until_s
        threading.Event().wait(0.005)


class TrueTime:
    """The simulated chip's idea of true time, moved by the test."""

    def __init__(self) -> None:
        self.now_s = float(AT_S)

    def __call__(self) -> float:
        return self.now_s


def test_the_counter_runs_forward() -> None:
    ticker = SystemTicker()
    first = ticker.mono_ms()
    wait_for(lambda: ticker.mono_ms() > first)


@pytest.mark.parametrize(
    ("said", "read_s"), [("0\n", 0), ("1790000000\n", AT_S), ("1790000000", AT_S), (str(RTC_S_MAX), RTC_S_MAX)]
)
def test_a_chip_that_can_be_read(tmp_path: Path, said: str, read_s: int) -> None:
    path = tmp_path / "since_epoch"
    path.write_text(said)
    assert RtcChip(str(path)).read_s() == read_s


@pytest.mark.parametrize("said", ["", "\n", "-1\n", "1.5", "0x10", "x", "1 2", "9" * 33, "9" * 100_000, "١"])
def test_a_chip_that_says_nonsense(tmp_path: Path, said: str) -> None:
    path = tmp_path / "since_epoch"
    path.write_text(said)
    with pytest.raises(ClockSourceLost):
        RtcChip(str(path)).read_s()


def test_no_chip(tmp_path: Path) -> None:
    with pytest.raises(ClockSourceLost):
        RtcChip(str(tmp_path / "none")).read_s()
    with pytest.raises(ClockSourceLost):
        RtcChip(str(tmp_path)).read_s()


def test_a_simulated_chip_with_each_fault(tmp_path: Path) -> None:
    true_time, path = TrueTime(), tmp_path / "rtc0"
    chip = RtcChip(str(path))
    with SimulatedRtc(path, offset_s=-3, drift_ppm=1_000, true_s=true_time) as rtc:
        assert chip.read_s() == AT_S - 3
        true_time.now_s += 2_000
        wait_for(lambda: chip.read_s() == AT_S - 3 + 2_002)

        rtc.fail(RtcFault.STOPPED)
        true_time.now_s += 50
        rtc.step_s(0)
        assert chip.read_s() == AT_S - 3 + 2_002

        rtc.fail(RtcFault.RESET)
        assert chip.read_s() == 0
        true_time.now_s += 5
        wait_for(lambda: chip.read_s() == 5)

        for fault in (RtcFault.GONE, RtcFault.NONSENSE):
            rtc.fail(fault)
            with pytest.raises(ClockSourceLost):
                chip.read_s()

        rtc.fail(RtcFault.NONE)
        rtc.set_s(AT_S)
        assert chip.read_s() == AT_S
        rtc.step_s(86_400)
        assert chip.read_s() == AT_S + 86_400
    assert not path.exists()


def test_a_reader_sees_a_whole_number_at_any_moment(tmp_path: Path) -> None:
    path = tmp_path / "rtc0"
    chip = RtcChip(str(path))
    with SimulatedRtc(path) as rtc:
        done = threading.Event()

        def write() -> None:
            while not done.is_set():
                rtc.step_s(0)

        writer = threading.Thread(target=write)
        writer.start()
        for _ in range(2_000):
            assert abs(chip.read_s() - time.time()) < 60
        done.set()
        writer.join()


def test_a_chip_in_a_process_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "rtc0"
    chip = RtcChip(str(path))
    arguments = ["--path", str(path), "--offset-s", "-259200"]
    with subprocess.Popen(
        [sys.executable, "-m", "simulators.clock", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        assert abs(chip.read_s() - (time.time() - 259_200)) < 60
        for command, answer in [("fault gone", "ok"), ("dance", "error"), ("fault none", "ok"), ("set 5", "ok")]:
            process.stdin.write(command + "\n")
            assert process.stdout.readline().startswith(answer)
        assert chip.read_s() < 60
        process.stdin.write("quit\n")
        process.stdin.flush()
        assert process.wait(DEADLINE_S) == 0


def test_the_kernel_is_asked_for_network_time() -> None:
    """Disciplined or not depends on the machine; a reading must be the system's time with a bound."""
    said = network_time()
    assert said is None or (
        isinstance(said, NetworkTime) and abs(said.said_ms - time.time() * 1000) < 5_000 and said.error_ms >= 0
    )


@pytest.mark.parametrize(
    ("state", "max_error_us", "status", "error_ms"),
    [
        (0, 0, 0x2001, 0),
        (0, 1, 0x2001, 1),
        (1, 16_000, 0x2001, 16),
        (0, 16_001, 0x2001, 17),
        (5, 10, 0x2001, None),  # TIME_ERROR
        (0, 10, 0x0041, None),  # STA_UNSYNC
        (-1, 10, 0x2001, None),
        (0, -1, 0x2001, None),
    ],
)
def test_what_the_kernel_says(state: int, max_error_us: int, status: int, error_ms: int | None) -> None:
    timex = struct.pack("@I4li", 0, 5, 6, max_error_us, 7, status).ljust(208, b"\0")
    assert reading_of(state, timex, 123) == (None if error_ms is None else NetworkTime(123, error_ms))


def test_fake_clock_stands_still_and_obeys() -> None:
    clock = FakeClock(AT_S)
    assert (clock.wall_s(), clock.mono_ms()) == (AT_S, 0)
    clock.advance(s=2, ms=500)
    assert (clock.wall_s(), clock.mono_ms()) == (AT_S + 2, 2_500)
    clock.step_s(-100)
    assert (clock.wall_s(), clock.mono_ms()) == (AT_S - 98, 2_500)
    clock.set_s(0)
    clock.drift(100_000)
    clock.advance(s=100)
    assert (clock.wall_s(), clock.mono_ms()) == (110, 102_500)
    clock.lose()
    with pytest.raises(ClockSourceLost):
        clock.read_s()
    clock.lose(is_lost=False)
    clock.power_cut()
    assert (clock.read_s(), clock.mono_ms()) == (110, 0)
    with pytest.raises(ValueError, match="backwards"):
        clock.advance(s=-1)
