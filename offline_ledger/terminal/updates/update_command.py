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
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from offline_ledger import errors
from offline_ledger.errors import (
    CommandUnsettled,
    NotInSlots,
    NotRunning,
    Refusal,
    ReleasePackageUnfit,
    ReleasePlatformMissing,
    ReleasesMissing,
    ReleaseWithdrawn,
    SlotUnproved,
    TerminalBusy,
    UpdateFailedHere,
    UpdateInProgress,
    VersionNotStarted,
)
from offline_ledger.protocol.device import ClockTrust
from offline_ledger.rules.clock import TimeNow
from offline_ledger.terminal.control import Said
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
    TRYING,
    NotNow,
    Slot,
    State,
    after,
    hold,
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
LOOK_S = 600.0
"""So often it looks meanwhile whether what waits is still released."""
_SQLITE_PENDING, _SQLITE_LOCKS = 0x40000000, 512
"""Where SQLite locks a file that it holds (its os.h)."""


class Updating(NamedTuple):
    """One command's."""

    place: Place
    here: Here
    texts: Texts

    @property
    def state(self) -> State:
        """As it is now, or as the first start will find it. Raises NotInSlots."""
        state = self.here.disk.known()
        if state is None:
            raise NotInSlots(self.here.disk.root)
        return state

    @property
    def is_running(self) -> bool:
        """Does a program hold the journal?"""
        return is_held(self.place.path("files.journal"))

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
                _install(job, _look(job), is_asked_for=True)
        case "switch":
            _check_released(job)
            _switch(job, SWITCH, is_typed=True)
        case "back":
            _switch(job, BACK, is_typed=True)
        case _:
            with _alone(here):
                _all(job)
    return 0


def _status(job: Updating) -> None:
    state, is_running = job.state, job.is_running
    for name in SLOTS:
        slot = state.slot(name)
        key = "update.slot" if name != state.active else "update.slot_runs" if is_running else "update.slot_next"
        said = "untried" if slot.mark == TRYING and not is_running else slot.mark
        mark = job.texts.get(f"update.mark.{said}")
        job.say(key, slot=name, version=slot.version or job.here.disk.version(name) or "-", mark=mark)
    if state.undone.version:
        job.say("update.undone", version=state.undone.version)


def _check(job: Updating) -> None:
    found = _look(job)
    if found is None:
        job.say("update.newest", version=_installed(job))
    else:
        job.say("update.found", version=found.version, mib=-(-found.length_bytes >> 20))


def _all(job: Updating) -> None:
    try:
        found = _look(job)
    except Refusal:
        if not _has_staged(job):  # what is here already needs no network
            raise
    else:
        _install(job, found, is_asked_for=False)
    began_s = looked_s = time.monotonic()
    told = ""
    while _has_staged(job):
        try:
            return _switch(job, SWITCH, is_typed=False)
        except (TerminalBusy, SlotUnproved, errors.CommandTakenBack) as refusal:
            if time.monotonic() >= began_s + PATIENCE_S:
                raise
            if told != refusal.detail:
                told = refusal.detail
                job.say("update.waits", why=job.texts.detail(refusal) or job.texts.title(refusal))
            time.sleep(ASK_S)
        if time.monotonic() >= looked_s + LOOK_S:
            looked_s = time.monotonic()
            with suppress(Refusal):
                _look(job)


def _has_staged(job: Updating) -> bool:
    state = job.state
    return state.slot(state.other).mark == STAGED


def _look(job: Updating) -> "Found | None":
    """What this terminal should install; what waits in its slot and is not that goes. Raises what `_find` raises."""
    try:
        found = _find(job)
    except ReleasePlatformMissing:
        _drop_unreleased(job, "")
        raise
    _drop_unreleased(job, "" if found is None else found.sha256)
    return found


def _check_released(job: Updating) -> None:
    """Before a typed switch, where the releases can be read now. Raises ReleaseWithdrawn."""
    before = job.state
    waits = before.slot(before.other)
    if waits.mark != STAGED:
        return
    job.say("update.looks", version=waits.version)  # on a dead network nothing comes for a while
    with suppress(Refusal):  # without network and stick: what is here was verified when it came
        _look(job)
    now = job.state
    if now.active == before.active and now.slot(now.other).mark == EMPTY:
        raise ReleaseWithdrawn(f"version {waits.version}")


def _drop_unreleased(job: Updating, released: str) -> None:
    """What is staged and is not this package was withdrawn or followed by another: nobody changes to it. Raises
    SlotUnproved, UpdateInProgress."""
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
    refused = next((part for part in parts if "command_refused" in part), None)
    if refused is not None:
        raise _refusal_of(refused)
    facts = next(cast(dict[str, object], part["facts"]) for part in parts if part.get("part") == "clock")
    trust = ClockTrust[str(facts["trust"]).upper()]
    return TimeNow(cast(int, facts["at_s"]), trust, cast(int, facts["error_ms"])), cast(int, facts["floor_at_s"])


