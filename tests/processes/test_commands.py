"""What a driver types at a real validator: too little, too much, too long, not printable. DESIGN §1, §3.

Nothing of it is done, and what to write instead is said in both languages.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bus_validator.trip_keeper import TRIP_WORD_MAX
from offline_ledger.errors import CommandIncomplete, CommandTooLong, KeyFileUnsafe, NotOurCode, TripWordWrong
from offline_ledger.terminal.headless import COMMAND_CHARACTERS_MAX
from offline_ledger.terminal.signers.key_file import make_key_file
from simulators.demo.desk import is_light
from simulators.demo.processes import Said
from tests.processes.lone_bus import LoneBus, lone_bus, rider

HUGE_CHARACTERS = 3_000_000
JUNK_LINES = 200
"""More than the queue of codes holds, all before one good code."""


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[LoneBus]:
    with lone_bus(tmp_path) as made:
        made.start()
        yield made


def answer(bus: LoneBus, line: str) -> Said:
    """What is said to a command that is not obeyed, or the trip that it started."""
    mark = bus.program.mark()
    bus.program.tell(line)
    return bus.program.wait_for(lambda said: bool({"command_refused", "trip"} & said.keys()), mark, "an answer")


@pytest.mark.parametrize(
    ("line", "in_thai", "in_english"),
    [
        ("trip", "ขาดชื่อสายและเที่ยว", "route and the trip are missing"),
        ("trip 8", "ขาดชื่อเที่ยว", "The trip is missing"),
        ("trip 8 morning 1 2", "คำเกิน", "A word too many"),
        ("quit x", "quit ใช้คำเดียว", "quit stands alone"),
        ("status x", "status ใช้คำเดียว", "status stands alone"),
        ("sync now", "sync ใช้คำเดียว", "sync stands alone"),
    ],
)
def test_what_is_missing_is_said_in_both_languages(bus: LoneBus, line: str, in_thai: str, in_english: str) -> None:
    said = answer(bus, line)
    assert (said["refusal"], said["command_refused"]) == (CommandIncomplete.number, "command_incomplete")
    assert in_thai in said["line_th"] and in_english in said["line_en"]
    assert said["remedy_th"] and said["remedy_en"] and bus.program.is_running


def test_a_line_that_is_too_long_is_refused_whole(bus: LoneBus) -> None:
    """Its beginning is a command, and nobody meant that command."""
    whole = "trip 8 noon".ljust(COMMAND_CHARACTERS_MAX)
    for line in (whole + " ", whole + " later", " " * COMMAND_CHARACTERS_MAX + "trip 8 noon", "x" * HUGE_CHARACTERS):
        said = answer(bus, line)
        assert (said["refusal"], said["command_refused"]) == (CommandTooLong.number, "command_too_long")
        assert said["remedy_th"] and said["remedy_en"]
    assert answer(bus, whole)["trip"] == "noon", "what is just short enough, after all these, is obeyed"


@pytest.mark.parametrize("word", ["x" * (TRIP_WORD_MAX + 1), "a\0b", "ก" * (TRIP_WORD_MAX + 1), "a\x1bb", "a\x7f"])
def test_a_word_that_a_trip_cannot_hold_leaves_the_trip_before_it(bus: LoneBus, word: str) -> None:
    for line in (f"trip {word} noon", f"trip 8 {word}", f"trip 8 noon {word}"):
        said = answer(bus, line)
        assert said["refusal"] == TripWordWrong.number and said["remedy_th"] and said["remedy_en"]
    bus.program.kill()
    mark_trip = bus.start() and bus.program.wait_for(lambda said: "trip" in said, 0, "the kept trip")
    assert mark_trip["trip"] != "noon"
    longest = "ก" * TRIP_WORD_MAX
    assert answer(bus, f"trip 8 {longest}")["trip"] == longest


def test_a_code_behind_a_burst_of_rubbish_gets_its_light(bus: LoneBus) -> None:
    bus.tap(rider(1))
    mark = bus.program.mark()
    code = rider(2).code(int(time.time()))
    bus.scanner.send_raw(b"junk\r\n" * JUNK_LINES + code.encode() + b"\r\n")
    green = bus.program.wait_for(lambda said: said.get("sequence") == 2, mark, "the light of the code")
    assert green["light"] == "accepted_cash_due"
    lights = [said for said in bus.program.said_since(mark) if is_light(said)]
    assert [said["refusal"] for said in lights[:-1]] == [NotOurCode.number] * JUNK_LINES, "each has its light, in order"


def test_a_key_file_that_the_next_start_would_refuse_is_told_while_running(bus: LoneBus, tmp_path: Path) -> None:
    key = tmp_path / "device.key"
    sound = key.read_bytes()
    other = tmp_path / "TEST-ONLY-other.key"
    make_key_file(other)
    spoils = {
        "public": lambda: key.chmod(0o644),
        "damaged": lambda: key.write_bytes(sound[: len(sound) // 2]),
        "empty": lambda: key.write_bytes(b""),
        "another": lambda: key.write_bytes(other.read_bytes()),
    }
    for at, (what, spoil) in enumerate(spoils.items()):
        mark = bus.program.mark()
        spoil()
        told = bus.program.wait_for(lambda said: said.get("trouble") == "key", mark, f"a key that is {what}")
        assert told["refusal"] == KeyFileUnsafe.number and told["remedy_th"] and told["remedy_en"]
        assert bus.tap(rider(at + 1))["light"] == "accepted_cash_due"
        key.write_bytes(sound)
        key.chmod(0o600)
        bus.program.wait_for(lambda said: said.get("trouble_over") == "key", mark, "the end of it")
