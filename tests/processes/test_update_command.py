"""`update` from a stick, beside a running bus: signed releases, real pip, the switch when nothing is open. DESIGN §3.

The package of every test is small: its wheel leads to this version's sources. `--soak` makes the whole one, with each
wheel that a terminal needs, and installs it.
"""

import hashlib
import io
import os
import sysconfig
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from firmware.flash.release import packages
from firmware.flash.release.making import LOCKS, Making, make, own_python
from firmware.flash.release.wheels import read_locks
from offline_ledger.errors import (
    NotInSlots,
    ReleasesMissing,
    SlotUnproved,
    TerminalBusy,
    UpdateFailedHere,
    UpdateForOther,
    UpdateInProgress,
    UpdateStoresTooNew,
    VersionNotStarted,
)
from offline_ledger.terminal.updates.filling import INSTALL_S_MAX
from offline_ledger.terminal.updates.names import own_platform
from offline_ledger.terminal.updates.start import GOOD, STAGED, TRYING, Slot, State
from offline_ledger.terminal.updates.update_command import is_held
from simulators.demo.processes import PYTHON, TOOL_S_MAX, run_tool, wait_until
from tests.processes.lone_bus import rider
from tests.processes.slotted_bus import SlottedBus, slotted_bus
from tests.processes.test_update import GREEN, end_trip
from tests.release_desk import ReleaseDesk
from tests.terminal.updates.package_desk import package
from tests.terminal.updates.slot_desk import ROOT

LEADS_HERE = "kgo_here-0.2.0-py3-none-any.whl"


def wheel_that_leads_here() -> bytes:
    """Its programs are those of this checkout, with the packages of this environment."""
    about = "kgo_here-0.2.0.dist-info"
    files = {
        "kgo_here.pth": f"{ROOT}\n{sysconfig.get_path('purelib')}\n",
        f"{about}/METADATA": "Metadata-Version: 2.1\nName: kgo-here\nVersion: 0.2.0\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{about}/entry_points.txt": "[console_scripts]\nkgo-bus = bus_validator.__main__:main\n",
    }
    files[f"{about}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{about}/RECORD"])
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as made:
        for name, text in files.items():
            made.writestr(name, text)
    return held.getvalue()


class Stick:
    """A city's releases on a stick that the bus looks at."""

    def __init__(self, bus: SlottedBus) -> None:
        self.bus = bus
        self.desk = ReleaseDesk(bus.folder / "stick", int(time.time()))
        self.desk.begin(roots=1, threshold=1)
        (bus.folder / "update.root").write_bytes((self.desk.folder / "update.root").read_bytes())
        text = bus.settings.read_text().replace("[update]\n", f'[update]\nfolder = "{self.desk.releases.folder}"\n')
        bus.settings.write_text(text)

    def add(self, version: str, **more: object) -> str:
        """A small package, in the stable channel; its SHA-256."""
        made = self.desk.folder / f"kgo-{version}-{own_platform()}.zip"
        package(made, {LEADS_HERE: wheel_that_leads_here()}, {}, version, more)
        self.publish(made)
        return hashlib.sha256(made.read_bytes()).hexdigest()

    def publish(self, made: Path) -> None:
        packages.add(self.desk.releases, made, "stable", self.desk.keys, self.desk.now_s)

    def update(self, *words: str, wait_s: float = TOOL_S_MAX) -> tuple[int, str, str]:
        """The command, as the timer or a technician runs it."""
        told = self.bus.slots.words("--settings", str(self.bus.settings), "--language", "en", "update", *words)
        done = run_tool("update", told, self.bus.folder / "tool.log", may_fail=True, wait_s=wait_s)
        return done.returncode, done.stdout, done.stderr


@pytest.fixture
def stick(tmp_path: Path):
    with slotted_bus(tmp_path) as bus:
        yield Stick(bus)


def test_from_a_stick_to_a_bus_that_runs_it(stick: Stick, report: Callable[[str], None]) -> None:
    bus = stick.bus
    sha256 = stick.add("0.2.0")
    bus.slots.put(State("a", Slot(GOOD, "0.1.0")))
    bus.start()
    assert bus.scan_until_dark(rider(1))["light"] in GREEN
    code, out, _err = stick.update("check")
    assert (code, out) == (0, "Version 0.2.0 is there, 1 MiB\n")
    code, out, err = stick.update("install")
    assert code == 0 and out.splitlines()[-1] == "Version 0.2.0 is installed in slot b", err
    assert bus.slots.now().b == Slot(STAGED, "0.2.0", sha256)

    def is_on_its_trip() -> bool:
        code, _out, err = stick.update("switch")
        assert code == 75 and err.startswith(f"{TerminalBusy.number} ")
        return "(a trip is under way)" in err

    wait_until(is_on_its_trip, "a bus on its trip")
    end_trip(bus)
    wait_until(lambda: stick.update("switch")[0] == 0, "the switch", step_s=0.1)
    bus.wait_mark("b", GOOD)
    bus.service.wait_for(lambda said: said.get("update") == "proved", 0, "that it has proved itself")
    code, out, _err = stick.update()
    assert (code, out) == (0, "0.2.0 is the newest version\n")
    # Somebody goes back: by itself it is not installed again, by hand it is.
    wait_until(lambda: stick.update("back")[0] == 0, "the way back", step_s=0.1)
    wait_until(lambda: bool(bus.ask("status")) and bus.active() == "a", "the former version")
    code, _out, err = stick.update()
    assert code == 1 and err.startswith(f"{UpdateFailedHere.number} ")
    report("update: from a stick, by the real command, forth and back")