def _installed(job: Updating) -> str:
    return job.here.disk.version(job.here.slot)


def _install(job: Updating, found: "Found | None", *, is_asked_for: bool) -> None:
    """Into the slot that does not run. The running program's own is never touched, nor one that it may fall back to
    while it has not proved itself."""
    from offline_ledger.terminal.updates.filling import check_room, install
    from offline_ledger.terminal.updates.package import check_fits, read_manifest
    from offline_ledger.terminal.updates.tuf_client import fetch

    if found is None:
        return job.say("update.newest", version=_installed(job))
    state, disk = job.state, job.here.disk
    other = state.slot(state.other)
    if other.mark == STAGED and other.package == found.sha256:
        return job.say("update.installed", version=found.version, slot=state.other)
    if found.sha256 in (state.undone.package, *state.given_up) and not is_asked_for:
        raise UpdateFailedHere(f"version {found.version}")
    _check_may_fill(job, state)
    package = fetch(found)
    job.say("update.fetched", version=found.version)
    manifest = read_manifest(package)
    if manifest.version != found.version:  # the next look would find it anew, for ever
        raise ReleasePackageUnfit(f"{found.name}: its manifest says {manifest.version}")
    check_fits(manifest, job.place.program.name)  # before the former version goes
    check_room(package, Path(disk.slot(state.other)))
    name = changed(disk, lambda state: _emptied(job, state)).other  # hours may have passed since it was read above
    install(package, Path(disk.slot(name)), job.place.program.name)
    new = Slot(EMPTY, found.version, found.sha256)
    changed(disk, lambda state: _filled(job, state, new))
    package.unlink(missing_ok=True)
    job.say("update.installed", version=found.version, slot=name)


def _check_may_fill(job: Updating, state: State) -> None:
    """Only beside the version whose turn it is, and once that has proved itself. Raises UpdateInProgress, SlotUnproved,
    VersionNotStarted."""
    if state.active != job.here.slot:
        raise UpdateInProgress(f"slot {state.active} is next")
    slot = state.slot(state.active)
    if slot.mark != GOOD:
        raise _unproved(state, is_running=job.is_running)


def _unproved(state: State, *, is_running: bool) -> SlotUnproved | VersionNotStarted:
    refusal = SlotUnproved if is_running else VersionNotStarted
    return refusal(f"slot {state.active}: version {state.slot(state.active).version}")


def _emptied(job: Updating, state: State) -> State:
    """From here on nobody switches or goes back: there is nothing to go to."""
    _check_may_fill(job, state)
    return after(state, CLEAR)


def _filled(job: Updating, state: State, new: Slot) -> State:
    """Raises UpdateInProgress, and what `_check_may_fill` raises."""
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
        if not is_typed or job.is_running:
            raise  # it starts or ends just now, or may
        _switch_here(job, event)
        return
    for line in said:
        if "command_refused" in line:
            raise _refusal_of(line)
    state = job.state
    job.say("update.switching", slot=state.active, version=state.slot(state.active).version)


def _switch_here(job: Updating, event: str) -> None:
    if event == BACK:
        check_way_back(job.here.disk, job.state.other)
    try:
        state = changed(job.here.disk, lambda state: step(state, event)._replace(before=()))
    except SlotUnproved as refusal:
        raise _unproved(job.state, is_running=False) from refusal
    job.say("update.switching", slot=state.active, version=state.slot(state.active).version)


def _refusal_of(said: Said) -> Refusal:
    """What the running program refused by; it may be of another version, with refusals that this one has not."""
    key, detail = str(said["command_refused"]), str(said.get("detail", ""))
    kinds = (one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, Refusal))
    found = next((one for one in kinds if getattr(one, "key", "") == key), None)
    return CommandUnsettled(f"{said.get('refusal')} {key}: {detail}"[:200]) if found is None else found(detail)


def is_held(journal: Path) -> bool:
    """Has a program this SQLite file open for itself alone? Who may not look takes it for held."""
    try:
        file = journal.open("r+b")
    except FileNotFoundError:
        return False
    except OSError:
        return True
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
        held = hold(f"{here.disk.root}/slots", 0.0)
    except TimeoutError as error:
        raise UpdateInProgress() from error
    except OSError as error:
        raise NotInSlots(f"{here.disk.root}: {error.strerror}") from error
    try:
        yield
    finally:
        os.close(held)
