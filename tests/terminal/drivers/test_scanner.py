"""The scanner driver on real ptys: suffixes, chunks, noise, unplugging, another program on the port."""

import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from offline_ledger.errors import (
    DevicePortForbidden,
    DevicePortInUse,
    Refusal,
    ScanIncomplete,
    ScannerLost,
    ScanTooLong,
)
from offline_ledger.terminal.drivers.scanner import REFUSALS_MAX, ScannerSettings, SerialScanner
from simulators.qr_picture import qr_picture
from simulators.scanner import Fault, PictureUnreadable, SimulatedScanner, Suffix
from tests.qr_texts import sample_text
from tests.terminal.drivers.poll_bench import DEADLINE_S, ScannerBench, check_wake_ends_a_long_poll, forbid_ports

Bench = ScannerBench[SerialScanner, SimulatedScanner]


def make_bench(tmp_path: Path, suffix: Suffix = Suffix.CRLF) -> Bench:
    device = SimulatedScanner(tmp_path / "scanner0", suffix=suffix, seed=7)
    settings = ScannerSettings(
        str(tmp_path / "scanner0"),
        suffix=suffix is not Suffix.NONE,
        pause_s=0.3,
        back_off_first_s=0.01,
        back_off_last_s=0.05,
    )
    return Bench(SerialScanner(settings), device)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = make_bench(tmp_path)
    with made.device:
        assert made.driver.open()
        yield made
    made.driver.close()


@pytest.mark.parametrize("suffix", list(Suffix))
def test_a_picture_travels_through_the_scanner(tmp_path: Path, rng: random.Random, suffix: Suffix) -> None:
    bench = make_bench(tmp_path, suffix)
    texts = [sample_text(rng) for _ in range(3)]
    with bench.device:
        bench.driver.open()
        for count, text in enumerate(texts, 1):
            assert bench.device.scan(qr_picture(text, module_px=4)) == text
            bench.until(lambda count=count: len(bench.texts) == count)
    assert bench.texts == texts
    assert bench.driver.health().texts == 3
    assert not bench.told()
    bench.driver.close()


TOLD: dict[Fault, list[type[Refusal]]] = {
    Fault.NOISE_BEFORE: [],
    Fault.NOISE_LINE: [],
    Fault.NULS: [],
    Fault.GARBLED: [],
    Fault.TRUNCATED: [ScanIncomplete],
    Fault.DOUBLED: [],
    Fault.FLOOD: [ScanTooLong],
    Fault.BYTE_BY_BYTE: [],
    Fault.UNPLUG_MID_LINE: [ScanIncomplete, ScannerLost],
}


@pytest.mark.parametrize("fault", list(Fault))
def test_every_fault_then_a_good_scan(bench: Bench, rng: random.Random, fault: Fault) -> None:
    told = TOLD[fault]
    spoilt, good = sample_text(rng), sample_text(rng)
    bench.device.inject(fault)
    bench.during(lambda: bench.device.send(spoilt))
    bench.until(lambda: len(bench.refusals) >= len(told))
    bench.device.plug()
    bench.until(lambda: bench.driver.health().connected)
    bench.device.send(good)
    bench.until(lambda: good in bench.texts)
    assert bench.told() == told
    bad = "\N{REPLACEMENT CHARACTER}"
    match fault:
        case Fault.NOISE_BEFORE:
            assert len(bench.texts) == 2 and bench.texts[0].endswith(spoilt) and bench.texts[0].startswith(bad)
        case Fault.NOISE_LINE:
            assert set(bench.texts[0]) == {bad} and bench.texts[1:] == [spoilt, good]
        case Fault.GARBLED:
            assert len(bench.texts) == 2 and bad in bench.texts[0]
        case Fault.DOUBLED:
            assert bench.texts == [spoilt, spoilt, good]
        case Fault.NULS | Fault.BYTE_BY_BYTE | Fault.FLOOD:
            assert bench.texts == [spoilt, good]
        case _:
            assert bench.texts == [good]


def test_plugged_in_late_and_pulled_again_and_again(tmp_path: Path, rng: random.Random) -> None:
    make_bench(tmp_path).check_comes_and_goes(sample_text(rng, 50), ScannerLost)


def test_a_scan_from_before_the_program_ran_is_forgotten(tmp_path: Path) -> None:
    make_bench(tmp_path).check_old_scan_is_forgotten()


def test_two_programs_on_one_scanner(bench: Bench, tmp_path: Path) -> None:
    second = SerialScanner(ScannerSettings(str(tmp_path / "scanner0")))
    assert not second.open()
    assert [type(refusal) for refusal in second.take_refusals()] == [DevicePortInUse]
    second.close()


def test_no_right_to_the_port(monkeypatch: pytest.MonkeyPatch) -> None:
    forbid_ports(monkeypatch)
    driver = SerialScanner(ScannerSettings("/dev/ttyACM0"))
    assert not driver.open()
    assert [type(refusal) for refusal in driver.take_refusals()] == [DevicePortForbidden]
    driver.close()


def test_a_path_that_is_no_serial_port(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("KGO1P:NOT A SCANNER\r")
    driver = SerialScanner(ScannerSettings(str(path)))
    assert not driver.open()
    assert [type(refusal) for refusal in driver.take_refusals()] == [ScannerLost]
    assert driver.poll(0) == []
    driver.close()


def test_refusals_nobody_takes_are_bounded(bench: Bench) -> None:
    bench.check_bounded(lambda: bench.device.send_raw(b"x" * 2000 + b"\r"), REFUSALS_MAX)


def test_wake_ends_a_long_poll(bench: Bench) -> None:
    check_wake_ends_a_long_poll(bench.driver)


def test_a_text_that_a_pause_ends_is_told_then_and_not_when_the_poll_ends(tmp_path: Path, rng: random.Random) -> None:
    bench = make_bench(tmp_path, Suffix.NONE)
    with bench.device:
        bench.driver.open()
        text = sample_text(rng, 50)
        bench.device.send(text)
        started_s = time.monotonic()
        assert bench.driver.poll(DEADLINE_S) == [text]
        assert time.monotonic() - started_s < DEADLINE_S / 2
    bench.driver.close()


def test_waking_one_that_nobody_polls_never_fails(bench: Bench) -> None:
    for _ in range(70_000):  # more than its pipe holds
        bench.driver.wake()
    for _ in range(20):
        bench.driver.poll(0)
    started_s = time.monotonic()
    assert bench.driver.poll(0.05) == [] and time.monotonic() - started_s >= 0.05, "all are taken"


def test_a_selector_sees_the_port(bench: Bench, rng: random.Random) -> None:
    descriptor = bench.driver.fileno()
    assert descriptor is not None and os.isatty(descriptor)
    text = sample_text(rng, 20)
    bench.device.send(text)
    bench.until(lambda: bench.texts == [text])


def test_poll_zero_returns_at_once(bench: Bench) -> None:
    assert bench.driver.poll(0) == []


def test_closed_is_closed(bench: Bench) -> None:
    bench.check_closed_is_closed()


def test_a_picture_without_a_code_stays_silent(bench: Bench) -> None:
    blank = qr_picture("KGO1P:X").point(lambda _: 255)
    with pytest.raises(PictureUnreadable):
        bench.device.scan(blank)
