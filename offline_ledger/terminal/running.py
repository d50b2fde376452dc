"""The running part that both headless terminals share: devices in, lights out, sync beside, a clean end. DESIGN §5, §7.

The program gives the counter for each code and hears of each outcome; this file owns the order: decide, show, then
record the green as shown. A composition helper: it opens the readers that the settings of every terminal name.
"""

import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from offline_ledger.errors import (
    CommandIncomplete,
    ControlUnavailable,
    HeadLost,
    JournalDamaged,
    JournalLost,
    Refusal,
    StorageFailed,
    StorageFull,
)
from offline_ledger.rules.training import is_training_city
from offline_ledger.terminal.card_taps import ASKED, CardTaps, Judge
from offline_ledger.terminal.clock_watch import ClockWatch
from offline_ledger.terminal.device_watch import DeviceWatch
from offline_ledger.terminal.disk_room import check_room
from offline_ledger.terminal.drivers.clocks import RtcChip, network_time
from offline_ledger.terminal.headless import LineLamp, read_commands
from offline_ledger.terminal.light_time import LightTime
from offline_ledger.terminal.lights import GREEN, Lights
from offline_ledger.terminal.link_keeper import LinkKeeper
from offline_ledger.terminal.nothing_own import (
    always_open,
    none_taken,
    nothing_known,
    nothing_more,
    nothing_open,
    nothing_to_see,
)
from offline_ledger.terminal.outcome import Counter, Light, Outcome
from offline_ledger.terminal.own_files import OwnFiles
from offline_ledger.terminal.patience import Patience
from offline_ledger.terminal.ports import KEY_SAYS_NO, HeadLamp
from offline_ledger.terminal.program import EXIT_REFUSED, Opened
from offline_ledger.terminal.readers import Reader, open_readers
from offline_ledger.terminal.scan_loop import ScanLoop
from offline_ledger.terminal.service_manager import READY, STOPPING, manager_of_this_process
from offline_ledger.terminal.troubles import Troubles
from offline_ledger.terminal.turns import T, Turns

if TYPE_CHECKING:
    from offline_ledger.terminal.control import ControlDoor
    from offline_ledger.terminal.diagnosis import Part
    from offline_ledger.terminal.status import SyncStatus
    from offline_ledger.terminal.updates.switching import SlotKeeper

__all__ = ["GREEN", "Reader", "Running"]

