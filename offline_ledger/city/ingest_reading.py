"""First half of ingest, without the write lock: inflate, parse, verify. DESIGN §4, §7, §8.

What makes the whole batch unreadable or unsigned raises; what is wrong with one voucher is kept beside it, for a
rejected voucher never blocks the next. Checks the head's signature before anything else is decoded, then both chains,
each wallet signature and each distinct allowance once. Reads the store, never writes it.
"""

import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol, cast

from offline_ledger.city import allowances, coupons
from offline_ledger.city.allowances import Issued
from offline_ledger.city.store import Store
from offline_ledger.errors import (
    AllowanceForged,
    BatchInvalid,
    CodeDamaged,
    CouponCancelled,
    CouponInvalid,
    Malformed,
    ObjectMismatch,
    Refusal,
    RequestMismatch,
    TooLarge,
    UnknownAllowance,
    UnknownDevice,
    VersionUnknown,
    WalletSignatureWrong,
)
from offline_ledger.protocol import cbor, cose, device, wallet
from offline_ledger.protocol.city import ACK, Ack, KeyRole, TrustedKey, rows_of_signer
from offline_ledger.protocol.cose import Signed, VerifyKey
from offline_ledger.protocol.device import (
    BATCH_EVENTS_MAX,
    BATCH_VOUCHERS_MAX,
    Batch,
    BatchHead,
    PaymentRequest,
    Voucher,
    VoucherKind,
)
from offline_ledger.protocol.kinds import CITY_OBJECT_BYTES_MAX, OBJECT_BYTES_MAX, VERSION, ZERO_HASH, Kind
from offline_ledger.protocol.wallet import Allowance, Coupon, Payment, Presentment
from offline_ledger.rules import acceptance
from offline_ledger.rules import coupon as coupon_rules

BATCH_BYTES_MAX = 2 << 20
"""Inflated; judged while inflating, so a small body never becomes a large one in memory."""
INFLATE_STEP_BYTES = 64 << 10
BEGINNING_BYTES = OBJECT_BYTES_MAX + 64
"""Inflated to read the head: the map, its first key, and the head with its length."""
_MAP_MAJOR, _HEAD_KEY = 5, 1
BATCH_VALUES_MAX = 16 + 6 * BATCH_VOUCHERS_MAX + 3 * BATCH_EVENTS_MAX
"""CBOR values: five for a voucher (its row, itself, what it accepted), one for an allowance, three for an event."""
OBJECTS_BYTES_MAX = 4_096
LATER_VERSIONS_TRIED = 4

Mapper = Callable[[Callable[["Read"], "Read"], Iterable["Read"]], Iterator["Read"]]
"""`map`, or the map of a thread pool: OpenSSL verifies outside the interpreter's lock."""


class KeyRing(Protocol):
    """The city's own keys, retired ones too."""

    def candidates(self, key_id: bytes) -> Sequence[tuple[TrustedKey, VerifyKey]]:
        """Every key with this id."""
        ...


@dataclass(frozen=True, slots=True)
class Terminal:
    """The device that uploads, as it is enrolled."""

    device: str
    role: int
    owner: str
    certificate: bytes
    key: VerifyKey
    expires_at_s: int
    offline_value_kgo: int


@dataclass(frozen=True, slots=True)
class UploadedAllowance:
    """An allowance that came with the batch and verifies."""

    signed: Signed
    allowance: Allowance


@dataclass(frozen=True, slots=True)
class Read:
    """One voucher with what it accepted. `refusal`: what is wrong with it whatever the ledger's state."""

    signed: Signed
    voucher: Voucher
    objects: tuple[bytes, ...]
    shown: Presentment | Payment | None = None
    shown_signed: Signed | None = None
    shown_kind: Kind = Kind.PRESENTMENT
    request: PaymentRequest | None = None
    coupon: Coupon | None = None
    allowance: Allowance | None = None
    allowance_raw: bytes = b""
    is_allowance_missing: bool = False
    is_wallet_signed: bool = False
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class ReadBatch:
    """A batch whose head and chains hold."""

    terminal: Terminal
    head: BatchHead
    head_signed: Signed
    vouchers: tuple[Read, ...]
    events: tuple[tuple[int, bytes], ...]
    uploaded: dict[bytes, UploadedAllowance]
    offered: frozenset[bytes]
    """Allowances that came with the batch, those that do not verify too."""
    shown_ack: Ack | None
    """The ack that the head names is there, and this city signed it for this device."""


