"""The wedge driver on simulated event nodes: every character, every fault, grabbing, unplugging, rubbish."""

import errno
import os
import random
import re
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline_ledger.errors import (
    DevicePortInUse,
    NotAKeyScanner,
    Refusal,
    ScannerLost,
    ScanTooLong,
    WedgeForbidden,
    WedgeIncomplete,
    WedgeKeysLost,
)
from offline_ledger.terminal.drivers.scanner import REFUSALS_MAX
from pos_app.drivers import event_node
from pos_app.drivers.event_node import EVIOCGBIT_KEY, EVIOCGRAB, EVIOCSMASK, INPUT_MAJOR, NodeKind
from pos_app.drivers.input_events import PLAIN, SHIFTED, KeyReader
from pos_app.drivers.wedge import WedgeScanner, WedgeSettings, wedge_settings
from simulators.qr_picture import qr_picture
from simulators.wedge import Fault, SimulatedWedge
from tests.counted import calls_in
from tests.qr_texts import BASE45, sample_text
from tests.terminal.drivers.poll_bench import DEADLINE_S, ScannerBench, check_wake_ends_a_long_poll

PAUSE_S = 0.3
PRINTABLE = "".join(map(chr, range(0x20, 0x7F)))
LONGEST = 600
"""Characters of the largest code, version 15-M."""
HEADER = Path("/usr/include/linux/input-event-codes.h")
"""Comes with libc6-dev, which `make setup` installs."""


Bench = ScannerBench[WedgeScanner, SimulatedWedge]


def settings_for(tmp_path: Path, long_bytes: int = 8) -> WedgeSettings:
    return WedgeSettings(str(tmp_path / "wedge0"), PAUSE_S, long_bytes, 0.01, 0.05)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    device = SimulatedWedge(tmp_path / "wedge0", seed=7)
    made = Bench(WedgeScanner(settings_for(tmp_path)), device)
    with device:
        assert made.driver.open()
        yield made
    made.driver.close()


@pytest.mark.parametrize("long_bytes", [8, 4])
def test_every_character_is_typed_and_read(tmp_path: Path, long_bytes: int) -> None:
    bench = Bench(
        WedgeScanner(settings_for(tmp_path, long_bytes)),
        SimulatedWedge(tmp_path / "wedge0", long_bytes=long_bytes),
    )
    with bench.device:
        assert bench.driver.open()
        for text in (BASE45, PRINTABLE, "8850999320014"):
            bench.during(lambda text=text: bench.device.send(text))
        bench.until(lambda: len(bench.texts) == 3)
    bench.driver.close()
    assert bench.texts == [BASE45, PRINTABLE, "8850999320014"] and not bench.told()


def test_the_keys_are_where_the_kernels_header_says() -> None:
    codes = {
        found[1]: int(found[2]) for found in re.finditer(r"^#define KEY_(\w+)\s+(\d+)\b", HEADER.read_text(), re.M)
    }
    named = {
        "MINUS": "-_",
        "EQUAL": "=+",
        "LEFTBRACE": "[{",
        "RIGHTBRACE": "]}",
        "SEMICOLON": ";:",
        "APOSTROPHE": "'\"",
    }
    named |= {"GRAVE": "`~", "BACKSLASH": "\\|", "COMMA": ",<", "DOT": ".>", "SLASH": "/?", "SPACE": "  "}
    named |= {"KPASTERISK": "**", "KPMINUS": "--", "KPPLUS": "++", "KPDOT": "..", "KPSLASH": "//"}
    named |= {str(digit): f"{digit}{')!@#$%^&*('[digit]}" for digit in range(10)}
    named |= {f"KP{digit}": f"{digit}{digit}" for digit in range(10)}
    named |= {chr(letter): chr(letter).lower() + chr(letter) for letter in range(0x41, 0x5B)}
    assert PLAIN == {codes[name]: ord(chars[0]) for name, chars in named.items()}
    assert SHIFTED == {codes[name]: ord(chars[1]) for name, chars in named.items()}


def test_a_picture_travels_through_the_wedge(bench: Bench, rng: random.Random) -> None:
    text = sample_text(rng)
    bench.during(lambda: bench.device.scan(qr_picture(text, module_px=4)))
    bench.until(lambda: bool(bench.texts))
    assert bench.texts == [text] and not bench.told()


