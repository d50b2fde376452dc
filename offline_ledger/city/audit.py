"""Replays everything: chains, signatures, proofs, balances, log. Reads only; every finding is one line. DESIGN §8.

Trusts no column that can be computed again: vouchers are parsed from their bytes, balances summed from entries, the
log's root from its leaves. A bad voucher signature under a good head is the device's fault, flagged, and stays posted.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from offline_ledger.city import equivocation
from offline_ledger.city.accounts import Currency
from offline_ledger.city.log import Log, leaf_data
from offline_ledger.city.store import Store
from offline_ledger.errors import Refusal
from offline_ledger.protocol import cbor, city, cose, device, tree, wallet
from offline_ledger.protocol.city import Outcome
from offline_ledger.protocol.cose import VerifyKey
from offline_ledger.protocol.device import Voucher, event_link
from offline_ledger.protocol.kinds import CITY_OBJECT_BYTES_MAX, OBJECT_BYTES_MAX, ZERO_HASH, Kind

FINDINGS_MAX = 1_000
OBJECTS_BYTES_MAX = 4_096


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that does not hold. `is_device_fault`: the ledger is right, a device signed badly."""

    what: str
    where: str
    is_device_fault: bool = False


@dataclass(frozen=True, slots=True)
class AuditReport:
    """All findings, and how much was looked at."""

    findings: tuple[Finding, ...]
    vouchers: int
    signatures: int
    entries: int
    leaves: int
    kgo_sum: int
    satang_sum: int
    log_root: bytes

    @property
    def is_ok(self) -> bool:
        """Nothing is wrong with the ledger itself."""
        return all(finding.is_device_fault for finding in self.findings)


