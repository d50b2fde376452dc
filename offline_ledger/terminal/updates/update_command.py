"""`update`: look for a new version, install it into the other slot, have the running program switch. DESIGN §3.

    update            all of it, and asks the running program again and again until nothing is open
    update check | install | switch | back | status

Run by a timer or by a technician, beside the program, which goes on taking payments. Installs only what the city's
release keys have signed (`tuf_client`). Never ends the program: it ends itself, or it is not running.
"""

import fcntl
import os
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from offline_ledger import errors
from offline_ledger.errors import (
    NotInSlots,
    NotRunning,
    Refusal,
    ReleasePlatformMissing,
    ReleasesMissing,
    SlotUnproved,
    TerminalBusy,
    UpdateFailedHere,
    UpdateInProgress,
)
from offline_ledger.protocol.device import ClockTrust
from offline_ledger.rules.clock import TimeNow
from offline_ledger.terminal.control_commands import asked
from offline_ledger.terminal.program import MachineClock, Place
from offline_ledger.terminal.updates.names import own_platform
from offline_ledger.terminal.updates.start import (
    BACK,
    CLEAR,
    EMPTY,
    GOOD,
    SLOTS,
    STAGE,
    STAGED,
    SWITCH,
    NotNow,
    Slot,
    State,
    after,
)
from offline_ledger.terminal.updates.switching import Here, changed, check_way_back, here_in, step
from offline_ledger.terminal.uplink import HttpsUplink
from offline_ledger.texts import Texts

if TYPE_CHECKING:
    from offline_ledger.terminal.updates.tuf_client import Found

ASK_S = 5.0
"""So often a busy program is asked again: a sale or a light is over in less."""
PATIENCE_S = 3_600.0
"""So long one run of the timer asks; the next one asks again."""
_SQLITE_PENDING, _SQLITE_LOCKS = 0x40000000, 512
"""Where SQLite locks a file that it holds (its os.h)."""


class Updating(NamedTuple):
    """One command's."""

    place: Place
    here: Here
    texts: Texts

    @property
    def state(self) -> State:
        """As it is now. Raises NotInSlots."""
        state = self.here.disk.read()
        if state is None:
            raise NotInSlots(self.here.disk.state)
        return state

    def say(self, key: str, **values: object) -> None:
        """One line."""
        sys.stdout.write(self.texts.get(key, **{name: str(one) for name, one in values.items()}) + "\n")
        sys.stdout.flush()


def update(place: Place, what: str | None, texts: Texts) -> int:
    """Returns the exit code. Raises what keeps it from being done."""
    here = here_in(os.environ)
    if here is None:
        raise NotInSlots()
    job = Updating(place, here, texts)
    match what:
        case "status":
            _status(job)
        case "check":
            _check(job)
        case "install":
            with _alone(here):
                _install(job, _find(job), is_asked_for=True)
        case "switch":
            _switch(job, SWITCH, is_typed=True)
        case "back":
            _switch(job, BACK, is_typed=True)
        case _:
            with _alone(here):
                _all(job)
    return 0


def _status(job: Updating) -> None:
    state = job.state
    for name in SLOTS:
        slot = state.slot(name)
        key = "update.slot_runs" if name == state.active else "update.slot"
        mark = job.texts.get(f"update.mark.{slot.mark}")
        job.say(key, slot=name, version=slot.version or job.here.disk.version(name) or "-", mark=mark)
    if state.undone.version:
        job.say("update.undone", version=state.undone.version)


def _check(job: Updating) -> None:
    found = _find(job)
    if found is None:
        job.say("update.newest", version=_installed(job))
    else:
        job.say("update.found", version=found.version, mib=-(-found.length_bytes >> 20))


def _all(job: Updating) -> None:
    try:
        found = _find(job)
    except ReleasePlatformMissing:
        _drop_unreleased(job, "")
        raise
    except Refusal:
        if job.state.slot(job.state.other).mark != STAGED:  # what is here already needs no network
            raise
        found = None
    else:
        _drop_unreleased(job, "" if found is None else found.sha256)
    _install(job, found, is_asked_for=False)
    if job.state.slot(job.state.other).mark != STAGED:
        return
    until_s = time.monotonic() + PATIENCE_S
    told = ""
    while True:
        try:
            return _switch(job, SWITCH, is_typed=False)
        except (TerminalBusy, SlotUnproved, errors.CommandTakenBack) as refusal:
            if time.monotonic() >= until_s:
                raise
            if told != refusal.detail:
                told = refusal.detail
                job.say("update.waits", why=job.texts.detail(refusal) or job.texts.title(refusal))
            time.sleep(ASK_S)


def _drop_unreleased(job: Updating, released: str) -> None:
    """What is staged and is not this package was withdrawn or followed by another: it does not go live by itself.
    Raises SlotUnproved."""
    before = job.state

    def dropped(state: State) -> State:
        other = state.slot(state.other)
        return state if other.mark != STAGED or other.package == released else _emptied(job, state)

    if changed(job.here.disk, dropped).slot(before.other) != before.slot(before.other):
        job.say("update.dropped", version=before.slot(before.other).version, slot=before.other)


def _find(job: Updating) -> "Found | None":
    from offline_ledger.terminal.updates.tuf_client import Asked, find_update, judged_at_s

    place, clock = job.place, MachineClock()
    at, floor_s = _time(place, clock)
    return find_update(
        Asked(
            source=_source(place, clock),
            root_file=place.path("files.update_root"),
            folder=place.path("files.updates"),
            channel=place.text("update.channel"),
            platform=own_platform(),
            installed=_installed(job),
            judged_at_s=judged_at_s(at, floor_s),
        )
    )


