"""What stands on the screen beside each light: trip, clock, link; when a repeat was paid, and why a fare is so.

Puts the pure faces together with what this terminal knows. Loaded after the first customer; decides nothing. DESIGN §5.
"""

from collections.abc import Callable

from bus_validator.door_screen import DoorScreen, Told
from bus_validator.drivers.screen import Screen, ScreenHealth
from bus_validator.face import Face
from bus_validator.faces import Faces, Paid, Strip
from bus_validator.link_badge import LinkSign, badge_of, clock_text
from bus_validator.trip_keeper import TripKeeper
from offline_ledger.money import format_minor
from offline_ledger.protocol.device import ClockTrust, PlaceKey, VoucherKind
from offline_ledger.rules.civil import Explanation
from offline_ledger.rules.training import is_training_city
from offline_ledger.terminal.outcome import Light, Outcome
from offline_ledger.terminal.program import Opened
from offline_ledger.terminal.running import GREEN
from offline_ledger.terminal.status import SyncStatus
from offline_ledger.texts import Texts

OTHER = {"th": "en", "en": "th"}


class DoorView:
    """The screen of one door."""

    def __init__(
        self,
        opened: Opened,
        screen: Screen,
        texts: Texts,
        trips: TripKeeper,
        told: Callable[[Outcome], Told],
    ) -> None:
        """`told`: what a light is about, as far as the door knows."""
        self._opened, self._screen, self._trips, self._of_door = opened, screen, trips, told
        language = opened.text("device.language")
        self._texts = texts
        second = Texts(OTHER[language]) if opened.values["screen.second_language"] else None
        self._sign = LinkSign(is_away=False)
        self._status: SyncStatus | None = None
        is_training = is_training_city(opened.text("device.city"))
        self._faces = Faces(self._texts, second)
        mono_ms = opened.clock.mono_ms
        self._shown = DoorScreen(screen, self._faces, self._strip, self._told, mono_ms, is_training=is_training)

    def drawn(self, light: Light | None, outcome: Outcome | None) -> None:
        """A light is on."""
        self._shown.drawn(light, outcome)

    def look(self, *, is_companion: bool = False) -> None:
        """Time has passed. On the deciding thread."""
        machine = self._opened.station.sync
        if machine is not None:
            self._status = machine.status()
            mono_ms = self._opened.clock.mono_ms()
            self._sign = self._sign.seen(is_connected=self._status.is_connected, mono_ms=mono_ms)
        self._shown.look(is_companion=is_companion)

    def put_over(self, face: Face | None) -> None:
        """The driver's menu; None: no more."""
        self._shown.put_over(face)

    def health(self) -> ScreenHealth:
        """For `diagnose`."""
        return self._screen.health()

    def close(self) -> None:
        """At the end: nobody is to tap at a screen whose program has gone."""
        self._screen.close(self._faces.closed(None))

    def _strip(self) -> Strip:
        at = self._opened.station.keeper.time()
        clock = clock_text(None if at.trust is ClockTrust.FLOOR else at.at_s)
        if self._status is None:
            return Strip(self._trips.header(self._texts), clock)
        age_s = self._status.synced_age_s(at.at_s)
        return Strip(
            self._trips.header(self._texts), clock, badge_of(self._sign, age_s, self._status.pending_count, self._texts)
        )

    def _told(self, outcome: Outcome) -> Told:
        if outcome.light is Light.ALREADY_ACCEPTED and outcome.sequence is not None:
            return Told(paid=self._paid(outcome.sequence))
        charge = outcome.charge
        if outcome.light in GREEN and charge is not None and charge.kind is VoucherKind.COUPON:
            legs = (("kgo", format_minor(charge.kgo)), ("thb", format_minor(charge.satang)))
            return Told(fare=Explanation("fare.coupon", legs))
        return self._of_door(outcome)

    def _paid(self, sequence: int) -> Paid | None:
        made = self._opened.station.acceptor.made(sequence)
        if made is None:
            return None
        at, stop = self._opened.station.keeper.time(), made.place.get(PlaceKey.STOP)
        where = self._trips.stop_in_words(stop, self._texts) if isinstance(stop, str) else ""
        return Paid(made.at_s, None if at.trust is ClockTrust.FLOOR else at.at_s, where)