def inflate(body: bytes) -> bytes:
    """zlib, capped while inflating. Raises TooLarge, CodeDamaged."""
    inflater = zlib.decompressobj()
    parts: list[bytes] = []
    size = 0
    pending = body
    try:
        while not inflater.eof:
            part = inflater.decompress(pending, INFLATE_STEP_BYTES)
            size += len(part)
            if size > BATCH_BYTES_MAX:
                raise TooLarge(f"batch above {BATCH_BYTES_MAX} bytes")
            parts.append(part)
            pending = inflater.unconsumed_tail
            if not part and not pending:
                raise CodeDamaged("compressed batch ends early")
    except zlib.error as error:
        raise CodeDamaged(str(error)) from error
    if inflater.unused_data:
        raise CodeDamaged("bytes after the compressed batch")
    return b"".join(parts)


def head_of(body: bytes) -> bytes:
    """The signed head, inflated and read without anything that follows it in the batch. Raises CodeDamaged,
    NotCanonical, Malformed."""
    try:
        start = zlib.decompressobj().decompress(body, BEGINNING_BYTES)
    except zlib.error as error:
        raise CodeDamaged(str(error)) from error
    if len(start) < 2:
        raise CodeDamaged("compressed batch ends early")
    if start[0] >> 5 != _MAP_MAJOR or start[1] != _HEAD_KEY:
        raise Malformed("a batch begins with its head")
    begin, end = cose.bstr_bounds(start, 2)
    return start[begin:end]


def terminal_of(store: Store, device_id: str) -> Terminal:
    """The enrolled device. Raises UnknownDevice."""
    row = store.one(
        "SELECT device, role, owner, certificate, point, expires_at_s, offline_value_kgo FROM devices WHERE device = ?",
        (device_id,),
    )
    if row is None:
        raise UnknownDevice(device_id)
    return Terminal(row[0], row[1], row[2], row[3], cose.verify_key(row[4]), row[5], row[6])


def stored_objects(raw: bytes) -> tuple[bytes, ...]:
    """What came beside a stored voucher."""
    return tuple(cast(list[bytes], cbor.decode(raw, OBJECTS_BYTES_MAX)))


