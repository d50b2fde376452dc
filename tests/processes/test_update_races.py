"""What may happen beside `update`: somebody goes back, a release is withdrawn, the program ends. DESIGN §3."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread

import pytest

from bus_validator.settings import SETTINGS
from firmware.flash.release import packages
from offline_ledger.errors import (
    NotInSlots,
    NotRunning,
    Refusal,
    ReleasePackageUnfit,
    ReleasePlatformMissing,
    ReleaseWithdrawn,
    StorageFull,
    UpdateFailedHere,
    UpdateInProgress,
    VersionNotStarted,
)
from offline_ledger.protocol.device import DeviceRole
from offline_ledger.terminal.journal import Journal
from offline_ledger.terminal.program import IN_USE_S_MAX, Place, Program, read_terminal_settings
from offline_ledger.terminal.updates import filling, update_command
from offline_ledger.terminal.updates.names import PackageName, own_platform, version_of
from offline_ledger.terminal.updates.start import (
    BACK,
    EMPTY,
    GOOD,
    HERE,
    MANIFEST,
    ROOT_HERE,
    STAGED,
    STATE_FILES,
    STATE_HERE,
    TRYING,
    Slot,
    State,
)
from offline_ledger.terminal.updates.switching import changed, step
from offline_ledger.terminal.updates.update_command import update
from offline_ledger.texts import Texts
from simulators.demo.processes import WAIT_S_MAX, DeadlinePassed, wait_until
from tests.processes.slotted_bus import SlottedBus, slotted_bus
from tests.processes.test_update_command import Stick
from tests.terminal.provisioned import DEVICE
from tests.terminal.updates.package_desk import package

HELD_S = IN_USE_S_MAX / 2
BOTH_GOOD = State("a", Slot(GOOD, "0.1.0"), Slot(GOOD, "0.0.9"))


class Meanwhile(Texts):
    """Texts at whose saying something happens beside: the command has come just so far."""

    def __init__(self, key: str, act: Callable[[], object]) -> None:
        super().__init__("en")
        self._key, self._act = key, act

    def get(self, key: str, **values: object) -> str:
        if key == self._key:
            self._act()
        return super().get(key, **values)


@pytest.fixture
def stick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stick]:
    with slotted_bus(tmp_path) as bus:
        bus.fill("b", "0.0.9", tmp_path)
        bus.slots.put(BOTH_GOOD)
        around = {HERE: "a", STATE_HERE: str(bus.slots.state), ROOT_HERE: str(bus.slots.root)}
        for name, value in around.items():
            monkeypatch.setenv(name, value)
        yield Stick(bus)


def place_of(bus: SlottedBus) -> Place:
    about = Program("kgo-bus", "help.bus", DeviceRole.VALIDATOR, lambda _opened: 0, SETTINGS)
    return Place(about, read_terminal_settings(about, bus.settings), bus.settings)


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_whoever_goes_back_while_it_fetches_keeps_both_slots(stick: Stick) -> None:
    """The slot that was the other one when it began is the running one now."""
    bus, disk = stick.bus, stick.bus.slots.disk
    stick.add("0.2.0")
    before = files_in(bus.slots.root)
    goes_back = Meanwhile("update.fetched", lambda: changed(disk, lambda state: step(state, BACK)))
    with pytest.raises(UpdateInProgress) as refused:
        update(place_of(bus), "install", goes_back)
    assert refused.value.detail == "slot b is next"
    now = bus.slots.now()
    assert (now.active, now.a.mark, now.b.mark) == ("b", GOOD, GOOD)
    assert files_in(bus.slots.root) == before, "neither slot was touched"


def test_a_state_that_is_lost_while_it_fetches_is_a_refusal(stick: Stick) -> None:
    """Both slots have to prove themselves again: none may be written."""
    stick.add("0.2.0")
    before = files_in(stick.bus.slots.root)

    def lose() -> None:
        for name in STATE_FILES:
            (stick.bus.slots.state / name).unlink()

    with pytest.raises(VersionNotStarted):
        update(place_of(stick.bus), "install", Meanwhile("update.fetched", lose))
    assert files_in(stick.bus.slots.root) == before


@pytest.mark.parametrize("remains", [True, False])
def test_a_withdrawn_release_does_not_go_live_where_it_was_staged(
    stick: Stick, capfd: pytest.CaptureFixture[str], *, remains: bool
) -> None:
    """`remains`: an older release is still there, so that this version is the newest; else none is."""
    bus = stick.bus
    if remains:
        stick.add("0.1.0")
    stick.add("0.2.0")
    update(place_of(bus), "install", Texts("en"))
    staged = bus.slots.now()
    assert staged.b.mark == STAGED
    withdraw(stick)
    missing = [] if remains else [ReleasePlatformMissing]
    for word, wanted in ((None, missing), ("install", missing), ("check", missing), ("switch", [ReleaseWithdrawn])):
        bus.slots.put(staged)
        assert refusals_of(bus, word) == wanted
        now = bus.slots.now()
        assert (now.active, now.b.mark) == ("a", EMPTY), word
        assert "Version 0.2.0 in slot b is no longer the one" in capfd.readouterr().out


def withdraw(stick: Stick, version: str = "0.2.0") -> None:
    desk, name = stick.desk, f"kgo-{version}-{own_platform()}.zip"
    packages.withdraw(desk.releases, name, "stable", desk.keys, desk.now_s + 1)


def refusals_of(bus: SlottedBus, word: str | None) -> list[type[Refusal]]:
    try:
        update(place_of(bus), word, Texts("en"))
    except Refusal as refusal:
        return [type(refusal)]
    return []


def test_a_release_that_is_withdrawn_while_the_bus_is_on_a_trip_does_not_go_live_after_it(
    stick: Stick, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The timer's own command asks for an hour: it goes on looking."""
    bus = stick.bus
    sha256 = stick.add("0.2.0")
    bus.slots.put(State("a", Slot(GOOD, "0.1.0"), Slot(STAGED, "0.2.0", sha256)))
    bus.start()
    wait_until(lambda: bus.ask("update", "switch").get("detail") == "a trip is under way", "a bus on its trip")
    monkeypatch.setattr(update_command, "ASK_S", 0.1)
    monkeypatch.setattr(update_command, "LOOK_S", 0.0)
    assert update(place_of(bus), None, Meanwhile("update.waits", lambda: withdraw(stick))) == 0
    now = bus.slots.now()
    assert (now.active, now.b.mark) == ("a", EMPTY)
    assert "Version 0.2.0 in slot b is no longer the one" in capfd.readouterr().out


