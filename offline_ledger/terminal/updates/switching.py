"""The running program's side of its slots: proves itself, and allows the switch when nothing is open. DESIGN §3.

It alone may end itself for an update, and only between customers: no sale, no trip, no voucher that waits for its
light. The launcher (`start`) then starts what the state names. Installs nothing. On the deciding thread.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from offline_ledger.errors import (
    CityUnreachable,
    CommandIncomplete,
    NothingStaged,
    NotInSlots,
    NoWayBack,
    Refusal,
    ReleasePackageUnfit,
    SelfTestFailed,
    SlotUnproved,
    TerminalBusy,
    UpdateInProgress,
    UpdateUndone,
)
from offline_ledger.files import storage_refusal
from offline_ledger.terminal.headless import LineLamp
from offline_ledger.terminal.updates.proving import Life, Seen, Verdict, judge, judged_troubles
from offline_ledger.terminal.updates.start import (
    BACK,
    GOOD,
    HERE,
    PROVE,
    ROOT_HERE,
    SLOTS,
    STATE_HERE,
    SWITCH,
    TRYING,
    NotNow,
    SlotDisk,
    State,
    after,
)

if TYPE_CHECKING:
    from offline_ledger.terminal.status import SyncStatus

EVENTS = {"switch": SWITCH, "back": BACK}


class Here(NamedTuple):
    """Which slot this process was started from, and where slots and state lie."""

    slot: str
    disk: SlotDisk


def here_in(environment: Mapping[str, str]) -> Here | None:
    """As the launcher says; None: nobody started this from a slot."""
    slot, state, root = (environment.get(name, "") for name in (HERE, STATE_HERE, ROOT_HERE))
    return Here(slot, SlotDisk(root, state)) if slot in SLOTS and state and root else None


def keeper_of_this_process(work: "AtWork", prove_s: int) -> "SlotKeeper | None":
    """From the environment; only a composition root asks."""
    here = here_in(os.environ)
    return None if here is None else SlotKeeper(here, work, prove_s)


class AtWork(NamedTuple):
    """What the keeper asks of the running program. `open_thing`: what keeps it from ending now, empty: nothing;
    `stop` ends it, `fail` ends it as one that cannot go on."""

    lamp: LineLamp
    note: Callable[[str, Refusal | None], None]
    standing: Callable[[], list[tuple[str, Refusal]]]
    status: "Callable[[], SyncStatus | None]"
    open_thing: Callable[[], str]
    mono_ms: Callable[[], int]
    stop: Callable[[], None]
    fail: Callable[[], None]


class SlotKeeper:
    """One running program's."""

    def __init__(self, here: Here, work: AtWork, prove_s: int) -> None:
        self._here, self._work, self._prove_ms = here, work, prove_s * 1_000
        self._life = Life(work.mono_ms())
        self._has_synced = False
        self._failed: SelfTestFailed | None = None
        self._is_proving = False
        state = here.disk.read()
        if state is not None and state.active == here.slot:
            self._is_proving = state.slot(here.slot).mark == TRYING
            if state.undone.version:
                work.note("update", UpdateUndone(f"version {state.undone.version}"))

    def facts(self) -> dict[str, object]:
        """For `diagnose`."""
        state = self._here.disk.read()
        if state is None:
            return {"slot": self._here.slot}
        slots = {name: f"{state.slot(name).version} {state.slot(name).mark}".strip() for name in SLOTS}
        return {"slot": self._here.slot, **slots, "undone": state.undone.version or None}

    def look(self) -> None:
        """Time has passed."""
        alive_ms = self._life.turn(self._work.mono_ms())
        if not self._is_proving:
            return
        if self._failed is not None:
            self._end_when_free()
            return
        state = self._here.disk.read()
        if state is None or state.active != self._here.slot:
            return
        since_ms = self._work.mono_ms() - self._life.began_ms
        troubles = judged_troubles(name for name, _refusal in self._work.standing())
        has_fallback = state.slot(state.other).mark == GOOD
        seen = Seen(alive_ms, since_ms, troubles, self._link_is_well(), has_fallback)
        verdict, lacks = judge(seen, state.before, self._prove_ms)
        if verdict is Verdict.GOOD:
            self._proved()
        elif verdict is Verdict.FAILED:
            self._failed = SelfTestFailed(", ".join(lacks))
            self._work.note("update", self._failed)

    def obey(self, words: list[str]) -> None:
        """`switch` or `back`. Raises what keeps it from being done."""
        if len(words) != 1 or words[0] not in EVENTS:
            raise CommandIncomplete()
        thing = self._work.open_thing()
        if thing:
            raise TerminalBusy(thing)
        event = EVENTS[words[0]]
        if event == BACK:
            check_way_back(self._here.disk, "b" if self._here.slot == "a" else "a")
        before = tuple(sorted(judged_troubles(name for name, _refusal in self._work.standing())))
        state = changed(self._here.disk, lambda state: self._stepped(state, event)._replace(before=before))
        self._work.lamp.say(update=words[0], slot=state.active, version=state.slot(state.active).version)
        self._work.stop()

    # --- inside

    def _stepped(self, state: State, event: str) -> State:
        if state.active != self._here.slot:
            raise SlotUnproved(f"slot {self._here.slot} runs, {state.active} is next")
        return step(state, event)

    def _proved(self) -> None:
        try:
            slot = self._here.slot
            state = changed(self._here.disk, lambda state: after(state, PROVE) if state.active == slot else state)
        except Refusal as refusal:  # the disk may take it at the next look; until then it is not proved
            self._work.note("update", refusal)
            return
        self._is_proving = False
        self._work.note("update", None)
        self._work.lamp.say(update="proved", slot=self._here.slot, version=state.slot(self._here.slot).version)

    def _end_when_free(self) -> None:
        if not self._work.open_thing():
            self._is_proving = False
            self._work.fail()

    def _link_is_well(self) -> bool:
        """A whole exchange was made since the start, or the city cannot be reached: no version can help that."""
        status = self._work.status()
        if status is None:
            return False
        self._has_synced = self._has_synced or (status.trouble is None and status.is_connected)
        return self._has_synced or isinstance(status.trouble, CityUnreachable)


