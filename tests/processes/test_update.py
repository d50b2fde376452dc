"""An update of a real bus: never on a trip, back by itself when it fails, nobody's tap lost, each voucher posted once.

FIELD_LESSONS 18, 37. The service, the launcher, both slots and the city are real processes and sockets; the new version
is a changed copy of this one, whose journal has columns and tables that this one does not know.
"""

import json
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from offline_ledger.errors import NothingStaged, NoWayBack, SlotUnproved, TerminalBusy, UpdateUndone
from offline_ledger.terminal.updates.start import FAILED, GOOD, STARTS_MAX
from simulators.demo.desk import is_light
from simulators.demo.processes import WAIT_S_MAX, DeadlinePassed, run_tool, wait_until
from tests.processes.lone_bus import rider
from tests.processes.slotted_bus import SlottedBus, changed_tree, slotted_bus
from tests.terminal.desk import DeskWallet
from tests.terminal.provisioned import DEVICE
from tests.terminal.updates.slot_desk import ROOT

SCHEMA = "offline_ledger/terminal/journal_schema.py"
REVISION = (
    "ALTER TABLE entries ADD COLUMN lane INTEGER",
    "ALTER TABLE pass_state ADD COLUMN lane INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE acks ADD COLUMN lane TEXT",
    "ALTER TABLE unratified ADD COLUMN lane BLOB",
    "ALTER TABLE coupons ADD COLUMN lane INTEGER",
    "ALTER TABLE kept_allowances ADD COLUMN lane INTEGER",
    "ALTER TABLE meta ADD COLUMN lane INTEGER",
    "CREATE TABLE lanes(lane INTEGER PRIMARY KEY, name TEXT NOT NULL)",
    "CREATE INDEX entries_by_lane ON entries(lane) WHERE lane IS NOT NULL",
)
NEXT = {
    SCHEMA: (
        ("REVISIONS: tuple[tuple[str, ...], ...] = ()", f"REVISIONS: tuple[tuple[str, ...], ...] = ({REVISION!r},)"),
        (
            "INSERT_VOUCHER = f\"INSERT INTO entries({ENTRY_COLUMNS}) VALUES({','.join('?' * 19)})\"",
            "INSERT_VOUCHER = f\"INSERT INTO entries({ENTRY_COLUMNS}, lane) VALUES({','.join('?' * 19)}, 7)\"",
        ),
    )
}
SWITCH_S_MAX = 10.0
"""Five times what the bench asks for: this machine does other things too."""
SOAK_S_MAX = 3_600
QUIET_S = 1.0
GREEN = ("accepted", "accepted_cash_due")


