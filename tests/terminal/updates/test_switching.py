"""The running program's side: which steps it takes, what it answers, and SIGKILL at each write of the state."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from offline_ledger.errors import (
    CityUnreachable,
    CommandIncomplete,
    NothingStaged,
    NotInSlots,
    NoWayBack,
    PrinterOffline,
    Refusal,
    SelfTestFailed,
    SlotUnproved,
    StorageFailed,
    TerminalBusy,
    UpdateInProgress,
    UpdateUndone,
)
from offline_ledger.terminal.headless import LineLamp
from offline_ledger.terminal.status import SyncStatus
from offline_ledger.terminal.updates.by_hand import declare
from offline_ledger.terminal.updates.package import STORES, Store, slot_manifest
from offline_ledger.terminal.updates.proving import DEADLINE_TIMES
from offline_ledger.terminal.updates.start import (
    BACK,
    CLEAR,
    GOOD,
    PROVE,
    STAGE,
    STATE_FILES,
    SWITCH,
    TRYING,
    State,
    after,
)
from offline_ledger.terminal.updates.switching import AtWork, Here, SlotKeeper, changed, here_in, obey
from tests.terminal.updates.slot_desk import GOOD_A, NEW_B, SlotDesk, killed, says

STEP = """
import sys
from offline_ledger.terminal.updates.start import Slot, SlotDisk, after
root, state, event = sys.argv[1:]
new = Slot("staged", "0.2.0", "bb" * 32)
SlotDisk(root, state).changed(lambda state: after(state, event, new))
"""
SYNCED = SyncStatus(0, None, 0, 1, 1, True, 0, None, (), False)
OFFLINE = SYNCED._replace(is_connected=False, trouble=CityUnreachable())
TRIED = after(State("a", GOOD_A, NEW_B), SWITCH)
BEFORE = {
    CLEAR: State("a", GOOD_A, NEW_B._replace(mark=GOOD)),
    STAGE: State("a", GOOD_A),
    SWITCH: State("a", GOOD_A, NEW_B),
    PROVE: TRIED._replace(starts=1),
    BACK: State("b", GOOD_A, NEW_B._replace(mark=GOOD)),
}


class Program:
    """What a keeper asks of the running program; the test says what is so."""

    def __init__(self, desk: SlotDesk, slot: str, prove_s: int = 20) -> None:
        self.mono_ms, self.open, self.ended = 1_000, "", ""
        self.troubles: dict[str, Refusal] = {}
        self.link: SyncStatus | None = SYNCED
        self.lamp = LineLamp()
        work = AtWork(
            self.lamp,
            self.note,
            lambda: list(self.troubles.items()),
            lambda: self.link,
            lambda: self.open,
            lambda: self.mono_ms,
            lambda: self.end("stopped"),
            lambda: self.end("failed"),
        )
        self.keeper = SlotKeeper(Here(slot, desk.disk), work, prove_s)

    def note(self, what: str, refusal: Refusal | None) -> None:
        self.troubles.pop(what, None)
        if refusal is not None:
            self.troubles[what] = refusal

    def end(self, how: str) -> None:
        self.ended = how

    def live(self, seconds: int) -> None:
        for _ in range(seconds * 4):
            self.mono_ms += 250
            self.keeper.look()


@pytest.fixture
def desk(tmp_path: Path) -> SlotDesk:
    made = SlotDesk(tmp_path)
    for name, version in (("a", "0.1.0"), ("b", "0.2.0")):
        made.fill(name, version, says(name))
    return made


@pytest.mark.parametrize("event", BEFORE)
def test_killed_at_each_step_the_state_is_the_old_or_the_new(
    desk: SlotDesk, event: str, tmp_path: Path, rng: Random, soak: bool, report: Callable[[str], None]
) -> None:
    script, count, stride = tmp_path / "step.py", 0 if soak else rng.randrange(3), 1 if soak else 3
    script.write_text(STEP)
    before = BEFORE[event]
    new = after(before, event, NEW_B)
    while True:
        desk.put(before)
        words = [str(script), str(desk.root), str(desk.state), event]
        if not killed([sys.executable, "-SP"], count, [desk.state], words):
            break
        assert desk.now() in (before, new)
        (desk.state / STATE_FILES[0]).write_bytes(b"")  # and were the newer copy lost besides
        assert desk.now() in (before, new)
        count += stride
    assert desk.now() == new and count >= 10
    report(f"state: {event}, killed at every {'' if soak else 'third '}of {count} steps")


def test_it_proves_itself_once(desk: SlotDesk, capfd: pytest.CaptureFixture[str]) -> None:
    desk.put(TRIED._replace(starts=2, before=("printer",)))
    program = Program(desk, "b")
    program.note("printer", PrinterOffline())
    program.live(19)
    assert desk.now().b.mark == TRYING
    program.live(2)
    assert (desk.now().b.mark, desk.now().starts, desk.now().before) == (GOOD, 0, ())
    assert json.loads(capfd.readouterr().out) == {"update": "proved", "slot": "b", "version": "0.2.0"}
    program.live(DEADLINE_TIMES * 20)
    assert not program.ended


@pytest.mark.parametrize("fault", ["device", "sync", "nothing heard"])
def test_one_that_fails_its_test_ends_between_customers(desk: SlotDesk, fault: str) -> None:
    desk.put(TRIED._replace(starts=1))
    program = Program(desk, "b")
    if fault == "device":
        program.note("printer", PrinterOffline())
    else:
        program.link = (
            None if fault == "nothing heard" else SYNCED._replace(trouble=StorageFailed(), is_connected=False)
        )
    program.open = "a sale is open"
    program.live(DEADLINE_TIMES * 20 + 1)
    assert isinstance(program.troubles["update"], SelfTestFailed) and not program.ended
    assert program.troubles["update"].detail == ("printer" if fault == "device" else "sync")
    program.open = ""
    program.live(1)
    assert program.ended == "failed" and desk.now().b.mark == TRYING, "the launcher counts, and goes back"


def test_a_city_that_cannot_be_reached_is_no_fault_of_the_version(desk: SlotDesk) -> None:
    desk.put(TRIED._replace(starts=1))
    program = Program(desk, "b")
    program.link = OFFLINE
    program.live(21)
    assert desk.now().b.mark == GOOD


def test_a_slot_that_is_not_next_any_more_says_nothing(desk: SlotDesk) -> None:
    """Its disk was full when it started: the launcher ran the other one, or a technician went back meanwhile."""
    desk.put(TRIED._replace(starts=1))
    program = Program(desk, "b")
    desk.put(after(TRIED, BACK))
    program.live(DEADLINE_TIMES * 20 + 1)
    assert desk.now().active == "a" and not program.ended


def told(program: Program, *words: str) -> Refusal:
    with pytest.raises(Refusal) as refused:
        program.keeper.obey(list(words))
    assert not program.ended
    return refused.value


def test_what_it_is_asked(desk: SlotDesk) -> None:
    desk.put(State("a", GOOD_A))
    program = Program(desk, "a")
    assert isinstance(told(program, "switch"), NothingStaged)
    assert isinstance(told(program, "back"), NoWayBack)
    assert isinstance(told(program), CommandIncomplete) and isinstance(told(program, "switch", "x"), CommandIncomplete)
    desk.put(State("a", GOOD_A, NEW_B))
    program.open = "a trip is under way"
    busy = told(program, "switch")
    assert isinstance(busy, TerminalBusy) and busy.detail == "a trip is under way" and busy.waiting_helps
    assert desk.now() == State("a", GOOD_A, NEW_B)
    program.open = ""
    program.note("printer", PrinterOffline())
    program.keeper.obey(["switch"])
    assert program.ended == "stopped"
    assert desk.now() == TRIED._replace(before=("printer",)), "what stood before is not held against the new one"


def test_while_it_proves_itself_it_stays(desk: SlotDesk) -> None:
    desk.put(TRIED._replace(starts=1))
    assert isinstance(told(Program(desk, "b"), "switch"), SlotUnproved)
    program = Program(desk, "a")  # started because the count could not be written
    assert isinstance(told(program, "switch"), SlotUnproved)


def test_back_only_to_one_that_reads_todays_journal(desk: SlotDesk) -> None:
    both = State("b", GOOD_A, NEW_B._replace(mark=GOOD))
    writes = STORES["journal"].writes
    desk.put(both)
    desk.fill("a", "0.0.1", says("a"), stores={"journal": Store(writes + 1, writes + 1, writes + 1)})
    refused = told(Program(desk, "b"), "back")
    assert isinstance(refused, NoWayBack) and "journal" in refused.detail
    (desk.slot("a") / "manifest.json").write_text("{")
    assert isinstance(told(Program(desk, "b"), "back"), NoWayBack)
    desk.fill("a", "0.1.0", says("a"))
    program = Program(desk, "b")
    program.keeper.obey(["back"])
    assert desk.now().active == "a" and program.ended == "stopped"
    again = Program(desk, "a")
    assert isinstance(again.troubles["update"], UpdateUndone) and again.troubles["update"].detail == "version 0.2.0"
    installed = after(after(desk.now(), CLEAR), STAGE, NEW_B)  # by hand, as nobody else would
    desk.put(installed)
    Program(desk, "a").keeper.obey(["switch"])
    assert "update" not in Program(desk, "b").troubles, "it runs, and proves itself"


def test_a_disk_that_says_no_and_another_who_writes(desk: SlotDesk) -> None:
    desk.put(State("a", GOOD_A, NEW_B))
    held = desk.disk.lock(1.0)
    with pytest.raises(UpdateInProgress):
        changed(desk.disk, lambda state: after(state, SWITCH))
    os.close(held)
    for name in STATE_FILES:  # nothing can be written there; neither copy is changed
        (desk.state / f".{name}.new").mkdir()
        with pytest.raises(StorageFailed):
            changed(desk.disk, lambda state: after(state, SWITCH))
        assert desk.now() == State("a", GOOD_A, NEW_B) and not desk.disk.is_uneven
        (desk.state / f".{name}.new").rmdir()
    for name in ("a", "b"):
        (desk.slot(name) / "manifest.json").unlink()
    for name in STATE_FILES:
        (desk.state / name).unlink()
    with pytest.raises(NotInSlots):
        changed(desk.disk, lambda state: after(state, SWITCH))


def test_outside_of_slots_there_is_nothing_to_switch(capfd: pytest.CaptureFixture[str]) -> None:
    assert here_in({}) is None and here_in({"KGO_SLOT": "c", "KGO_SLOT_STATE": "x", "KGO_SLOT_ROOT": "y"}) is None
    obey(None, LineLamp(), ["switch"])
    said = json.loads(capfd.readouterr().out)
    assert (said["command_refused"], said["refusal"]) == (NotInSlots.key, NotInSlots.number)


def test_a_slot_that_was_filled_by_hand(desk: SlotDesk) -> None:
    (desk.slot("a") / "manifest.json").unlink()
    assert desk.disk.whole() == ["b"]
    declare(desk.slot("a"))
    found = slot_manifest(desk.slot("a"))
    assert found is not None and found.programs == ("kgo-bus",) and desk.disk.whole() == ["a", "b"]