LATER_MAX = 8
"""Questions about the link that wait until it is loaded; older ones are dropped."""
TURN_S = 0.0005
"""How long a thread runs Python before another gets its turn: a tap needs several while the rest is loaded or synced,
and Python's own 5 ms for each would be seen."""
STOPPED = (StorageFull, StorageFailed, JournalDamaged)
"""What keeps the out-of-service light on until the journal takes sales again."""
ASKED_MS = 6_000
"""So long a card that was asked may still answer (`drivers.card.TALK_S_MAX`)."""
ALONE = ("quit", "status", "sync")
"""Commands of one word."""


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
        self._is_broken = False
        self._troubles = Troubles(self.lamp.trouble, self.lamp.trouble_over)
        chip = RtcChip(str(opened.folder / opened.text("clock.rtc")))
        station, note = self._station, self._troubles.note
        ends_s = lambda: station.certificate.expires_at_s  # noqa: E731 - a newer one may come while we run
        self._clock = ClockWatch(station.keeper, chip, network_time, ends_s, self.lamp, note)
        watched = self._station.own_files(opened.settings_file, opened.folder / opened.text("city.ca_file"))
        self._files = OwnFiles(watched, self._troubles.note)
        self._link = LinkKeeper(opened, self.lamp, self._troubles, self._clock, self._break)
        self._readers = open_readers(opened)
        self._devices = DeviceWatch(self._readers, self._troubles, self.lamp)
        self._head: HeadLamp | None = None
        self._loop = ScanLoop(self._on_code, self._devices.heard, self._on_tick)
        self.lights = Lights(self.lamp, self._loop.do)
        self._patience = Patience(lambda: self.lamp.lights, self.lights.working)
        self._turns = Turns(self._loop.do, lambda: self._loop.is_stopping)
        self.cards = CardTaps(self._station.acceptor, self._turns, self._decide_card, self._tap_failed)
        self._manager = manager_of_this_process()
        self._door: ControlDoor | None = None
        self._diagnosed: Callable[[], Sequence[Part]] = nothing_known
        self._questions: dict[str, Callable[[list[str]], Sequence[Mapping[str, object]]]] = {}
        self._loads: list[Callable[[], None]] = []
        self._stopped: Refusal | None = None
        self._closed_as, self._last_closed = 0, 0
        self._lost: JournalLost | None = None
        self._light = LightTime()
        self._later: list[list[str]] = []
        self._takes: Callable[[str], bool] = none_taken
        self._open: Callable[[], str] = nothing_open
        self._asked_ms: int | None = None
        self._slots: SlotKeeper | None = None

    def note(self, what: str, refusal: Refusal | None) -> None:
        """A trouble of the program's own stands (None: no more). From any thread."""
        self._troubles.note(what, refusal)

    def add_device(self, name: str, device: Reader, *, takes_payments: bool = False) -> None:
        """A device of the program's own, before `run`; its troubles stand under its name. `takes_payments`: while one
        that does is there, the terminal is open."""
        self._devices.add(name, device, takes_payments=takes_payments)

    def with_head(self, head: HeadLamp) -> None:
        """What customers look at, before `run`: while it is lost, nothing is taken."""
        self._head = head
        self.lights.with_head(head)

    def diagnosed_by(self, parts: "Callable[[], Sequence[Part]]") -> None:
        """What `diagnose` tells of the program's own; on the deciding thread."""
        self._diagnosed = parts

    def answers(self, word: str, answer: Callable[[list[str]], Sequence[Mapping[str, object]]]) -> None:
        """A question of the program's own at the control door, by its first word; `answer` gets the others. It is
        called on the door's thread, beside the customers, and may raise a Refusal."""
        self._questions[word] = answer

    def with_goods(self, takes: Callable[[str], bool]) -> None:
        """Before `run`: `takes` is offered each text that is read, on the deciding thread; True: it was no customer's
        code, and nothing is decided."""
        self._takes = takes

    @property
    def standing(self) -> list[tuple[str, Refusal]]:
        """Every trouble that stands now, by name. From any thread."""
        return self._troubles.standing()

    def link_status(self) -> "SyncStatus | None":
        """How the link to the city is; None: it is not loaded yet. On the deciding thread."""
        return self._link.sync.status() if self._link.sync is not None else None

    def open_while(self, thing: Callable[[], str]) -> None:
        """What of the program's own is open now, and must not be ended for an update; empty: nothing. On the deciding
        thread, before `run`."""
        self._open = thing

    def load_later(self, load: Callable[[], None]) -> None:
        """What no first decision needs; on the loading thread, after the first customer."""
        self._loads.append(load)

    def code(self, text: str) -> None:
        """A code that a device read before `run`."""
        self._loop.do(lambda: self._on_code(text))

    def do(self, job: Callable[[], None]) -> None:
        """Have the deciding thread do something. From any thread."""
        self._loop.do(job)

    def turn(self, job: Callable[[], T]) -> T:
        """What a job gave that the deciding thread did; from another one. Raises CommandTakenBack, CommandUnsettled."""
        return self._turns.take_or_refuse(job)

    def command(self, words: list[str]) -> None:
        """As if it had come on standard input. On the deciding thread."""
        self._command(words)

    def show(self, outcome: Outcome, **more: object) -> None:
        """A light that no code has asked for; it stands as long as any. On the deciding thread."""
        self._last_closed = _closed_by(outcome)
        self.lights.show(outcome, self._nothing_to_record, **more)
        self._light.shown(self._opened.clock.mono_ms())

    def ready(self) -> None:
        """What the program did is done: wait, or out of service while no code can be taken. On the deciding thread."""
        closed = self._lost or self._why_no_code()
        self._light.gone()
        if closed is None:
            self.lights.wait()
        else:
            self._show_closed(closed)

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
        light = {} if self._why_closed() else {"light": Light.WAIT.value}  # the first look says why it is closed
        self.lamp.say(**light, ready=True, sequence=sequence, unratified=waiting, **self._clock.words())
        self._manager.tell(READY)
        self._add_cards()
        self._link.start(self._load_more, lambda: self._lost is not None)
        self._patience.start()
        try:
            self._loop.run([*self._readers, *self._devices.more.values()], self._patience.offered, self.lights.settle)
        finally:
            self._patience.stop()
            self._manager.tell(STOPPING)
            if self._door is not None:
                self._door.close()
            self._link.stop()
        return EXIT_REFUSED if self._is_broken else 0

    def _break(self) -> None:
        """A part of the program cannot be loaded. On the loading thread."""
        self._is_broken = True
        self._loop.stop()

    def _load_more(self) -> None:
        from offline_ledger.terminal.updates.switching import AtWork, keeper_of_this_process

        standing, mono_ms = self._troubles.standing, self._opened.clock.mono_ms
        parts = (self.lamp, self.note, standing, self.link_status, self._open_thing, mono_ms, self._loop.stop)
        # First of all: a version that never comes to the end of its loading has to give its place back too.
        self._slots = keeper_of_this_process(AtWork(*parts, self._break), self._opened.number("update.prove_s"))
        for load in self._loads:
            load()
        from offline_ledger.terminal.control import ControlDoor

        try:
            self._door = ControlDoor(self._opened.folder / self._opened.text("control.socket"), self._answer)
        except OSError as error:
            self.note("control", ControlUnavailable(str(error)))

    # --- on the control door's thread

    def _answer(self, words: list[str]) -> Sequence[Mapping[str, object]]:
        try:
            own = self._questions.get(words[0])
            return own(words[1:]) if own is not None else self._turns.take_or_refuse(lambda: self._heard(words))
        except Refusal as refusal:
            return [{"command_refused": refusal.key, **self.lamp.refusal_words(refusal), "detail": refusal.detail}]

    # --- on the deciding thread

    def _heard(self, words: list[str]) -> Sequence[Mapping[str, object]]:
        """What a caller at the door is answered: the lines that were said, or every part."""
        if words != ["diagnose"]:
            return self.lamp.hearing(lambda: self._command(words)) or [{"done": words[0]}]
        from offline_ledger.terminal.diagnosis import Part, device_part, parts_of

        devices = [device_part(name, one.health()) for name, one in self._devices.more.items()]
        readers = [
            Part(f"reader_{number}", device_part("", one.health()).facts) for number, one in enumerate(self._readers)
        ]
        status = self.link_status()
        more = [*self._diagnosed(), *readers, *devices]
        more += [Part("update", self._slots.facts())] if self._slots is not None else []
        found = parts_of(self._opened, self._troubles.standing(), status, more)
        return [self.lamp.part_words(part) for part in found]

    def _look_for_journal(self) -> None:
        try:
            self._station.check_journal()
        except JournalLost as refusal:
            self._lost = refusal  # for good: only a technician can say what became of it
            self._show_closed(refusal)

    def _on_code(self, text: str) -> None:
        if self._takes(text):
            self._patience.ends()  # it has no light, and nobody waits for one
            return
        self._decide(lambda counter: self._station.acceptor.accept(text, counter))

    def _decide_card(self, judge: Judge) -> Outcome | None:
        self._patience.offered()  # its turn has come already; a slow disk may still keep it waiting
        return self._decide(judge)

    def _tap_failed(self, refusal: Refusal) -> None:
        """No payment came; the light says what to do, or that the next customer may tap."""
        light = Light.TRY_AGAIN if refusal.waiting_helps else Light.REFUSED
        self.show(Outcome(light, refusal=refusal))

    def _decide(self, judge: Judge) -> Outcome | None:
        if self._lost is not None:
            self._show_closed(self._lost)
            return None
        self._patience.begins()
        try:
            outcome = judge(self._open_counter())
        except Refusal as refusal:
            self._last_closed = refusal.number
            self._show_closed(refusal)
            outcome = None
        else:
            if outcome is not ASKED:
                self._show_decided(outcome)
        self._patience.ends()
        self._asked_ms = self._opened.clock.mono_ms() if outcome is ASKED else None
        if outcome is not ASKED:
            self._light.shown(self._opened.clock.mono_ms())
        return outcome

    def _open_counter(self) -> Counter:
        """Raises what keeps it closed: a light that nobody can see is none."""
        unseen = self._unseen()
        if unseen is not None:
            raise unseen
        return self._counter()

    def _nothing_to_record(self, _outcome: Outcome) -> None:
        pass

    def _show_closed(self, why: Refusal) -> None:
        self.lights.show(Outcome(Light.OUT_OF_SERVICE, refusal=why), self._nothing_to_record)

    def _show_decided(self, outcome: Outcome) -> None:
        more = {**self._clock.light_words(), **self._about(outcome)}
        if self._head is not None:
            self._station.acceptor.not_shown_yet(outcome)
        self.lights.show(outcome, self._station.acceptor.shown, **more)
        refusal = outcome.refusal
        self._last_closed = _closed_by(outcome)
        if isinstance(refusal, STOPPED):
            self._stopped, self._closed_as = refusal, refusal.number  # the light is on, and stays on
        if outcome.light in GREEN:
            self._stopped, self._closed_as = None, 0
        self._after(outcome)
        self._link.decided(is_green=outcome.light in GREEN)

    def _unseen(self) -> Refusal | None:
        """The head is gone: whatever were decided, its customer would not see it."""
        if self._head is None or self._head.is_seen:
            return None
        return dict(self._troubles.standing()).get("head") or HeadLost()

    def _on_tick(self) -> None:
        self.lamp.check_seen()
        self._manager.alive(self._opened.clock.mono_ms())
        if self._lost is None:
            self._look_for_journal()
        if self._lost is not None:
            return  # nothing may open the journal again: that would make another
        if self._later and self._link.is_settled:
            asked, self._later = self._later, []
            for words in asked:
                self._command(words)
        self._clock.tick()
        self._files.step()
        self._troubles.note("deny_list_in_use", self._station.deny_list_trouble())
        status: SyncStatus | None = None
        try:
            self._keep_journal()
            status = self.link_status()
        except Refusal as refusal:
            self._stopped = refusal
        else:
            self._stopped = None
        self._look()
        self._devices.look()
        if self._slots is not None:
            self._slots.look()
        self.note("journal", self._stopped or self._link.unkept)
        self._show_whether_open()
        if status is not None:
            self._link.show_badge(status)  # a sale that waits to be sent: the badge was `synced` a moment ago

    def _no_key(self) -> Refusal | None:
        """The token with the key is away: whatever were decided could not be signed."""
        wrong = dict(self._troubles.standing()).get("key")
        return wrong if isinstance(wrong, KEY_SAYS_NO) else None

    def _why_no_code(self) -> Refusal | None:
        return self._stopped or self._no_key() or self._unseen() or self._devices.why_no_code() or self._why_closed()

    def _show_whether_open(self) -> None:
        """Out of service for as long as no code can be taken, whatever light was shown in between; else wait."""
        closed = self._why_no_code()
        closed_as = closed.number if closed is not None else 0
        is_changed, self._closed_as = closed_as != self._closed_as, closed_as
        is_over = self._light.take_over(self._opened.clock.mono_ms())
        if closed is None:
            if is_changed or is_over:
                self.lights.wait()
        elif is_changed or (is_over and self._last_closed != closed_as):
            self._last_closed = closed_as
            self._show_closed(closed)

    def _keep_journal(self) -> None:
        """Raises what keeps it from taking sales."""
        journal = self._station.journal
        if self._stopped is not None:
            journal.reopen_and_verify()
        self._station.acceptor.tick(self._opened.clock.mono_ms())
        if self._link.upkeep is not None and not self._loop.is_wanted:
            self._link.upkeep.step()  # may empty the log, which takes several syncs: never with somebody at the door
        if journal.failure is not None:
            raise journal.failure
        if isinstance(self._stopped, StorageFull):
            check_room(self._opened.folder / self._opened.text("files.journal"))

    def _command(self, words: list[str]) -> None:
        if words == ["quit"]:
            self._loop.stop()
        elif words == ["status"] and self._link.sync is not None:
            standing = self._troubles.standing()
            self._link.say_status(self._link.sync.status(), troubles=len(standing))
            self._say(standing)
        elif words == ["sync"] and self._link.sync is not None:
            self._link.hurry()
        elif words in (["status"], ["sync"]) and self._link.refusal is not None:
            self._say(self._troubles.standing())
        elif words in (["status"], ["sync"]) or (words[0] == "update" and not self._knows_its_slot):
            self._later = [*self._later, words][-LATER_MAX:]  # the link is still loading
        elif words[0] == "update":
            from offline_ledger.terminal.updates.switching import obey

            obey(self._slots, self.lamp, words[1:])
        elif words[0] in ALONE:
            self.lamp.refuse_command(CommandIncomplete(), "terminal.stands_alone", command=words[0])
        else:
            self._obey(words)

    @property
    def _knows_its_slot(self) -> bool:
        return self._slots is not None or self._link.is_settled

    def _open_thing(self) -> str:
        """What would be lost or torn if the program ended now; empty: nothing."""
        mono_ms = self._opened.clock.mono_ms()
        is_asked = self._asked_ms is not None and mono_ms - self._asked_ms < ASKED_MS
        here = (
            ("a customer's code waits", self._loop.is_wanted),
            ("a light is on", (self._light.stands and not self._last_closed) or self.lights.is_lighting),
            ("a card is being read", is_asked),
            ("a voucher waits for its customer", bool(self._station.acceptor.unratified.sequences())),
        )
        return next((thing for thing, is_open in here if is_open), "") or self._open()

    def _say(self, troubles: list[tuple[str, Refusal]]) -> None:
        for what, refusal in troubles:
            self.lamp.trouble(what, refusal)

    # --- inside

    def _add_cards(self) -> None:
        if self._opened.text("card.reader") == "none":
            return
        from offline_ledger.terminal.drivers.card import CardReader, CardSettings  # most tills have none

        self.add_device("card", CardReader(CardSettings(), self.cards), takes_payments=True)


def _closed_by(outcome: Outcome) -> int:
    """The number of the refusal that an out-of-service light names; 0 for any other light."""
    refusal = outcome.refusal
    return refusal.number if refusal is not None and outcome.light is Light.OUT_OF_SERVICE else 0
