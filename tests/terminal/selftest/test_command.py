"""When a self-test is refused, what it does without a key, a person or a network, and parts with wires of their own."""

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from smartcard.Exceptions import CardConnectionException, NoCardException
from smartcard.System import readers

from bus_validator.boarding import TRIP_META, Trip, encode_trip
from bus_validator.trip import SHIFT_META, Run, ShiftState, TripPhase, encode_shift
from offline_ledger.errors import (
    CardReaderMute,
    CardServiceMissing,
    FileTaken,
    JournalDamaged,
    NotProvisioned,
    ScannerLost,
    ScannerMute,
    ScannerReadsWrong,
    SelfTestTripOpen,
    SelfTestWhileRunning,
    SyncStillWaiting,
    UsageWrong,
)
from offline_ledger.protocol.card import Ins
from offline_ledger.protocol.label import Label, encode_label
from offline_ledger.terminal.control import ControlDoor
from offline_ledger.terminal.journal import Journal
from offline_ledger.terminal.selftest.report import check_report
from simulators.card.applet import Applet
from simulators.card.purse import PurseFile
from simulators.card.virtual import VirtualCard
from simulators.demo.processes import wait_until
from simulators.pcsc import PcscDaemon
from simulators.scanner import Fault, SimulatedScanner
from simulators.storage.vouchers import VoucherFeed
from tests.processes.full_bus import loaded_card
from tests.terminal.city_in_test import CITY, DEVICE
from tests.terminal.selftest.bus_bench import QUICK, BusBench, bus_bench

ROOT = Path(__file__).parents[3]


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[BusBench]:
    with bus_bench(tmp_path) as bench:
        yield bench


# --- refused


def test_not_while_the_program_runs(bus: BusBench) -> None:
    door = ControlDoor(bus.folder / "control.sock", lambda _words: [{"part": "program", "is_well": True}])
    try:
        with pytest.raises(SelfTestWhileRunning):
            bus.test("disk")
    finally:
        door.close()
    bus.test("disk", alone=True)


def test_not_while_somebody_has_the_journal_and_nobody_can_have_it_meanwhile(bus: BusBench) -> None:
    with Journal.open(bus.folder / "journal.db", device_id=DEVICE), pytest.raises(SelfTestWhileRunning):
        bus.test("disk", alone=True)
    refused: list[int] = []

    def start() -> bool:
        command = (sys.executable, "-m", "bus_validator", "--settings", str(bus.settings))
        done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False, timeout=30, stdin=subprocess.DEVNULL)
        refused.append(done.returncode)
        return True

    bus.eyes["display.thai"] = start
    assert bus.test("display", times=QUICK._replace(ask_s=60)).code == 0
    assert refused == [75], "a service that is started in the middle is refused, and tried again later"


RUN = Run("8", 0, "morning", None, 0, "", 1_795_000_000, 1, 1, 0)


@pytest.mark.parametrize("what", ["typed trip", "driven trip"])
def test_not_while_a_trip_is_open(bus: BusBench, what: str) -> None:
    kept = {TRIP_META: encode_trip(Trip("8", "morning", None))}
    if what == "driven trip":
        kept = {SHIFT_META: encode_shift(ShiftState(TripPhase.RUNNING, "d-1", 1, 1, RUN))}
    with Journal.open(bus.folder / "journal.db", device_id=DEVICE) as journal:
        for key, value in kept.items():
            journal.meta_put(key, value)
    with pytest.raises(SelfTestTripOpen, match="route 8, trip"):
        bus.test("head")
    assert not [event for event in bus.head.timeline() if event.what == "tone"], "nothing was shown or played"
    with Journal.open(bus.folder / "journal.db", device_id=DEVICE) as journal:
        journal.meta_put(next(iter(kept)), b"" if what == "typed trip" else encode_shift(ShiftState()))
    assert bus.test("disk", alone=True).code == 0


def test_a_part_that_there_is_not(bus: BusBench) -> None:
    with pytest.raises(UsageWrong):
        bus.test("toaster")


# --- without something


def test_a_damaged_journal_shows_no_green(bus: BusBench) -> None:
    journal = bus.folder / "journal.db"
    journal.write_bytes(b"no journal" * 1_000)
    for beside in bus.folder.glob("journal.db-*"):
        beside.unlink()
    lines: list[str] = []
    bus.eyes["head.green"] = lambda: lines.append("asked") or True
    done = bus.test("program", "head")
    steps = done.steps
    assert done.proved is None
    assert steps["program.enrolled"]["refusal"] == JournalDamaged.number
    for name in ("head.ring_accepted", "head.ring_cash_due"):
        assert steps[name]["why"] == "withheld"
    assert lines == [], "nobody is even asked"


def test_before_enrolment_the_hardware_is_tried_all_the_same(bus: BusBench) -> None:
    for name in ("device.key", "device.cert", "trust.list", "journal.db", "journal.db-wal"):
        (bus.folder / name).unlink(missing_ok=True)
    done = bus.test(alone=True)
    assert done.failed == {"program.enrolled": NotProvisioned.number, "network.time": NotProvisioned.number}
    assert done.proved is None
    assert not (bus.folder / "journal.db").exists(), "no journal is made for a test"


