"""A small, honest city for the terminal's sync tests: real keys (TEST ONLY), real chains, a real log, real proofs.

Built from protocol objects alone; it knows nothing of the city's service. `answer` takes a request as the wire would
and gives a complete answer; tests lose, cut, double and forge what it says.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256

from offline_ledger.errors import BatchInvalid, CityRefused, RecoveryNeeded, Refusal, UnknownDevice
from offline_ledger.protocol import cbor, city, cose, device, tree
from offline_ledger.protocol.city import Ack, Answer, Bulletin, BulletinKind, KeyRole, Outcome, TimeAnswer, TrustList
from offline_ledger.protocol.device import BatchHead, DeviceCertificate, DeviceRole, Voucher, event_link
from offline_ledger.protocol.kinds import CITY_OBJECT_BYTES_MAX, ZERO_HASH, Kind
from offline_ledger.protocol.token import token_of
from offline_ledger.terminal.ports import CityAnswer, CityRequest
from simulators.keys import SimulatedKey

CITY = "TH-40"
NOW_S = 1_795_000_000
FAR_S = NOW_S + 10**8
INFLATED_BYTES_MAX = 2 * 1_048_576
ROOTS_TEST_ONLY = tuple(SimulatedKey(0x4007 + at) for at in range(3))
ACK_TEST_ONLY = SimulatedKey(0xACC)
BULLETIN_TEST_ONLY = SimulatedKey(0xB011)
CA_TEST_ONLY = SimulatedKey(0xCA)
ISSUER_TEST_ONLY = SimulatedKey(0x155)
DEVICE_TEST_ONLY = SimulatedKey(0xDE7)
DEVICE = "bus-1"
ROLES = (
    (KeyRole.ALLOWANCE_ISSUER, ISSUER_TEST_ONLY),
    (KeyRole.DEVICE_CA, CA_TEST_ONLY),
    (KeyRole.BULLETIN, BULLETIN_TEST_ONLY),
    (KeyRole.ACK, ACK_TEST_ONLY),
)
Decide = Callable[[Voucher], tuple[Outcome, int]]
ErrorPlace = tuple[int, int, bytes]


def keys_of(*roles: tuple[int, SimulatedKey], start_s: int = NOW_S - 10**6, end_s: int = FAR_S) -> tuple[
    tuple[int, bytes, int, int], ...
]:  # fmt: skip
    """Rows of a trust list."""
    return tuple((int(role), key.point, start_s, end_s) for role, key in roles)


def sign(kind: Kind, payload: bytes, key: SimulatedKey, name: str = CITY) -> cose.Signed:
    return cose.sign1(payload, cose.external_aad(kind, name), key.key_id, key.sign)


def trust_list(
    version: int = 1,
    previous: bytes = ZERO_HASH,
    *,
    signers: tuple[SimulatedKey, ...] = ROOTS_TEST_ONLY[:2],
    roots: tuple[SimulatedKey, ...] = ROOTS_TEST_ONLY,
    threshold: int = 2,
    keys: tuple[tuple[int, bytes, int, int], ...] | None = None,
    revocations: tuple[tuple[str, int], ...] = (),
    name: str = CITY,
    expires_at_s: int = FAR_S,
    lost_log: tuple[int, bytes] | None = None,
) -> tuple[bytes, bytes]:
    """A signed list and its payload's hash."""
    made = TrustList(
        name, version, previous, NOW_S - 1000, expires_at_s, threshold, tuple(root.point for root in roots),
        keys if keys is not None else keys_of(*ROLES), revocations, lost_log,
    )  # fmt: skip
    payload = city.TRUST_LIST.encode(made)
    signatures = tuple(sign(Kind.TRUST_LIST, payload, key, name).raw for key in signers)
    return city.SIGNED_TRUST_LIST.encode(city.SignedTrustList(signatures)), sha256(payload).digest()


