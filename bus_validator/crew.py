"""May this person sign on: PIN and driver card against the crew, wrong PINs answered by growing waits. Pure. DESIGN §5.

The count of wrong PINs is kept in the journal; how long to wait is not a time but runs anew from each start, so that
neither a pulled plug nor a wrong clock shortens it. Cards have no waits: a card cannot be guessed. Checking a PIN takes
tens of milliseconds on purpose (`crew_file`), so it has no place on the thread that decides boardings.
"""

from typing import NamedTuple

from offline_ledger.errors import (
    CrewFileWrong,
    DriverCardUnknown,
    DriverPinWait,
    DriverPinWrong,
    JournalDamaged,
    Refusal,
)
from offline_ledger.protocol import cbor
from offline_ledger.protocol.crew_file import Crew, Driver, is_pin, is_pin_of
from offline_ledger.protocol.fields import uint

PIN_META = "bus.pin_failures"
"""Its name among the journal's small values."""
FAILURES_MAX = 1_000
WAITS_S = (0, 0, 0, 5, 15, 60, 300)
"""After so many wrong PINs in a row; the last holds for all that follow. Three are a slip of a cold finger; at one in
five minutes, six digits take years. Not longer: whoever wants to annoy must not keep a driver from the passengers."""
_KEPT_BYTES_MAX = 8


class PinTries(NamedTuple):
    """Wrong PINs in a row at this device, and until when (monotonic milliseconds of this boot) none is checked."""

    failures: int = 0
    closed_until_ms: int = 0

    def wait_s(self, mono_ms: int) -> int:
        """Whole seconds left, rounded up."""
        return max(0, -((mono_ms - self.closed_until_ms) // 1000))


def wait_after(failures: int) -> int:
    """Seconds to wait after so many wrong PINs in a row."""
    return WAITS_S[min(failures, len(WAITS_S) - 1)]


def encode_tries(tries: PinTries) -> bytes:
    """For the journal's small values, durable before the refusal is shown: a pulled plug gives no try back."""
    return cbor.encode(tries.failures)


def decode_tries(kept: bytes | None, mono_ms: int) -> PinTries:
    """After a start: the whole wait of the last failure begins again. Raises JournalDamaged."""
    if kept is None:
        return PinTries()
    try:
        failures = uint(FAILURES_MAX)(cbor.decode(kept, _KEPT_BYTES_MAX))
    except Refusal as refusal:
        raise JournalDamaged("the kept count of wrong PINs is none") from refusal
    assert isinstance(failures, int)
    return PinTries(failures, mono_ms + wait_after(failures) * 1000)


class PinResult(NamedTuple):
    """What one try came to: the driver or the refusal, and what to keep now."""

    driver: Driver | None
    refusal: Refusal | None
    tries: PinTries


def try_pin(crew: Crew | None, driver_id: str, pin: str, tries: PinTries, mono_ms: int) -> PinResult:
    """One try. The refusal is DriverPinWait (nothing was checked), DriverPinWrong, or CrewFileWrong without a crew. An
    unknown driver costs as much time as a known one, and is told alike."""
    if crew is None:
        return PinResult(None, CrewFileWrong("no crew file"), tries)
    if (left_s := tries.wait_s(mono_ms)) > 0:
        return PinResult(None, DriverPinWait(f"{left_s} s"), tries)
    driver = crew.driver(driver_id)
    if is_pin(pin, crew.pin_digits) and is_pin_of(driver or crew.drivers[0], pin, crew) and driver is not None:
        return PinResult(driver, None, PinTries())
    failures = min(tries.failures + 1, FAILURES_MAX)
    return PinResult(None, DriverPinWrong(), PinTries(failures, mono_ms + wait_after(failures) * 1000))


def driver_of_card(crew: Crew | None, pass_id: bytes) -> Driver:
    """Whose card it is. The caller has verified the card's allowance and the card's signature over this device's own
    fresh challenge: a pass id alone is no secret. Raises DriverCardUnknown, CrewFileWrong without a crew."""
    if crew is None:
        raise CrewFileWrong("no crew file")
    driver = crew.holder_of(pass_id)
    if driver is None:
        raise DriverCardUnknown()
    return driver
