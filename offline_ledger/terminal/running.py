"""The running part that both headless terminals share: devices in, lights out, sync beside, a clean end. DESIGN §5, §7.

The program gives the counter for each code and hears of each outcome; this file owns the order: decide, show, then
record the green as shown. A composition helper: it opens the drivers that the settings name.
"""

import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Event, RLock, Thread
from typing import TYPE_CHECKING, Protocol

from offline_ledger.errors import (
    CameraLost,
    CameraProgramMissing,
    CameraStalled,
    CommandIncomplete,
    DevicePortForbidden,
    DevicePortInUse,
    JournalDamaged,
    JournalLost,
    Refusal,
    ScannerLost,
    StorageFailed,
    StorageFull,
)
from offline_ledger.rules.training import is_training_city
from offline_ledger.terminal.clock_watch import ClockWatch
from offline_ledger.terminal.disk_room import check_room
from offline_ledger.terminal.drivers.clocks import RtcChip, network_time
from offline_ledger.terminal.headless import LineLamp, read_commands
from offline_ledger.terminal.light_time import LightTime
from offline_ledger.terminal.outcome import Counter, Light, Outcome
from offline_ledger.terminal.own_files import OwnFiles
from offline_ledger.terminal.patience import Patience
from offline_ledger.terminal.program import EXIT_REFUSED, Opened
from offline_ledger.terminal.scan_loop import CodeSource, ScanLoop
from offline_ledger.terminal.troubles import Troubles

if TYPE_CHECKING:
    from offline_ledger.rules.clock import TimeNow
    from offline_ledger.terminal.journal import Journal
    from offline_ledger.terminal.status import SyncStatus
    from offline_ledger.terminal.sync_loop import SyncLoop
    from offline_ledger.terminal.upkeep import Upkeep

LATER_MAX = 8
"""Questions about the link that wait until it is loaded; older ones are dropped."""
FIRST_S_MAX = 0.25
"""So long the rest of the program leaves the processor to a customer who stood at the door before it was ready."""
TURN_S = 0.0005
"""How long a thread runs Python before another gets its turn: a tap needs several while the rest is loaded or synced,
and Python's own 5 ms for each would be seen."""
GREEN = (Light.ACCEPTED, Light.ACCEPTED_CASH_DUE)
STOPPED = (StorageFull, StorageFailed, JournalDamaged)
"""What keeps the out-of-service light on until the journal takes sales again."""
DEVICE_LOST = (ScannerLost, CameraLost, CameraStalled, CameraProgramMissing, DevicePortForbidden, DevicePortInUse)
"""What stands until the reader is back; other refusals of a reader are about one code."""
ALONE = ("quit", "status", "sync")
"""Commands of one word."""


class Reader(CodeSource, Protocol):
    """A scanner or camera, which knows whether it is there."""

    @property
    def is_lost(self) -> bool: ...


def always_open() -> Refusal | None:
    """Nothing but its devices keeps this terminal from taking codes."""
    return None


def nothing_to_see() -> None:
    """A program that has nothing of its own to look at."""


def nothing_more(_outcome: Outcome) -> Mapping[str, object]:
    """A light that says all by itself."""
    return {}


