"""A small town for ledger tests: real keys (TEST ONLY, from fixed secrets), real store, terminals that sign by hand.

Builds vouchers and batches without the acceptor, so that a test can also build what no honest terminal would.
"""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from offline_ledger.city import accounts, allowances
from offline_ledger.city.accounts import OwnerKind
from offline_ledger.city.ingest import Ingest
from offline_ledger.city.ingest_reading import BatchReader
from offline_ledger.city.log import Log, begin_checkpoint
from offline_ledger.city.renewal import Renewal
from offline_ledger.city.store import Store
from offline_ledger.protocol import cbor, city, cose, device, tree, wallet
from offline_ledger.protocol.city import REVOKED, Ack, Bulletin, BulletinKind, KeyRole, Outcome, TrustedKey
from offline_ledger.protocol.cose import Signed, VerifyKey
from offline_ledger.protocol.device import (
    Batch,
    BatchHead,
    ClockTrust,
    DeviceCertificate,
    DeviceRole,
    EventKind,
    PaymentRequest,
    PlaceKey,
    Voucher,
    VoucherKind,
    event_link,
)
from offline_ledger.protocol.kinds import CITY_OBJECT_BYTES_MAX, ZERO_HASH, Kind
from offline_ledger.protocol.wallet import Allowance, Audience, Closing, Payment, Presentment
from offline_ledger.rules.campaign import Campaign, Campaigns, Discount, Funding, Reward, encode_campaigns
from offline_ledger.rules.limits import Limits
from offline_ledger.rules.tariff import Product, Tariff, encode_tariff
from simulators.keys import SimulatedKey

CITY = "TH-40"
NOW_S = 1_795_000_000
FARE_KGO, FARE_SATANG = 5_000, 100
AAD = {kind: cose.external_aad(kind, CITY) for kind in Kind}
ISSUER_TEST_ONLY = SimulatedKey(0x1111)
ACK_TEST_ONLY = SimulatedKey(0x2222)
LEAKED_ACK_TEST_ONLY = SimulatedKey(0x2223)
CA_TEST_ONLY = SimulatedKey(0x3333)
BULLETIN_TEST_ONLY = SimulatedKey(0x4444)
TARIFF = Tariff((Product("base", 1, "รถเมล์", "bus", FARE_KGO, FARE_SATANG, None, None, None),), (), None, None)
CAMPAIGN = Campaign(
    "all", "ลด", "off", None, None, None, Discount(100, 500, 10_000, 0), Reward(100, 5_000, 500, Funding.CITY)
)


class CityKeys:
    """The key ring of the town: issuer and ack key, and an ack key that was compromised."""

    version = 1

    def __init__(self) -> None:
        self._keys: dict[bytes, list[tuple[TrustedKey, VerifyKey]]] = {}
        for key, role in ((ISSUER_TEST_ONLY, KeyRole.ALLOWANCE_ISSUER), (ACK_TEST_ONLY, KeyRole.ACK)):
            trusted = TrustedKey(role, key.point, NOW_S - 10**7, NOW_S + 10**8)
            self._keys[key.key_id] = [(trusted, cose.verify_key(key.point))]
        leaked = LEAKED_ACK_TEST_ONLY
        revoked = TrustedKey(KeyRole.ACK, leaked.point, NOW_S - 10**7, REVOKED)
        self._keys[leaked.key_id] = [(revoked, cose.verify_key(leaked.point))]

    def candidates(self, key_id: bytes) -> Sequence[tuple[TrustedKey, VerifyKey]]:
        return self._keys.get(key_id, [])


def signed_by(key: SimulatedKey, kind: Kind, payload: bytes) -> Signed:
    return cose.sign1(payload, AAD[kind], key.key_id, key.sign)