def test_alone_it_asks_nobody_and_is_no_whole_test(bus: BusBench) -> None:
    done = bus.test(alone=True)
    assert done.code == 0 and done.technician.asked == []
    assert done.report["is_alone"] is True and done.report["is_whole"] is False
    assert "head.cable" in done.steps and "head.ring_refused" not in done.steps


def test_a_queue_that_is_too_long_for_the_time(bus: BusBench, rng: random.Random) -> None:
    with Journal.open(bus.folder / "journal.db", device_id=DEVICE) as journal:
        VoucherFeed(rng).next().append_to(journal)
        journal.ratify(1)
        journal.flush()
    done = bus.test("sync", alone=True, times=QUICK._replace(sync_s=0))
    assert done.failed == {"sync.complete": SyncStillWaiting.number}


def typed(*words: str) -> "subprocess.CompletedProcess[str]":
    """`kgo-bus` with these words."""
    command = (sys.executable, "-m", "bus_validator", *words)
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60, stdin=subprocess.DEVNULL
    )


def test_as_a_technician_types_it(bus: BusBench) -> None:
    """The program itself, in Thai, its report for the bench."""
    report = bus.folder / "report.json"
    words = ("--settings", str(bus.settings), "self-test", "--alone", "--json", str(report), "--who", "สมชาย")
    done = typed(*words, "--only", "network", "--only", "clock")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "✓ network.time · เวลาที่เมืองลงนาม" in done.stdout and "รายงานที่ลงนามแล้ว" in done.stdout
    proved = check_report(report.read_bytes())
    assert proved.report["who"] == "สมชาย" and proved.report["only"] == ["network", "clock"]
    again = typed(*words)
    assert again.returncode == 1 and str(FileTaken.number) in again.stderr, "no report is written over"
    assert json.loads(report.read_bytes())["sha256"] == proved.sha256.hex()


def test_where_nobody_can_type_no_question_waits(bus: BusBench) -> None:
    """Each would wait two minutes; the whole command has one."""
    report = bus.folder / "report.json"
    words = ("--settings", str(bus.settings), "--language", "en", "self-test", "--json", str(report))
    done = typed(*words, "--only", "display")
    assert done.returncode == 1, done.stdout + done.stderr
    steps = {step["step"]: step for step in json.loads(report.read_bytes())["report"]["steps"]}
    asked = {name for name, step in steps.items() if step["verdict"] == "not_done"}
    assert {"display.dots", "display.thai"} <= asked
    assert {steps[name]["why"] for name in asked} == {"unanswered"} and "failed" not in done.stdout


# --- a scanner of its own


@pytest.mark.parametrize("what", ["sound", "own label", "other label", "mute", "garbled", "pulled"])
def test_a_serial_scanner(bus: BusBench, what: str) -> None:
    port = bus.folder / "scanner"
    bus.settings.write_text(bus.settings.read_text() + f'[scanner]\nport = "{port}"\n')
    wrong = {
        "other label": ScannerReadsWrong,
        "mute": ScannerMute,
        "garbled": ScannerReadsWrong,
        "pulled": ScannerLost,
    }
    with SimulatedScanner(port) as scanner:
        if what == "garbled":
            scanner.inject(Fault.GARBLED)
        if what == "pulled":
            scanner.unplug()
        bus.scan = (lambda text: None) if what == "mute" else scanner.send  # type: ignore[method-assign]
        if what.endswith("label"):
            label = encode_label(Label(DEVICE if what == "own label" else "bus-2", CITY, "E661", bytes(8)))
            bus.scan = lambda text: scanner.send(label)  # type: ignore[method-assign]
        done = bus.test("scanner")
    assert done.failed == ({"scanner.reads": wrong[what].number} if what in wrong else {})


# --- cards, over a real card service


def is_reader_empty() -> bool:
    """As the card service sees it."""
    connection = readers()[0].createConnection()
    try:
        connection.connect()
    except NoCardException:
        return True
    except CardConnectionException:  # it is just going
        return False
    connection.disconnect()
    return False


def test_cards_at_a_real_card_service(bus: BusBench, tmp_path: Path) -> None:
    """One service for all of them: a loaded card, a blank one, none, and no reader any more."""
    bus.settings.write_text(bus.settings.read_text() + '[card]\nreader = "any"\n')
    loaded, blank = loaded_card(tmp_path / "cards", 7), VirtualCard(Applet(PurseFile(tmp_path / "blank.json"), 8))
    with PcscDaemon(1) as pcsc:
        port = pcsc.readers[0].port
        for card in (loaded, blank):
            bus.hands["card.reads"] = lambda card=card: card.insert(port)
            done = bus.test("card")
            card.remove()
            assert done.failed == {}
            assert done.steps["card.reads"]["facts"] == {"applet_version": 1}
        asked = {apdu[1] for apdu, _ in loaded.apdus}
        assert asked and not asked & {Ins.PAY, Ins.AUTHENTICATE}, "it was read, and asked for nothing"
        bus.hands["card.reads"] = lambda: None
        wait_until(is_reader_empty, "the service to see that the card is gone")
        assert bus.test("card").failed == {"card.reads": CardReaderMute.number}
    done = bus.test("card")
    assert done.failed == {"card.reader": CardServiceMissing.number} and done.of("not_done") == {"card.reads"}