def bulletin(
    kind: int = BulletinKind.TARIFF,
    counter: int = 1,
    *,
    tlv: int = 1,
    body: dict[int, object] | None = None,
    key: SimulatedKey = BULLETIN_TEST_ONLY,
    issued_at_s: int = NOW_S - 100,
    valid_from_s: int = NOW_S - 100,
    valid_until_s: int = NOW_S + 86_400,
    name: str = CITY,
) -> bytes:
    """A signed bulletin."""
    made = Bulletin(name, kind, (tlv, counter), issued_at_s, valid_from_s, valid_until_s, body or {1: counter})
    return sign(Kind.BULLETIN, city.BULLETIN.encode(made), key, name).raw


def certificate(point: bytes, name: str = DEVICE, key: SimulatedKey = CA_TEST_ONLY, of_city: str = CITY) -> bytes:
    """A device certificate."""
    made = DeviceCertificate(of_city, name, DeviceRole.VALIDATOR, "OP-1", point, NOW_S - 5000, FAR_S, 2_000_000, 24)
    return sign(Kind.DEVICE_CERTIFICATE, device.DEVICE_CERTIFICATE.encode(made), key, of_city).raw


def posted(_voucher: Voucher) -> tuple[Outcome, int]:
    return Outcome.POSTED, 0


class LogInTest:
    """An RFC 9162 log in memory."""

    def __init__(self) -> None:
        self.leaves: list[bytes] = []
        self._nodes: dict[tuple[int, int], bytes] = {}

    def node(self, level: int, at: int) -> bytes:
        return self._nodes[level, at]

    def add(self, leaf: bytes) -> int:
        index = len(self.leaves)
        self.leaves.append(leaf)
        for level, at, value in tree.completed_nodes(index, leaf, self.node):
            self._nodes[level, at] = value
        return index

    def root(self) -> bytes:
        return tree.root(len(self.leaves), self.node)


@dataclass
class DeviceInTest:
    """What the city holds of one device."""

    point: bytes
    identities: dict[int, bytes] = field(default_factory=dict[int, bytes])
    outcomes: dict[int, tuple[int, int, int]] = field(default_factory=dict[int, tuple[int, int, int]])
    objects: dict[int, tuple[bytes, ...]] = field(default_factory=dict[int, tuple[bytes, ...]])
    events: list[tuple[int, bytes]] = field(default_factory=list[tuple[int, bytes]])
    event_heads: list[bytes] = field(default_factory=lambda: [ZERO_HASH])
    allowances: list[bytes] = field(default_factory=list[bytes])
    state: dict[int, object] = field(default_factory=dict[int, object])
    posted_times: dict[int, int] = field(default_factory=dict[int, int])
    """How often each sequence was posted: 1, whatever the link does."""

    def chain_end(self) -> tuple[int, bytes]:
        """The last voucher that came."""
        last = max(self.identities, default=0)
        return last, self.identities.get(last, ZERO_HASH)