@dataclass
class TownWallet:
    """A wallet with one current allowance; `show` and `pay` are as honest as the test wants."""

    account: SimulatedKey
    wallet_id: int
    key: SimulatedKey
    allowance: Signed
    n: int = 0
    sum_kgo: int = 0
    last_kgo: int = 0

    @property
    def says(self) -> Allowance:
        return wallet.ALLOWANCE.decode(self.allowance.payload, 1024)

    def next(self, cap_kgo: int) -> None:
        self.n, self.sum_kgo, self.last_kgo = self.n + 1, self.sum_kgo + self.last_kgo, cap_kgo

    def presentment(self, audience: Audience, at_s: int, **changes: int) -> Presentment:
        shown = Presentment(self.allowance.identity, self.n, self.sum_kgo, self.last_kgo, audience, at_s, 30)
        return shown._replace(**changes)

    def sign(self, shown: Presentment | Payment | Closing, key: SimulatedKey | None = None) -> Signed:
        if isinstance(shown, Presentment):
            kind, payload = Kind.PRESENTMENT, wallet.PRESENTMENT.encode(shown)
        elif isinstance(shown, Payment):
            kind, payload = Kind.PAYMENT, wallet.PAYMENT.encode(shown)
        else:
            kind, payload = Kind.CLOSING, wallet.CLOSING.encode(shown)
        return signed_by(key or self.key, kind, payload)

    def ride_code(self, at_s: int) -> Signed:
        """A new intent for the bus."""
        self.next(FARE_KGO)
        return self.sign(self.presentment(Audience.TRANSIT, at_s))


@dataclass
class TownTerminal:
    """A device: its chains and whatever has not been taken into a batch yet."""

    name: str
    key: SimulatedKey
    owner: str
    role: DeviceRole
    head: bytes = ZERO_HASH
    vouchers: list[tuple[bytes, tuple[bytes, ...]]] = field(default_factory=list)
    identities: list[bytes] = field(default_factory=list)
    events: list[tuple[int, bytes]] = field(default_factory=list)
    event_heads: list[bytes] = field(default_factory=lambda: [ZERO_HASH])
    newest_ack: tuple[int, bytes] | None = None
    held_ack: bytes | None = None

    def copy(self) -> "TownTerminal":
        """A cloned SD card."""
        return replace(
            self,
            vouchers=list(self.vouchers),
            identities=list(self.identities),
            events=list(self.events),
            event_heads=list(self.event_heads),
        )

    def voucher(self, kind: VoucherKind, at_s: int, objects: Sequence[Signed] = (), **changes: object) -> Signed:
        """Signs and chains one voucher; everything about it can be changed."""
        made = Voucher(
            device=self.name,
            sequence=len(self.vouchers) + 1,
            previous=self.head,
            at_s=at_s,
            trust=ClockTrust.SYNCED,
            kind=kind,
            kgo=0,
            satang=0,
            object_hash=objects[0].identity if objects else None,
            product="base",
            bulletin=(1, 1),
            place={int(PlaceKey.ROUTE): "10", int(PlaceKey.TRIP): "T1"},
            reward_kgo=None,
            refers_to=None,
        )
        made = made._replace(**changes)
        signed = signed_by(self.key, Kind.VOUCHER, device.VOUCHER.encode(made))
        self.head = signed.identity
        self.vouchers.append((signed.raw, tuple(one.raw for one in objects)))
        self.identities.append(signed.identity)
        return signed

    def boarding(self, code: Signed, at_s: int, **changes: object) -> Signed:
        return self.voucher(VoucherKind.BOARDING, at_s, [code], **({"kgo": FARE_KGO, "satang": FARE_SATANG} | changes))

    def sale(self, code: Signed | None, at_s: int, bill_satang: int, kgo: int, **changes: object) -> Signed:
        """A shop sale: 1 KGO takes 1 baht off, and the rest is paid by a verified tender."""
        place = {
            int(PlaceKey.SALE): f"S{len(self.vouchers)}",
            int(PlaceKey.BILL_SATANG): bill_satang,
            int(PlaceKey.VERIFIED_SATANG): bill_satang - kgo,
        }
        plain: dict[str, object] = {"kgo": kgo, "satang": bill_satang - kgo, "product": "all", "place": place}
        return self.voucher(VoucherKind.SALE, at_s, [code] if code else [], **(plain | changes))

    def event(self, kind: EventKind, *body: object) -> None:
        encoded = cbor.encode(list(body))
        self.events.append((int(kind), encoded))
        self.event_heads.append(event_link(self.event_heads[-1], kind, encoded))

    def head_for(self, first: int, last: int, first_event: int, last_event: int, at_s: int) -> BatchHead:
        return BatchHead(
            self.name,
            first,
            last,
            self.identities[last - 1] if last else ZERO_HASH,
            first_event,
            last_event,
            self.event_heads[last_event],
            at_s,
            ClockTrust.SYNCED,
            self.newest_ack,
            {},
        )

    def batch(
        self,
        first: int = 1,
        last: int | None = None,
        *,
        first_event: int = 1,
        last_event: int | None = None,
        allowance: Sequence[bytes] = (),
        key: SimulatedKey | None = None,
        change: Callable[[BatchHead], BatchHead] = lambda head: head,
    ) -> bytes:
        """The compressed body for a range of vouchers and events."""
        last = len(self.vouchers) if last is None else last
        last_event = len(self.events) if last_event is None else last_event
        head = change(self.head_for(first, last, first_event, last_event, NOW_S))
        signed = signed_by(key or self.key, Kind.BATCH_HEAD, device.BATCH_HEAD.encode(head))
        rows = tuple(self.vouchers[first - 1 : last])
        batch = Batch(
            signed.raw, rows, tuple(self.events[first_event - 1 : last_event]), tuple(allowance), self.held_ack
        )
        return zlib.compress(device.BATCH.encode(batch))


