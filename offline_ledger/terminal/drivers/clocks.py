"""What a terminal can learn about time from its own box: a counter, the clock chip, the disciplined system clock.
DESIGN §5 "Clock".

These are readings, not truths: `rules.clock` decides what to believe. The system's wall clock is used only while the
kernel says that network time disciplines it (whoever does it: timesyncd, chrony, ntpd), because on a Pi it otherwise
starts at whatever was last saved. The clock chip is read as a file of Unix seconds, which is what the kernel gives
(`/sys/class/rtc/rtc0/since_epoch`); a simulated chip writes the same file, so a terminal in its own process can be
given a clock that is wrong, stopped or gone, just as a real one gets it.
"""

import struct
import time
from pathlib import Path
from typing import NamedTuple

from offline_ledger.errors import ClockSourceLost

RTC_PATH = "/sys/class/rtc/rtc0/since_epoch"
READ_BYTES_MAX = 32
RTC_S_MAX = 2**40
_STA_UNSYNC = 0x0040
_TIME_ERROR = 5
_TIMEX_BYTES = 208
_TIMEX = struct.Struct("@I4li")  # modes, offset, freq, maxerror, esterror, status; native sizes


class SystemTicker:
    """Milliseconds since the kernel started, sleep included; never steps."""

    def mono_ms(self) -> int:
        """The counter now."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


class RtcChip:
    """The battery-backed clock, in Unix seconds."""

    def __init__(self, path: str = RTC_PATH) -> None:
        self._path = Path(path)

    def read_s(self) -> int:
        """What the chip says; may be far wrong. Raises `ClockSourceLost` when it says nothing or nonsense."""
        try:
            with self._path.open("rb") as file:
                said = file.read(READ_BYTES_MAX + 1).strip()
        except OSError as error:
            raise ClockSourceLost(f"{self._path}: {error}") from error
        if not said.isdigit() or len(said) > READ_BYTES_MAX or int(said) > RTC_S_MAX:
            raise ClockSourceLost(f"{self._path}: {said!r} is no time")
        return int(said)


class NetworkTime(NamedTuple):
    """The system clock while network time disciplines it, and the kernel's bound of its error."""

    said_ms: int
    error_ms: int


def network_time() -> NetworkTime | None:
    """A reading of the disciplined system clock; None while nothing disciplines it (or the kernel will not say)."""
    import ctypes  # a few ms that only a terminal with network time pays

    timex = (ctypes.c_byte * _TIMEX_BYTES)()
    state = ctypes.CDLL(None).adjtimex(ctypes.byref(timex))  # all zero: read only
    return reading_of(state, bytes(timex), time.time_ns() // 1_000_000)


def reading_of(state: int, timex: bytes, said_ms: int) -> NetworkTime | None:
    """What the kernel's `struct timex` (adjtimex(2)) and the state beside it mean for a clock that says `said_ms`."""
    _modes, _offset, _freq, max_error_us, _estimated_us, status = _TIMEX.unpack_from(timex)
    if state < 0 or state == _TIME_ERROR or status & _STA_UNSYNC or max_error_us < 0:
        return None
    return NetworkTime(said_ms=said_ms, error_ms=-(-max_error_us // 1_000))
