"""Which trip the bus is on: typed by a command on a bus without crew and route files, or the driver's. DESIGN §3.

`TypedTrip` is the desk's and the smallest bus's; `driver_desk.DriverDesk` the one with a driver. Both keep what they
know in the journal.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

from bus_validator.boarding import TRIP_META, Trip, decode_trip, encode_trip
from bus_validator.face import Face
from bus_validator.head_buttons import Button
from bus_validator.stops import Position
from offline_ledger.errors import CommandIncomplete, Refusal, TripNotSet, TripWordWrong
from offline_ledger.terminal.journal import Journal
from offline_ledger.terminal.outcome import Light, Outcome
from offline_ledger.terminal.running import Running
from offline_ledger.texts import Texts

TRIP_WORD_MAX = 32
WAYBILL_WORD = "waybill-of"
"""First word of the question at the control door that `waybill_answer` answers: which trip, format, language."""


class TripKeeper(Protocol):
    """What the validator asks of either."""

    @property
    def trip(self) -> Trip | None: ...

    def why_closed(self) -> Refusal | None: ...

    def open_thing(self) -> str: ...

    def header(self, texts: Texts) -> str: ...

    def stop_in_words(self, stop: str, texts: Texts) -> str: ...

    def face(self, texts: Texts) -> Face | None: ...

    def facts(self) -> Mapping[str, object]: ...

    def press(self, button: Button, texts: Texts) -> None: ...

    def obey(self, words: list[str], texts: Texts) -> bool: ...

    def hear(self, position: Position) -> None: ...

    def took(self, sequence: int) -> None: ...

    def look(self) -> None: ...

    def begin(self) -> None: ...


class TypedTrip:
    """One trip, set by `trip ROUTE TRIP [STOP]`, until the next one or `end-trip`."""

    def __init__(self, journal: Journal, running: Running, companion: Callable[[], None]) -> None:
        """`companion`: the button for another passenger. Raises JournalDamaged when the kept trip is none."""
        self._journal, self._running, self._companion = journal, running, companion
        self._reopened = journal.reopened
        self._trip = self._kept()

    @property
    def trip(self) -> Trip | None:
        """Where the bus is."""
        return self._trip

    def why_closed(self) -> Refusal | None:
        """Without a trip nobody is charged."""
        return TripNotSet() if self._trip is None else None

    def open_thing(self) -> str:
        """What keeps the program from ending for an update; empty: nothing."""
        return "a trip is under way" if self._trip is not None else ""

    def header(self, texts: Texts) -> str:
        """As it was typed."""
        trip = self._trip
        return "" if trip is None else " · ".join(part for part in (trip.route, trip.trip, trip.stop) if part)

    def stop_in_words(self, stop: str, texts: Texts) -> str:
        """As it was typed."""
        return stop

    def face(self, texts: Texts) -> Face | None:
        """It has no menu."""
        return None

    def facts(self) -> Mapping[str, object]:
        """For `diagnose`."""
        return {} if self._trip is None else {name: one for name, one in self._trip._asdict().items() if one}

    def press(self, button: Button, texts: Texts) -> None:
        """The left button alone means something."""
        if button is Button.NEXT and self._trip is not None:
            self._companion()

    def hear(self, position: Position) -> None:
        """Nothing is known of stops."""

    def took(self, sequence: int) -> None:
        """Nothing is taken back here."""

    def look(self) -> None:
        """After a disk error the journal knows what was written."""
        if self._reopened == self._journal.reopened:
            return
        self._reopened = self._journal.reopened
        kept = self._kept()
        if kept != self._trip:
            self._trip = kept
            self.begin()

    def begin(self) -> None:
        """Say what is kept."""
        self._running.note("trip", self.why_closed())
        self._say()

    def obey(self, words: list[str], texts: Texts) -> bool:
        """`trip ROUTE TRIP [STOP]`, `end-trip`."""
        lamp = self._running.lamp
        match words:
            case ["trip", route, trip, *stop] if len(stop) <= 1:
                given = [route, trip, *stop]
                if all(len(word) <= TRIP_WORD_MAX and word.isprintable() for word in given):
                    self._start(Trip(route, trip, stop[0] if stop else None))
                else:
                    lamp.refuse_command(TripWordWrong(f"{max(len(word) for word in given)} characters"))
            case ["trip"]:
                lamp.refuse_command(CommandIncomplete(), "door.trip_lacks_route")
            case ["trip", _route]:
                lamp.refuse_command(CommandIncomplete(), "door.trip_lacks_trip")
            case ["end-trip"]:
                self._start(None)
            case ["trip", *_]:
                lamp.refuse_command(CommandIncomplete(), "door.trip_too_much")
            case _:
                return False
        return True

    def _start(self, trip: Trip | None) -> None:
        """Durable first: a trip that a power cut takes back would make transfers of the next one's passengers."""
        try:
            self._journal.meta_put(TRIP_META, b"" if trip is None else encode_trip(trip))
        except Refusal as refusal:
            self._running.show(Outcome(Light.OUT_OF_SERVICE, refusal=refusal))
            return
        self._trip = trip
        self.begin()
        if trip is None:
            self._running.lamp.say(trip=None)

    def _kept(self) -> Trip | None:
        kept = self._journal.meta_get(TRIP_META)
        return decode_trip(kept) if kept else None

    def _say(self) -> None:
        trip = self._trip
        if trip is not None:
            stop = {} if trip.stop is None else {"stop": trip.stop}
            self._running.lamp.say(trip=trip.trip, route=trip.route, **stop)
