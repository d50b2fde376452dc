"""A whole bus is tested and passes; then each of its parts is broken in turn, and that part alone fails, by its name.

The technician believes its eyes: a lamp that is burnt out is dark on the ring, not in the program. In the soak the
whole test is run for each broken part, in the slice for several at once and only the parts that they could concern.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from threading import Timer

import pytest

from firmware.link import messages
from firmware.reader_head import pins
from offline_ledger.errors import (
    ButtonSilent,
    ButtonStuck,
    BuzzerWrong,
    CableNoisy,
    CityCertificateWrong,
    CityNameUnknown,
    CityPortSilent,
    ClockChipStopped,
    ClockChipWrong,
    ClockSourceLost,
    CoverSilent,
    DiskSlow,
    DisplayWrong,
    GpsGarbled,
    GpsMute,
    GpsNoFix,
    HeadLost,
    HeadMemoryLow,
    HeadWasStuck,
    LightUnconfirmed,
    Refusal,
    RingWrong,
    ScannerMute,
    ScannerReadsWrong,
    ScreenLost,
    SystemClockWrong,
)
from simulators.clock import RtcFault
from simulators.gps import Fault
from simulators.head.device import POWER_ON, WATCHDOG
from simulators.head.recording import state_of
from simulators.slow_disk import slow_disk
from tests.terminal.https_city import make_authority
from tests.terminal.selftest.bus_bench import QUICK, BusBench, Ended, bus_bench

GREEN = (messages.ACCEPTED, messages.ACCEPTED_CASH_DUE)
RINGS = {"wait", "reading", "already", "refused", "try_again", "out_of_service", "training", "locked"}
Break = Callable[[BusBench], None]
Broken = tuple[Break, tuple[str, ...], Mapping[str, type[Refusal]], set[str]]


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[BusBench]:
    with bus_bench(tmp_path) as bench:
        yield bench


def greens(bus: BusBench) -> list[tuple[int, int]]:
    """From when to when the ring was green, in microseconds of the machine's clock."""
    found: list[tuple[int, int]] = []
    since_us = 0
    for event in bus.head.timeline():
        is_green = event.what == "pixels" and state_of(event.pixels) in GREEN
        if is_green and not since_us:
            since_us = event.at_us
        elif event.what == "pixels" and not is_green and since_us:
            found.append((since_us, event.at_us))
            since_us = 0
    assert not since_us, "no green is left standing"
    return found


def check_whole(done: Ended) -> None:
    assert done.failed == {} and done.code == 0
    assert done.of("skipped") == {"scanner.reads", "camera.reads", "card.reader", "card.reads"}
    assert not done.of("not_done")
    assert done.proved is not None and done.report["verdict"] == "passed" and done.report["is_whole"] is True


def test_a_sound_bus_passes_and_its_greens_are_tests(bus: BusBench) -> None:
    done = bus.test(by_buttons=True)
    check_whole(done)
    assert done.report["who"] == "Somchai"
    before = done.technician.asked.count("head.green")
    shown = greens(bus)
    assert len(shown) == before == 2
    assert all(until_us - since_us < 2_000_000 for since_us, until_us in shown)
    around = [state_of(event.pixels) for event in bus.head.timeline() if event.what == "pixels"]
    for at, state in enumerate(around):
        if state in GREEN:
            assert around[at - 1] in (*GREEN, messages.TRAINING) and around[at + 1] in (*GREEN, messages.TRAINING)
    bus.head.wait_for(messages.OUT_OF_SERVICE)


@pytest.mark.parametrize("who", ["says no", "says nothing", "says yes too late"])
def test_without_a_yes_there_is_no_green(bus: BusBench, who: str) -> None:
    answers: dict[str, Callable[[], bool | None]] = {
        "says no": lambda: False,
        "says nothing": lambda: None,
        "says yes too late": lambda: Timer(0.5, bus.head.press).start(),
    }
    bus.eyes["head.green"] = answers[who]
    done = bus.test("head", times=QUICK._replace(ask_s=0.3))
    assert {"head.ring_accepted", "head.ring_cash_due"} <= done.of("not_done")
    assert greens(bus) == []
    assert done.code == 1


def test_without_its_cover_on_the_screen_there_is_no_green(bus: BusBench) -> None:
    no_screen(bus)
    done = bus.test("head", "display")
    assert set(done.failed) == {"display.shows"}
    assert {"head.ring_accepted", "head.ring_cash_due"} <= done.of("not_done")
    assert "head.green" not in done.technician.asked and greens(bus) == []


# --- each part broken by name


def burnt_lamp(bus: BusBench) -> None:
    bus.head.burn_out(0)


def mute_buzzer(bus: BusBench) -> None:
    bus.head.mute_buzzer()