class Running:
    """One terminal at work."""

    def __init__(
        self,
        opened: Opened,
        counter: Callable[[], Counter],
        after: Callable[[Outcome], None],
        obey: Callable[[list[str]], None],
        about: Callable[[Outcome], Mapping[str, object]] = nothing_more,
        why_closed: Callable[[], Refusal | None] = always_open,
        look: Callable[[], None] = nothing_to_see,
    ) -> None:
        """`counter`: where the next code is judged (may raise a Refusal); `after`: an outcome was shown; `obey`: a line
        of words from standard input; `about`: what the light shall say beside; `why_closed`: what the counter
        waits for before it can take any code; `look`: time has passed, and with it maybe the wait of a voucher. All
        are called on the deciding thread."""
        self.lamp = LineLamp(is_training=is_training_city(opened.text("device.city")))
        self._opened = opened
        self._station = opened.station
        self._counter, self._after, self._obey, self._about = counter, after, obey, about
        self._why_closed, self._look = why_closed, look
        self._sync: SyncLoop | None = None
        self._link_refusal: Refusal | None = None
        self._is_broken = False
        self._has_decided = Event()
        self._badge, self._badge_turn = "", RLock()
        self._is_asked = False
        self._troubles = Troubles(self.lamp.trouble, self.lamp.trouble_over)
        chip = RtcChip(str(opened.folder / opened.text("clock.rtc")))
        station, note = self._station, self._troubles.note
        ends_s = lambda: station.certificate.expires_at_s  # noqa: E731 - a newer one may come while we run
        self._clock = ClockWatch(station.keeper, chip, network_time, ends_s, self.lamp, note)
        watched = self._station.own_files(opened.settings_file, opened.folder / opened.text("city.ca_file"))
        self._files = OwnFiles(watched, self._troubles.note)
        self._patience = Patience(lambda: self.lamp.lights, self.lamp.working)
        self._readers = self._sources()
        self._device: Refusal | None = None
        self._loop = ScanLoop(self._readers, self._on_code, self._on_device, self._on_tick, self._patience.offered)
        self._upkeep: Upkeep | None = None
        self._stopped: Refusal | None = None
        self._unkept: Refusal | None = None
        self._closed_as, self._last_closed = 0, 0
        self._lost: JournalLost | None = None
        self._light = LightTime()
        self._later: list[list[str]] = []

    def note(self, what: str, refusal: Refusal | None) -> None:
        """A trouble of the program's own stands (None: no more). From any thread."""
        self._troubles.note(what, refusal)

    def show(self, outcome: Outcome, **more: object) -> None:
        """A light that no code has asked for; it stands as long as any. On the deciding thread."""
        self._last_closed = _closed_by(outcome)
        self.lamp.show(outcome, **more)
        self._light.shown(self._opened.clock.mono_ms())

    def ready(self) -> None:
        """What the program did is done: wait, or out of service while no code can be taken. On the deciding thread."""
        closed = self._lost or self._why_no_code()
        self._light.gone()
        if closed is None:
            self.lamp.wait()
        else:
            self.lamp.show(Outcome(Light.OUT_OF_SERVICE, refusal=closed))

    def ready_when_unlit(self) -> None:
        """Nothing was done: a light that stands is some customer's, and goes by itself. On the deciding thread."""
        if not self._light.stands:
            self.ready()

    def run(self) -> int:
        """Until `quit`, the end of standard input, SIGTERM or SIGINT."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: self._loop.stop())
        sys.setswitchinterval(TURN_S)
        self._clock.start()
        do = self._loop.do
        refuse: Callable[[Refusal], None] = lambda why: do(lambda: self.lamp.refuse_command(why))  # noqa: E731
        read_commands(lambda words: do(lambda: self._command(words)), refuse, lambda: do(self._loop.stop))
        waiting = [row.sequence for row in self._station.acceptor.unratified.waiting()]
        sequence = self._station.journal.tail.sequence
        self.lamp.say(light=Light.WAIT.value, ready=True, sequence=sequence, unratified=waiting, **self._clock.words())
        Thread(target=self._link, name="link", daemon=True).start()
        self._patience.start()
        try:
            self._loop.run()
        finally:
            self._patience.stop()
            if self._sync is not None:
                self._sync.stop()
        return EXIT_REFUSED if self._is_broken else 0

    def _link(self) -> None:
        """A program that cannot load all of itself ends now, and not when the missing part is needed."""
        self._has_decided.wait(FIRST_S_MAX)
        try:
            self._load_rest()
        except BaseException:
            self._is_broken = True
            self._loop.stop()
            raise

    def _load_rest(self) -> None:
        """All that no first decision needs, loaded while the first customers are served already (decision 0050)."""
        import gc

        self.lamp.load_words()
        from offline_ledger.terminal.housekeeping import tidy
        from offline_ledger.terminal.sync_loop import SyncLoop
        from offline_ledger.terminal.upkeep import Upkeep

        self._opened.uplink.load()
        try:
            machine = self._station.link(os.urandom, self._opened.number("sync.rest_s") * 1000)
        except Refusal as refusal:
            self._link_refusal = refusal
            self.note("sync", refusal)
            return
        self._upkeep = Upkeep(self._station.journal, self._station.deny)
        self._sync = SyncLoop(
            machine, self._opened.uplink, self._opened.clock, lambda status: self._exchanged(status, tidy)
        )
        self._sync.start()
        gc.unfreeze()
        gc.collect()
        gc.freeze()  # what is loaded stays; collections in the middle of a tap need not walk it

    # --- on the deciding thread

    def _look_for_journal(self) -> None:
        try:
            self._station.check_journal()
        except JournalLost as refusal:
            self._lost = refusal  # for good: only a technician can say what became of it
            self.lamp.show(Outcome(Light.OUT_OF_SERVICE, refusal=refusal))

    def _on_code(self, text: str) -> None:
        if self._lost is not None:
            self.lamp.show(Outcome(Light.OUT_OF_SERVICE, refusal=self._lost))
            return
        self._patience.begins()
        self._decide(text)
        self._patience.ends()
        self._light.shown(self._opened.clock.mono_ms())

    def _decide(self, text: str) -> None:
        try:
            counter = self._counter()
        except Refusal as refusal:
            self._last_closed = refusal.number
            self.lamp.show(Outcome(Light.OUT_OF_SERVICE, refusal=refusal))
            return
        outcome = self._station.acceptor.accept(text, counter)
        self.lamp.show(outcome, **self._clock.light_words(), **self._about(outcome))
        self._station.acceptor.shown(outcome)
        refusal = outcome.refusal
        self._last_closed = _closed_by(outcome)
        if isinstance(refusal, STOPPED):
            self._stopped, self._closed_as = refusal, refusal.number  # the light is on, and stays on
        if outcome.light in GREEN:
            self._stopped, self._closed_as = None, 0
            if self._sync is not None:
                self._sync.wake()
        self._after(outcome)
        self._has_decided.set()

    def _on_device(self, refusal: Refusal) -> None:
        if isinstance(refusal, DEVICE_LOST):
            self._device = refusal
            self.note("device", refusal)
        else:
            self.lamp.trouble("device", refusal)

    def _on_tick(self) -> None:
        self.lamp.check_seen()
        if self._lost is None:
            self._look_for_journal()
        if self._lost is not None:
            return  # nothing may open the journal again: that would make another
        if self._later and (self._sync is not None or self._link_refusal is not None):
            asked, self._later = self._later, []
            for words in asked:
                self._command(words)
        self._clock.tick()
        self._files.step()
        self._troubles.note("deny_list_in_use", self._station.deny_list_trouble())
        status: SyncStatus | None = None
        try:
            self._keep_journal()
            status = self._sync.status() if self._sync is not None else None
        except Refusal as refusal:
            self._stopped = refusal
        else:
            self._stopped = None
        self._look()
        self._look_at_readers()
        self.note("journal", self._stopped or self._unkept)
        self._show_whether_open()
        if status is not None and self._badge:  # the first one is the first exchange's
            self._show_badge(status)  # a sale that waits to be sent: the badge was `synced` a moment ago

    def _look_at_readers(self) -> None:
        if not any(reader.is_lost for reader in self._readers):
            self._device = None
        self.note("device", self._device)

    def _no_reader(self) -> Refusal | None:
        return self._device if self._readers and all(reader.is_lost for reader in self._readers) else None

    def _why_no_code(self) -> Refusal | None:
        return self._stopped or self._no_reader() or self._why_closed()

    def _show_whether_open(self) -> None:
        """Out of service for as long as no code can be taken, whatever light was shown in between; else wait."""
        closed = self._why_no_code()
        closed_as = closed.number if closed is not None else 0
        is_changed, self._closed_as = closed_as != self._closed_as, closed_as
        is_over = self._light.take_over(self._opened.clock.mono_ms())
        if closed is None:
            if is_changed or is_over:
                self.lamp.wait()
        elif is_changed or (is_over and self._last_closed != closed_as):
            self._last_closed = closed_as
            self.lamp.show(Outcome(Light.OUT_OF_SERVICE, refusal=closed))

    def _keep_journal(self) -> None:
        """Raises what keeps it from taking sales."""
        journal = self._station.journal
        if self._stopped is not None:
            journal.reopen_and_verify()
        self._station.acceptor.tick(self._opened.clock.mono_ms())
        if self._upkeep is not None and not self._loop.is_wanted:
            self._upkeep.step()  # may empty the log, which takes more than one sync: never with somebody at the door
        if journal.failure is not None:
            raise journal.failure
        if isinstance(self._stopped, StorageFull):
            check_room(self._opened.folder / self._opened.text("files.journal"))

    def _command(self, words: list[str]) -> None:
        if words == ["quit"]:
            self._loop.stop()
        elif words == ["status"] and self._sync is not None:
            standing = self._troubles.standing()
            self._say_status(self._sync.status(), troubles=len(standing))
            self._say(standing)
        elif words == ["sync"] and self._sync is not None:
            self._is_asked = True
            self._sync.hurry()
        elif words in (["status"], ["sync"]) and self._link_refusal is not None:
            self._say(self._troubles.standing())
        elif words in (["status"], ["sync"]):
            self._later = [*self._later, words][-LATER_MAX:]  # the link is still loading
        elif words[0] in ALONE:
            self.lamp.refuse_command(CommandIncomplete(), "terminal.stands_alone", command=words[0])
        else:
            self._obey(words)

    def _say_status(self, status: "SyncStatus", **more: object) -> None:
        self._badge = _badge_of(status)
        at_s = self._station.keeper.time().at_s
        self.lamp.status(status, at_s, at_s=at_s, **self._clock.words(), **more)

    def _show_badge(self, status: "SyncStatus") -> None:
        """Tell of it when it is not the one that was said last. From the deciding and the sync thread."""
        with self._badge_turn:
            if _badge_of(status) != self._badge:
                self._say_status(status)

    def _say(self, troubles: list[tuple[str, Refusal]]) -> None:
        for what, refusal in troubles:
            self.lamp.trouble(what, refusal)

    # --- on the sync thread

    def _exchanged(self, status: "SyncStatus", tidy: "Callable[[Journal, int, TimeNow], object]") -> None:
        """Tell of the link when what the badge shows has changed, or when somebody asked; the log keeps the rest."""
        if self._is_asked:
            self._is_asked = False
            with self._badge_turn:
                self._say_status(status)
        self._show_badge(status)
        self.note("sync", status.trouble)
        if self._lost is not None:
            return
        self._unkept = self._keep(status, tidy)

    def _keep(self, status: "SyncStatus", tidy: "Callable[[Journal, int, TimeNow], object]") -> Refusal | None:
        """After an exchange: the mark, the files that are ours to write, and less journal. What the disk said to it."""
        machine = self._station.sync
        try:
            self._station.mark.move(self._station.journal.tail.sequence)
            self._station.keep_files([what for what, _refusal in self._troubles.standing()])
            if not status.pending_count and machine is not None:
                tidy(self._station.journal, machine.prunable_through(), self._station.keeper.time())
        except (StorageFull, StorageFailed) as refusal:
            return refusal
        except OSError as error:
            return StorageFailed(str(error))
        return None

    # --- inside

    def _sources(self) -> list[Reader]:
        sources: list[Reader] = []
        port, address = self._opened.text("scanner.port"), self._opened.text("camera.address")
        if port:
            from offline_ledger.terminal.drivers.scanner import ScannerSettings, SerialScanner

            is_terminated = self._opened.text("scanner.suffix") == "any"
            scanner = SerialScanner(ScannerSettings(str(Path(port)), suffix=is_terminated))
            scanner.open()
            sources.append(scanner)
        if address:
            from offline_ledger.terminal.drivers.camera import Camera, CameraSettings

            size = (self._opened.number("camera.width_px"), self._opened.number("camera.height_px"))
            camera = Camera(CameraSettings(address, *size))
            camera.open()
            sources.append(camera)
        return sources


def _badge_of(status: "SyncStatus") -> str:
    """All by which one badge differs from another: shape and words, what is wrong, whether anything waits."""
    trouble = status.trouble.key if status.trouble is not None else ""
    return f"{status.badge.value} {trouble} {status.pending_count == 0}"


def _closed_by(outcome: Outcome) -> int:
    """The number of the refusal that an out-of-service light names; 0 for any other light."""
    refusal = outcome.refusal
    return refusal.number if refusal is not None and outcome.light is Light.OUT_OF_SERVICE else 0
