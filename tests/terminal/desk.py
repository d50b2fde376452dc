"""A terminal on a desk for tests and benchmarks: real keys (TEST ONLY), real journal, real acceptor. No city needed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from offline_ledger.errors import Refusal
from offline_ledger.protocol import cose, qr, wallet
from offline_ledger.protocol.city import KeyRole, TrustedKey
from offline_ledger.protocol.cose import Signed, VerifyKey
from offline_ledger.protocol.device import ClockTrust, PlaceKey, Voucher, VoucherKind
from offline_ledger.protocol.kinds import Kind
from offline_ledger.protocol.wallet import Allowance, Audience, Coupon, Payment, Presentment
from offline_ledger.rules.clock import TimeNow
from offline_ledger.rules.limits import Limits
from offline_ledger.terminal.acceptor import Acceptor, Identity
from offline_ledger.terminal.evidence import EvidenceReader
from offline_ledger.terminal.journal import Journal
from offline_ledger.terminal.outcome import Charge, LastVoucher
from simulators.keys import SimulatedKey

CITY = "TH-40"
NOW_S = 1_795_000_000
REPEAT_S = 60
ISSUER_TEST_ONLY = SimulatedKey(0x155)
DEVICE_TEST_ONLY = SimulatedKey(0xDE7)
AAD = {kind: cose.external_aad(kind, CITY) for kind in Kind}


class OneIssuer:
    """A key ring with one city key."""

    version = 1

    def __init__(self, key: SimulatedKey = ISSUER_TEST_ONLY, role: KeyRole = KeyRole.ALLOWANCE_ISSUER) -> None:
        trusted = TrustedKey(role, key.point, NOW_S - 10**6, NOW_S + 10**8)
        self._found: dict[bytes, list[tuple[TrustedKey, VerifyKey]]] = {
            key.key_id: [(trusted, cose.verify_key(key.point))]
        }

    def candidates(self, key_id: bytes) -> Sequence[tuple[TrustedKey, VerifyKey]]:
        return self._found.get(key_id, [])


@dataclass
class DeskConditions:
    """Conditions that a test sets by hand."""

    now: TimeNow = field(default_factory=lambda: TimeNow(NOW_S, ClockTrust.SYNCED, 0))
    denied: set[bytes] = field(default_factory=set[bytes])
    cap_refusal: Refusal | None = None
    standing_refusal: Refusal | None = None

    def time(self) -> TimeNow:
        return self.now

    def is_denied(self, pass_id: bytes) -> bool:
        return pass_id in self.denied

    def check_standing(self, sequence: int, at: TimeNow) -> None:
        if self.standing_refusal is not None:
            raise self.standing_refusal

    def check_amount(
        self,
        allowance: Allowance,
        shown: Presentment | Payment | None,
        charge_kgo: int,
        spent_here_kgo: int,
        unacked_kgo: int,
        at: TimeNow,
    ) -> None:
        if self.cap_refusal is not None:
            raise self.cap_refusal

    def check_coupon_value(self, coupon: Coupon, unacked_kgo: int, at: TimeNow) -> None:
        if self.cap_refusal is not None:
            raise self.cap_refusal

    def floor_meta(self, shown: Presentment | Payment | Coupon, at: TimeNow) -> Mapping[str, bytes]:
        return {}

    def was_accepted(self, shown: Presentment | Payment | Coupon, at: TimeNow) -> None:
        return None


class FlatBus:
    """A bus door with one fare."""

    audience = Audience.TRANSIT
    pass_back_s = 0

    def __init__(self, fare_kgo: int = 5_000, fare_satang: int = 100, trip: str = "T1", stop: str = "") -> None:
        self._fare_kgo, self._fare_satang = fare_kgo, fare_satang
        self._place: dict[int, object] = {int(PlaceKey.ROUTE): "10", int(PlaceKey.TRIP): trip}
        if stop:
            self._place[int(PlaceKey.STOP)] = stop

    def charge(
        self, allowance: Allowance, shown: Presentment | Payment | None, last: LastVoucher, at: TimeNow
    ) -> Charge:
        return Charge(self._fare_kgo, self._fare_satang, VoucherKind.BOARDING, "flat", (1, 1), self._place, None)

    @property
    def trip(self) -> str | None:
        return str(self._place[PlaceKey.TRIP])

    def coupon_charge(self, coupon: Coupon, at: TimeNow) -> Charge:
        return Charge(coupon.value_kgo, self._fare_satang, VoucherKind.COUPON, "flat", (1, 1), self._place, None)

    def is_repeat(self, made: Voucher, elapsed_s: int) -> bool:
        is_same_trip = made.place.get(PlaceKey.TRIP) == self._place[PlaceKey.TRIP]
        return is_same_trip and 0 <= elapsed_s <= REPEAT_S

    def wants(self, occasion: bytes) -> bool:
        return True

    def is_busy_with_other(self, made: Voucher) -> bool:
        return False


@dataclass
class DeskWallet:
    """A wallet whose allowance the test issuer signed."""

    key: SimulatedKey
    allowance: Signed
    n: int = 0
    sum_kgo: int = 0
    last_kgo: int = 0

    def next(self, cap_kgo: int = 5_000) -> None:
        self.n, self.sum_kgo, self.last_kgo = self.n + 1, self.sum_kgo + self.last_kgo, cap_kgo

    def code(self, at_s: int = NOW_S, audience: int = Audience.TRANSIT) -> str:
        shown = Presentment(self.allowance.identity, self.n, self.sum_kgo, self.last_kgo, audience, at_s, 30)
        signed = cose.sign1(wallet.PRESENTMENT.encode(shown), AAD[Kind.PRESENTMENT], self.key.key_id, self.key.sign)
        return qr.encode(qr.QrType.PRESENTMENT, self.allowance.raw, signed.raw)


def issue(
    secret: int, reserve_kgo: int = 50_000, issuer: SimulatedKey = ISSUER_TEST_ONLY, **changes: int
) -> DeskWallet:
    """A wallet with a fresh allowance."""
    key = SimulatedKey(secret)
    values = {"concession": 0, "medium": 0, "not_before_s": NOW_S - 3600, "expires_at_s": NOW_S + 170_000} | changes
    pass_id = secret.to_bytes(8, "big")
    allowance = Allowance(CITY, pass_id, key.point, reserve_kgo, 10_000, 3_000, **values)
    payload = wallet.ALLOWANCE.encode(allowance)
    return DeskWallet(key, cose.sign1(payload, AAD[Kind.ALLOWANCE], issuer.key_id, issuer.sign))


def acceptor_on(journal: Journal, conditions: DeskConditions, limits: Limits | None = None) -> Acceptor:
    """The real acceptor over a journal."""
    identity = Identity(CITY, "bus-1", "city-bus", DEVICE_TEST_ONLY.key_id)
    reader = EvidenceReader(CITY, OneIssuer())
    entropy = Random(journal.tail.event_head + journal.tail.identity).randbytes  # another one at each start
    return Acceptor(identity, journal, DEVICE_TEST_ONLY, reader, conditions, limits or Limits(), entropy)


def open_journal(folder: Path, vfs: str | None = None) -> Journal:
    """The journal of the desk's device."""
    return Journal.open(folder / "journal.db", device_id="bus-1", vfs=vfs)
