"""The ports of a terminal: what the pure parts are handed, and no more. Protocol classes only. DESIGN §3.

Drivers, simulators and tests implement them; only a composition root chooses which. `Signer` is the one of
`protocol.cose`; the counter and the light are in `outcome.py`.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from offline_ledger.errors import (
    KeyAmbiguous,
    KeyMechanismMissing,
    KeyModuleMissing,
    KeyNotInToken,
    KeyOfAnother,
    KeyPinFileUnsafe,
    KeyPinLocked,
    KeyPinUnmarked,
    KeyPinWrong,
    KeyTokenGone,
    KeyTokenMissing,
    KeyTpmLocked,
    Refusal,
)
from offline_ledger.protocol.cose import Signer
from offline_ledger.protocol.wallet import Allowance, Coupon, Payment, Presentment
from offline_ledger.rules.clock import TimeNow
from offline_ledger.terminal.journal_rows import EventRow, PendingSummary, Tail, VoucherRow
from offline_ledger.terminal.outcome import Light

__all__ = [
    "KEY_SAYS_NO",
    "CertificatePort",
    "CityAnswer",
    "CityRequest",
    "Clock",
    "Conditions",
    "DenyListPort",
    "Entropy",
    "HeadLamp",
    "MetaPort",
    "OwnSigner",
    "SignedTime",
    "Signer",
    "SyncJournal",
    "Uplink",
]

KEY_SAYS_NO: tuple[type[Refusal], ...] = (
    KeyTokenGone,
    KeyTokenMissing,
    KeyTpmLocked,
    KeyPinWrong,
    KeyPinFileUnsafe,
    KeyPinLocked,
    KeyPinUnmarked,
    KeyNotInToken,
    KeyOfAnother,
    KeyAmbiguous,
    KeyMechanismMissing,
    KeyModuleMissing,
)
"""Nothing can be signed, whatever was shown."""
Entropy = Callable[[int], bytes]
"""So many random bytes; seeded in simulations."""


class Clock(Protocol):
    """The machine's clocks. Wall time may be wrong by years; the monotonic one only runs forward within a boot."""

    def wall_s(self) -> int:
        """Unix seconds, as the machine believes."""
        ...

    def mono_ms(self) -> int:
        """Milliseconds since some moment of this boot."""
        ...


class OwnSigner(Signer, Protocol):
    """The device's own key, which may be in a token that comes and goes: `sign` then raises those of KEY_SAYS_NO."""

    def check(self) -> None:
        """Could it sign now? Raises those of KEY_SAYS_NO."""
        ...


class SignedTime(Protocol):
    """The terminal's clock as sync feeds it (`terminal.clock_keeper.ClockKeeper`)."""

    def time(self) -> TimeNow:
        """The estimate and how far it is trusted."""
        ...

    def heard_issued_at(self, issued_at_s: int) -> None:
        """A verified object was signed then. Only *issued at*, never *valid from*."""
        ...

    def heard_time_answer(self, said_s: int, sent_mono_ms: int, received_mono_ms: int) -> None:
        """The city's verified answer to our own nonce."""
        ...


class Conditions(Protocol):
    """What else this terminal knows at this moment: the time, the deny list, the caps that age has left. The clock is
    read once for each decision: `at` is that reading."""

    def time(self) -> TimeNow:
        """Now, and how far it is trusted."""
        ...

    def is_denied(self, pass_id: bytes) -> bool:
        """Whether the newest deny list names this pass."""
        ...

    def check_standing(self, sequence: int, at: TimeNow) -> None:
        """Whether the city still pays this terminal's next voucher. Raises TerminalRevoked, DeviceBlocked,
        JournalLost, DeviceCertificateInvalid."""
        ...

    def check_amount(
        self,
        allowance: Allowance,
        shown: Presentment | Payment | None,
        charge_kgo: int,
        spent_here_kgo: int,
        unacked_kgo: int,
        at: TimeNow,
    ) -> None:
        """One-way cap, a, F, H and staleness; nothing `shown`: a card that is to be asked. Raises one refusal each."""
        ...

    def check_coupon_value(self, coupon: Coupon, unacked_kgo: int, at: TimeNow) -> None:
        """F and staleness. Raises MustReconnect, TerminalValueUsedUp."""
        ...

    def floor_meta(self, shown: Presentment | Payment | Coupon, at: TimeNow) -> Mapping[str, bytes]:
        """The one-way count under `floor`, to be made durable with the voucher. Raises FloorCountUsedUp."""
        ...

    def was_accepted(self, shown: Presentment | Payment | Coupon, at: TimeNow) -> None:
        """The voucher is durable: what `floor_meta` promised is now so."""
        ...


