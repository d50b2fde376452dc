"""Journals and ledger as files, read by somebody who shares no code with acceptor or posting. DESIGN §6, §8.

Copies the files first and opens the copies read-only. Every identity is hashed anew from the received bytes and every
signature checked; nothing that a program says about itself is believed. Judges nothing: that is `reader.py`.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import apsw

from offline_ledger.errors import Refusal
from offline_ledger.protocol import cbor, cose, device, wallet
from offline_ledger.protocol.city import ACK, SIGNED_TRUST_LIST, TRUST_LIST, Ack, KeyRole
from offline_ledger.protocol.cose import Signed
from offline_ledger.protocol.device import EventKind, Voucher
from offline_ledger.protocol.kinds import CITY_OBJECT_BYTES_MAX, OBJECT_BYTES_MAX, ZERO_HASH, Kind
from offline_ledger.protocol.wallet import Payment, Presentment

PAIR = b"\x82"
"""How a CBOR list of two begins."""
REPEAT = 1401
"""What had paid already was shown again: nobody was refused anything."""
EVENT_BITS = 24
"""A journal row's id is sequence << 24 | event; 0 is the voucher itself."""
EVENT_MASK = (1 << EVENT_BITS) - 1
COPY_SUFFIXES = ("", "-wal")


@dataclass(frozen=True, slots=True)
class JournalVoucher:
    """A voucher as a terminal keeps it. `intent`: what a wallet authorised, all but the time, if one did."""

    device: str
    sequence: int
    identity: bytes
    voucher: Voucher
    intent: tuple[object, ...] | None


@dataclass(frozen=True, slots=True)
class JournalCopy:
    """One terminal's journal. `not_charged`: vouchers whose green nobody saw in time, or whose sale was cancelled then;
    `faults`: what is wrong with it in itself, in words."""

    device: str
    vouchers: tuple[JournalVoucher, ...]
    refusals: int
    conflicts: int
    uncharged_greens: tuple[int, ...]
    not_charged: tuple[int, ...]
    ack: Ack | None
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CityKeys:
    """The keys of every trust list in the ledger, by what they may sign."""

    by_role: dict[int, list[bytes]]

    def signed_by(self, signed: Signed, role: KeyRole) -> bool:
        """Did a key of this role sign it?"""
        return any(
            cose.is_signature_of(signed, cose.verify_key(point))
            for point in self.by_role.get(int(role), [])
            if cose.key_id_of(point) == signed.key_id
        )