def stuck_button(bus: BusBench) -> None:
    bus.hands["head.button_1"] = lambda: (bus.head.hold(1), bus.head.cut(pins.BUTTON_1))[0]


def cut_button(bus: BusBench) -> None:
    bus.head.cut(pins.BUTTON_2)


def swapped_buttons(bus: BusBench) -> None:
    bus.hands["head.button_1"] = lambda: bus.head.press(2)
    bus.hands["head.button_2"] = lambda: bus.head.press(1)


def cut_cover(bus: BusBench) -> None:
    bus.head.cut(pins.TAMPER)


def blind_scanner(bus: BusBench) -> None:
    bus.head.cover_lens()


def other_code(bus: BusBench) -> None:
    bus.hands["head_scanner.reads"] = lambda: bus.head.scan("https://example.org")


def noisy_cable(bus: BusBench) -> None:
    bus.head.set_noise(3_000)


def pulled_head(bus: BusBench) -> None:
    bus.head.unplug()


def bitten_head(bus: BusBench) -> None:
    bus.head.restart(WATCHDOG)


def full_memory(bus: BusBench) -> None:
    bus.head.fill_memory(30_000)  # some 23,000 are left while it works; with 10,000 it would not start
    bus.head.restart(POWER_ON)


def frozen_head(bus: BusBench) -> None:
    bus.eyes["head.ring_all"] = lambda: bus.head.freeze() or True


def no_screen(bus: BusBench) -> None:
    bus.change("file:screen.png", "file:gone/screen.png")


def dead_dot(bus: BusBench) -> None:
    bus.eyes["display.dots"] = lambda: False


def lost_tone_marks(bus: BusBench) -> None:
    bus.eyes["display.thai"] = lambda: False


def silent_gps(bus: BusBench) -> None:
    bus.gps.faults.add(Fault.SILENT)


def roofed_gps(bus: BusBench) -> None:
    bus.gps.faults.add(Fault.NO_FIX)


def garbled_gps(bus: BusBench) -> None:
    bus.gps.faults.add(Fault.GARBAGE)


def chip_at_1970(bus: BusBench) -> None:
    bus.chip.fail(RtcFault.RESET)


def stopped_chip(bus: BusBench) -> None:
    bus.chip.fail(RtcFault.STOPPED)


def gone_chip(bus: BusBench) -> None:
    bus.chip.fail(RtcFault.GONE)


def chip_ahead(bus: BusBench) -> None:
    bus.chip.step_s(60)


def city_elsewhen(bus: BusBench) -> None:
    bus.city.city.now_s = lambda: int(time.time()) - 3_600


def silent_city(bus: BusBench) -> None:
    bus.change(bus.city.url, "https://127.0.0.1:9")


def unnamed_city(bus: BusBench) -> None:
    bus.change(bus.city.url, "https://kgo.invalid")


def strange_city(bus: BusBench) -> None:
    (bus.folder / "other").mkdir()
    other = make_authority(bus.folder / "other", "TEST ONLY other CA")
    settings = bus.settings.read_text()
    named = next(line for line in settings.splitlines() if line.startswith("ca_file"))
    bus.change(named, f'ca_file = "{other.ca_file}"')