def test_a_typed_switch_says_what_it_does_before_it_looks(stick: Stick) -> None:
    """On a dead network it takes long: what comes after the line is not awaited in silence."""
    bus = stick.bus
    sha256 = stick.add("0.2.0")
    bus.slots.put(State("a", Slot(GOOD, "0.1.0"), Slot(STAGED, "0.2.0", sha256)))
    with pytest.raises(ReleaseWithdrawn):
        update(place_of(bus), "switch", Meanwhile("update.looks", lambda: withdraw(stick)))


def test_before_the_first_start_it_says_what_is_and_what_to_do(stick: Stick, capfd: pytest.CaptureFixture[str]) -> None:
    """A terminal that was filled by hand and whose program never ran: there is no state yet."""
    bus = stick.bus
    stick.add("0.2.0")
    for name in STATE_FILES:
        (bus.slots.state / name).unlink()
    (bus.slots.slot("b") / MANIFEST).unlink()
    assert update(place_of(bus), "status", Texts("en")) == 0
    assert capfd.readouterr().out.splitlines() == [
        "slot a · 0.1.0 · not proved yet · starts next",
        "slot b · - · empty",
    ]
    for word in (None, "install"):
        assert refusals_of(bus, word) == [VersionNotStarted]
    bus.slots.put(State("a", Slot(TRYING, "0.1.0"), Slot(STAGED, "0.2.0")))
    assert refusals_of(bus, "switch") == [VersionNotStarted]
    for name in STATE_FILES:
        (bus.slots.state / name).unlink()
    (bus.slots.slot("a") / MANIFEST).unlink()
    assert refusals_of(bus, "status") == [NotInSlots]


def test_what_does_not_fit_on_the_disk_leaves_the_former_version(stick: Stick, monkeypatch: pytest.MonkeyPatch) -> None:
    stick.add("0.2.0")
    before = stick.bus.slots.now(), files_in(stick.bus.slots.root)
    monkeypatch.setattr(filling, "ROOM_BYTES_MIN", 1 << 60)
    assert refusals_of(stick.bus, "install") == [StorageFull]
    assert (stick.bus.slots.now(), files_in(stick.bus.slots.root)) == before


def test_a_package_of_another_version_than_its_name_says_is_refused(
    stick: Stick, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signed by tools that do not look inside: its version would be found anew at each look, and installed for ever."""
    before = stick.bus.slots.now()
    monkeypatch.setattr(packages, "check_package", lambda _file: PackageName(version_of("0.2.0"), own_platform()))
    stick.publish(package(stick.desk.folder / "made.zip", version="0.1.9"))
    assert refusals_of(stick.bus, "install") == [ReleasePackageUnfit]
    assert stick.bus.slots.now() == before


def test_what_is_staged_and_still_released_stays_without_a_network(stick: Stick) -> None:
    """And where no program runs the timer changes nothing itself: one may be about to start."""
    bus = stick.bus
    sha256 = stick.add("0.2.0")
    last = BOTH_GOOD._replace(undone=Slot(GOOD, "0.2.0", sha256))
    earlier = BOTH_GOOD._replace(undone=Slot(GOOD, "0.3.0", "ee" * 32), given_up=(sha256, "ee" * 32))
    for given_up in (last, earlier):
        bus.slots.put(given_up)
        assert refusals_of(bus, None) == [UpdateFailedHere], "what was given up here is installed again by hand alone"
    assert refusals_of(bus, "install") == []
    staged = bus.slots.now()
    assert staged.b == Slot(STAGED, "0.2.0", sha256)
    for is_there in (True, False):
        if not is_there:
            stick.desk.releases.folder.rename(bus.folder / "pulled out")
        with pytest.raises(NotRunning) as refused:
            update(place_of(bus), None, Texts("en"))
        assert refused.value.waiting_helps and bus.slots.now() == staged
    update(place_of(bus), "switch", Texts("en"))
    assert bus.slots.now().active == "b", "typed by who stands there"


def test_who_reads_the_journal_while_an_unproved_version_starts_costs_it_no_start(stick: Stick) -> None:
    """`update` reads the time there when no program runs; the service may start at that very moment."""
    bus = stick.bus
    bus.slots.put(State("a", Slot(TRYING, "0.1.0"), Slot(GOOD, "0.0.9")))
    opened = Event()

    def read() -> None:
        with Journal.open(bus.folder / "journal.db", device_id=DEVICE):
            opened.set()
            wait_until(lambda: bus.slots.now().starts > 0, "the start")
            with suppress(DeadlinePassed):
                wait_until(lambda: bus.slots.now().starts > 1, "another", HELD_S)

    reading = Thread(target=read)
    reading.start()
    assert opened.wait(WAIT_S_MAX)
    bus.start()
    reading.join()
    assert (bus.service.starts, bus.slots.now().starts) == (1, 1)
