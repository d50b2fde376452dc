"""PC/SC through pyscard, typed: readers, what changes in them, one card's APDUs. DESIGN §3, §11.

Every failure is a `PcscError` with the code that PC/SC gave; what it means to a person is decided elsewhere. One thread
per `PcscContext`, but for `cancel`, which may come from any. `load` imports pyscard (10 ms): late, in that thread.
"""

from collections.abc import Sequence
from importlib import import_module
from typing import Any, NamedTuple, Protocol, cast

from offline_ledger.errors import DeviceSupportMissing

READERS_MAX = 16
"""As many as pcscd takes."""
PNP = "\\\\?PnP?\\Notification"
"""The reader that is not one: its state changes when readers come or go."""
_OK = 0
_COUNT_SHIFT = 16
"""pcscd counts a reader's insertions and removals in the upper half of its state."""
_PROTOCOL_T1 = 2


class PcscError(Exception):
    """`code` as in pcsclite.h, 32 bits."""

    def __init__(self, code: int, doing: str) -> None:
        super().__init__(f"{doing}: {code:08X}")
        self.code = code


class Code:
    """Codes that are told apart (pcsclite.h)."""

    CANCELLED = 0x80100002
    TIMEOUT = 0x8010000A
    SHARING = 0x8010000B
    NO_SERVICE = 0x8010001D
    SERVICE_STOPPED = 0x8010001E
    NO_READERS = 0x8010002E
    UNKNOWN_READER = 0x80100009
    READER_UNAVAILABLE = 0x80100017
    COMM_ERROR = 0x80100013
    INVALID_HANDLE = 0x80100003
    UNRESPONSIVE = 0x80100066
    FORBIDDEN = 0x8010006A
    UNSUPPORTED = 0x80100065
    PROTOCOL = 0x8010000F
    NO_CARD = 0x8010000C
    NOT_TRANSACTED = 0x80100016
    RESET = 0x80100068
    REMOVED = 0x80100069
    LIBRARY = 0x80100001
    """SCARD_F_INTERNAL_ERROR; also for what pyscard itself raises when the service goes in mid-call."""


SERVICE_GONE = frozenset({Code.NO_SERVICE, Code.SERVICE_STOPPED, Code.INVALID_HANDLE, Code.LIBRARY, Code.COMM_ERROR})
"""From calls that concern no card: the service must be asked anew."""
READER_GONE = frozenset({Code.UNKNOWN_READER, Code.READER_UNAVAILABLE, Code.NO_READERS})
"""From a wait: one of the readers that are waited for has gone since they were listed."""


class ReaderState(NamedTuple):
    """One reader as pcscd sees it: `raw` goes back into the next wait; `insertions` counts cards that came or went."""

    name: str
    raw: int
    is_known: bool
    has_card: bool
    is_mute: bool
    insertions: int
    atr: bytes


class PcscService(Protocol):
    """What the driver needs of the card service to know its readers: `PcscContext`."""

    def readers(self) -> list[str]: ...

    def wait(self, known: Sequence[tuple[str, int]], timeout_s: float) -> list[ReaderState] | None: ...

    def cancel(self) -> None: ...

    def release(self) -> None: ...


class Scard:
    """pyscard's flat API, loaded once. Raises DeviceSupportMissing."""

    def __init__(self) -> None:
        try:
            self.api = cast(Any, import_module("smartcard.scard"))
        except ImportError as error:
            raise DeviceSupportMissing(f"pyscard: {error}") from error

    def call(self, doing: str, name: str, *arguments: object) -> list[Any]:
        """What follows the code in the answer. Raises PcscError."""
        try:
            said = getattr(self.api, name)(*arguments)
        except (SystemError, ValueError, TypeError) as error:  # pyscard trips over its own lists when the service goes
            raise PcscError(Code.LIBRARY, f"{doing}: {error}") from error
        parts = cast(list[Any], said) if isinstance(said, list | tuple) else [said]
        code = int(parts[0]) & 0xFFFFFFFF
        if code != _OK:
            raise PcscError(code, doing)
        return list(parts[1:])


class PcscContext:
    """One conversation with the service. Raises PcscError when it is not there."""

    def __init__(self, scard: Scard) -> None:
        self._scard = scard
        (self._context,) = scard.call("establish", "SCardEstablishContext", scard.api.SCARD_SCOPE_SYSTEM)

    def readers(self) -> list[str]:
        """Their names, at most READERS_MAX; empty when there is none."""
        try:
            (found,) = self._scard.call("list readers", "SCardListReaders", self._context, [])
        except PcscError as error:
            if error.code == Code.NO_READERS:
                return []
            raise
        return [str(name) for name in found][:READERS_MAX]

    def wait(self, known: Sequence[tuple[str, int]], timeout_s: float) -> list[ReaderState] | None:
        """The states when one differs from its raw value in `known` (0: not known yet); None after the timeout or a
        cancel. READER_GONE for a reader that went before; one that goes meanwhile is no longer `is_known`."""
        timeout_ms = max(0, int(timeout_s * 1000))
        try:
            (states,) = self._scard.call(
                "wait for a change", "SCardGetStatusChange", self._context, timeout_ms, list(known)
            )
        except PcscError as error:
            if error.code in (Code.TIMEOUT, Code.CANCELLED):
                return None
            raise
        return [self._state(name, raw, atr) for name, raw, atr in states]

    def cancel(self) -> None:
        """Ends a wait in another thread."""
        try:
            self._scard.call("cancel", "SCardCancel", self._context)
        except PcscError:
            return  # there is no service that could be waiting

    def connect(self, reader: str) -> "PcscCard":
        """The card, for us alone."""
        api = self._scard.api
        handle, protocol = self._scard.call(
            "connect",
            "SCardConnect",
            self._context,
            reader,
            api.SCARD_SHARE_EXCLUSIVE,
            api.SCARD_PROTOCOL_T0 | api.SCARD_PROTOCOL_T1,
        )
        return PcscCard(self._scard, handle, protocol)

    def release(self) -> None:
        """Lets go of the service."""
        try:
            self._scard.call("release", "SCardReleaseContext", self._context)
        except PcscError:
            return  # it is gone, and the context with it

    def _state(self, name: str, raw: int, atr: Sequence[int]) -> ReaderState:
        api = self._scard.api
        has_card = bool(raw & api.SCARD_STATE_PRESENT)
        return ReaderState(
            name,
            raw & ~api.SCARD_STATE_CHANGED,
            not raw & (api.SCARD_STATE_UNKNOWN | api.SCARD_STATE_UNAVAILABLE | api.SCARD_STATE_IGNORE),
            has_card,
            bool(raw & api.SCARD_STATE_MUTE),
            (raw >> _COUNT_SHIFT) & 0xFFFF,
            bytes(atr),
        )


class PcscCard:
    """A connected card."""

    def __init__(self, scard: Scard, handle: int, protocol: int) -> None:
        self._scard = scard
        self._handle = handle
        self._header = scard.api.SCARD_PCI_T1 if protocol == _PROTOCOL_T1 else scard.api.SCARD_PCI_T0

    def transmit(self, apdu: bytes) -> bytes:
        """The response APDU; empty when the card left in the middle and the reader did not say so."""
        (said,) = self._scard.call("transmit", "SCardTransmit", self._handle, self._header, list(apdu))
        return bytes(byte & 0xFF for byte in said)

    def disconnect(self) -> None:
        """Lets go of the card and leaves it as it is."""
        try:
            self._scard.call("disconnect", "SCardDisconnect", self._handle, self._scard.api.SCARD_LEAVE_CARD)
        except PcscError:
            return  # it has left