@dataclass
class Town:
    """Store, ingest and everybody in it."""

    folder: Path
    limits: Limits = field(default_factory=Limits)
    committed: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        self.path = self.folder / "city.db"
        self.checkpoint = self.folder / "outside" / "checkpoint"
        self.checkpoint.parent.mkdir(parents=True, exist_ok=True)
        self.secret = 0x10_000
        fresh = not self.path.exists()
        self.store = Store.create(self.path, CITY, NOW_S) if fresh else Store.open(self.path)
        self.ingest = self.new_ingest()
        if fresh:
            self._found()

    def new_ingest(self) -> Ingest:
        renewal = Renewal(self.store, CA_TEST_ONLY, self.limits)
        return Ingest(
            self.store,
            CityKeys(),
            ACK_TEST_ONLY,
            self.limits,
            self.checkpoint,
            committed=self.committed,
            renewal=renewal,
        )

    @property
    def reader(self) -> BatchReader:
        return BatchReader(self.store, CityKeys())

    def reopen(self) -> None:
        """As after a crash: a new connection to the same file."""
        self.store.close()
        self.store = Store.open(self.path)
        self.ingest = self.new_ingest()

    def _found(self) -> None:
        begin_checkpoint(self.checkpoint, Log(self.store))
        with self.store.transaction():
            for owner, kind in (("transit", OwnerKind.OPERATOR), ("noodles", OwnerKind.MERCHANT)):
                self.store.execute("INSERT INTO owners VALUES(?, ?, ?, ?, ?)", (owner, kind, owner, 100_000, NOW_S))
            bodies = (
                (BulletinKind.TARIFF, encode_tariff(TARIFF)),
                (BulletinKind.CAMPAIGN, encode_campaigns(Campaigns((CAMPAIGN,)))),
            )
            for kind, body in bodies:
                made = Bulletin(CITY, kind, (1, 1), NOW_S - 1000, NOW_S - 1000, NOW_S + 10**8, body)
                raw = signed_by(BULLETIN_TEST_ONLY, Kind.BULLETIN, city.BULLETIN.encode(made)).raw
                row = (kind, 1, 1, raw, NOW_S - 1000, NOW_S - 1000, NOW_S + 10**8)
                self.store.execute("INSERT INTO bulletins VALUES(?, ?, ?, ?, ?, ?, ?)", row)
        accounts.fund_campaign(self.store, "all", 100_000, NOW_S, "budget")

    def new_key(self) -> SimulatedKey:
        self.secret += 1
        return SimulatedKey(self.secret)

    def terminal(self, name: str, role: DeviceRole, *, value_kgo: int = 2_000_000, owner: str = "") -> TownTerminal:
        owner = owner or ("transit" if role is DeviceRole.VALIDATOR else "noodles")
        key = self.new_key()
        said = DeviceCertificate(CITY, name, role, owner, key.point, NOW_S - 1000, NOW_S + 10**8, value_kgo, 24)
        raw = signed_by(CA_TEST_ONLY, Kind.DEVICE_CERTIFICATE, device.DEVICE_CERTIFICATE.encode(said)).raw
        with self.store.transaction():
            self.store.execute(
                "INSERT INTO devices(device, role, owner, point, certificate, not_before_s, expires_at_s,"
                " offline_value_kgo, offline_hours, enrolled_at_s) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (name, role, owner, key.point, raw, NOW_S - 1000, NOW_S + 10**8, value_kgo, 24, NOW_S),
            )
        return TownTerminal(name, key, owner, role)

    def wallet(self, balance_kgo: int = 50_000) -> TownWallet:
        account = self.new_key()
        opened = allowances.register(self.store, account.point, 0, 0, balance_kgo, NOW_S)
        key = self.new_key()
        return TownWallet(account, opened.wallet_id, key, self.issue(account, key, NOW_S))

    def issue(self, account: SimulatedKey, key: SimulatedKey, now_s: int) -> Signed:
        pass_id = (self.secret << 8 | now_s & 0xFF).to_bytes(8, "big")
        return allowances.issue(self.store, ISSUER_TEST_ONLY, account.point, key.point, pass_id, self.limits, now_s)

    def send(self, terminal: TownTerminal, now_s: int = NOW_S + 60, **part: object) -> "Acked":
        """Uploads and verifies the answer as a terminal would; the terminal holds the ack."""
        acked = read_answer(self.ingest.ingest(terminal.batch(**part), now_s), terminal)  # type: ignore[arg-type]
        terminal.newest_ack = (acked.ack.log_size, acked.ack.log_root)
        terminal.held_ack = acked.raw
        return acked

    def balance(self, account: accounts.Account) -> int:
        return accounts.balance(self.store, account)

    def assert_sound(self) -> None:
        """Σ = 0, and every stored balance is the sum of its entries, by plain SQL."""
        assert not any(accounts.sums(self.store).values())
        wrong = self.store.fetch(
            "SELECT a.account_id, a.balance, coalesce(sum(e.amount), 0) FROM accounts a LEFT JOIN entries e"
            " USING(account_id) GROUP BY a.account_id HAVING a.balance <> coalesce(sum(e.amount), 0)"
        )
        assert not wrong


