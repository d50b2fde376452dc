"""`kgo-bus waybill` beside a running validator, after a power cut, and while none runs: always the journal's sums.

A driver's trips on a real program; what is printed is read as a spreadsheet and another program would read it.
"""

import csv
import io
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bus_validator.trip_keeper import WAYBILL_WORD
from offline_ledger.errors import TripNotKept, UsageWrong
from offline_ledger.terminal.control import ask
from simulators.demo.processes import PYTHON, Said, wait_until
from tests.processes.driven_bus import DRIVER, PIN, TRIP_SETTINGS, sign_files
from tests.processes.lone_bus import LoneBus, lone_bus, rider

TOOL_S_MAX = 20


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[LoneBus]:
    """A driver is signed on."""
    sign_files(tmp_path)
    with lone_bus(tmp_path, trip=None) as made:
        made.settings.write_text(made.settings.read_text() + TRIP_SETTINGS)
        start(made)
        told(made, f"sign-on {DRIVER} {PIN}", "driver")
        yield made


def start(bus: LoneBus) -> None:
    (bus.folder / "control.sock").unlink(missing_ok=True)
    bus.start()
    wait_until((bus.folder / "control.sock").exists, "the door")


def told(bus: LoneBus, line: str, key: str) -> Said:
    mark = bus.program.mark()
    bus.program.tell(line)
    return bus.program.wait_for(lambda said: key in said, mark, f"{key} after {line.split()[0]}")


def printed(bus: LoneBus, *words: str) -> "subprocess.CompletedProcess[str]":
    """What the technician's command prints."""
    command = [*PYTHON, "bus_validator", "--settings", str(bus.settings), "--language", "en", "waybill", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=TOOL_S_MAX, check=False)


def written(bus: LoneBus, trip: str, kind: str) -> str:
    """The running program's answer."""
    (said,) = ask(bus.folder / "control.sock", [WAYBILL_WORD, trip, kind, "en"])
    return str(said["written"])


def board(bus: LoneBus, secret: int) -> None:
    assert bus.tap(rider(secret))["light"] == "accepted_cash_due"


def test_a_running_and_an_ended_trip_and_the_same_after_a_power_cut_and_without_a_program(bus: LoneBus) -> None:
    first = told(bus, "route 8 0 07:30", "trip")["trip"]
    board(bus, 11)
    mark = bus.program.mark()
    shown = printed(bus, "--format", "json")
    (running,) = json.loads(shown.stdout)
    assert (running["trip"], running["boardings"], running["thb_due"]) == (first, 1, "1.00")
    assert running["ended_at_s"] is None and written(bus, "current", "json") == shown.stdout
    about = [said for said in bus.program.said_since(mark) if said != {"light": "wait"}]  # which ends the tap
    assert not [said for said in about if not {"status", "trouble"} & set(said)], "no menu"
    board(bus, 12)
    assert told(bus, "end-trip", "waybill")["boardings"] == 2
    told(bus, "route 8 0 07:30", "trip")  # ended by mistake: the same departure once more
    board(bus, 13)
    runs = json.loads(written(bus, first, "json"))
    assert [(one["trip"], one["boardings"]) for one in runs] == [(first, 2), (first, 1)]
    assert json.loads(written(bus, "last", "json")) == runs[:1] and runs[0]["ended_at_s"] is not None

    bus.program.kill()
    alone = printed(bus, "--format", "csv", "--trip", first).stdout
    rows = [row for row in csv.DictReader(io.StringIO(alone)) if row["driver"]]
    assert [(row["driver"], row["boardings"], row["thb_due"]) for row in rows] == [
        (DRIVER, "2", "2.00"),
        (DRIVER, "1", "1.00"),
    ]
    start(bus)
    assert written(bus, first, "csv") == alone
    assert written(bus, "newest", "text").startswith("coins due 1.00 baht\n1 boardings, 50.00 KGO\n")


def test_what_cannot_be_printed_is_refused_by_number_whether_a_program_runs_or_not(bus: LoneBus) -> None:
    trip = told(bus, "route 8 0", "trip")["trip"]
    running = printed(bus, "--trip", "0.20200101.0730")
    lines = running.stderr.splitlines()
    assert running.returncode == 1 and running.stdout == "" and len(lines) == 3
    assert lines[0] == f"{TripNotKept.number} This device has no such trip" and lines[2] == f"  ({trip})"
    bus.program.stop("quit")
    alone = printed(bus, "--trip", "0.20200101.0730")
    assert (alone.returncode, alone.stderr) == (1, running.stderr)
    wrong = printed(bus, "--format", "xml")
    assert wrong.returncode == 1 and wrong.stderr.startswith(f"{UsageWrong.number} ") and "json" in wrong.stderr