class Audit:
    """One replay of one store, from a single snapshot."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._city = store.city
        self._aad = {kind: cose.external_aad(kind, self._city) for kind in Kind}
        self._findings: list[Finding] = []
        self._vouchers = 0
        self._signatures = 0
        self._entries = 0
        self._wallet_keys: dict[bytes, VerifyKey] = {}

    def run(self) -> AuditReport:
        """Everything, in order; stops collecting after FINDINGS_MAX findings, never stops looking."""
        with self._store.snapshot():
            for device_id, point, through, head in self._store.fetch(
                "SELECT device, point, through_sequence, chain_head FROM devices ORDER BY device"
            ):
                key = cose.verify_key(point)
                self._check_chain(device_id, key, through, head)
                self._check_events(device_id)
                self._check_heads(device_id, key)
            self._check_forks()
            self._check_money()
            self._check_charges()
            self._check_proofs()
            leaves, root = self._check_log()
        sums = dict(self._store.fetch("SELECT currency, sum(balance) FROM accounts GROUP BY currency"))
        return AuditReport(
            tuple(self._findings),
            self._vouchers,
            self._signatures,
            self._entries,
            leaves,
            sums.get(int(Currency.KGO), 0),
            sums.get(int(Currency.THB), 0),
            root,
        )

    def _find(self, what: str, where: str, *, is_device_fault: bool = False) -> None:
        if len(self._findings) < FINDINGS_MAX:
            self._findings.append(Finding(what, where, is_device_fault))

    # --- devices

    def _check_chain(self, device_id: str, key: VerifyKey, through: int, head: bytes) -> None:
        previous, expected = ZERO_HASH, 1
        for sequence, identity, raw, objects, outcome, kgo in self._store.fetch(
            "SELECT sequence, identity, raw, objects, outcome, kgo FROM vouchers WHERE device = ? ORDER BY sequence",
            (device_id,),
        ):
            where = f"{device_id}/{sequence}"
            try:
                signed = cose.parse_sign1(raw, self._aad[Kind.VOUCHER])
                voucher = device.VOUCHER.decode(signed.payload, OBJECT_BYTES_MAX)
            except Refusal as refusal:
                self._find(f"voucher cannot be read: {refusal}", where)
                continue
            self._vouchers += 1
            if sequence != expected or voucher.sequence != sequence or voucher.device != device_id:
                self._find("sequence is not dense", where)
            if signed.identity != identity or voucher.previous != previous or voucher.kgo != kgo:
                self._find("chain or stored columns do not fit the voucher", where)
            self._signatures += 1
            if not cose.is_signature_of(signed, key):
                self._find("voucher signature", where, is_device_fault=True)
            if outcome in (Outcome.POSTED, Outcome.SUSPENSE):
                self._check_object(voucher, objects, where)
            previous, expected = signed.identity, sequence + 1
        if expected - 1 != through or previous != head:
            self._find("chain does not end where the device stands", device_id)

    def _check_object(self, voucher: Voucher, stored: bytes, where: str) -> None:
        """What was posted must have been signed by the wallet that the city's own allowance names."""
        objects = cast(list[bytes], cbor.decode(stored, OBJECTS_BYTES_MAX))
        row = self._store.one(
            "SELECT s.hash, s.authorised_kgo, s.object_kind FROM spends s WHERE s.device = ? AND s.sequence = ?",
            (voucher.device, voucher.sequence),
        )
        if row is None:
            if voucher.kgo and voucher.kind in (device.VoucherKind.BOARDING, device.VoucherKind.SALE):
                self._find("KGO posted without a wallet's word", where)
            return
        kind = Kind(row[2])
        try:
            signed = cose.parse_sign1(objects[0], self._aad[kind])
            layout = wallet.PRESENTMENT if kind is Kind.PRESENTMENT else wallet.PAYMENT
            shown = layout.decode(signed.payload, OBJECT_BYTES_MAX)
        except (Refusal, IndexError) as refusal:
            self._find(f"wallet object cannot be read: {refusal}", where)
            return
        self._signatures += 1
        key = self._wallet_key(shown.allowance_hash)
        if key is None or not cose.is_signature_of(signed, key):
            self._find("wallet signature", where)
        if signed.identity != voucher.object_hash or wallet.authorised_kgo(shown) < voucher.kgo:
            self._find("more than the wallet signed", where)

    def _wallet_key(self, allowance_hash: bytes) -> VerifyKey | None:
        if allowance_hash not in self._wallet_keys:
            row = self._store.one("SELECT raw FROM allowances WHERE hash = ?", (allowance_hash,))
            if row is None:
                return None
            signed = cose.parse_sign1(row[0], self._aad[Kind.ALLOWANCE])
            if signed.identity != allowance_hash:
                return None
            allowance = wallet.ALLOWANCE.decode(signed.payload, OBJECT_BYTES_MAX)
            self._wallet_keys[allowance_hash] = cose.verify_key(allowance.wallet_point)
        return self._wallet_keys[allowance_hash]

    def _check_events(self, device_id: str) -> None:
        head = ZERO_HASH
        rows = self._store.fetch(
            "SELECT number, kind, body, head FROM events WHERE device = ? ORDER BY number", (device_id,)
        )
        for expected, (number, kind, body, stored) in enumerate(rows, 1):
            head = event_link(head, kind, body)
            if number != expected or head != stored:
                self._find("event chain", f"{device_id} event {number}")
                return

    def _check_heads(self, device_id: str, key: VerifyKey) -> None:
        for (raw,) in self._store.fetch("SELECT head FROM batches WHERE device = ?", (device_id,)):
            self._signatures += 1
            signed = cose.parse_sign1(raw, self._aad[Kind.BATCH_HEAD])
            if not cose.is_signature_of(signed, key):
                self._find("batch head signature", device_id)

    def _check_forks(self) -> None:
        """Nobody's fork is without a proof and a block on record."""
        for (device_id,) in self._store.fetch("SELECT DISTINCT device FROM fork_vouchers"):
            row = self._store.one("SELECT count(*) FROM equivocations WHERE device = ?", (device_id,))
            if not row or not row[0]:
                self._find("a fork without its proof", device_id)

    # --- money

    def _check_money(self) -> None:
        row = self._store.one("SELECT count(*) FROM entries")
        self._entries = row[0] if row else 0
        for posting_id, currency, total in self._store.fetch(
            "SELECT posting_id, currency, sum(amount) FROM entries JOIN accounts USING(account_id)"
            " GROUP BY posting_id, currency HAVING sum(amount) <> 0"
        ):
            self._find(f"posting sums to {total}", f"posting {posting_id} currency {currency}")
        for kind, name, stored, computed in self._store.fetch(
            "SELECT kind, name, balance, coalesce(sum(amount), 0) FROM accounts LEFT JOIN entries USING(account_id)"
            " GROUP BY account_id HAVING balance <> coalesce(sum(amount), 0)"
        ):
            self._find(f"balance {stored}, entries say {computed}", f"account {kind} {name}")
        for currency, total in self._store.fetch("SELECT currency, sum(balance) FROM accounts GROUP BY currency"):
            if total:
                self._find(f"all accounts sum to {total}", f"currency {currency}")
        for kind, name, stored in self._store.fetch("SELECT kind, name, balance FROM accounts WHERE balance < 0"):
            if kind in (2, 8):
                self._find(f"balance {stored} below zero", f"account {kind} {name}")

    def _check_charges(self) -> None:
        """No wallet's accounts gave more for a voucher than the voucher says, and each one posted is posted once."""
        for device_id, sequence, given, kgo in self._store.fetch(
            "SELECT p.device, p.sequence, -sum(e.amount), v.kgo FROM postings p JOIN entries e USING(posting_id)"
            " JOIN accounts a USING(account_id) JOIN vouchers v ON v.device = p.device AND v.sequence = p.sequence"
            " WHERE p.reason = 5 AND a.kind IN (1, 2) GROUP BY p.device, p.sequence HAVING -sum(e.amount) > v.kgo"
        ):
            self._find(f"charged {given} for a voucher of {kgo}", f"{device_id}/{sequence}")
        for device_id, sequence, count in self._store.fetch(
            "SELECT device, sequence, sum(reason IN (5, 8)) - sum(reason = 10) FROM postings WHERE reason IN (5, 8, 10)"
            " GROUP BY device, sequence HAVING sum(reason IN (5, 8)) - sum(reason = 10) > 1"
        ):
            self._find(f"posted {count} times", f"{device_id}/{sequence}")
        for device_id, sequence in self._store.fetch(
            "SELECT p.device, p.sequence FROM postings p JOIN vouchers v USING(device, sequence)"
            " WHERE p.reason IN (5, 8) AND v.outcome NOT IN (1, 2)"
        ):
            self._find("posted although rejected or held", f"{device_id}/{sequence}")

    def _check_proofs(self) -> None:
        for proof in equivocation.proofs(self._store):
            self._signatures += 2
            if not equivocation.is_proven(proof, self._city):
                self._find("equivocation is not proven by its bytes", f"equivocation {proof.equivocation_id}")

    # --- log

    def _check_log(self) -> tuple[int, bytes]:
        rows = self._store.fetch("SELECT leaf, data FROM leaves ORDER BY leaf")
        root = tree.root_of_leaves([tree.leaf_hash(row[1]) for row in rows])
        head = Log(self._store).head()
        if [row[0] for row in rows] != list(range(len(rows))):
            self._find("leaves are not dense", "log")
        if head.size != len(rows) or head.root != root:
            self._find("the root is not that of the leaves", f"log of {head.size}")
        data = {row[0]: row[1] for row in rows}
        for device_id, sequence, identity, outcome, refusal, leaf in self._logged():
            if data.get(leaf) != leaf_data(device_id, sequence, identity, outcome, refusal):
                self._find("the log says otherwise", f"{device_id}/{sequence}")
        return len(rows), root

    def _logged(self) -> Iterator[tuple[str, int, bytes, int, int, int]]:
        for table in ("vouchers", "fork_vouchers"):
            yield from cast(
                list[tuple[str, int, bytes, int, int, int]],
                self._store.fetch(
                    f"SELECT device, sequence, identity, outcome, refusal, leaf FROM {table} WHERE outcome <> ?",
                    (Outcome.HELD,),
                ),
            )