def _source(place: Place, clock: MachineClock):
    from offline_ledger.terminal.updates.fetching import CitySource, FolderSource

    folder, url = place.text("update.folder"), place.text("update.url")
    if folder and (not url or place.path("update.folder").is_dir()):  # a stick that is there comes first
        return FolderSource(place.path("update.folder"))
    if not url:
        raise ReleasesMissing("update.url and update.folder are empty")
    return CitySource(HttpsUplink(url, place.path("city.ca_file"), clock))


def _time(place: Place, clock: MachineClock) -> tuple[TimeNow, int]:
    """The terminal's own time and its floor: of the running program, else of its journal."""
    try:
        parts = asked(place.path("control.socket"), ["diagnose"])
    except NotRunning:
        station = place.station(clock)
        try:
            return station.keeper.time(), station.keeper.floor_s
        finally:
            station.close()
    facts = next(cast(dict[str, object], part["facts"]) for part in parts if part.get("part") == "clock")
    trust = ClockTrust[str(facts["trust"]).upper()]
    return TimeNow(cast(int, facts["at_s"]), trust, cast(int, facts["error_ms"])), cast(int, facts["floor_at_s"])


def _installed(job: Updating) -> str:
    return job.here.disk.version(job.here.slot)


def _install(job: Updating, found: "Found | None", *, is_asked_for: bool) -> None:
    """Into the slot that does not run. The running program's own is never touched, nor one that it may fall back to
    while it has not proved itself."""
    from offline_ledger.terminal.updates.filling import install
    from offline_ledger.terminal.updates.package import check_fits, read_manifest
    from offline_ledger.terminal.updates.tuf_client import fetch

    if found is None:
        return job.say("update.newest", version=_installed(job))
    state, disk = job.state, job.here.disk
    other = state.slot(state.other)
    if other.mark == STAGED and other.package == found.sha256:
        return job.say("update.installed", version=found.version, slot=state.other)
    if found.sha256 == state.undone.package and not is_asked_for:
        raise UpdateFailedHere(f"version {found.version}")
    _check_may_fill(job, state)
    package = fetch(found)
    job.say("update.fetched", version=found.version)
    check_fits(read_manifest(package), job.place.program.name)  # before the former version goes
    name = changed(disk, lambda state: _emptied(job, state)).other  # hours may have passed since it was read above
    install(package, Path(disk.slot(name)), job.place.program.name)
    new = Slot(EMPTY, found.version, found.sha256)
    changed(disk, lambda state: _filled(job, state, new))
    package.unlink(missing_ok=True)
    job.say("update.installed", version=found.version, slot=name)


def _check_may_fill(job: Updating, state: State) -> None:
    """Raises SlotUnproved: the slot that this runs from is not the one whose turn it is, or may still fall back."""
    mark = state.slot(state.active).mark
    if state.active != job.here.slot or mark != GOOD:
        raise SlotUnproved(f"slot {state.active}: {mark}")


def _emptied(job: Updating, state: State) -> State:
    """From here on nobody switches or goes back: there is nothing to go to."""
    _check_may_fill(job, state)
    return after(state, CLEAR)


def _filled(job: Updating, state: State, new: Slot) -> State:
    """Raises SlotUnproved, UpdateInProgress."""
    _check_may_fill(job, state)
    try:
        return after(state, STAGE, new)
    except NotNow as error:
        raise UpdateInProgress() from error


def _switch(job: Updating, event: str, *, is_typed: bool) -> None:
    """By the running program; where none runs, and none can be on the way, here, if somebody typed it: only who stands
    there knows that none is about to start. Raises NotRunning too."""
    word = "back" if event == BACK else "switch"
    try:
        said = asked(job.place.path("control.socket"), ["update", word])
    except NotRunning:
        if not is_typed or is_held(job.place.path("files.journal")):
            raise  # it starts or ends just now, or may
        _switch_here(job, event)
        return
    for line in said:
        if "command_refused" in line:
            raise _refusal_of(str(line["command_refused"]), str(line.get("detail", "")))
    state = job.state
    job.say("update.switching", slot=state.active, version=state.slot(state.active).version)


def _switch_here(job: Updating, event: str) -> None:
    if event == BACK:
        check_way_back(job.here.disk, job.state.other)
    state = changed(job.here.disk, lambda state: step(state, event)._replace(before=()))
    job.say("update.switching", slot=state.active, version=state.slot(state.active).version)


def _refusal_of(key: str, detail: str) -> Refusal:
    kinds = (one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, Refusal))
    return next(one for one in kinds if one.key == key)(detail)


def is_held(journal: Path) -> bool:
    """Has a program this SQLite file open for itself alone?"""
    try:
        file = journal.open("r+b")
    except FileNotFoundError:
        return False
    with file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, _SQLITE_LOCKS, _SQLITE_PENDING)
        except OSError:
            return True
        fcntl.lockf(file, fcntl.LOCK_UN, _SQLITE_LOCKS, _SQLITE_PENDING)
    return False


@contextmanager
def _alone(here: Here) -> Generator[None]:
    """Raises UpdateInProgress, NotInSlots."""
    try:
        held = os.open(f"{here.disk.root}/slots", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise NotInSlots(f"{here.disk.root}: {error.strerror}") from error
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise UpdateInProgress() from error
    finally:
        os.close(held)