class BatchReader:
    """Reads batches of one city. Holds no state of its own; safe to call from several threads."""

    def __init__(self, store: Store, keys: KeyRing, mapper: Mapper = map) -> None:
        self._store = store
        self._keys = keys
        self._map = mapper
        self._city = store.city
        self._aad = {kind: cose.external_aad(kind, self._city) for kind in Kind}

    def read(self, body: bytes) -> ReadBatch:
        """Everything that can be judged without the ledger's state. Raises for the batch as a whole: TooLarge,
        CodeDamaged and the other reading refusals, UnknownDevice, BatchInvalid, VersionUnknown.

        Only a device of this city makes us decode more than a head, and never more values than a batch can have."""
        head_raw = head_of(body)
        try:
            head_signed, head, terminal = self._head(head_raw)
        except Refusal as refusal:
            if self._is_head_of_later_version(head_raw):
                raise VersionUnknown(f"batch head: {refusal}") from refusal
            raise
        inflated = inflate(body)
        cbor.check_count(inflated, BATCH_VALUES_MAX)
        batch = device.BATCH.decode(inflated, BATCH_BYTES_MAX)
        vouchers = self._chained(batch, head)
        if len(batch.events) != head.last_event - head.first_event + 1:
            raise BatchInvalid(f"{len(batch.events)} events, head says {head.first_event}..{head.last_event}")
        uploaded = self._uploaded(batch.allowances)
        parsed = [self._parsed(one, terminal) for one in vouchers]
        completed = self._with_allowances(parsed, uploaded)
        return ReadBatch(
            terminal,
            head,
            head_signed,
            tuple(self._map(self._verified, completed)),
            batch.events,
            uploaded,
            self._offered(batch.allowances),
            self._own_ack(batch.held_ack, head),
        )

    def _head(self, raw: bytes) -> tuple[Signed, BatchHead, Terminal]:
        """Raises the reading refusals, UnknownDevice, BatchInvalid."""
        signed = cose.parse_sign1(raw, self._aad[Kind.BATCH_HEAD])
        head = device.BATCH_HEAD.decode(signed.payload, OBJECT_BYTES_MAX)
        terminal = terminal_of(self._store, head.device)
        if signed.key_id != terminal.key.key_id or not cose.is_signature_of(signed, terminal.key):
            raise BatchInvalid("head signature")
        return signed, head, terminal

    def _is_head_of_later_version(self, raw: bytes) -> bool:
        """Signed by the device that it names, as an object of a later version: the terminal was updated before the
        city. Key 1 of a head is the device's name in every version."""
        try:
            signed = cose.parse_sign1(raw, self._aad[Kind.BATCH_HEAD])
            said = cbor.decode(signed.payload, OBJECT_BYTES_MAX)
            name = cast(dict[object, object], said).get(1) if isinstance(said, dict) else None
            key = terminal_of(self._store, name if isinstance(name, str) else "").key
            versions = range(VERSION + 1, VERSION + 1 + LATER_VERSIONS_TRIED)
            aads = (cbor.encode([int(Kind.BATCH_HEAD), version, self._city]) for version in versions)
            return any(cose.is_signature_of(cose.parse_sign1(raw, aad), key) for aad in aads)
        except Refusal:
            return False

    def _own_ack(self, raw: bytes | None, head: BatchHead) -> Ack | None:
        """A device cannot make this up: the city's own signature over the log that the head names."""
        if raw is None or head.newest_ack is None:
            return None
        try:
            signed = cose.parse_sign1(raw, self._aad[Kind.ACK], CITY_OBJECT_BYTES_MAX)
            ack = ACK.decode(signed.payload, CITY_OBJECT_BYTES_MAX)
        except Refusal:
            return None
        by_city = any(
            trusted.role == KeyRole.ACK
            and trusted.not_before_s <= ack.issued_at_s <= trusted.not_after_s  # a leaked key halts no ledger
            and cose.is_signature_of(signed, key)
            for trusted, key in self._keys.candidates(signed.key_id)
        )
        is_ours = by_city and ack.device == head.device and (ack.log_size, ack.log_root) == head.newest_ack
        return ack if is_ours else None

    def reread(self, raw: bytes, objects: tuple[bytes, ...]) -> Read:
        """A stored voucher again, for a release or an audit."""
        signed, voucher = self._voucher(raw)
        terminal = terminal_of(self._store, voucher.device)
        parsed = self._parsed(Read(signed, voucher, objects), terminal)
        return self._verified(self._with_allowances([parsed], {})[0])

    def _voucher(self, raw: bytes) -> tuple[Signed, Voucher]:
        signed = cose.parse_sign1(raw, self._aad[Kind.VOUCHER])
        return signed, device.VOUCHER.decode(signed.payload, OBJECT_BYTES_MAX)

    def _chained(self, batch: Batch, head: BatchHead) -> list[Read]:
        """The vouchers as one chain that ends in the signed head."""
        if len(batch.vouchers) != head.last_sequence - head.first_sequence + 1:
            raise BatchInvalid(f"{len(batch.vouchers)} vouchers, head says {head.first_sequence}..{head.last_sequence}")
        found: list[Read] = []
        for expected, (raw, objects) in enumerate(batch.vouchers, head.first_sequence):
            signed, voucher = self._voucher(raw)
            if voucher.device != head.device or voucher.sequence != expected:
                raise BatchInvalid(f"voucher {voucher.device}/{voucher.sequence} where {expected} is due")
            if found and voucher.previous != found[-1].signed.identity:
                raise BatchInvalid(f"chain breaks at {expected}")
            found.append(Read(signed, voucher, objects))
        if found and found[0].voucher.sequence == 1 and found[0].voucher.previous != ZERO_HASH:
            raise BatchInvalid("the first voucher names a previous one")
        if found and found[-1].signed.identity != head.chain_head:
            raise BatchInvalid("chain does not end in the head")
        return found

    def _uploaded(self, raws: tuple[bytes, ...]) -> dict[bytes, UploadedAllowance]:
        """Those that an issuer of this city signed; others are as if they had not come."""
        found: dict[bytes, UploadedAllowance] = {}
        for raw in raws:
            try:
                signed = cose.parse_sign1(raw, self._aad[Kind.ALLOWANCE])
                allowance = acceptance.read_allowance(signed.payload, self._city)
                acceptance.check_issuer(acceptance.issuer_among(self._rows_of(signed), allowance), allowance)
            except Refusal:
                continue
            found[signed.identity] = UploadedAllowance(signed, allowance)
        return found

    def _offered(self, raws: tuple[bytes, ...]) -> frozenset[bytes]:
        found: set[bytes] = set()
        for raw in raws:
            with suppress(Refusal):
                found.add(cose.parse_sign1(raw, self._aad[Kind.ALLOWANCE]).identity)
        return frozenset(found)

    def _rows_of(self, signed: Signed) -> list[TrustedKey]:
        return rows_of_signer(signed, self._keys.candidates(signed.key_id), AllowanceForged)

    def _parsed(self, read: Read, terminal: Terminal) -> Read:
        try:
            return self._with_objects(read, terminal)
        except Refusal as refusal:
            return replace(read, refusal=refusal)

    def _with_objects(self, read: Read, terminal: Terminal) -> Read:
        """What the voucher accepted, parsed and bound to it by hash."""
        voucher = read.voucher
        if voucher.object_hash is None:
            if read.objects:
                raise ObjectMismatch("an object that the voucher does not name")
            return read
        if not read.objects:
            raise ObjectMismatch("the object is not here")
        if voucher.kind == VoucherKind.COUPON:
            return self._with_coupon(read)
        if voucher.kind == VoucherKind.CANCELLED_REQUEST:
            signed = cose.parse_sign1(read.objects[0], self._aad[Kind.PAYMENT_REQUEST])
            self._check_named(signed, voucher)
            return replace(read, request=device.PAYMENT_REQUEST.decode(signed.payload, OBJECT_BYTES_MAX))
        kind = Kind.PAYMENT if len(read.objects) == 2 else Kind.PRESENTMENT
        signed = cose.parse_sign1(read.objects[0], self._aad[kind])
        self._check_named(signed, voucher)
        if kind is Kind.PRESENTMENT:
            shown = wallet.PRESENTMENT.decode(signed.payload, OBJECT_BYTES_MAX)
            return replace(read, shown=shown, shown_signed=signed, shown_kind=kind)
        payment = wallet.PAYMENT.decode(signed.payload, OBJECT_BYTES_MAX)
        request = self._request(read.objects[1], payment, terminal)
        return replace(read, shown=payment, shown_signed=signed, shown_kind=kind, request=request)

    @staticmethod
    def _check_named(signed: Signed, voucher: Voucher) -> None:
        if signed.identity != voucher.object_hash:
            raise ObjectMismatch("the voucher names another object")

    def _request(self, raw: bytes, payment: Payment, terminal: Terminal) -> PaymentRequest:
        signed = cose.parse_sign1(raw, self._aad[Kind.PAYMENT_REQUEST])
        request = device.PAYMENT_REQUEST.decode(signed.payload, OBJECT_BYTES_MAX)
        if payment.request_hash != signed.identity or request.device != terminal.device:
            raise RequestMismatch()
        if not cose.is_signature_of(signed, terminal.key):
            raise RequestMismatch("signature")
        return request

    def _with_coupon(self, read: Read) -> Read:
        signed = cose.parse_sign1(read.objects[0], self._aad[Kind.COUPON])
        self._check_named(signed, read.voucher)
        coupon = wallet.COUPON.decode(signed.payload, OBJECT_BYTES_MAX)
        if coupon.city != self._city:
            raise CouponInvalid("city")
        try:
            coupon_rules.check_issuer(self._rows_of(signed), coupon)
        except CouponCancelled as refusal:
            if not coupons.is_printed(self._store, coupon):  # ours is paid, whoever has the key now
                raise CouponInvalid(str(refusal)) from refusal
        except Refusal as refusal:
            raise CouponInvalid(str(refusal)) from refusal
        return replace(read, coupon=coupon)

    def _with_allowances(self, reads: list[Read], uploaded: dict[bytes, UploadedAllowance]) -> list[Read]:
        hashes = [read.shown.allowance_hash for read in reads if read.shown is not None]
        known = allowances.issued_by_hashes(self._store, hashes)
        return [read if read.shown is None else self._with_allowance(read, known, uploaded) for read in reads]

    def _with_allowance(self, read: Read, known: dict[bytes, Issued], uploaded: dict[bytes, UploadedAllowance]) -> Read:
        assert read.shown is not None
        issued = known.get(read.shown.allowance_hash)
        if issued is not None:
            signed = cose.parse_sign1(issued.raw, self._aad[Kind.ALLOWANCE])
            allowance = wallet.ALLOWANCE.decode(signed.payload, OBJECT_BYTES_MAX)
            return replace(read, allowance=allowance, allowance_raw=issued.raw)
        sent = uploaded.get(read.shown.allowance_hash)
        if sent is not None:
            return replace(read, allowance=sent.allowance, allowance_raw=sent.signed.raw)
        return replace(read, is_allowance_missing=True, refusal=read.refusal or UnknownAllowance())

    def _verified(self, read: Read) -> Read:
        """The wallet's signature, the dear part; runs in the pool."""
        if read.allowance is None or read.shown_signed is None:
            return read
        if cose.is_signature_of(read.shown_signed, cose.verify_key(read.allowance.wallet_point)):
            return replace(read, is_wallet_signed=True)
        return replace(read, refusal=read.refusal or WalletSignatureWrong())