def obey(keeper: SlotKeeper | None, lamp: LineLamp, words: list[str]) -> None:
    """`update ...` on standard input or at the control door; a refusal is said with its number and detail."""
    try:
        if keeper is None:
            raise NotInSlots()
        keeper.obey(words)
    except Refusal as refusal:
        lamp.say(command_refused=refusal.key, **lamp.refusal_words(refusal), detail=refusal.detail)


def step(state: State, event: str) -> State:
    """`after`, of SWITCH or BACK. Raises SlotUnproved, NothingStaged, NoWayBack."""
    try:
        return after(state, event)
    except NotNow as error:
        is_unproved = event == SWITCH and state.slot(state.active).mark == TRYING
        refusal = SlotUnproved if is_unproved else NothingStaged if event == SWITCH else NoWayBack
        raise refusal() from error


def changed(disk: SlotDisk, change: Callable[[State], State]) -> State:
    """The state afterwards, durable. Raises what `change` raises, NotInSlots, UpdateInProgress, StorageFull,
    StorageFailed."""
    try:
        return disk.changed(change)
    except TimeoutError as error:
        raise UpdateInProgress() from error
    except FileNotFoundError as error:
        raise NotInSlots(disk.root) from error
    except OSError as error:
        raise storage_refusal(error, Path(disk.state)) from error


def check_way_back(disk: SlotDisk, other: str) -> None:
    """Can the version in the other slot read what this one has written? Raises NoWayBack."""
    from offline_ledger.terminal.updates.package import STORES, slot_manifest

    try:
        manifest = slot_manifest(Path(disk.slot(other)))
    except ReleasePackageUnfit as error:
        raise NoWayBack(f"slot {other}: {error.detail}") from error
    if manifest is None:
        raise NoWayBack(f"slot {other}: no version")
    for name, one in STORES.items():
        reads = manifest.stores.get(name, one)
        if not reads.oldest <= one.writes <= reads.newest:
            raise NoWayBack(f"{name}: version {one.writes}")