class HeadLamp(Protocol):
    """The lamp that customers look at (`drivers.head_lamp`). Never waits: a frame that cannot go is a head that is
    lost."""

    def show(self, light: Light, on_lit: Callable[[], None] | None) -> bool:
        """From any thread. `on_lit` is called once, from another thread, when this very light is on; never if the head
        is lost before. False: it is lost already."""
        ...

    def reading(self) -> None:
        """A code or card is read and its light is late: hold still."""
        ...

    @property
    def is_seen(self) -> bool:
        """Is a light of it seen now?"""
        ...


class CityRequest(NamedTuple):
    """One HTTP request; the body and every answer are application/cbor. `answer_bytes_max` bounds what is read."""

    method: str
    path: str
    body: bytes | None
    answer_bytes_max: int
    headers: tuple[tuple[str, str], ...] = ()


class CityAnswer(NamedTuple):
    """A complete answer. Nothing in it is verified yet."""

    status: int
    body: bytes


class Uplink(Protocol):
    """The way to the city."""

    def exchange(self, request: CityRequest) -> CityAnswer:
        """Raises CityUnreachable, CityCertificateWrong, or AnswerInvalid for an answer over its cap."""
        ...

    def close(self) -> None:
        """Lets go of the connection; the next exchange makes a new one."""
        ...

    def interrupt(self) -> None:
        """The only call that may come from another thread: the exchange under way ends soon."""
        ...


class MetaPort(Protocol):
    """Small durable values, kept in the journal."""

    def meta_get(self, key: str) -> bytes | None: ...

    def meta_put(self, key: str, value: bytes) -> None: ...


class SyncJournal(MetaPort, Protocol):
    """What the exchange machine needs of the journal (`terminal.journal.Journal`)."""

    @property
    def tail(self) -> Tail: ...

    def flush(self) -> None: ...

    def pending(self, limit: int, after_sequence: int | None = None) -> list[VoucherRow]: ...

    def voucher_at(self, sequence: int) -> VoucherRow | None: ...

    def events_after(self, number: int, limit: int) -> list[EventRow]: ...

    def allowance_bytes(self, allowance_hash: bytes) -> bytes | None: ...

    def pending_summary(self) -> PendingSummary: ...

    def newest_ack(self) -> bytes | None: ...

    def record_ack(self, ack: bytes, through_sequence: int, through_event: int) -> None: ...


class CertificatePort(Protocol):
    """The device certificate in use (`terminal.own_certificate.OwnCertificate`)."""

    @property
    def from_s(self) -> int:
        """When it begins."""
        ...

    def renew(self, raw: bytes) -> bool:
        """Takes a newer one, durably. Raises RenewalWrong, StorageFull, StorageFailed."""
        ...


class DenyListPort(Protocol):
    """The deny list in use. Both writes are atomic: the list in use stays until the new one is whole and durable."""

    @property
    def counter(self) -> int:
        """Bulletin counter of the list held; 0: none yet."""
        ...

    def apply_delta(
        self, base_counter: int, counter: int, adds: bytes, removes: bytes, list_sha256: bytes, ids_count: int
    ) -> None:
        """Raises DenyListGap when it does not follow the list held, DenyListDamaged when the sum does not fit."""
        ...

    def replace(self, counter: int, full_list: bytes, list_sha256: bytes, ids_count: int) -> None:
        """The whole list as sent. Raises DenyListDamaged, DenyListTooLarge."""
        ...