@dataclass(frozen=True)
class Acked:
    """A verified answer."""

    ack: Ack
    wanted: tuple[bytes, ...]
    raw: bytes

    @property
    def outcomes(self) -> list[tuple[Outcome, int]]:
        return [(Outcome(outcome), refusal) for outcome, refusal, _leaf in self.ack.outcomes]


def read_answer(body: bytes, terminal: TownTerminal) -> Acked:
    """Ack signature, chain head, and every leaf in the log under the signed root."""
    answer = city.ANSWER.decode(body, CITY_OBJECT_BYTES_MAX)
    signed = cose.parse_sign1(answer.ack, AAD[Kind.ACK], CITY_OBJECT_BYTES_MAX)
    assert cose.is_signature_of(signed, cose.verify_key(ACK_TEST_ONLY.point))
    ack = city.ACK.decode(signed.payload, CITY_OBJECT_BYTES_MAX)
    expected_head = terminal.identities[ack.through_sequence - 1] if ack.through_sequence else ZERO_HASH
    assert ack.chain_head == expected_head
    leaves: dict[int, bytes] = {}
    for sequence, (outcome, refusal, leaf) in enumerate(ack.outcomes, ack.first_sequence):
        if leaf:
            identity = terminal.identities[sequence - 1]
            leaves[leaf - 1] = tree.leaf_hash(cbor.encode([terminal.name, sequence, identity, outcome, refusal]))
        else:
            assert outcome == Outcome.HELD
    proven = 0
    for begin, count, steps in answer.proofs:
        run = [leaves[index] for index in range(begin, begin + count)]
        assert tree.is_range_included(run, begin, ack.log_size, steps, ack.log_root)
        proven += count
    assert proven == len(leaves)
    return Acked(ack, answer.wanted_allowances, answer.ack)


def pay_two_way(
    shop: TownTerminal,
    buyer: TownWallet,
    kgo: int,
    at_s: int,
    *,
    nonce: int = 1,
    asked_at_s: int | None = None,
    **changes: object,
) -> Signed:
    """A whole two-way sale: the till's request, the wallet's payment, the voucher. Three times the KGO in cash."""
    request = request_for(shop, kgo, 3 * kgo, at_s if asked_at_s is None else asked_at_s, nonce)
    buyer.next(kgo)
    said = buyer.sign(Payment(buyer.allowance.identity, buyer.n, buyer.sum_kgo, request.identity, kgo, at_s))
    sold = shop.sale(None, at_s, 4 * kgo, kgo, object_hash=said.identity, **changes)
    shop.vouchers[-1] = (shop.vouchers[-1][0], (said.raw, request.raw))
    return sold


def request_for(terminal: TownTerminal, kgo: int, satang: int, at_s: int, nonce: int = 1) -> Signed:
    """A payment request as the terminal signs it."""
    said = PaymentRequest(
        terminal.name, terminal.owner, kgo, satang, "soup", nonce.to_bytes(16, "big"), at_s, at_s + 180, None
    )
    return signed_by(terminal.key, Kind.PAYMENT_REQUEST, device.PAYMENT_REQUEST.encode(said))
