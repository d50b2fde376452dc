"""The launcher as the service starts it: real processes, real files, SIGKILL at each step. DESIGN §3; decision 0214."""

import json
import resource
import subprocess
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from offline_ledger.terminal.updates.package import Store
from offline_ledger.terminal.updates.start import (
    BACK,
    FAILED,
    GOOD,
    MANIFEST,
    STARTS_MAX,
    STATE_FILES,
    SWITCH,
    TRYING,
    Slot,
    State,
    after,
)
from tests.terminal.updates.slot_desk import GOOD_A, NEW_B, SYSTEM_PYTHON, SlotDesk, says

SETTINGS = ("--settings", "bus.toml")
RUNS, FLOORS_MAX = 10, 5


@pytest.fixture
def desk(tmp_path: Path) -> SlotDesk:
    made = SlotDesk(tmp_path)
    for name, version in (("a", "0.1.0"), ("b", "0.2.0")):
        made.fill(name, version, says(name))
    return made


TRIED = after(State("a", GOOD_A, NEW_B), SWITCH)


def test_it_imports_nothing_but_pythons_own() -> None:
    """With the system's Python, which has none of our packages."""
    tell = "import json,sys; json.dump(sorted(sys.modules), sys.stdout)"
    source = f"exec(open(sys.argv[1]).read(), {{'__name__': 'start'}}); {tell}"
    from tests.terminal.updates.slot_desk import START

    words = [SYSTEM_PYTHON, "-IS", "-c", f"import sys; {source}", str(START)]
    loaded = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    assert not [name for name in loaded if "offline_ledger" in name or "site-packages" in name]
    assert {"subprocess", "socket", "pathlib", "logging"}.isdisjoint(loaded), "what costs time at each start"


def test_it_is_quick(desk: SlotDesk) -> None:
    """With the program that it becomes less than three times what Python's own start takes of the processor, whatever
    else the machine does."""
    desk.put(State("a", GOOD_A))
    floor_s = min(processor_s([SYSTEM_PYTHON, "-IS", "-c", "pass"]) for _ in range(RUNS))
    took_s = min(processor_s(desk.words(*SETTINGS)) for _ in range(RUNS))
    assert took_s < floor_s * FLOORS_MAX


