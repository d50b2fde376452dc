"""What this terminal tells of its clock: how far it is trusted, what is wrong with it, and each change. DESIGN §5.

Reads the box's own clocks at the start and hands them to the keeper; while only the floor is known, it looks for
network time again. The rules decide what is believed; this only says so. Never sets a clock.
"""

from collections.abc import Callable
from typing import Protocol

from offline_ledger.errors import ClockAtFloor, ClockImpossible, ClockSourceLost, ClockStepped, Refusal
from offline_ledger.protocol.device import ClockTrust
from offline_ledger.rules.clock import YEAR_2020_S, ClockEventKind
from offline_ledger.terminal.clock_keeper import ClockKeeper

LOOK_MS = 5_000
"""How often the box's clocks are looked at again while something is wrong with the time."""
_STEPS = (ClockEventKind.STEPPED, ClockEventKind.BEHIND_SIGNED_TIME, ClockEventKind.FLOOR_STEPPED_BACK)


class Chip(Protocol):
    """The battery clock. Raises ClockSourceLost."""

    def read_s(self) -> int: ...


class NetworkReading(Protocol):
    """The system clock while network time disciplines it."""

    @property
    def said_ms(self) -> int: ...
    @property
    def error_ms(self) -> int: ...


class Teller(Protocol):
    """Where it is said: lines for the person at the terminal."""

    def say(self, **said: object) -> None: ...
    def trouble(self, what: str, refusal: Refusal, **more: object) -> None: ...


class ClockWatch:
    """`start` once, `tick` on the deciding thread; the words may be asked from any thread."""

    def __init__(
        self,
        keeper: ClockKeeper,
        chip: Chip,
        network: Callable[[], NetworkReading | None],
        certificate_ends_s: Callable[[], int],
        tell: Teller,
        note: Callable[[str, Refusal | None], None],
    ) -> None:
        self._keeper, self._chip, self._network = keeper, chip, network
        self._certificate_ends_s = certificate_ends_s
        self._tell, self._note = tell, note
        self._cause: Refusal | None = None
        self._trust: ClockTrust | None = None
        self._looked_mono_ms = 0
        self._is_network_ignored = False

    def start(self) -> None:
        """Read the clocks of the box and tell what is wrong with them."""
        self._looked_mono_ms = self._keeper.mono_ms()
        self._hear_network()
        if self._keeper.time().trust is ClockTrust.FLOOR:
            self._hear_chip()
        self._keeper.take_events()  # a start has nothing to compare with: no step is told
        self._trust = self._keeper.time().trust
        self._note("clock", self.trouble())

    def tick(self) -> None:
        """Tell what has changed since the last call."""
        for event in self._keeper.take_events():
            if event.kind in _STEPS:
                detail = f"{event.before_s}, {event.source.name} said {event.said_s}"
                self._tell.trouble("clock", ClockStepped(detail), before_s=event.before_s, after_s=event.after_s)
        if self._keeper.mono_ms() - self._looked_mono_ms >= LOOK_MS:
            self._looked_mono_ms = self._keeper.mono_ms()
            self._look_again()
        trust = self._keeper.time().trust
        if trust is not self._trust:
            self._trust = trust
            self._tell.say(**self.words(), clock_changed=True)
        self._note("clock", self.trouble())

    def trouble(self) -> Refusal | None:
        """What is wrong with the time now. A chip that says the impossible stays one: the next power cut meets it."""
        if self._cause is None and self._keeper.time().trust is ClockTrust.FLOOR:
            return ClockAtFloor()
        return self._cause

    def words(self) -> dict[str, object]:
        """For the badge: trust, and under `floor` how many one-way codes are left."""
        left = self._keeper.floor_one_way_left()
        trust = self._keeper.time().trust.name.lower()
        return {"clock": trust} if left is None else {"clock": trust, "one_way_left": left}

    def light_words(self) -> dict[str, object]:
        """For a customer's light: only what is unusual."""
        return {} if self._keeper.floor_one_way_left() is None else self.words()

    # --- inside

    def _hear_network(self) -> None:
        reading = None if self._is_network_ignored else self._network()
        if reading is not None:
            self._keeper.heard_ntp(reading.said_ms, reading.error_ms)
            self._is_network_ignored = self._keeper.time().trust is ClockTrust.FLOOR

    def _hear_chip(self) -> None:
        """An impossible time is handed on too: the rules ignore it, and the journal keeps what was said."""
        try:
            said_s = self._chip.read_s()
        except ClockSourceLost as lost:
            self._cause = lost
            return
        cause = self._impossible(said_s)
        if cause is None or self._cause is None or cause.number != self._cause.number:
            self._keeper.heard_rtc(said_s)
        self._cause = cause

    def _impossible(self, said_s: int) -> Refusal | None:
        earliest_s = max(YEAR_2020_S, self._keeper.floor_s - self._keeper.skew_s)
        ends_s = self._certificate_ends_s()
        if earliest_s <= said_s <= ends_s:
            return None
        return ClockImpossible(f"{said_s}, not from {earliest_s} to {ends_s}")

    def _look_again(self) -> None:
        if self._cause is not None:
            self._hear_chip()  # somebody may have set it, or changed its battery
        if self._keeper.time().trust is ClockTrust.FLOOR:
            self._hear_network()