def audit(store: Store) -> AuditReport:
    """Replays the whole ledger."""
    return Audit(store).run()


def is_receipt_logged(
    voucher_raw: bytes,
    certificate_raw: bytes,
    outcome: tuple[int, int],
    place: tuple[int, tuple[bytes, ...]],
    ack_raw: bytes,
    points: tuple[bytes, bytes],
    city_id: str,
) -> bool:
    """A receipt's holder checks, without the ledger: device certificate (CA's word), voucher (device's), ack (city's),
    and the leaf's inclusion under the ack's root. `place` = (leaf index, proof); `points` = (device CA, ack key)."""
    try:
        certificate_signed = cose.parse_sign1(certificate_raw, cose.external_aad(Kind.DEVICE_CERTIFICATE, city_id))
        certificate = device.DEVICE_CERTIFICATE.decode(certificate_signed.payload, OBJECT_BYTES_MAX)
        signed = cose.parse_sign1(voucher_raw, cose.external_aad(Kind.VOUCHER, city_id))
        voucher = device.VOUCHER.decode(signed.payload, OBJECT_BYTES_MAX)
        ack_signed = cose.parse_sign1(ack_raw, cose.external_aad(Kind.ACK, city_id), CITY_OBJECT_BYTES_MAX)
        ack = city.ACK.decode(ack_signed.payload, CITY_OBJECT_BYTES_MAX)
    except Refusal:
        return False
    if voucher.device != certificate.device or not (
        cose.is_signature_of(certificate_signed, cose.verify_key(points[0]))
        and cose.is_signature_of(signed, cose.verify_key(certificate.point))
        and cose.is_signature_of(ack_signed, cose.verify_key(points[1]))
    ):
        return False
    leaf = tree.leaf_hash(leaf_data(voucher.device, voucher.sequence, signed.identity, *outcome))
    return tree.is_included(leaf, place[0], ack.log_size, place[1], ack.log_root)