TOLD: dict[Fault, list[type[Refusal]]] = {
    Fault.HALF: [WedgeIncomplete],
    Fault.TYPED: [WedgeIncomplete],
    Fault.DROPPED: [WedgeKeysLost],
    Fault.JUNK: [NotAKeyScanner],
    Fault.UNPLUG_MID_CODE: [WedgeIncomplete, ScannerLost],
}


@pytest.mark.parametrize("fault", list(Fault))
def test_every_fault_then_a_good_scan(bench: Bench, rng: random.Random, fault: Fault) -> None:
    told = TOLD.get(fault, [])
    spoilt, good = sample_text(rng, 60) + "-YZ:/", sample_text(rng, 60)
    bench.device.inject(fault)
    bench.during(lambda: bench.device.send(spoilt))
    bench.until(lambda: len(bench.refusals) >= len(told))
    bench.device.plug()
    bench.until(lambda: bench.driver.health().connected)
    bench.during(lambda: bench.device.send(good))
    bench.until(lambda: good in bench.texts)
    assert bench.told() == told
    match fault:
        case Fault.DOUBLED:
            assert bench.texts == [spoilt, spoilt, good]
        case Fault.OTHER_LAYOUT:
            assert len(bench.texts) == 2 and bench.texts[0].endswith("/ZY>&"), "where a US keyboard has these keys"
        case Fault.STUCK_SHIFT:
            assert len(bench.texts) == 2 and bench.texts[0] != spoilt and bench.texts[0][:30] == spoilt[:30]
        case Fault.KEY_REPEAT | Fault.SYN_LOST | Fault.CAPS_LOCK | Fault.KEY_BY_KEY:
            assert bench.texts == [spoilt, good]
        case Fault.TYPED:  # its second half ends with Enter: a short text that no acceptor takes
            assert len(bench.texts) == 2 and bench.texts[0] != spoilt
            first, rest = bench.texts[0][0], bench.texts[0][1:]
            assert spoilt.endswith((first + rest, first.upper() + rest)), "Shift may have been pressed before the pause"
        case _:
            assert bench.texts == [good]


def test_plugged_in_late_and_pulled_again_and_again(tmp_path: Path, rng: random.Random) -> None:
    bench = Bench(WedgeScanner(settings_for(tmp_path)), SimulatedWedge(tmp_path / "wedge0"))
    bench.check_comes_and_goes(sample_text(rng, 20), ScannerLost)


def test_a_scan_from_before_the_program_ran_is_forgotten(tmp_path: Path) -> None:
    Bench(WedgeScanner(settings_for(tmp_path)), SimulatedWedge(tmp_path / "wedge0")).check_old_scan_is_forgotten()


# --- grabbing: an event node as the kernel's evdev behaves, over a pty


class Kernel:
    """The ioctls of one input device: its keys, and who has it grabbed."""

    def __init__(self, keys: Iterator[int] | range = range(1, 120), grabbed_by: str = "", fails: int = 0) -> None:
        self.keys = set(keys)
        self.grabbed_by = grabbed_by
        self.fails = fails
        self.masks: list[bytes] = []

    def ioctl(self, _descriptor: int, request: int, argument: int | bytes | bytearray) -> object:
        if self.fails:
            raise OSError(self.fails, os.strerror(self.fails))
        if request == EVIOCGBIT_KEY and isinstance(argument, bytearray):
            for code in self.keys:
                argument[code >> 3] |= 1 << (code & 7)
            return len(argument)
        if request == EVIOCGRAB:
            if self.grabbed_by:
                raise OSError(errno.EBUSY, "Device or resource busy")
            self.grabbed_by = "us"
            return 0
        assert request == EVIOCSMASK and isinstance(argument, bytes)
        self.masks.append(argument)
        raise OSError(errno.EINVAL, "Linux before 4.4")

    def driver(self, tmp_path: Path, major: int = INPUT_MAJOR) -> WedgeScanner:
        return WedgeScanner(settings_for(tmp_path), ioctl=self.ioctl, kind=lambda _: NodeKind(major))


def refused_by(kernel: Kernel, tmp_path: Path, major: int = INPUT_MAJOR) -> list[type[Refusal]]:
    with SimulatedWedge(tmp_path / "wedge0"):
        driver = kernel.driver(tmp_path, major)
        assert not driver.open()
        told = [type(refusal) for refusal in driver.take_refusals()]
        driver.close()
    return told