@pytest.fixture(scope="module")
def next_version(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return changed_tree(tmp_path_factory.mktemp("next"), "0.2.0", NEXT)


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[SlottedBus]:
    with slotted_bus(tmp_path) as made:
        yield made


def end_trip(bus: SlottedBus) -> None:
    mark = bus.service.mark()
    bus.service.tell("end-trip")
    bus.service.wait_for(lambda said: "trip" in said and said["trip"] is None, mark, "end of the trip")


def switched(bus: SlottedBus, word: str = "switch") -> float:
    """The running program is asked until nothing is open; seconds from its end to the next one's readiness."""
    mark, ended = bus.service.mark(), len(bus.service.lives)
    refused: list[str] = []

    def is_allowed() -> bool:
        said = bus.ask("update", word)
        refused.append(str(said.get("command_refused")))
        return said.get("update") == word

    wait_until(is_allowed, f"update {word} ({refused[-3:]})", step_s=0.1)
    bus.service.wait_ready(mark)
    life = bus.service.lives[ended]
    assert life.code == 0, "it ends itself, cleanly"
    wait_until(lambda: bus.service.ready_s > life.ended_s, "word of it")
    return bus.service.ready_s - life.ended_s


def start_trip(bus: SlottedBus, trip: str) -> None:
    mark = bus.service.mark()
    bus.service.tell(f"trip {trip}")
    bus.service.wait_for(lambda said: "trip" in said, mark, "the trip")


def test_a_full_queue_goes_forward_and_back_and_is_posted_once(
    bus: SlottedBus, next_version: Path, report: Callable[[str], None]
) -> None:
    """FIELD_LESSONS 18: the journal is migrated with its queue, written by the new version, and read and written by the
    old one after it came back."""
    bus.fill("b", "0.2.0", next_version)
    bus.stage()
    bus.network(is_there=False)
    bus.start()
    people = [rider(100 + number) for number in range(9)]
    for held in people[:4]:
        assert bus.scan(held)["light"] in GREEN
    busy = bus.ask("update", "switch")
    assert (busy["command_refused"], busy["refusal"]) == (TerminalBusy.key, TerminalBusy.number)
    assert bus.active() == "a"
    end_trip(bus)
    took_s = switched(bus)
    assert took_s < SWITCH_S_MAX and bus.active() == "b"
    assert bus.ask("diagnose")["facts"]["version"] == "0.2.0"
    start_trip(bus, "8 evening")
    for held in people[4:7]:
        assert bus.tap(held)["light"] in GREEN
    bus.network(is_there=True)
    bus.service.tell("sync")
    posted = bus.city.devices[DEVICE].posted_times
    wait_until(lambda: len(posted) >= 4, "some vouchers posted by the new version")
    bus.network(is_there=False)
    bus.wait_mark("b", GOOD)
    end_trip(bus)
    back_s = switched(bus, "back")
    assert bus.active() == "a" and bus.ask("diagnose")["facts"]["version"] == "0.1.0"
    start_trip(bus, "8 night")
    for held in people[7:]:
        assert bus.tap(held)["light"] in GREEN
    bus.network(is_there=True)
    bus.service.tell("sync")
    wait_until(lambda: len(posted) == len(people), "all vouchers to be posted")
    bus.service.close()
    assert posted == dict.fromkeys(range(1, len(people) + 1), 1)
    rows = sqlite3.connect(bus.folder / "journal.db").execute(
        "SELECT lane, COUNT(*) FROM entries WHERE wallet_object IS NOT NULL GROUP BY lane ORDER BY lane"
    )
    assert dict(rows.fetchall()) == {None: 6, 7: 3}, "old, new and old again wrote into the same table"
    report(f"update: switch {took_s * 1_000:.0f} ms, back {back_s * 1_000:.0f} ms, {len(people)} vouchers posted once")


EXITS = """
import os
seen = os.environ["KGO_SLOT_STATE"] + "/seen"
if os.path.exists(seen):
    sys.exit(2)
open(seen, "x").close()
sys.exit(3)
"""
"""It crashes, and then refuses the settings: the service starts it again after any exit code."""
SOON = """
from offline_ledger.terminal.updates import proving
proving.DEADLINE_TIMES = 2
"""
"""What a version that fails has to wait for in vain it waits for as long as it should in the soak alone."""
HANGS = """
from offline_ledger.terminal.scan_loop import ScanLoop
import time
ScanLoop._work = lambda self: time.sleep(600)
"""
NO_SYNC = """
from offline_ledger.terminal.uplink import HttpsUplink
from offline_ledger.errors import AnswerInvalid
def exchange(self, request): raise AnswerInvalid("a new version with a fault")
HttpsUplink.exchange = exchange
"""
NEVER_LOADED = """
from bus_validator.validator import Validator
import time
Validator._load = lambda self: time.sleep(600)
"""
FAULTS = {
    "exits": EXITS,
    "hangs": HANGS,
    "cannot sync": NO_SYNC,
    "is never loaded": NEVER_LOADED,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_version_that_fails_twice_gives_its_place_back(bus: SlottedBus, fault: str, soak: bool) -> None:
    bus.fill("b", "0.2.0", ROOT, ("" if soak else SOON) + FAULTS[fault])
    bus.stage()
    bus.start(watchdog_s=2.0, watched=range(1, 1 + STARTS_MAX) if fault == "hangs" else ())
    first = rider(1)
    assert bus.scan(first)["light"] in GREEN
    end_trip(bus)
    wait_until(lambda: bus.ask("update", "switch").get("update") == "switch", "the switch", step_s=0.1)
    bus.wait_mark("b", FAILED)
    assert bus.active() == "a"
    told = bus.service.wait_for(lambda said: said.get("refusal") == UpdateUndone.number, 0, "that it is back")
    assert told["key"] == UpdateUndone.key
    start_trip(bus, "8 evening")
    assert bus.tap(rider(2))["sequence"] == 2
    tried = [life.code for life in bus.service.lives[1 : 1 + STARTS_MAX]]
    assert tried == ([3, 2] if fault == "exits" else [-signal.SIGABRT] * 2 if fault == "hangs" else [1, 1])
    assert bus.service.starts == STARTS_MAX + 2, "twice, and not once more"
    refused = bus.ask("update", "switch")
    assert refused["command_refused"] in (NothingStaged.key, TerminalBusy.key)


def test_passengers_through_the_switch(
    bus: SlottedBus, next_version: Path, slice_of: Callable[[int, int], int]
) -> None:
    """Each holds the code up until it is green, whichever program reads it: accepted once, nobody is left out."""
    bus.fill("b", "0.2.0", next_version)
    bus.stage()
    bus.start()
    people = [rider(200 + number) for number in range(slice_of(40, 8))]
    sequences = [bus.tap(held)["sequence"] for held in people[:2]]
    end_trip(bus)
    mark, ended = bus.service.mark(), len(bus.service.lives)
    for held in people[2:]:  # at the door already, while the bus has no trip and changes its program
        bus.scanner.send(held.code(int(time.time())))
        if len(bus.service.lives) == ended:
            bus.ask("update", "switch")

    def is_switched() -> bool:
        if len(bus.service.lives) == ended:
            bus.ask("update", "switch")  # a code may have waited each time
        return len(bus.service.lives) > ended

    wait_until(is_switched, "the switch", step_s=0.1)
    bus.service.wait_ready(mark)
    start_trip(bus, "8 evening")
    wait_until(lambda: is_quiet(bus), "who was read during the switch to have a light", step_s=0.0)
    assert sequences == [1, 2]
    posted = bus.city.devices[DEVICE].posted_times

    def is_everybody_posted() -> bool:
        """Whoever was not accepted by now holds it up again; a light may have been another's."""
        for held in people[2:]:
            bus.tap(held)
        return len(posted) == len(people)

    wait_until(is_everybody_posted, "all to be posted", 4 * WAIT_S_MAX, step_s=1.0)
    assert set(posted.values()) == {1}
    bus.service.close()
    vouchers, _events = bus.journal()
    passes = [row.pass_id for row in vouchers]
    assert len(passes) == len(set(passes)) == len(people), "each once, whoever read the code"


def is_quiet(bus: SlottedBus) -> bool:
    """No light for a second: nothing is left in the scanner's line."""
    mark = bus.service.mark()
    try:
        bus.service.wait_for(is_light, mark, "light", QUIET_S)
    except DeadlinePassed:
        return True
    return False


@pytest.mark.timeout(SOAK_S_MAX)
def test_killed_while_it_proves_itself_it_is_the_old_or_the_new(
    bus: SlottedBus, rng: Random, slice_of: Callable[[int, int], int], report: Callable[[str], None]
) -> None:
    """The power goes at any moment from the switch until the new version has proved itself."""
    bus.fill("b", "0.2.0", ROOT)
    ends: dict[str, int] = {}
    bus.stage()
    bus.start()
    end_trip(bus)
    for _ in range(slice_of(40, 1)):
        wait_until(lambda: bus.ask("update", "switch").get("update") == "switch", "the switch", step_s=0.1)
        for _ in range(rng.randrange(1, STARTS_MAX + 2)):
            time.sleep(rng.uniform(0.0, 2.0))  # any moment is as good as another: nothing is waited for
            bus.service.kill()
        wait_until(
            lambda: bus.slots.now().slot(bus.active()).mark == GOOD and bool(bus.ask("status")), "a version at work"
        )
        state = bus.slots.now()
        now = f"{state.slot(state.active).version}, other {state.slot(state.other).mark}"
        ends[now] = ends.get(now, 0) + 1
        if state.active == "b":
            wait_until(lambda: bus.ask("update", "back").get("update") == "back", "the way back", step_s=0.1)
            wait_until(lambda: bool(bus.ask("status")) and bus.active() == "a", "the old version")
        bus.slots.disk.changed(lambda state: state._replace(b=state.b._replace(mark="staged")))
    report(f"update: killed while proving itself, then {ends}")


def test_not_while_a_voucher_waits_for_its_customer(bus: SlottedBus, rng: Random) -> None:
    """A power cut took a passenger's green: charged, and nobody knows whether the light was seen."""
    bus.fill("b", "0.2.0", ROOT)
    bus.stage()
    bus.start()
    left: list[DeskWallet] = []

    def is_left() -> bool:
        left[:] = [rider(rng.randrange(1 << 30))]
        bus.tap(left[0])
        mark = bus.service.mark()
        bus.service.kill()  # within the second in which the green is recorded as shown, or once more
        return bool(bus.service.wait_ready(mark)["unratified"])

    wait_until(is_left, "a green that was lost")
    end_trip(bus)
    waits = "a voucher waits for its customer"
    wait_until(lambda: bus.ask("update", "switch").get("detail") == waits, waits)
    assert bus.active() == "a"
    start_trip(bus, "8 evening")
    bus.tap(left[0])
    end_trip(bus)
    assert switched(bus) < SWITCH_S_MAX and bus.active() == "b"


def test_what_the_technician_is_told(bus: SlottedBus) -> None:
    """The command itself, through the launcher, beside the running program."""
    bus.start()
    end_trip(bus)
    log = bus.folder / "tool.log"

    def update(word: str) -> tuple[int, str, str]:
        words = bus.slots.words("--settings", str(bus.settings), "--language", "en", "update", word)
        done = run_tool("update", words, log, may_fail=True)
        return done.returncode, done.stdout, done.stderr

    bus.ask("status")
    code, _out, err = update("switch")
    assert code in (1, 75) and str(NothingStaged.number if code == 1 else SlotUnproved.number) in err
    bus.wait_mark("a", GOOD)
    code, out, _err = update("status")
    assert code == 0 and out.splitlines() == ["slot a · 0.1.0 · proved good · in use", "slot b · - · empty"]
    code, _out, err = update("switch")
    assert code == 1 and err.startswith(f"{NothingStaged.number} ")
    code, _out, err = update("back")
    assert code == 1 and err.startswith(f"{NoWayBack.number} ")
    parts = {part["part"]: part for part in map(json.loads, _diagnosed(bus).splitlines())}
    assert parts["update"]["facts"] == {"slot": "a", "a": "0.1.0 good", "b": "empty", "undone": None}


def _diagnosed(bus: SlottedBus) -> str:
    words = bus.slots.words("--settings", str(bus.settings), "diagnose", "--json")
    return run_tool("diagnose", words, bus.folder / "tool.log", may_fail=True).stdout