def processor_s(words: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(words, capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_two_starts_that_prove_nothing_bring_the_former_one_back(desk: SlotDesk) -> None:
    desk.put(TRIED)
    for _ in range(STARTS_MAX):
        assert desk.run(*SETTINGS).stdout == "b b --settings bus.toml\n"
    back = desk.run(*SETTINGS)
    assert back.stdout == "a a --settings bus.toml\n"
    assert "slot b (0.2.0) is given up, slot a (0.1.0) starts" in back.stderr
    now = desk.now()
    assert (now.active, now.a.mark, now.b.mark, now.undone.version) == ("a", GOOD, FAILED, "0.2.0")


def test_a_start_is_counted_durably_before_the_program_runs(desk: SlotDesk, tmp_path: Path) -> None:
    """Seen from outside: both copies are synced, each is renamed, then its folder synced; only then the program."""
    desk.put(TRIED)
    log = tmp_path / "calls"
    words = ["strace", "-f", "-e", "trace=fsync,rename,renameat,renameat2,execve", "-o", str(log)]
    subprocess.run([*words, *desk.words(*SETTINGS)], capture_output=True, check=True)
    calls = [line.split(maxsplit=1)[1].split("(")[0] for line in log.read_text().splitlines() if "= 0" in line]
    launched = calls[calls.index("fsync") :]
    assert launched[:7] == ["fsync", "fsync", "rename", "fsync", "rename", "fsync", "execve"], calls
    assert desk.now().starts == 1


def test_a_command_beside_it_counts_nothing(desk: SlotDesk) -> None:
    desk.put(TRIED)
    for _ in range(STARTS_MAX + 2):
        assert desk.run(*SETTINGS, "diagnose").stdout.startswith("b b ")
    assert desk.now() == TRIED


def test_the_first_start_of_all_needs_no_state(desk: SlotDesk) -> None:
    assert desk.run(*SETTINGS).stdout.startswith("a a ")
    assert (desk.now().active, desk.now().a, desk.now().starts) == ("a", Slot(TRYING, "0.1.0"), 1)


@pytest.mark.parametrize("broken", ["one copy", "both copies", "no copy", "older copy"])
def test_whatever_became_of_the_state_a_slot_starts(desk: SlotDesk, broken: str) -> None:
    desk.put(State("b", GOOD_A, NEW_B._replace(mark=GOOD)))
    first, second = (desk.state / name for name in STATE_FILES)
    if broken == "no copy":
        first.unlink()
        second.unlink()
    elif broken == "older copy":
        older = second.read_bytes()
        desk.put(after(desk.now(), BACK))
        second.write_bytes(older)
    else:
        first.write_bytes(first.read_bytes()[:-40])
        if broken == "both copies":
            second.write_bytes(b"\0" * 300)
    done = desk.run(*SETTINGS)
    starts = {"one copy": "b", "both copies": "a", "no copy": "a", "older copy": "a"}[broken]
    assert done.returncode == 0 and done.stdout.startswith(starts)
    assert desk.now().active == starts and not desk.disk.is_damaged, "both copies are whole again"


def test_a_slot_without_its_program_has_no_turn(desk: SlotDesk) -> None:
    desk.put(TRIED)
    (desk.slot("b") / "bin" / "kgo-bus").unlink()
    assert desk.run(*SETTINGS).stdout.startswith("a a ")
    assert (desk.now().active, desk.now().b.mark) == ("a", FAILED)


def test_a_program_that_cannot_run_leaves_it_to_the_other_slot(desk: SlotDesk) -> None:
    desk.fill("a", "0.1.0", "#!/nowhere/python\n")
    desk.put(State("a", GOOD_A, NEW_B._replace(mark=GOOD)))
    done = desk.run(*SETTINGS)
    assert done.stdout.startswith("b b ") and "kgo-bus: No such file" in done.stderr
    desk.fill("b", "0.2.0", "#!/nowhere/python\n")
    assert desk.run(*SETTINGS).returncode == 1


def test_half_a_slot_is_not_started_either(desk: SlotDesk) -> None:
    """A slot is filled while the other one breaks."""
    desk.fill("a", "0.1.0", "#!/nowhere/python\n")
    desk.put(State("a", GOOD_A))
    (desk.slot("b") / MANIFEST).unlink()
    done = desk.run(*SETTINGS)
    assert (done.returncode, done.stdout) == (1, "")


def test_what_cannot_be_counted_is_not_tried(desk: SlotDesk) -> None:
    """A full disk, a file system that has become read-only: here another holds the lock for good."""
    desk.put(TRIED)
    held = desk.disk.lock(1.0)
    try:
        assert desk.run(*SETTINGS).stdout.startswith("a a "), "the one that has proved itself"
    finally:
        import os

        os.close(held)
    assert desk.run(*SETTINGS).stdout.startswith("b b ") and desk.now().starts == 1


def test_without_any_slot_it_says_so(tmp_path: Path) -> None:
    empty = SlotDesk(tmp_path)
    done = empty.run(*SETTINGS)
    assert done.returncode == 1 and "no slot" in done.stderr
    assert subprocess.run([str(empty.launcher)], capture_output=True, check=False).returncode == 2


BROKEN = "#!/bin/sh\nexit 1\n"


def gone_back(desk: SlotDesk) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*desk.words()[:-1], "--back"], capture_output=True, text=True, timeout=30, check=False)