class CityInTest:
    """Answers requests; `decide` says what becomes of a voucher. `now_s` moves with the test's clock."""

    def __init__(self, now_s: Callable[[], int]) -> None:
        first, first_hash = trust_list()
        self.now_s = now_s
        self.lists = [first]
        self.list_hash = first_hash
        self.devices: dict[str, DeviceInTest] = {DEVICE: DeviceInTest(DEVICE_TEST_ONLY.point)}
        self.log = LogInTest()
        self.decide: Decide = posted
        self.ack_key = ACK_TEST_ONLY
        self.bulletins: dict[int, tuple[tuple[int, int], bytes]] = {}
        self.deny_lists: dict[int, bytes] = {}
        self.wanted: set[bytes] = set()
        self.restored_at: Callable[[], ErrorPlace | None] | None = None
        self.asked: list[str] = []
        self.batch_sizes: list[int] = []
        self.token = token_of(bytes(15))

    def add_list(self, raw: bytes, payload_hash: bytes) -> None:
        self.lists.append(raw)
        self.list_hash = payload_hash

    def publish(self, raw: bytes) -> None:
        parsed = cose.parse_sign1(raw, cose.external_aad(Kind.BULLETIN, CITY), CITY_OBJECT_BYTES_MAX)
        made = city.BULLETIN.decode(parsed.payload, CITY_OBJECT_BYTES_MAX)
        self.bulletins[made.kind] = (made.version, raw)

    # --- the wire

    def answer(self, request: CityRequest) -> CityAnswer:
        """One complete answer."""
        path, _, query = request.path.partition("?")
        _, _, value = query.partition("=")
        self.asked.append(path)
        try:
            match request.method, path:
                case "GET", "/v1/trust-lists":
                    return CityAnswer(200, cbor.encode(self.lists[int(value) :]))
                case "POST", "/v1/time":
                    return CityAnswer(200, self._time(request.body or b""))
                case "POST", "/v1/batches":
                    return CityAnswer(200, self._batch(request.body or b""))
                case "GET", "/v1/bulletins":
                    return CityAnswer(200, self._bulletins(value))
                case "GET", "/v1/deny-list":
                    return CityAnswer(200, self.deny_lists[int(value)])
                case "POST", "/v1/enrolments":
                    return CityAnswer(200, self._enrol(request))
                case _:
                    raise CityRefused(path)
        except RecoveryNeeded as refusal:
            place = self.restored_at() if self.restored_at is not None else refusal.resume_at
            body: dict[int, object] = {1: refusal.number, 2: refusal.key, 3: refusal.detail}
            return CityAnswer(503, cbor.encode(body | ({4: list(place)} if place is not None else {})))
        except Refusal as refusal:
            return CityAnswer(400, cbor.encode({1: refusal.number, 2: refusal.key, 3: refusal.detail}))

    def _time(self, body: bytes) -> bytes:
        asked = cbor.decode(body, 1024)
        assert isinstance(asked, dict)
        made = TimeAnswer(asked[1], asked[2], self.now_s())
        return sign(Kind.TIME_ANSWER, city.TIME_ANSWER.encode(made), self.ack_key).raw

    def _bulletins(self, have: str) -> bytes:
        held = {int(kind): (int(tlv), int(counter)) for kind, tlv, counter in (
            one.split(".") for one in have.split(",") if one
        )}  # fmt: skip
        newer = [raw for kind, (version, raw) in self.bulletins.items() if version > held.get(kind, (0, 0))]
        return cbor.encode(newer)

    def _enrol(self, request: CityRequest) -> bytes:
        if dict(request.headers).get("kgo-enrolment-token") != self.token:
            raise CityRefused("token")
        parsed = cose.parse_sign1(request.body or b"", cose.external_aad(Kind.ENROLMENT, CITY))
        asked = device.ENROLMENT.decode(parsed.payload, 1024)
        if not cose.is_signature_of(parsed, cose.verify_key(asked.point)):
            raise BatchInvalid("enrolment")
        return cbor.encode({1: certificate(asked.point, asked.device), 2: self.lists})

    # --- ingest

    def _batch(self, body: bytes) -> bytes:
        inflated = zlib.decompressobj().decompress(body, INFLATED_BYTES_MAX)
        batch = device.BATCH.decode(inflated, INFLATED_BYTES_MAX)
        signed = cose.parse_sign1(batch.head, cose.external_aad(Kind.BATCH_HEAD, CITY))
        head = device.BATCH_HEAD.decode(signed.payload, 1024)
        held = self.devices.get(head.device)
        if held is None:
            raise UnknownDevice(head.device)
        if not cose.is_signature_of(signed, cose.verify_key(held.point)):
            raise BatchInvalid("head")
        if self.restored_at is not None and head.newest_ack is not None and head.newest_ack[0] > len(self.log.leaves):
            if head.first_sequence - 1 in {0, *held.identities} and head.first_event <= len(held.events) + 1:
                self._take(batch, head, held)
            raise RecoveryNeeded("restored from a backup")
        self.batch_sizes.append(len(batch.vouchers))
        wanted = self._take(batch, head, held)
        return self._acknowledge(head, held, wanted)

    def _take(self, batch: device.Batch, head: BatchHead, held: DeviceInTest) -> tuple[bytes, ...]:
        self._take_events(batch, head, held)
        held.state = dict(head.state)
        held.allowances.extend(batch.allowances)
        self.wanted -= {sha_of_allowance(raw) for raw in batch.allowances}
        previous = held.identities.get(head.first_sequence - 1, ZERO_HASH)
        for at, (raw, objects) in enumerate(batch.vouchers):
            sequence = head.first_sequence + at
            signed = cose.parse_sign1(raw, cose.external_aad(Kind.VOUCHER, CITY))
            voucher = device.VOUCHER.decode(signed.payload, 1024)
            if voucher.sequence != sequence or voucher.previous != previous:
                raise BatchInvalid(f"voucher {sequence} does not follow")
            previous = signed.identity
            known = held.identities.setdefault(sequence, signed.identity)
            assert known == signed.identity, "the same sequence with other content"
            held.objects[sequence] = objects
            self._post(voucher, signed.identity, held)
        if head.chain_head != previous:
            raise BatchInvalid("chain head")
        return tuple(sorted(self.wanted))

    def _take_events(self, batch: device.Batch, head: BatchHead, held: DeviceInTest) -> None:
        if head.first_event > len(held.events) + 1:
            raise BatchInvalid(f"events from {head.first_event}, known {len(held.events)}")
        chain = held.event_heads[head.first_event - 1]
        for at, (kind, body) in enumerate(batch.events):
            chain = event_link(chain, kind, body)
            number = head.first_event + at
            if number > len(held.events):
                held.events.append((kind, body))
                held.event_heads.append(chain)
            assert held.event_heads[number] == chain, "another event under the same number"
        if head.event_head != chain:
            raise BatchInvalid("event head")

    def _post(self, voucher: Voucher, identity: bytes, held: DeviceInTest) -> None:
        sequence = voucher.sequence
        known = held.outcomes.get(sequence)
        if known is not None and known[0] != Outcome.HELD:
            return
        outcome, refusal = self.decide(voucher)
        leaf = 0
        if outcome != Outcome.HELD:
            data = cbor.encode([voucher.device, sequence, identity, int(outcome), refusal])
            leaf = self.log.add(tree.leaf_hash(data)) + 1
            held.posted_times[sequence] = held.posted_times.get(sequence, 0) + 1
        held.outcomes[sequence] = (int(outcome), refusal, leaf)

    def _acknowledge(self, head: BatchHead, held: DeviceInTest, wanted: tuple[bytes, ...]) -> bytes:
        outcomes = tuple(held.outcomes[at] for at in range(head.first_sequence, head.last_sequence + 1))
        size = len(self.log.leaves)
        ack = Ack(
            head.device, head.first_sequence, head.last_sequence, head.chain_head, head.last_event, outcomes,
            size, self.log.root(), self.now_s(), held.chain_end() if not outcomes else None,
        )  # fmt: skip
        signed = sign(Kind.ACK, city.ACK.encode(ack), self.ack_key)
        old = 0 if head.newest_ack is None else head.newest_ack[0]
        growth = tree.consistency_proof(old, size, self.log.node) if 0 < old <= size else None
        return city.ANSWER.encode(Answer(signed.raw, self.proofs(ack), wanted, growth))

    def proofs(self, ack: Ack) -> tuple[tuple[int, int, tuple[bytes, ...]], ...]:
        leaves = sorted(leaf - 1 for _outcome, _refusal, leaf in ack.outcomes if leaf)
        runs: list[tuple[int, int]] = []
        for leaf in leaves:
            if runs and runs[-1][0] + runs[-1][1] == leaf:
                runs[-1] = (runs[-1][0], runs[-1][1] + 1)
            else:
                runs.append((leaf, 1))
        return tuple(
            (begin, count, tree.range_proof(begin, begin + count, ack.log_size, self.log.node)) for begin, count in runs
        )


def sha_of_allowance(raw: bytes) -> bytes:
    """An allowance's identity."""
    return cose.parse_sign1(raw, cose.external_aad(Kind.ALLOWANCE, CITY)).identity
