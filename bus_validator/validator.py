"""The validator: codes, cards and coupons at the door of one bus, its lamp, its screen, its trip. DESIGN §3, §5.

Commands on standard input or by `kgo-bus do`: `trip ROUTE TRIP [STOP]` on a bus without a crew file, else those of
`driver_actions`; `companion`, `identify`, `sync`, `status`, `quit`. Where the bus is, the journal keeps: after a power
cut the same passenger on the same trip is a companion who pays, not a transfer.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bus_validator.boarding import BusDoor
from bus_validator.companion import Companion
from bus_validator.devices import add_gps, add_head, open_screen
from bus_validator.fare_lines import FareLines
from bus_validator.head_buttons import HeadButtons
from bus_validator.settings import SETTINGS
from bus_validator.trip_keeper import WAYBILL_WORD, TripKeeper, TypedTrip
from offline_ledger.errors import AmountNotAuthorised, BulletinMissing, CommandUnknown, Refusal, TripNotSet
from offline_ledger.money import format_minor
from offline_ledger.protocol.city import BulletinKind
from offline_ledger.protocol.device import DeviceRole
from offline_ledger.rules.tariff import Tariff, decode_tariff
from offline_ledger.terminal import program
from offline_ledger.terminal.outcome import Outcome
from offline_ledger.terminal.program import Opened, Program
from offline_ledger.terminal.running import GREEN, Running
from offline_ledger.texts import Texts

if TYPE_CHECKING:
    from bus_validator.door_screen import Told
    from bus_validator.door_view import DoorView
    from bus_validator.route_files import RouteFiles
    from offline_ledger.terminal.commands import OwnCommand
    from offline_ledger.terminal.diagnosis import Part
    from offline_ledger.terminal.drivers.head import ReaderHead


class Validator:
    """One bus: its trip, and the door built anew when trip or tariff change."""

    def __init__(self, opened: Opened) -> None:
        """Raises JournalDamaged when what is kept of the trip is none."""
        self._opened = opened
        self._station = opened.station
        self._texts = Texts(opened.text("device.language"))
        self._card_repeat_s = self._station.limits.card_repeat_s
        self._tariff: tuple[tuple[int, int], Tariff] | None = None
        self._asked: BusDoor | None = None
        self._companion = Companion()
        self._fares = FareLines()
        self._buttons = HeadButtons()
        self._view: DoorView | None = None
        self._files: RouteFiles | None = None
        self._head: ReaderHead | None = None
        self._running = Running(
            opened, self._door, self._after, self._obey, self._about, self._why_closed, look=self._look
        )
        self._trips: TripKeeper = self._trip_keeper()

    def run(self) -> int:
        """Until told to stop."""
        self._head = add_head(self._opened, self._running, self._pressed)
        add_gps(self._opened, self._running, self._trips.hear)
        self._running.load_later(self._load)
        self._running.diagnosed_by(self._parts)
        self._running.answers(WAYBILL_WORD, self._waybill)
        self._running.open_while(self._trips.open_thing)
        self._trips.begin()
        try:
            return self._running.run()
        finally:
            if self._view is not None:
                self._view.close()

    def _trip_keeper(self) -> TripKeeper:
        names = [self._opened.text(f"trip.{name}_file") for name in ("routes", "crew")]
        if not any(names):
            return TypedTrip(self._station.journal, self._running, self._arm_companion)
        from bus_validator.driver_desk import DriverDesk
        from bus_validator.route_files import RouteFiles
        from offline_ledger.terminal.card_proof import CardProofs

        routes, crew = (self._opened.folder / Path(name) if name else None for name in names)
        self._files = RouteFiles(self._station, routes, crew, self._running.note)
        desk = DriverDesk(self._opened, self._running, self._files, self._companion)
        desk.on_change = self._show_menu
        proofs = CardProofs(
            self._station.acceptor, self._opened.text("device.city"), self._opened.text("device.id"), os.urandom
        )
        self._running.cards.with_gate(desk, proofs)
        return desk

    # --- on the loading thread

    def _load(self) -> None:
        screen = open_screen(self._opened, self._running)
        if screen is not None:
            from bus_validator.door_view import DoorView

            view = DoorView(self._opened, screen, self._texts, self._trips, self._told)
            self._running.do(lambda: self._begin_view(view))

    # --- on the control door's thread

    def _waybill(self, words: list[str]) -> Sequence[Mapping[str, object]]:
        from bus_validator.waybill_answer import answer

        return answer(self._station.journal, self._opened.text("device.city"), words)

    # --- on the deciding thread

    def _begin_view(self, view: "DoorView") -> None:
        self._view = view
        if not self._running.lights.with_screen(view.drawn):
            self._running.ready_when_unlit()

    def _why_closed(self) -> Refusal | None:
        return self._trips.why_closed()

    def _door(self) -> BusDoor:
        trip = self._trips.trip
        if trip is None:
            raise self._trips.why_closed() or TripNotSet()
        bulletin = self._station.bulletin(BulletinKind.TARIFF)
        if bulletin is None:
            raise BulletinMissing("tariff")
        if self._tariff is None or self._tariff[0] != bulletin.version:
            self._tariff = (bulletin.version, decode_tariff(bulletin.body))
        self._note_fare()
        is_companion = self._companion.is_armed(self._opened.clock.mono_ms())
        self._asked = BusDoor(trip, self._tariff[1], bulletin.version, self._card_repeat_s, is_companion=is_companion)
        return self._asked

    def _about(self, outcome: Outcome) -> Mapping[str, object]:
        """A code for less than the fare says so with both amounts: the passenger makes the next one for enough."""
        door = self._asked
        if not isinstance(outcome.refusal, AmountNotAuthorised) or door is None or door.last_fare is None:
            return {}
        confirmed_kgo, asked_kgo = door.last_confirmed_kgo, door.last_fare.kgo
        both = {"confirmed": format_minor(confirmed_kgo), "asked": format_minor(asked_kgo)}
        words = self._running.lamp.line_words([("door.amounts_differ", both)])
        return {"confirmed_kgo": confirmed_kgo, "asked_kgo": asked_kgo, **words}

    def _told(self, outcome: Outcome) -> "Told":
        """What the screen may say beside a light."""
        from bus_validator.door_screen import Told
        from bus_validator.faces import Sentence

        door = self._asked
        if outcome.light in GREEN:
            self._note_fare()
            return Told(fare=self._fares.of(self._pass_of(outcome), outcome.charge))
        if isinstance(outcome.refusal, AmountNotAuthorised) and door is not None and door.last_fare is not None:
            amounts = format_minor(door.last_confirmed_kgo), format_minor(door.last_fare.kgo)
            return Told(more=Sentence("door.amounts_differ", {"confirmed": amounts[0], "asked": amounts[1]}))
        return Told()

    def _note_fare(self) -> None:
        if self._asked is not None:
            self._fares.note(self._asked.last_pass_id, self._asked.last_fare)

    def _pass_of(self, outcome: Outcome) -> bytes:
        """Who paid; nothing for a coupon."""
        from bus_validator.kept_allowance import kept_allowance

        journal, city = self._station.journal, self._opened.text("device.city")
        row = None if outcome.sequence is None else journal.voucher_at(outcome.sequence)
        found = None if row is None else kept_allowance(journal, city, row.allowance_hash)
        return b"" if found is None else found.pass_id

    def _after(self, outcome: Outcome) -> None:
        if outcome.light in GREEN:
            self._companion.used()
            if outcome.voucher is not None and outcome.sequence is not None:
                self._trips.took(outcome.sequence)

    def _look(self) -> None:
        mono_ms = self._opened.clock.mono_ms()
        if self._companion.look(mono_ms):
            self._running.lamp.say(companion=False)
        if self._files is not None:
            self._files.look(mono_ms)
        self._trips.look()
        if self._view is not None and not self._running.lights.is_lighting:
            self._view.look(is_companion=self._companion.is_armed(mono_ms))

    def _pressed(self, button: int, kind: int) -> None:
        """A button of the head. On its thread."""
        word = self._buttons.word(button, kind)
        if word is not None:
            self._running.do(lambda: self._trips.press(word, self._texts))

    def _show_menu(self) -> None:
        if self._view is not None:
            self._view.put_over(self._trips.face(self._texts))

    def _obey(self, words: list[str]) -> None:
        if words == ["companion"]:
            self._arm_companion()
        elif words == ["identify"] and self._head is not None:
            self._running.lamp.say(identify=self._head.identify())
        elif not self._trips.obey(words, self._texts):
            self._running.lamp.refuse_command(CommandUnknown(), "door.commands", command=words[0])

    def _arm_companion(self) -> None:
        self._companion.arm(self._opened.clock.mono_ms())
        self._running.lamp.say(companion=True)
        self._look()  # the screen says so at once

    def _parts(self) -> "Sequence[Part]":
        from offline_ledger.terminal.diagnosis import Part, device_part

        found = [Part("trip", self._trips.facts())]
        if self._files is not None:
            for name, held in (("routes", self._files.routes), ("crew", self._files.crew)):
                facts = {} if held is None else {"version": list(held.held.version), "digest": held.held.digest}
                found.append(Part(name, facts))
        if self._view is not None:
            found.append(device_part("screen", self._view.health()))
        return found


def run(arguments: list[str]) -> int:
    """The program `kgo-bus`. Returns the exit code."""
    about = Program(
        "kgo-bus", "help.bus", DeviceRole.VALIDATOR, lambda opened: Validator(opened).run(), SETTINGS, _own_commands
    )
    return program.main(about, arguments)


def _own_commands() -> "tuple[OwnCommand, ...]":
    from bus_validator import self_test, waybill_command

    return *waybill_command.own_commands(), *self_test.own_commands()