def test_a_good_slot_that_starts_no_more_is_left_by_hand(desk: SlotDesk) -> None:
    """Its own code cannot help: the launcher asks no slot's."""
    desk.fill("b", "0.2.0", BROKEN)
    (desk.slot("b") / MANIFEST).write_bytes(b"\0" * 100)
    desk.put(State("b", GOOD_A, NEW_B._replace(mark=GOOD)))
    assert [desk.run(*SETTINGS).returncode for _ in range(STARTS_MAX + 2)] == [1] * (STARTS_MAX + 2)
    assert desk.run(*SETTINGS, "update", "back").returncode == 1 and desk.now().active == "b"
    done = gone_back(desk)
    assert done.returncode == 0 and "slot a (0.1.0) is next" in done.stderr
    assert desk.run(*SETTINGS).stdout.startswith("a a ")
    assert (desk.now().a.mark, desk.now().undone.version) == (GOOD, "0.2.0")


def test_while_a_program_of_a_slot_runs_it_is_asked_itself(desk: SlotDesk) -> None:
    desk.fill("b", "0.2.0", "#!/bin/sh\necho up\nread line\n")
    desk.put(State("b", GOOD_A, NEW_B._replace(mark=GOOD)))
    with subprocess.Popen(desk.words(*SETTINGS), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as runs:
        assert runs.stdout is not None and runs.stdout.readline() == "up\n"
        done = gone_back(desk)
        assert (done.returncode, desk.now().active) == (75, "b") and f"process {runs.pid}" in done.stderr
        runs.communicate("end\n", timeout=10)
    assert gone_back(desk).returncode == 0 and desk.now().active == "a"


@pytest.mark.parametrize("lacks", ["a slot", "its journal", "a manifest"])
def test_where_there_is_no_way_back_it_says_so(desk: SlotDesk, lacks: str) -> None:
    before = State("b", GOOD_A, NEW_B._replace(mark=GOOD))
    if lacks == "a slot":
        before = before.put("a", GOOD_A._replace(mark=FAILED))
    elif lacks == "its journal":
        desk.fill("b", "0.2.0", BROKEN, stores={"journal": Store(1, 99, 99)})
    else:
        (desk.slot("a") / MANIFEST).write_bytes(b"[]")
    desk.put(before)
    done = gone_back(desk)
    why = {"a slot": "good back failed", "its journal": "cannot read the journal of slot b", "a manifest": "manifest"}
    assert done.returncode == 1 and "no way back: " in done.stderr and why[lacks] in done.stderr
    assert desk.now() == before


BEFORE = {
    "first of all": None,
    "good": State("a", GOOD_A, NEW_B._replace(mark=GOOD)),
    "first start": TRIED,
    "second start": TRIED._replace(starts=1),
    "given up": TRIED._replace(starts=STARTS_MAX),
    "damaged": TRIED._replace(starts=1),
}


@pytest.mark.parametrize("before", BEFORE)
def test_killed_at_each_step_it_starts_the_old_or_the_new(
    desk: SlotDesk, before: str, rng: Random, soak: bool, report: Callable[[str], None]
) -> None:
    """SIGKILL before each opening, renaming, removing: what is there afterwards is one of the two states, and a program
    starts. No start is forgotten: one that ran was counted."""
    stride = 1 if soak else 3
    killed, at = 0, rng.randrange(stride)
    while True:
        for name in STATE_FILES:
            (desk.state / name).unlink(missing_ok=True)
        state = BEFORE[before]
        if state is not None:
            desk.put(state)
        if before == "damaged":
            (desk.state / STATE_FILES[0]).write_bytes(b"{")
        if not desk.run_killed(at, *SETTINGS):
            break
        found = desk.disk.read()
        counted = State("a", Slot(TRYING, "0.1.0"), Slot(TRYING, "0.2.0")) if state is None else state
        assert found in (state, after(counted, "start")), found
        assert desk.run(*SETTINGS).stdout[0] in "ab"
        copies = {(desk.state / name).read_bytes() for name in STATE_FILES}
        assert len(copies) == 1, "what a kill left uneven is put right by the next start"
        killed, at = killed + 1, at + stride
    assert killed * stride >= (4 if before == "good" else 11), killed
    report(f"launcher: {before}, killed at {killed} steps")
