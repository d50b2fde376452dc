"""The driver's side of a validator: signs on, chooses a trip, moves its stop, ends it; by buttons or words. DESIGN §5.

Carries out what the pure rooms say (`trip`, `crew`, `driver_menu`, `annul`, `stops`): durable first, then said and
shown. On the deciding thread, but for the check of a PIN, which is slow on purpose and has a thread of its own.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from threading import Thread

from bus_validator.annul import check_annul, elapsed_s
from bus_validator.boarding import Trip
from bus_validator.companion import Companion
from bus_validator.crew import PIN_META, PinResult, decode_tries, driver_of_card, encode_tries, try_pin
from bus_validator.driver_actions import Action, GoToStop, Near, Plain, SignOn, StartTrip, StepStop, action_of
from bus_validator.driver_faces import header, menu_face, status_lines, stop_name
from bus_validator.driver_menu import CLOSED, Context, Entry, Screen, press, show_report, tick
from bus_validator.driver_words import about_refusal, of_shift
from bus_validator.face import Face
from bus_validator.head_buttons import Button
from bus_validator.pin_verdict import PIN_S_MAX, Verdict
from bus_validator.route_files import RouteFiles
from bus_validator.route_keeper import HeldRoutes
from bus_validator.stops import Motion, Position, Progress, feel, follow, is_moving_at, nearest_stop, set_by_hand
from bus_validator.trip import (
    DAY_MINUTES,
    SHIFT_META,
    Changed,
    Departure,
    Effect,
    Moment,
    ShiftState,
    TripPhase,
    decode_shift,
    departures_near,
    encode_shift,
    end_trip,
    lock,
    move_stop,
    sign_off,
    sign_on,
    start_trip,
    why_closed,
)
from bus_validator.trip_choice import run_of, stop_again, stop_near
from offline_ledger.errors import (
    BusMoving,
    CommandUnknown,
    CommandUnsettled,
    CrewFileWrong,
    NotAtThisMoment,
    Refusal,
    RouteUnknown,
)
from offline_ledger.money import format_minor
from offline_ledger.protocol.device import EventKind, Voucher
from offline_ledger.protocol.shift_event import encode_shift_event
from offline_ledger.terminal.acceptor import DISK_SAYS_NO
from offline_ledger.terminal.program import Opened
from offline_ledger.terminal.running import Running
from offline_ledger.texts import Texts

SIGN_ON_WORD = "sign-on"


class DriverDesk:
    """One bus with a crew. Its state is the journal's; what is here is a view of it."""

    def __init__(self, opened: Opened, running: Running, files: RouteFiles, companion: Companion) -> None:
        """Raises JournalDamaged when the kept shift or count of PINs is none."""
        self._opened, self._running, self._files, self._companion = opened, running, files, companion
        self._journal, self._acceptor = opened.station.journal, opened.station.acceptor
        self._state = decode_shift(self._journal.meta_get(SHIFT_META))
        self._tries = decode_tries(self._journal.meta_get(PIN_META), opened.clock.mono_ms())
        self._menu = CLOSED
        self._motion = Motion()
        self._position: Position | None = None
        self._progress = _progress_of(self._state)
        self._reopened = self._journal.reopened
        self._placed_by: HeldRoutes | None = None
        """The route file by which the running trip's stop has its place."""
        self._is_checking = self._by_button = False
        self._verdict: Verdict | None = None
        """Of the PIN that was typed last."""
        self._newest: tuple[int, int] | None = None
        """The newest boarding of this boot, and when: monotonic, for a clock may not know."""
        self.on_change: Callable[[], None] = lambda: None
        """The trip, its stop or the menu is another one."""

    # --- what the door asks

    @property
    def trip(self) -> Trip | None:
        """Where the bus is, while anybody may board."""
        run = self._state.run
        if run is None or why_closed(self._state) is not None:
            return None
        return Trip(run.route, run.trip, run.stop or None)

    def why_closed(self) -> Refusal | None:
        """Why nobody may board now."""
        return why_closed(self._state)

    def open_thing(self) -> str:
        """What keeps the program from ending for an update; empty: nothing."""
        if self._state.run is not None:
            return "a trip is under way"
        return "the driver is at the menu" if self._is_checking or self._menu != CLOSED else ""

    def header(self, texts: Texts) -> str:
        """Route, direction and stop in words."""
        return header(self._context(), texts.get, texts.language)

    def stop_in_words(self, stop: str, texts: Texts) -> str:
        """The name of a stop that a voucher names; nothing when the route file knows it no more."""
        routes = self._files.routes
        found = () if routes is None else (one for one in routes.routes.stops if one.stop_id == stop)
        return next((stop_name(one, texts.language == "th") for one in found), "")

    def face(self, texts: Texts) -> Face | None:
        """The open menu; None: it is shut."""
        return menu_face(self._menu, self._context(), texts.get, texts.language)

    def facts(self) -> dict[str, object]:
        """For `diagnose`."""
        run = self._state.run
        return {
            "phase": self._state.phase.name.lower(),
            "driver": self._state.driver or None,
            "route": None if run is None else run.route,
            "trip": None if run is None else run.trip,
            "stop": None if run is None else run.stop,
            "is_moving": self._is_moving(),
        }

    # --- what happens

    def begin(self) -> None:
        """Say at the start where the bus is."""
        self._running.answers(SIGN_ON_WORD, self._answer_sign_on)
        self._files.look(self._mono_ms())
        self._running.note("trip", why_closed(self._state))
        self._running.lamp.say(**of_shift(Changed(self._state, None, ()), self._state))

    def press(self, button: Button, texts: Texts) -> None:
        """One of the head's buttons."""
        self._by_button = True
        if self._menu == CLOSED and button is Button.NEXT and self.trip is not None:
            self._plain(Plain.COMPANION, texts)  # the one button that a passenger may press
            return
        pressed = press(self._menu, button, self._context(), self._mono_ms())
        self._menu = pressed.menu
        if pressed.refusal is not None:
            self._refuse(pressed.refusal)
        elif pressed.action is not None:
            self._act(pressed.action, texts)
        self.on_change()

    def obey(self, words: list[str], texts: Texts) -> bool:
        """A line of words. Never False: what a bus with a crew does not know is told with what it does."""
        self._by_button = False
        routes = self._files.routes
        near = Near(None if routes is None else routes.routes, self._context().pattern)
        asked = action_of(words, near)
        if asked is None:
            self._running.lamp.refuse_command(CommandUnknown(), "door.crew_commands", command=words[0])
            return True
        if asked.refusal is not None:
            self._running.lamp.refuse_command(asked.refusal, asked.sentence)
            return True
        action = asked.action
        if isinstance(action, StartTrip) and asked.minute is not None:
            departure = self._departure(action.pattern_at, asked.minute)
            if departure is None:
                self._refuse(RouteUnknown("no such departure"))
                return True
            action = action._replace(departure=departure)
        if action is not None:
            self._act(action, texts)
        self.on_change()
        return True

    def hear(self, position: Position) -> None:
        """Satellites say where the bus is."""
        self._position = position
        self._motion = feel(self._motion, position)
        context = self._context()
        pattern, routes = context.pattern, context.routes
        if pattern is not None and routes is not None and why_closed(self._state) is None:
            self._progress = follow(routes.stops_of(pattern), self._progress, position)
            run = self._state.run
            if run is not None and run.stop_at != self._progress.stop_at:
                with suppress(*DISK_SAYS_NO):  # the disk's trouble is told as its own; the next position tries again
                    self._move_to(self._progress.stop_at)

    def took(self, sequence: int) -> None:
        """A boarding was paid just now. Who is asked whether to take the last one back was asked about another one."""
        self._newest = (sequence, self._mono_ms())
        if self._menu.confirming is Entry.ANNUL:
            self._menu = CLOSED
            self.on_change()

    # --- a driver's card (`card_proof.CardGate`)

    def wants(self, pass_id: bytes) -> bool:
        """A driver's own card signs on, unlocks or takes over; while that driver drives, it pays like any other."""
        crew = self._files.crew
        holder = None if crew is None else crew.crew.holder_of(pass_id)
        is_choosing = self._menu.screen in (Screen.DRIVER, Screen.PIN)
        is_open = self._state.phase in (TripPhase.SIGNED_ON, TripPhase.RUNNING)
        return holder is not None and (not is_open or (is_choosing and holder.driver_id != self._state.driver))

    def proved(self, pass_id: bytes) -> None:
        """That card is here."""
        crew = self._files.crew
        self._by_button = True
        self._try(lambda: self._signed_on(driver_of_card(None if crew is None else crew.crew, pass_id).driver_id))
        self._running.ready_when_unlit()

    def look(self) -> None:
        """Time has passed."""
        self._take_in()
        self._find_stop_again()
        before = self._menu
        self._menu = tick(self._menu, self._context(), self._mono_ms())
        if before != self._menu:
            self.on_change()

    # --- on the control door's thread

    def _answer_sign_on(self, words: list[str]) -> Sequence[Mapping[str, object]]:
        """`do sign-on`: the answer is what became of it. Raises CommandUnsettled when that does not come in time."""
        said, verdict = self._running.turn(lambda: self._sign_on_heard(words))
        if verdict is None:
            return said
        if not verdict.is_given.wait(PIN_S_MAX):
            raise CommandUnsettled()
        return [*said, *verdict.said]

    # --- inside

    def _sign_on_heard(self, words: list[str]) -> tuple[Sequence[Mapping[str, object]], Verdict | None]:
        """On the deciding thread: what was said at once, and the verdict to come when a PIN is checked now."""
        before = self._verdict
        said = self._running.lamp.hearing(lambda: self._running.command([SIGN_ON_WORD, *words]))
        return said, None if self._verdict is before else self._verdict

    def _take_in(self) -> None:
        """After a disk error the journal knows what was written, and what is here is a view of it."""
        if self._reopened == self._journal.reopened:
            return
        self._reopened = self._journal.reopened
        tries = decode_tries(self._journal.meta_get(PIN_META), self._mono_ms())
        if tries.failures != self._tries.failures:
            self._tries = tries
        kept = decode_shift(self._journal.meta_get(SHIFT_META))
        if kept != self._state:
            self._progress = _progress_of(kept)
            self._become(Changed(kept, None, (Effect.DOOR,)), self._texts())

    def _find_stop_again(self) -> None:
        """In a newer route file the stop may stand at another place of the pattern."""
        run, routes = self._state.run, self._files.routes
        if routes is self._placed_by or run is None or self._state.phase is not TripPhase.RUNNING:
            return
        pattern = self._context().pattern
        if routes is not None and pattern is not None:
            at = stop_again(routes.routes, pattern, run)
            try:
                self._change(move_stop(self._state, at, run.stop), self._texts())
            except DISK_SAYS_NO:
                return  # told as the disk's own trouble; the next look tries again
            if at != run.stop_at:
                self._progress = Progress(at)
        self._placed_by = routes

    def _mono_ms(self) -> int:
        return self._opened.clock.mono_ms()

    def _is_moving(self) -> bool:
        return is_moving_at(self._motion, self._mono_ms() // 1_000)

    def _context(self) -> Context:
        routes, crew = self._files.routes, self._files.crew
        at_s = self._opened.station.keeper.time().at_s
        found = Context(
            self._state,
            None if routes is None else routes.routes,
            0 if routes is None else routes.held.version[1],
            None if crew is None else crew.crew,
            at_s,
            self._is_moving(),
        )
        pattern = found.pattern
        if pattern is None or found.routes is None or self._position is None:
            return found
        return found._replace(near=nearest_stop(found.routes.stops_of(pattern), self._position))

    def _moment(self) -> Moment:
        self._journal.flush()  # what the door noted before is of the time before
        tail = self._journal.tail
        return Moment(self._opened.station.keeper.time(), tail.sequence, tail.event_number)

    def _departure(self, pattern_at: int, minute: int) -> Departure | None:
        routes = self._files.routes
        if routes is None:
            return None
        starts = routes.routes.patterns[pattern_at].starts
        near = departures_near(starts, self._opened.station.keeper.time().at_s, 3 * len(starts))
        return next((one for one in near if one.minute % DAY_MINUTES == minute), None)

    def _act(self, action: Action, texts: Texts) -> None:
        self._try(lambda: self._carry_out(action, texts))

    def _carry_out(self, action: Action, texts: Texts) -> None:
        match action:
            case SignOn(driver, pin):
                self._check_pin(driver, pin)
            case StartTrip(pattern_at, departure):
                self._start(pattern_at, departure)
            case StepStop(step):
                pattern = self._context().pattern
                if pattern is None or self._state.run is None:
                    raise NotAtThisMoment("no trip runs")
                self._go_to(stop_near(pattern, self._state.run.stop_at, step))
            case GoToStop(stop_at):
                self._go_to(stop_at)
            case Plain():
                self._plain(action, texts)

    def _plain(self, action: Plain, texts: Texts) -> None:
        match action:
            case Plain.COMPANION:
                self._companion.arm(self._mono_ms())
                self._running.lamp.say(companion=True)
            case Plain.ANNUL:
                self._annul()
            case Plain.END_TRIP:
                self._change(end_trip(self._state, self._moment()), texts)
            case Plain.LOCK:
                self._change(lock(self._state, self._moment()), texts)
            case Plain.SIGN_OFF:
                if self._state.run is not None:
                    self._change(end_trip(self._state, self._moment()), texts)
                self._change(sign_off(self._state, self._moment()), texts)
            case Plain.STATUS:
                self._report(texts.get("bus.menu.status"), status_lines(self._state, texts.get), self.facts())
            case Plain.WAYBILL:
                self._show_waybill(texts)

    def _try(self, act: Callable[[], None]) -> None:
        try:
            act()
        except Refusal as refusal:
            self._refuse(refusal)

    def _refuse(self, refusal: Refusal) -> None:
        """Said always; on the screen when a button asked, and the screen may speak to the driver now."""
        self._running.lamp.refuse_command(refusal)
        if self._by_button and not isinstance(refusal, BusMoving):
            self._menu = show_report(*about_refusal(refusal, self._texts()), self._mono_ms())
            self.on_change()

    def _texts(self) -> Texts:
        return Texts(self._opened.text("device.language"))

    def _start(self, pattern_at: int, departure: Departure | None) -> None:
        routes = self._files.routes
        if routes is None:
            raise RouteUnknown("no route file")
        moment = self._moment()
        run = run_of(routes.routes, routes.held.version[1], pattern_at, departure, moment.at.at_s, self._state.trips)
        self._change(start_trip(self._state, run, moment), self._texts())
        self._progress = Progress(0)

    def _go_to(self, stop_at: int) -> None:
        self._move_to(stop_at)
        self._progress = set_by_hand(self._progress, stop_at)

    def _move_to(self, stop_at: int) -> None:
        context = self._context()
        if context.pattern is None or context.routes is None:
            raise NotAtThisMoment("no trip runs")
        stop = context.routes.stops_of(context.pattern)[stop_at]
        self._change(move_stop(self._state, stop_at, stop.stop_id), self._texts())

    def _change(self, changed: Changed, texts: Texts) -> None:
        """Durable before anything is shown: a state that a power cut takes back was never said."""
        if Effect.KEEP in changed.effects:
            kept = {SHIFT_META: encode_shift(changed.state)}
            if changed.event is not None:
                self._journal.append_event(EventKind.SHIFT, encode_shift_event(changed.event), durable=True, meta=kept)
            else:
                self._journal.meta_put(SHIFT_META, kept[SHIFT_META])
        self._become(changed, texts)

    def _become(self, changed: Changed, texts: Texts) -> None:
        """It is durable."""
        self._state = changed.state
        if changed.effects:
            self._running.lamp.say(**of_shift(changed, self._state))
        if Effect.WAYBILL in changed.effects:
            self._show_waybill(texts)
        if Effect.DOOR in changed.effects:
            self._running.note("trip", why_closed(self._state))
            self._running.ready_when_unlit()
        self.on_change()

    def _check_pin(self, driver: str, pin: str) -> None:
        """On its own thread: the answer comes back to the deciding one. Raises NotAtThisMoment while one is checked."""
        if self._is_checking:
            raise NotAtThisMoment("a PIN is being checked")
        self._is_checking = True
        self._verdict = verdict = Verdict()
        self._running.lamp.say(checking_pin=driver)  # not done yet
        crew = None if self._files.crew is None else self._files.crew.crew
        tries, mono_ms, shift = self._tries, self._mono_ms(), self._state.shift

        def check() -> None:
            result = PinResult(None, CrewFileWrong("its PINs cannot be checked"), tries)
            with suppress(ValueError, MemoryError):  # more memory than the machine has: no later PIN waits for this one
                result = try_pin(crew, driver, pin, tries, mono_ms)
            self._running.do(lambda: self._judge_pin(result, shift, verdict))

        Thread(target=check, name="pin", daemon=True).start()

    def _judge_pin(self, result: PinResult, shift: int, verdict: Verdict) -> None:
        """Whatever comes of it, nobody waits on."""
        try:
            verdict.said = self._running.lamp.hearing(lambda: self._try(lambda: self._pin_checked(result, shift)))
        finally:
            verdict.is_given.set()

    def _pin_checked(self, result: PinResult, shift: int) -> None:
        """`shift`: the turn in which it was typed; a card that signed on meanwhile came later."""
        self._is_checking = False
        if result.tries != self._tries:
            self._journal.meta_put(PIN_META, encode_tries(result.tries))  # before it is told: a pulled plug gives none
            self._tries = result.tries
        if result.refusal is not None:
            raise result.refusal
        assert result.driver is not None
        if self._state.shift != shift:
            raise NotAtThisMoment("somebody signed on meanwhile")
        self._signed_on(result.driver.driver_id)

    def _signed_on(self, driver: str) -> None:
        self._change(sign_on(self._state, driver, self._moment()), self._texts())

    def _annul(self) -> None:
        run = self._state.run
        if run is None:
            raise NotAtThisMoment("no trip runs")
        if (closed := why_closed(self._state)) is not None:
            raise closed  # a driver who is away takes nothing back
        tail, at = self._journal.tail, self._opened.station.keeper.time()
        last = self._last_voucher(tail.sequence)
        is_settled = not self._acceptor.unratified.is_waiting(tail.sequence)
        since_s = None if last is None else elapsed_s(last, at)
        if self._newest is not None and self._newest[0] == tail.sequence:
            since_s = (self._mono_ms() - self._newest[1]) // 1_000
        limit_s = self._opened.station.limits.annul_s
        back = check_annul(last, run.trip, since_s, limit_s, is_settled=is_settled)
        self._acceptor.annul(back.refers_to)
        self._running.lamp.say(annulled=back.refers_to, kgo=back.kgo, satang=back.satang)
        if self._by_button:  # the coin is in the driver's hand
            texts = self._texts()
            given_back = texts.get("bus.menu.annulled", thb=format_minor(back.satang))
            self._menu = show_report(texts.get("bus.menu.annul"), (given_back,), self._mono_ms())

    def _last_voucher(self, sequence: int) -> Voucher | None:
        return self._acceptor.made(sequence) if sequence else None

    def _show_waybill(self, texts: Texts) -> None:
        from bus_validator.waybill_rows import read_waybill  # a trip's end is far from a start
        from bus_validator.waybill_text import report_lines

        run = self._state.run or self._state.last_run
        if run is None:
            raise NotAtThisMoment("no trip has run yet")
        self._journal.flush()
        waybill = read_waybill(self._journal, self._opened.text("device.city"), run)
        lines = report_lines(waybill, texts.get)
        sums = waybill.sums
        said = {"waybill": run.trip, "boardings": sums.net_boardings, "coins_due_satang": sums.coins_due_satang}
        self._report(texts.get("bus.menu.waybill"), lines, said)

    def _report(self, title: str, lines: tuple[str, ...], said: dict[str, object]) -> None:
        self._running.lamp.say(**said, report=list(lines))
        self._menu = show_report(title, lines, self._mono_ms())


def _progress_of(state: ShiftState) -> Progress:
    return Progress(0 if state.run is None else state.run.stop_at)
