"""The headless validator: codes by scanner or camera, lights as lines on standard output. DESIGN §3.

Commands on standard input: `trip ROUTE TRIP [STOP]`, `sync`, `status`, `quit`. The trip is kept in the journal: after a
power cut the same passenger on the same trip is a companion who pays, not a transfer.
"""

from collections.abc import Mapping

from bus_validator.boarding import TRIP_META, BusDoor, Trip, Windows, decode_trip, encode_trip
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
from offline_ledger.terminal.running import Running

TRIP_WORD_MAX = 32


class Validator:
    """One bus: its trip, and the door built anew when trip or tariff change."""

    def __init__(self, opened: Opened) -> None:
        """Raises JournalDamaged when the kept trip is none."""
        self._station = opened.station
        kept = self._station.journal.meta_get(TRIP_META)
        self._trip = decode_trip(kept) if kept is not None else None
        limits = self._station.limits
        self._windows = Windows(limits.pass_back_s, limits.card_repeat_s)
        self._tariff: tuple[tuple[int, int], Tariff] | None = None
        self._asked: BusDoor | None = None
        self._running = Running(opened, self._door, self._after, self._obey, self._about, self._why_closed)

    def run(self) -> int:
        """Until told to stop."""
        if self._trip is None:
            self._running.note("trip", TripNotSet())
        else:
            self._say_trip(self._trip)
        return self._running.run()

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
        self._asked = BusDoor(self._trip, self._tariff[1], bulletin.version, self._windows)
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
        pass  # the lamp has said all; the next passenger may tap at once

    def _obey(self, words: list[str]) -> None:
        match words:
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


def run(arguments: list[str]) -> int:
    """The program `kgo-bus`. Returns the exit code."""
    return program.main(
        Program("kgo-bus", "help.bus", DeviceRole.VALIDATOR, lambda opened: Validator(opened).run()), arguments
    )
