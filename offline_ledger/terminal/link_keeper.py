"""The link to the city beside a running terminal: loaded late, told about when its badge changes, kept tidy. DESIGN §7.

No first decision needs any of it (decision 0050). Decides nothing about a code and changes no customer's light.
"""

import os
from collections.abc import Callable
from threading import Event, RLock, Thread
from typing import TYPE_CHECKING

from offline_ledger.errors import Refusal, StorageFailed, StorageFull
from offline_ledger.terminal.clock_watch import ClockWatch
from offline_ledger.terminal.headless import LineLamp
from offline_ledger.terminal.program import Opened
from offline_ledger.terminal.troubles import Troubles

if TYPE_CHECKING:
    from offline_ledger.rules.clock import TimeNow
    from offline_ledger.terminal.journal import Journal
    from offline_ledger.terminal.status import SyncStatus
    from offline_ledger.terminal.sync_loop import SyncLoop
    from offline_ledger.terminal.upkeep import Upkeep

FIRST_S_MAX = 0.25
"""So long the rest of the program leaves the processor to a customer who stood at the door before it was ready."""


class LinkKeeper:
    """The exchanges of one terminal, and what is done after each."""

    def __init__(
        self, opened: Opened, lamp: LineLamp, troubles: Troubles, clock: ClockWatch, broken: Callable[[], None]
    ) -> None:
        """`broken`: a part of the program cannot be loaded, and it must end; from the loading thread."""
        self._opened, self._station = opened, opened.station
        self._lamp, self._troubles, self._clock, self._broken = lamp, troubles, clock, broken
        self._has_decided = Event()
        self._badge, self._badge_turn = "", RLock()
        self._is_asked = False
        self._is_stopped: Callable[[], bool] = lambda: False
        self.sync: SyncLoop | None = None
        self.upkeep: Upkeep | None = None
        self.refusal: Refusal | None = None
        """Why there will be no exchange in this run."""
        self.unkept: Refusal | None = None
        """What the disk said to what is written after an exchange."""

    def start(self, more: Callable[[], None], is_stopped: Callable[[], bool]) -> None:
        """Loads in a thread of its own; `more`: what else shall be loaded then. `is_stopped`: nothing is to be written
        any more."""
        self._is_stopped = is_stopped
        Thread(target=self._link, args=(more,), name="link", daemon=True).start()

    def stop(self) -> None:
        """The exchange under way ends soon."""
        if self.sync is not None:
            self.sync.stop()

    def decided(self, *, is_green: bool) -> None:
        """The first customer has been served; a green is sent soon."""
        self._has_decided.set()
        if is_green and self.sync is not None:
            self.sync.wake()

    def hurry(self) -> None:
        """An exchange now; its status is told whatever it is."""
        assert self.sync is not None
        self._is_asked = True
        self.sync.hurry()

    @property
    def is_settled(self) -> bool:
        """Loaded, or never to be."""
        return self.sync is not None or self.refusal is not None

    def say_status(self, status: "SyncStatus", **more: object) -> None:
        """The badge, told now."""
        self._badge = _badge_of(status)
        at_s = self._station.keeper.time().at_s
        self._lamp.status(status, at_s, at_s=at_s, **self._clock.words(), **more)

    def show_badge(self, status: "SyncStatus") -> None:
        """Tell of it when it is not the one that was said last; the first one is the first exchange's. From any
        thread."""
        with self._badge_turn:
            if self._badge and _badge_of(status) != self._badge:
                self.say_status(status)

    # --- on the loading thread

    def _link(self, more: Callable[[], None]) -> None:
        """A program that cannot load all of itself ends now, and not when the missing part is needed."""
        self._has_decided.wait(FIRST_S_MAX)
        try:
            self._load_rest(more)
        except BaseException:
            self._broken()
            raise

    def _load_rest(self, more: Callable[[], None]) -> None:
        """All that no first decision needs, loaded while the first customers are served already."""
        import gc

        self._lamp.load_words()
        more()
        from offline_ledger.terminal.housekeeping import tidy
        from offline_ledger.terminal.sync_loop import SyncLoop
        from offline_ledger.terminal.upkeep import Upkeep

        self._opened.uplink.load()
        try:
            machine = self._station.link(os.urandom, self._opened.number("sync.rest_s") * 1000)
        except Refusal as refusal:
            self.refusal = refusal
            self._troubles.note("sync", refusal)
            return
        self.upkeep = Upkeep(self._station.journal, self._station.deny)
        self.sync = SyncLoop(
            machine, self._opened.uplink, self._opened.clock, lambda status: self._exchanged(status, tidy)
        )
        self.sync.start()
        gc.unfreeze()
        gc.collect()
        gc.freeze()  # what is loaded stays; collections in the middle of a tap need not walk it

    # --- on the sync thread

    def _exchanged(self, status: "SyncStatus", tidy: "Callable[[Journal, int, TimeNow], object]") -> None:
        """Tell of the link when what the badge shows has changed, or when somebody asked; the log keeps the rest."""
        with self._badge_turn:
            if self._is_asked or _badge_of(status) != self._badge:
                self._is_asked = False
                self.say_status(status)
        self._troubles.note("sync", status.trouble)
        if not self._is_stopped():
            self.unkept = self._keep(status, tidy)

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


def _badge_of(status: "SyncStatus") -> str:
    """All by which one badge differs from another: shape and words, what is wrong, whether anything waits, and how much
    the city rejected."""
    trouble = status.trouble.key if status.trouble is not None else ""
    return f"{status.badge.value} {trouble} {status.pending_count == 0} {len(status.rejected)}"
