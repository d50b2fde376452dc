"""The validator: codes, cards and coupons at the door of one bus, its lamp, its screen, its trip. DESIGN §3, §5.

Commands on standard input or by `kgo-bus do`: `trip ROUTE TRIP [STOP]`, `companion`, `sync`, `status`, `quit`. The trip
is kept in the journal: after a power cut the same passenger on the same trip is a companion who pays, not a transfer.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bus_validator.boarding import TRIP_META, BusDoor, Trip, Windows, decode_trip, encode_trip
from bus_validator.companion import Companion
from bus_validator.devices import add_cards, add_head, open_screen
from bus_validator.settings import SETTINGS
from offline_ledger.errors import (
    AmountNotAuthorised,
    BulletinMissing,
    CommandIncomplete,
    CommandUnknown,
    Refusal,
    TripNotSet,
    TripWordWrong,
)
from offline_ledger.money import format_minor
from offline_ledger.protocol.city import BulletinKind
from offline_ledger.protocol.device import DeviceRole
from offline_ledger.rules.tariff import Tariff, decode_tariff
from offline_ledger.terminal import program
from offline_ledger.terminal.outcome import Light, Outcome
from offline_ledger.terminal.program import Opened, Program
from offline_ledger.terminal.running import GREEN, Running

if TYPE_CHECKING:
    from bus_validator.door_view import DoorView
    from offline_ledger.terminal.diagnosis import Part

TRIP_WORD_MAX = 32


class Validator:
    """One bus: its trip, and the door built anew when trip or tariff change."""

    def __init__(self, opened: Opened) -> None:
        """Raises JournalDamaged when the kept trip is none."""
        self._opened = opened
        self._station = opened.station
        kept = self._station.journal.meta_get(TRIP_META)
        self._trip = decode_trip(kept) if kept is not None else None
        limits = self._station.limits
        self._windows = Windows(limits.pass_back_s, limits.card_repeat_s)
        self._tariff: tuple[tuple[int, int], Tariff] | None = None
        self._asked: BusDoor | None = None
        self._companion = Companion()
        self._view: DoorView | None = None
        self._running = Running(
            opened, self._door, self._after, self._obey, self._about, self._why_closed, look=self._look
        )

    def run(self) -> int:
        """Until told to stop."""
        add_head(self._opened, self._running, self._pressed)
        add_cards(self._opened, self._running)
        self._running.load_later(self._load)
        self._running.diagnosed_by(self._parts)
        if self._trip is None:
            self._running.note("trip", TripNotSet())
        else:
            self._say_trip(self._trip)
        try:
            return self._running.run()
        finally:
            if self._view is not None:
                self._view.close()

    # --- on the loading thread

    def _load(self) -> None:
        screen = open_screen(self._opened, self._running)
        if screen is not None:
            from bus_validator.door_view import DoorView

            self._view = DoorView(self._opened, screen, self._trip_words, lambda: self._asked)
            self._running.lights.with_screen(self._view.drawn)
            self._running.do(self._running.ready_when_unlit)

    # --- on the deciding thread

    def _why_closed(self) -> Refusal | None:
        return TripNotSet() if self._trip is None else None

    def _door(self) -> BusDoor:
        if self._trip is None:
            raise TripNotSet()
        bulletin = self._station.bulletin(BulletinKind.TARIFF)
        if bulletin is None:
            raise BulletinMissing("tariff")
        if self._tariff is None or self._tariff[0] != bulletin.version:
            self._tariff = (bulletin.version, decode_tariff(bulletin.body))
        is_companion = self._companion.is_armed(self._opened.clock.mono_ms())
        self._asked = BusDoor(self._trip, self._tariff[1], bulletin.version, self._windows, is_companion=is_companion)
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

    def _after(self, outcome: Outcome) -> None:
        if outcome.light in GREEN:
            self._companion.used()

    def _look(self) -> None:
        if self._companion.look(self._opened.clock.mono_ms()):
            self._running.lamp.say(companion=False)
        if self._view is not None:
            self._view.look()

    def _pressed(self, button: int, kind: int) -> None:
        """A button of the head. On its thread."""
        self._running.do(lambda: self._running.lamp.say(button=button, kind=kind))

    def _obey(self, words: list[str]) -> None:
        match words:
            case ["companion"]:
                self._arm_companion()
            case ["trip", route, trip, *stop] if len(stop) <= 1:
                given = [route, trip, *stop]
                if all(len(word) <= TRIP_WORD_MAX and word.isprintable() for word in given):
                    self._start(Trip(route, trip, stop[0] if stop else None))
                else:
                    longest = max(len(word) for word in given)
                    self._running.lamp.refuse_command(TripWordWrong(f"{longest} characters"))
            case ["trip"]:
                self._running.lamp.refuse_command(CommandIncomplete(), "door.trip_lacks_route")
            case ["trip", _route]:
                self._running.lamp.refuse_command(CommandIncomplete(), "door.trip_lacks_trip")
            case ["trip", *_]:
                self._running.lamp.refuse_command(CommandIncomplete(), "door.trip_too_much")
            case _:
                self._running.lamp.refuse_command(CommandUnknown(), "door.commands", command=words[0])

    def _arm_companion(self) -> None:
        self._companion.arm(self._opened.clock.mono_ms())
        self._running.lamp.say(companion=True)

    def _start(self, trip: Trip) -> None:
        """Durable first: a trip that a power cut takes back would make transfers of the next one's passengers."""
        try:
            self._station.journal.meta_put(TRIP_META, encode_trip(trip))
        except Refusal as refusal:
            self._running.show(Outcome(Light.OUT_OF_SERVICE, refusal=refusal))
            return
        self._trip = trip
        self._running.note("trip", None)
        self._say_trip(trip)

    def _say_trip(self, trip: Trip) -> None:
        stop = {} if trip.stop is None else {"stop": trip.stop}
        self._running.lamp.say(trip=trip.trip, route=trip.route, **stop)

    def _trip_words(self) -> str:
        trip = self._trip
        return "" if trip is None else " · ".join(part for part in (trip.route, trip.trip, trip.stop) if part)

    def _parts(self) -> "Sequence[Part]":
        from offline_ledger.terminal.diagnosis import Part, device_part

        trip = {} if self._trip is None else {name: one for name, one in self._trip._asdict().items() if one}
        found = [Part("trip", trip)]
        if self._view is not None:
            found.append(device_part("screen", self._view.health()))
        return found


def run(arguments: list[str]) -> int:
    """The program `kgo-bus`. Returns the exit code."""
    about = Program("kgo-bus", "help.bus", DeviceRole.VALIDATOR, lambda opened: Validator(opened).run(), SETTINGS)
    return program.main(about, arguments)