PARTS: dict[str, Broken] = {
    "burnt lamp": (
        burnt_lamp,
        ("head",),
        {f"head.ring_{name}": RingWrong for name in (*RINGS, "all", "accepted", "cash_due")}
        | {"head.brightness": RingWrong},
        set(),
    ),
    "mute buzzer": (mute_buzzer, ("head",), {"head.buzzer": BuzzerWrong}, set()),
    "stuck button": (
        stuck_button,
        ("head",),
        {"head.button_1": ButtonStuck, "head.button_2": ButtonStuck},
        set(),
    ),
    "cut button": (cut_button, ("head",), {"head.button_2": ButtonSilent}, set()),
    "swapped buttons": (
        swapped_buttons,
        ("head",),
        {"head.button_1": ButtonStuck, "head.button_2": ButtonStuck},
        set(),
    ),
    "cut cover": (cut_cover, ("head",), {"head.cover": CoverSilent}, set()),
    "blind scanner": (blind_scanner, ("head_scanner",), {"head_scanner.reads": ScannerMute}, set()),
    "other code": (other_code, ("head_scanner",), {"head_scanner.reads": ScannerReadsWrong}, set()),
    "noisy cable": (noisy_cable, ("head",), {"head.cable": CableNoisy}, {"head", "head_scanner"}),
    "pulled head": (pulled_head, ("head",), {"head.cable": HeadLost}, {"head", "head_scanner"}),
    "bitten head": (bitten_head, ("head",), {"head.state": HeadWasStuck}, set()),
    "full memory": (full_memory, ("head",), {"head.state": HeadMemoryLow}, set()),
    "no screen": (no_screen, ("display",), {"display.shows": ScreenLost}, {"display", "head"}),
    "dead dot": (dead_dot, ("display",), {"display.dots": DisplayWrong}, set()),
    "lost tone marks": (lost_tone_marks, ("display",), {"display.thai": DisplayWrong}, set()),
    "silent gps": (silent_gps, ("gps",), {"gps.sentences": GpsMute}, {"gps"}),
    "roofed gps": (roofed_gps, ("gps",), {"gps.fix": GpsNoFix}, set()),
    "garbled gps": (garbled_gps, ("gps",), {"gps.sentences": GpsGarbled}, {"gps"}),
    "chip at 1970": (chip_at_1970, ("clock",), {"clock.chip_time": ClockChipWrong}, set()),
    "stopped chip": (stopped_chip, ("clock",), {"clock.chip_runs": ClockChipStopped}, {"clock"}),
    "gone chip": (gone_chip, ("clock",), {"clock.chip_runs": ClockSourceLost}, {"clock"}),
    "chip ahead": (chip_ahead, ("clock",), {"clock.chip_time": ClockChipWrong}, set()),
    "city elsewhen": (
        city_elsewhen,
        ("network", "clock", "sync"),
        {"clock.chip_time": ClockChipWrong, "clock.system": SystemClockWrong},
        set(),
    ),
    "silent city": (silent_city, ("network", "sync"), {"network.port": CityPortSilent}, {"network", "sync"}),
    "unnamed city": (unnamed_city, ("network", "sync"), {"network.name": CityNameUnknown}, {"network", "sync"}),
    "strange city": (strange_city, ("network", "sync"), {"network.tls": CityCertificateWrong}, {"network", "sync"}),
}
"""By name: what breaks it, the parts that it could concern, what must fail, and parts of which steps cannot be done."""


GROUPS: tuple[tuple[str, ...], ...] = (
    ("full memory", "burnt lamp", "mute buzzer", "cut button", "cut cover", "blind scanner"),
    ("bitten head", "swapped buttons", "other code"),
    ("stuck button", "chip ahead"),
    ("noisy cable", "silent gps", "chip at 1970", "silent city", "dead dot"),
    ("pulled head", "roofed gps", "stopped chip", "unnamed city", "lost tone marks"),
    ("no screen", "garbled gps", "gone chip", "strange city"),
    ("city elsewhen",),
)
"""What the slice breaks together, since each of them concerns another part; the soak breaks one at a time."""


def test_each_is_in_a_group() -> None:
    assert sorted(name for group in GROUPS for name in group) == sorted(PARTS)


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: " + ".join(group))
def test_a_broken_part_fails_and_no_other(tmp_path: Path, group: tuple[str, ...], soak: bool) -> None:
    for number, names in enumerate([(name,) for name in group] if soak else [group]):
        folder = tmp_path / str(number)
        folder.mkdir()
        with bus_bench(folder) as bus:
            check_broken(bus, names, is_whole=soak)


def check_broken(bus: BusBench, names: tuple[str, ...], *, is_whole: bool) -> None:
    concerned: list[str] = []
    wrong: dict[str, type[Refusal]] = {}
    undone: set[str] = set()
    for name in names:
        break_it, parts, refusals, after = PARTS[name]
        break_it(bus)
        concerned += parts
        wrong |= refusals
        undone |= after
    done = bus.test(*([] if is_whole else sorted(set(concerned))))
    assert done.failed == {step: refusal.number for step, refusal in wrong.items()}
    assert {step.partition(".")[0] for step in done.of("not_done")} <= undone
    assert done.code == 1 and done.report["verdict"] == "failed"
    for step in wrong:
        told = done.steps[step]
        assert told["remedy_th"] and told["remedy_en"]
        assert str(told["title_en"]) in done.technician.read, "the technician reads what is wrong, and what to do"


def test_a_head_that_stands_still_confirms_no_light(bus: BusBench) -> None:
    frozen_head(bus)
    done = bus.test("head", times=QUICK._replace(light_s=0.4))
    assert done.failed["head.ring_wait"] == LightUnconfirmed.number
    assert set(done.failed.values()) <= {LightUnconfirmed.number, HeadLost.number}


def test_a_disk_of_half_a_second_a_write(bus: BusBench) -> None:
    from offline_ledger.terminal.selftest.disk_part import DiskBounds

    with slow_disk(sync_ms=500, is_default=True):
        done = bus.test("disk", alone=True, disk=DiskBounds(), times=QUICK._replace(disk_s=0.1))
    assert done.failed == {"disk.speed": DiskSlow.number}
    assert not list(bus.folder.glob(".kgo-self-test*"))