def test_an_event_node_is_grabbed_before_it_is_read(tmp_path: Path) -> None:
    kernel = Kernel()
    with SimulatedWedge(tmp_path / "wedge0") as device:
        bench = Bench(kernel.driver(tmp_path), device)
        assert bench.driver.open() and kernel.grabbed_by == "us"
        assert kernel.masks == [struct.pack("=IIQ", 4, 0, 0)], "no scan codes; that it failed is no matter"
        device.send("8850999320014")
        bench.until(lambda: bench.texts == ["8850999320014"])
        bench.driver.close()


@pytest.mark.parametrize(
    ("kernel", "told"),
    [
        (Kernel(grabbed_by="evtest"), DevicePortInUse),
        (Kernel(keys=range(2, 12)), NotAKeyScanner),  # a keypad of digits alone
        (Kernel(keys=range(0x110, 0x150)), NotAKeyScanner),  # a touch screen: it stays the page's
        (Kernel(fails=errno.ENOTTY), NotAKeyScanner),  # /dev/input/mice
        (Kernel(fails=errno.EINVAL), NotAKeyScanner),
        (Kernel(fails=errno.ENODEV), ScannerLost),  # pulled at this very moment
        (Kernel(fails=errno.EACCES), WedgeForbidden),  # revoked by the session's manager
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_one_that_cannot_be_grabbed_is_not_read(tmp_path: Path, kernel: Kernel, told: type[Refusal]) -> None:
    assert refused_by(kernel, tmp_path) == [told]
    assert kernel.grabbed_by != "us"


def test_what_is_no_keyboard_is_not_read(tmp_path: Path) -> None:
    assert refused_by(Kernel(), tmp_path, major=166) == [NotAKeyScanner], "/dev/ttyACM0"
    for path in (tmp_path, Path(__file__)):
        driver = WedgeScanner(WedgeSettings(str(path)))
        assert not driver.open() and [type(refusal) for refusal in driver.take_refusals()] == [NotAKeyScanner]
        driver.close()


def test_no_right_to_it_names_the_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object, **__: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(event_node.os, "open", forbidden)  # the test may run as root, whom nothing is forbidden
        driver = WedgeScanner(settings_for(tmp_path))
        assert not driver.open()
    assert [type(refusal) for refusal in driver.take_refusals()] == [WedgeForbidden]
    driver.close()


# --- the port


def test_too_long_is_told_once_and_refusals_are_bounded(bench: Bench) -> None:
    bench.during(lambda: bench.device.send("A" * 1_100))
    bench.until(lambda: bench.told() == [ScanTooLong])

    def type_rubbish() -> None:
        bench.device.send_raw(struct.pack("=qqHHi", 0, 0, 0, 3, 0) + struct.pack("=qqHHi", 0, 0, 0, 0, 0))
        bench.device.send("")  # its Enter ends what was swallowed

    bench.check_bounded(type_rubbish, REFUSALS_MAX)


def test_wake_ends_a_long_poll_and_never_fails(bench: Bench) -> None:
    check_wake_ends_a_long_poll(bench.driver)


def test_half_a_code_is_told_at_its_pause_and_not_when_the_poll_ends(bench: Bench) -> None:
    bench.device.inject(Fault.HALF)
    bench.device.send("8850999320014")
    started_s = time.monotonic()
    assert bench.driver.poll(DEADLINE_S) == []
    assert time.monotonic() - started_s < DEADLINE_S / 2
    assert [type(refusal) for refusal in bench.driver.take_refusals()] == [WedgeIncomplete]


def test_a_selector_sees_the_node_and_poll_zero_returns_at_once(bench: Bench) -> None:
    assert bench.driver.poll(0) == []
    descriptor = bench.driver.fileno()
    assert descriptor is not None and os.isatty(descriptor)


def test_closed_is_closed(bench: Bench) -> None:
    bench.check_closed_is_closed()


def test_the_settings_say_wedge() -> None:
    assert wedge_settings("/dev/ttyACM0") is None
    made = wedge_settings("wedge:/dev/input/by-id/usb-Scanner-event-kbd")
    assert made is not None and made.path == "/dev/input/by-id/usb-Scanner-event-kbd"


# --- the reader alone


def packets(text: str) -> bytes:
    return b"".join(SimulatedWedge(Path("unused")).reports(text, set()))


def read(reader: KeyReader, data: bytes, now_s: float = 1.0) -> bytes:
    return b"".join(chars or b"" for chars in reader.push(data, now_s))


def keys(*presses: tuple[int, int]) -> bytes:
    return b"".join(struct.pack("=qqHHi", 0, 0, 1, code, value) for code, value in presses)


@pytest.mark.parametrize(
    ("pressed", "chars"),
    [
        (keys((28, 1)), b"\n"),
        (keys((96, 1)), b"\n"),
        (keys((15, 1)), b"\n"),
        (keys((30, 0)), b""),
        (keys((30, 2)), b""),
        (keys((29, 1), (30, 1), (29, 0), (30, 1)), b"\xffa"),  # Ctrl
        (keys((100, 1), (30, 1)), b"\xff"),  # AltGr
        (keys((59, 1), (14, 1), (0, 1), (240, 1)), b"\xff\xff\xff\xff"),  # F1, Backspace, nothing, unknown
        (keys((69, 1), (69, 0), (70, 1)), b""),  # locks
        (keys((0x110, 1), (0x145, 1)), b""),  # buttons
        (keys((54, 1), (30, 1), (42, 1), (54, 0), (30, 1)), b"AA"),  # both shifts
        (keys((54, 1), (30, 1), (28, 1), (30, 1)), b"A\na"),  # nothing is held over an end
        (keys((58, 1), (58, 0), (30, 1), (2, 1), (42, 1), (30, 1), (2, 1)), b"A1a!"),  # Caps Lock turns letters only
    ],
)
def test_keys_and_characters(pressed: bytes, chars: bytes) -> None:
    assert read(KeyReader(pause_s=0.5, long_bytes=8), pressed) == chars


def test_nothing_is_held_over_a_pause() -> None:
    for pause_s, char in ((0.49, b"A"), (0.5, b"a")):
        reader = KeyReader(pause_s=0.5, long_bytes=8)
        read(reader, keys((42, 1)), 1.0)
        assert read(reader, keys((30, 1)), 1.0 + pause_s) == char


def test_after_dropped_keys_all_is_swallowed_up_to_the_end() -> None:
    reader = KeyReader(pause_s=0.5, long_bytes=8)
    dropped = struct.pack("=qqHHi", 0, 0, 0, 3, 0)
    stale_enter, end = keys((28, 1)), struct.pack("=qqHHi", 0, 0, 0, 0, 0)
    parts = list(reader.push(packets("AB") + dropped + stale_enter + end + packets("CD"), 1.0))
    assert parts == [b"AB\n", None, b""], "what came before the end of the packet is stale, and CD is a rest"
    assert read(reader, packets("EF")) == b"EF\n"
    assert list(reader.push(dropped + end + dropped + end, 1.1)) == [b"", None, b"", b""], "told once"
    assert read(reader, packets("GH"), 1.6) == b"GH\n", "a pause ends it too"


@given(st.binary(max_size=400), st.integers(0, 30))
def test_events_cut_anywhere_are_the_same(salt: bytes, size: int) -> None:
    text = "".join(PRINTABLE[byte % len(PRINTABLE)] for byte in salt[:40])
    reader, data = KeyReader(pause_s=9.0, long_bytes=8), packets(text)
    parts = [data[start : start + size + 1] for start in range(0, len(data), size + 1)]
    assert b"".join(read(reader, part) for part in parts) == text.encode() + b"\n"


@given(st.lists(st.binary(max_size=200), max_size=8), st.sampled_from([4, 8]))
def test_rubbish_is_refused_or_bounded(parts: list[bytes], long_bytes: int) -> None:
    reader = KeyReader(pause_s=0.5, long_bytes=long_bytes)
    for now_s, part in enumerate(parts):
        try:
            assert len(read(reader, part, now_s)) <= len(part) // 16 + 1
        except NotAKeyScanner as refusal:
            assert refusal.number == 6106
            reader.reset()


EVENTS = st.tuples(st.sampled_from([0, 1, 1, 1, 4, 17]), st.integers(0, 0x2FF), st.integers(0, 2))


@given(st.lists(EVENTS, max_size=60))
def test_any_events_give_characters_ends_or_loss(events: list[tuple[int, int, int]]) -> None:
    reader = KeyReader(pause_s=0.5, long_bytes=8)
    data = b"".join(struct.pack("=qqHHi", 0, 0, *event) for event in events)
    for chars in reader.push(data, 1.0):
        assert chars is None or all(0x20 <= char < 0x7F or char in (0x0A, 0xFF) for char in chars)


def test_the_longest_code_costs_little() -> None:
    """A fast scanner types 600 characters in 1.2 s and more: a till on a slow board has to keep up with ease. Counted
    in calls, which are the same on every machine."""
    data = packets("A" * LONGEST)
    reader = KeyReader(pause_s=0.5, long_bytes=8)
    assert calls_in(lambda: read(reader, data)) < 30 * LONGEST