def open_copy(database: Path, folder: Path) -> apsw.Connection:
    """A read-only connection to a copy of a database and its log, made in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    copy = folder / database.name
    for suffix in (*COPY_SUFFIXES, "-shm"):
        copy.with_name(copy.name + suffix).unlink(missing_ok=True)
    for suffix in COPY_SUFFIXES:
        source = database.with_name(database.name + suffix)
        if source.exists():
            shutil.copyfile(source, copy.with_name(copy.name + suffix))
    return apsw.Connection(str(copy), flags=apsw.SQLITE_OPEN_READONLY)


def rows(connection: apsw.Connection, sql: str) -> list[tuple[Any, ...]]:
    """All rows of a query."""
    return cast(list[tuple[Any, ...]], connection.execute(sql).fetchall())


def read_city_keys(ledger: apsw.Connection, city: str) -> CityKeys:
    """From the signed trust lists: each must be signed by a root that the list itself names (or the one before)."""
    by_role: dict[int, list[bytes]] = {}
    roots: set[bytes] = set()
    for (raw,) in rows(ledger, "SELECT raw FROM trust_lists ORDER BY version"):
        signatures = SIGNED_TRUST_LIST.decode(raw, CITY_OBJECT_BYTES_MAX).signatures
        signed = [
            cose.parse_sign1(one, cose.external_aad(Kind.TRUST_LIST, city), CITY_OBJECT_BYTES_MAX) for one in signatures
        ]
        trust_list = TRUST_LIST.decode(signed[0].payload, CITY_OBJECT_BYTES_MAX)
        roots = roots or set(trust_list.roots)
        good = {root for root in roots for one in signed if cose.is_signature_of(one, cose.verify_key(root))}
        if len(good) < trust_list.threshold or len({one.payload for one in signed}) != 1:
            continue
        roots = set(trust_list.roots)
        for key in trust_list.trusted_keys():
            by_role.setdefault(key.role, []).append(key.point)
    return CityKeys(by_role)


def read_journal(name: str, journal: apsw.Connection, city: str, point: bytes, keys: CityKeys) -> JournalCopy:
    """One journal, every row of it. `point`: the device's key as the city enrolled it."""
    faults: list[str] = []
    vouchers: list[JournalVoucher] = []
    refusals = conflicts = 0
    uncharged: list[int] = []
    not_charged: list[int] = []
    previous, event_head, key = ZERO_HASH, ZERO_HASH, cose.verify_key(point)
    for id_, kind, body, kept, wallet_object in rows(
        journal, "SELECT id, kind, body, identity, wallet_object FROM entries ORDER BY id"
    ):
        sequence = id_ >> EVENT_BITS
        if id_ & EVENT_MASK:
            event_head = device.event_link(event_head, kind, body)
            if event_head != kept:
                faults.append(f"{name}: the event chain breaks after voucher {sequence}")
            refusals += kind == EventKind.REFUSAL and first_number(body) != REPEAT
            conflicts += kind == EventKind.CONFLICT
            if kind == EventKind.UNCHARGED_GREEN:
                uncharged.append(first_number(body))
            if kind == EventKind.LAPSED:
                of, _at_s, is_charged = cast(tuple[int, int, bool], cbor.decode(body, device.EVENT_BYTES_MAX))
                not_charged += [] if is_charged else [of]
            continue
        signed = cose.parse_sign1(body, cose.external_aad(Kind.VOUCHER, city))
        voucher = device.VOUCHER.decode(signed.payload, OBJECT_BYTES_MAX)
        is_next = voucher.sequence == sequence == len(vouchers) + 1 and voucher.previous == previous
        if not is_next or voucher.device != name or signed.identity != kept:
            faults.append(f"{name}: voucher {sequence} does not follow the one before it")
        if not cose.is_signature_of(signed, key):
            faults.append(f"{name}: voucher {sequence} is not signed by this device")
        previous = signed.identity
        intent = _intent(wallet_object, voucher, city, faults)
        vouchers.append(JournalVoucher(name, sequence, signed.identity, voucher, intent))
    ack = _ack(name, journal, city, keys, faults)
    seen = (tuple(uncharged), tuple(not_charged))
    return JournalCopy(name, tuple(vouchers), refusals, conflicts, *seen, ack, tuple(faults))


def _intent(raw: bytes | None, voucher: Voucher, city: str, faults: list[str]) -> tuple[object, ...] | None:
    """All of a presentment or payment but its time; the voucher must name this very object. None: a coupon, or what was
    cancelled. A payment is kept in a list with its request."""
    if raw is None:
        return None
    shown: Presentment | Payment
    try:
        if raw[:1] == PAIR:
            payment, _request = cast(list[bytes], cbor.decode(raw, 2 * OBJECT_BYTES_MAX + 16))
            signed = cose.parse_sign1(payment, cose.external_aad(Kind.PAYMENT, city))
            shown = wallet.PAYMENT.decode(signed.payload, OBJECT_BYTES_MAX)
        else:
            signed = cose.parse_sign1(raw, cose.external_aad(Kind.PRESENTMENT, city))
            shown = wallet.PRESENTMENT.decode(signed.payload, OBJECT_BYTES_MAX)
    except Refusal:
        return None
    if voucher.object_hash != signed.identity:
        faults.append(f"{voucher.device}: voucher {voucher.sequence} names another wallet object")
    return intent_of(shown)


def intent_of(shown: Presentment | Payment) -> tuple[object, ...]:
    """What makes two codes the same intent: everything but the time."""
    return (shown.allowance_hash, *wallet.intent_digest_fields(shown))


def _ack(name: str, journal: apsw.Connection, city: str, keys: CityKeys, faults: list[str]) -> Ack | None:
    found = rows(journal, "SELECT body FROM acks")
    if not found:
        return None
    signed = cose.parse_sign1(found[0][0], cose.external_aad(Kind.ACK, city), CITY_OBJECT_BYTES_MAX)
    ack = ACK.decode(signed.payload, CITY_OBJECT_BYTES_MAX)
    if not keys.signed_by(signed, KeyRole.ACK) or ack.device != name:
        faults.append(f"{name}: the newest ack is not the city's word to this device")
    return ack


def first_number(body: bytes) -> int:
    """The first member of an event: of a refusal its number, of a green its voucher."""
    return cast(list[int], cbor.decode(body, device.EVENT_BYTES_MAX))[0]