@pytest.mark.parametrize(
    ("more", "refusal"),
    [
        ({"python": "3.99"}, UpdateForOther),
        ({"programs": ["kgo-pos"]}, UpdateForOther),
        ({"stores": {"journal": {"reads": [1, 2], "writes": 2}}}, UpdateStoresTooNew),
    ],
)
def test_what_does_not_fit_leaves_the_other_slot_as_it_is(
    stick: Stick, more: dict[str, object], refusal: type[UpdateForOther]
) -> None:
    stick.add("0.2.0", **more)
    stick.bus.slots.put(State("a", Slot(GOOD, "0.1.0"), Slot(GOOD, "0.0.9")))
    before = stick.bus.slots.now()
    code, _out, err = stick.update("install")
    assert code == 1 and err.startswith(f"{refusal.number} "), err
    assert stick.bus.slots.now() == before


def test_before_it_has_proved_itself_nothing_is_installed(stick: Stick) -> None:
    bus = stick.bus
    stick.add("0.2.0")
    bus.slots.put(State("a", Slot(TRYING, "0.1.0"), Slot(GOOD, "0.0.9")))
    code, _out, err = stick.update("install")
    assert code == 1 and err.startswith(f"{VersionNotStarted.number} "), "nobody tests anything"
    bus.settings.write_text(bus.settings.read_text().replace("prove_s = 1\n", "prove_s = 600\n"))
    bus.start()
    bus.ask("status")

    def is_unproved() -> bool:
        """On a busy machine the program may not come to answer in time: ask again."""
        code, _out, err = stick.update("install")
        assert code == 75, err
        return err.startswith(f"{SlotUnproved.number} ")

    wait_until(is_unproved, "the refusal")
    assert bus.slots.now().b.mark == GOOD, "what it falls back to is not touched"


def test_one_at_a_time_and_only_in_slots(stick: Stick) -> None:
    import fcntl

    stick.bus.slots.put(State("a", Slot(GOOD, "0.1.0")))
    held = os.open(stick.bus.slots.root / "slots", os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    code, _out, err = stick.update("install")
    assert code == 75 and err.startswith(f"{UpdateInProgress.number} ")
    os.close(held)
    words = [*PYTHON, "bus_validator", "--settings", str(stick.bus.settings), "update", "status"]
    alone = run_tool("update", words, stick.bus.folder / "tool.log", may_fail=True)
    assert alone.returncode == 1 and alone.stderr.startswith(f"{NotInSlots.number} ")
    text = stick.bus.settings.read_text()
    stick.bus.settings.write_text("".join(line for line in text.splitlines(keepends=True) if "folder =" not in line))
    code, _out, err = stick.update("check")
    assert code == 1 and err.startswith(f"{ReleasesMissing.number} ") and "update.url" in err


def test_where_no_program_runs_the_command_changes_the_slots_itself(stick: Stick) -> None:
    """A version that was good and starts no more: the technician stops the service and goes back."""
    bus = stick.bus
    bus.fill("b", "0.0.9", ROOT)
    bus.slots.put(State("a", Slot(GOOD, "0.1.0"), Slot(GOOD, "0.0.9")))
    assert not is_held(bus.folder / "journal.db")
    code, out, _err = stick.update("back")
    assert (code, out) == (0, "Changing to slot b, version 0.0.9\n") and bus.active() == "b"
    bus.slots.put(State("a", Slot(GOOD, "0.1.0"), Slot(GOOD, "0.0.9")))
    bus.start()
    assert is_held(bus.folder / "journal.db"), "while a program runs it is asked, whether or not its door is open yet"
    assert bus.ask("update", "back")["refusal"] == TerminalBusy.number


def test_the_whole_package_in_the_soak(stick: Stick, soak: bool, report: Callable[[str], None]) -> None:
    """Every wheel that a terminal needs, as it is shipped. Outside the soak: that each of them is known by its hash."""
    locks = [ROOT / name for name in LOCKS]
    if not soak:
        assert {"python-escpos", "pyscard"} <= read_locks(locks).keys()
        return
    begun = time.monotonic()
    asked = Making(ROOT, "0.2.0", own_platform(), own_python(), locks, [], True)
    stick.publish(make(asked, stick.desk.folder))
    made_s, begun = time.monotonic() - begun, time.monotonic()
    stick.bus.slots.put(State("a", Slot(GOOD, "0.1.0")))
    code, _out, err = stick.update("install", wait_s=INSTALL_S_MAX)
    assert code == 0, err
    installed_s = time.monotonic() - begun
    stick.bus.start()
    end_trip(stick.bus)
    wait_until(lambda: stick.update("switch")[0] == 0, "the switch", step_s=0.1)
    stick.bus.wait_mark("b", GOOD)
    assert stick.bus.ask("diagnose")["facts"]["version"] == "0.2.0"
    report(f"update: the whole package made in {made_s:.0f} s, installed in {installed_s:.0f} s, and it runs")
