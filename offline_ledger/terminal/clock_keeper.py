"""The terminal's clock: readings in, one trusted time out; every step is journaled. DESIGN §5 "Clock".

The rules are `rules.clock`; this file only reads the ports, keeps the state durable and writes the events. Wallet
times never reach it.
"""

from collections import deque
from collections.abc import Mapping
from threading import RLock
from typing import Protocol, cast

from offline_ledger.errors import Malformed
from offline_ledger.protocol import cbor
from offline_ledger.protocol.device import ClockTrust, EventKind
from offline_ledger.rules import clock
from offline_ledger.rules.clock import Applied, ClockEvent, ClockState, TimeNow
from offline_ledger.rules.limits import Limits
from offline_ledger.terminal.journal import Journal
from offline_ledger.terminal.ports import Clock

_META = "clock"
FLOOR_STEP_S = 60
"""The floor in memory may run ahead of the durable one by this much before it is written again."""
EVENTS_MAX = 16
"""Clock events that wait to be told; all of them are in the journal."""


class ClockKeeper:
    """The `SignedTime` of sync and the clock of the acceptor. Thread-safe."""

    def __init__(self, journal: Journal, machine: Clock, limits: Limits, made_at_s: int) -> None:
        """`made_at_s`: a time that has certainly passed, such as the certificate's beginning."""
        self._journal = journal
        self._machine = machine
        self._limits = limits
        self._lock = RLock()
        self._untold: deque[ClockEvent] = deque(maxlen=EVENTS_MAX)
        stored = _stored(journal.meta_get(_META))
        mono_ms = machine.mono_ms()
        if stored is None:
            self._state = clock.clock_at_boot(made_at_s, mono_ms)
        else:
            self._state = clock.clock_from_durable(stored, mono_ms)
        self._written_floor_s = self._state.floor_s if stored is not None else 0

    def time(self) -> TimeNow:
        """Now, and how far it is trusted."""
        with self._lock:
            return clock.now(self._state, self._machine.mono_ms(), self._limits)

    def mono_ms(self) -> int:
        """The counter that the clock runs on."""
        return self._machine.mono_ms()

    @property
    def floor_s(self) -> int:
        """It is certainly not earlier than this."""
        return self._state.floor_s

    @property
    def skew_s(self) -> int:
        """How far an honest clock may be off."""
        return self._limits.skew_s

    def take_events(self) -> list[ClockEvent]:
        """What happened to the clock since the last call, the newest few; the journal has all of it."""
        with self._lock:
            found = list(self._untold)
            self._untold.clear()
            return found

    def heard_issued_at(self, issued_at_s: int) -> None:
        """A verified ack, bulletin or time answer was signed at this time."""
        self._apply(lambda state, mono_ms: clock.apply_issued_at(state, issued_at_s, mono_ms, self._limits))

    def heard_time_answer(self, said_s: int, sent_mono_ms: int, received_mono_ms: int) -> None:
        """The city's signed answer to our own nonce (checked by the caller)."""
        self._apply(
            lambda state, _mono_ms: clock.apply_time_answer(state, said_s, sent_mono_ms, received_mono_ms, self._limits)
        )

    def heard_rtc(self, rtc_s: int) -> None:
        """The battery clock, read at start."""
        self._apply(lambda state, mono_ms: clock.apply_rtc(state, rtc_s, mono_ms, self._limits))

    def heard_ntp(self, said_ms: int, error_ms: int) -> None:
        """The system clock, while the system says that network time disciplines it."""
        self._apply(lambda state, mono_ms: clock.apply_ntp(state, said_ms, error_ms, mono_ms, self._limits))

    def heard_gps(self, said_ms: int, error_ms: int, mono_ms: int) -> None:
        """What satellites said at that moment of this boot."""
        self._apply(lambda state, _mono_ms: clock.apply_gps(state, said_ms, error_ms, mono_ms, self._limits))

    # --- one-way codes under `floor`

    def floor_meta(self) -> Mapping[str, bytes]:
        """The count with one more in it, to be appended with the voucher. Raises FloorCountUsedUp."""
        with self._lock:
            counted = clock.count_floor_one_way(self._state, self._machine.mono_ms(), self._limits)
            return {} if counted is self._state else {_META: _encoded(counted)}

    def floor_one_way_left(self) -> int | None:
        """How many one-way codes may still be taken before the time is known; None: the time is known."""
        with self._lock:
            if self.time().trust > ClockTrust.FLOOR:
                return None
            return max(0, self._limits.floor_one_way_count_max - self._state.floor_one_way_count)

    def floor_one_way_accepted(self) -> None:
        """The voucher with that count is durable."""
        with self._lock:
            if self.time().trust is ClockTrust.FLOOR:
                count = self._state.floor_one_way_count + 1
                self._state = self._state._replace(floor_one_way_count=count)

    # --- inside

    def _apply(self, step: "_Step") -> None:
        with self._lock:
            state, events = step(self._state, self._machine.mono_ms())
            for event in events:
                body = cbor.encode([int(event.kind), int(event.source), event.before_s, event.said_s, event.after_s])
                self._journal.append_event(EventKind.CLOCK, body, durable=False)
                self._untold.append(event)
            is_new = bool(events) or abs(state.floor_s - self._written_floor_s) >= FLOOR_STEP_S
            is_new = is_new or state.floor_one_way_count != self._state.floor_one_way_count
            self._state = state
            if is_new:
                self._journal.meta_put(_META, _encoded(state))
                self._written_floor_s = state.floor_s


class _Step(Protocol):
    def __call__(self, state: ClockState, mono_ms: int, /) -> Applied: ...


def _encoded(state: ClockState) -> bytes:
    return cbor.encode(clock.durable(state))


def _stored(value: bytes | None) -> dict[int, int] | None:
    if value is None:
        return None
    found = cbor.decode(value, 256)
    if not isinstance(found, dict):
        raise Malformed("clock state")
    return cast(dict[int, int], found)
