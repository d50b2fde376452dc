"""The audit of what devices sent: chains, signatures, wallets' words, events, heads, forks, proofs. DESIGN §4, §8.

Everything is parsed from its bytes; a column is only compared. One row at a time: memory does not grow with the ledger.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import cast

from offline_ledger.city import audit_batches, audit_once, equivocation
from offline_ledger.city.accounts import CHARGES, Reason
from offline_ledger.city.audit_findings import DAMAGED, Findings, Place, voucher_at
from offline_ledger.city.posting_links import is_as_received, refund_of
from offline_ledger.city.store import Store
from offline_ledger.errors import Refusal
from offline_ledger.protocol import cbor, cose, device, wallet
from offline_ledger.protocol.city import BulletinKind, Outcome
from offline_ledger.protocol.cose import Signed, VerifyKey
from offline_ledger.protocol.device import Voucher, VoucherKind, event_link
from offline_ledger.protocol.kinds import OBJECT_BYTES_MAX, ZERO_HASH, Kind
from offline_ledger.protocol.wallet import Payment
from offline_ledger.rules import acceptance

OBJECTS_BYTES_MAX = 4_096
WALLET_KEYS_MAX = 1_024
COUNTS = 1
"""In the column `counts`: what was taken. Another value would hide it from its own intent's duplicates."""
NO_VERSION = (0, 0)
"""A sale without any campaign names none."""


class DeviceAudit:
    """Within one snapshot of one store. `vouchers` and `signatures` count what was looked at."""

    def __init__(self, store: Store, findings: Findings, is_issued: Callable[[Signed], bool]) -> None:
        """`is_issued`: whether the allowance issuer signed it, by the trust lists."""
        self._is_issued = is_issued
        self._store = store
        self._findings = findings
        self._city = store.city
        self._aad = {kind: cose.external_aad(kind, self._city) for kind in Kind}
        self._wallet_keys: OrderedDict[bytes, VerifyKey] = OrderedDict()
        self._published: tuple[int, ...] = ()
        self.vouchers = 0
        self.signatures = 0

    def run(self) -> None:
        """Each device, then forks and proofs."""
        for device_id, point, certificate, through, head, event_number, event_head in self._store.stream(
            "SELECT device, point, certificate, through_sequence, chain_head, event_number, event_head FROM devices"
            " ORDER BY device"
        ):
            where = Place("device", str(device_id))
            key = self._device_key(where, point, certificate)
            with self._findings.unharmed(where):
                self._check_chain(device_id, key, through, head)
            with self._findings.unharmed(where):
                self._check_events(device_id, event_number, event_head)
            with self._findings.unharmed(where):
                self._check_heads(device_id, key, through)
            for check in (audit_batches.check_received, audit_batches.check_unratified):
                with self._findings.unharmed(where):
                    check(self._store, self._findings, device_id)
        self._check_forks()
        self._check_proofs()

    def _device_key(self, where: Place, point: bytes, certificate: bytes) -> VerifyKey | None:
        """The stored key; the certificate's when that is damaged. None: chains are checked without signatures."""
        with self._findings.unharmed(where):
            return cose.verify_key(point)
        try:
            signed = cose.parse_sign1(certificate, self._aad[Kind.DEVICE_CERTIFICATE])
            return cose.verify_key(device.DEVICE_CERTIFICATE.decode(signed.payload, OBJECT_BYTES_MAX).point)
        except DAMAGED:
            return None

    def _check_chain(self, device_id: str, key: VerifyKey | None, through: int, head: bytes) -> None:
        previous, expected = ZERO_HASH, 1
        for sequence, identity, raw, objects, outcome, *noted in self._store.stream(
            "SELECT sequence, identity, raw, objects, outcome, kgo, satang, kind, at_s, refers_to FROM vouchers"
            " WHERE device = ? ORDER BY sequence",
            (device_id,),
        ):
            where = voucher_at(device_id, sequence)
            try:
                signed = cose.parse_sign1(raw, self._aad[Kind.VOUCHER])
                voucher = device.VOUCHER.decode(signed.payload, OBJECT_BYTES_MAX)
            except DAMAGED as error:
                refusal = type(error) if isinstance(error, Refusal) else None
                self._findings.add("voucher_unreadable", where, refusal=refusal)
                continue
            self.vouchers += 1
            if sequence != expected or voucher.sequence != sequence or voucher.device != device_id:
                self._findings.add("sequence_gap", where)
            said = [voucher.kgo, voucher.satang, voucher.kind, voucher.at_s, voucher.refers_to]
            if signed.identity != identity or voucher.previous != previous or said != noted:
                self._findings.add("chain_broken", where)
            self.signatures += 1
            if key is not None and not cose.is_signature_of(signed, key):
                self._check_whose_fault(device_id, sequence, raw, where, voucher.refers_to)
            with self._findings.unharmed(where):
                if outcome in (Outcome.POSTED, Outcome.SUSPENSE):
                    self._check_object(voucher, objects, where)
                    self._check_bulletin(voucher, where)
                if type(cbor.decode(objects, OBJECTS_BYTES_MAX)) is not list:
                    self._findings.add("object_unreadable", where)
            previous, expected = signed.identity, sequence + 1
        if expected - 1 != through or previous != head:
            self._findings.add("chain_end", Place("device", device_id), through=through)

    def _check_whose_fault(
        self, record: str, sequence: int, raw: bytes, where: Place, refers_to: int | None = None
    ) -> None:
        """A bad signature under a good head is the device's, unless other bytes came: then it is `audit_charges`'."""
        notes = self._store.fetch(
            "SELECT note FROM postings WHERE device = ? AND sequence = ? AND reason IN (?, ?)",
            (record, sequence, *CHARGES),
        )
        came = [note for (note,) in notes]
        if refers_to is not None:
            sql = "SELECT note FROM postings WHERE device = ? AND sequence = ? AND reason = ?"
            refunds = [refund_of(note) for (note,) in self._store.fetch(sql, (record, refers_to, Reason.REFUND))]
            came += [note for by, note in refunds if by == sequence]
        if all(is_as_received(note, raw) for note in came):
            self._findings.add_bad_signature(where)

    def _check_object(self, voucher: Voucher, stored: bytes, where: Place) -> None:
        """What was posted must have been signed by the wallet that the city's own allowance names."""
        row = self._store.one(
            "SELECT object_kind, hash, n, sum_kgo, authorised_kgo, accepted_kgo, intent, object, counts, at_s"
            " FROM spends WHERE device = ? AND sequence = ?",
            (voucher.device, voucher.sequence),
        )
        if row is None:
            if voucher.kgo and voucher.kind in (VoucherKind.BOARDING, VoucherKind.SALE):
                self._findings.add("no_wallet_object", where)
            if voucher.kind == VoucherKind.COUPON:
                raw = cast(list[bytes], cbor.decode(stored, OBJECTS_BYTES_MAX))[0]
                audit_once.check_coupon(self._store, self._findings, voucher, raw, self._is_issued, where)
            return
        try:
            kind = Kind(row[0])
            objects = cast(list[bytes], cbor.decode(stored, OBJECTS_BYTES_MAX))
            signed = cose.parse_sign1(objects[0], self._aad[kind])
            layout = wallet.PRESENTMENT if kind is Kind.PRESENTMENT else wallet.PAYMENT
            shown = layout.decode(signed.payload, OBJECT_BYTES_MAX)
        except IndexError:
            self._findings.add("no_wallet_object", where)
            return
        except DAMAGED as error:
            refusal = type(error) if isinstance(error, Refusal) else None
            self._findings.add("object_unreadable", where, refusal=refusal)
            return
        self.signatures += 1
        key = self._wallet_key(shown.allowance_hash)
        if key is None or not cose.is_signature_of(signed, key):
            self._findings.add("wallet_signature", where)
        if signed.identity != voucher.object_hash or wallet.authorised_kgo(shown) < voucher.kgo:
            self._findings.add("beyond_signed", where)
        said = (shown.allowance_hash, shown.n, shown.sum_kgo, wallet.authorised_kgo(shown))
        kept = (acceptance.intent_of(shown), objects[0], COUNTS, voucher.at_s)
        if row[1:5] != said or row[5] != voucher.kgo or row[6:] != kept:
            self._findings.add("spend_noted_wrong", where)
        if isinstance(shown, Payment):
            audit_once.check_request(self._store, self._findings, shown.request_hash, where)

    def _check_bulletin(self, voucher: Voucher, where: Place) -> None:
        """The tariff or campaign that a voucher names was published."""
        kind = {VoucherKind.BOARDING: BulletinKind.TARIFF, VoucherKind.SALE: BulletinKind.CAMPAIGN}.get(
            VoucherKind(voucher.kind)
        )
        if kind is None or voucher.bulletin == NO_VERSION or (kind, *voucher.bulletin) == self._published:
            return
        named = (kind, *voucher.bulletin)
        if self._store.one("SELECT 1 FROM bulletins WHERE kind = ? AND trust_version = ? AND counter = ?", named):
            self._published = named
        else:
            self._findings.add("bulletin_gone", where, version=".".join(map(str, named)))

    def _wallet_key(self, allowance_hash: bytes) -> VerifyKey | None:
        """The key that the city's own allowance names; the newest WALLET_KEYS_MAX are kept."""
        known = self._wallet_keys.get(allowance_hash)
        if known is not None:
            self._wallet_keys.move_to_end(allowance_hash)
            return known
        row = self._store.one("SELECT raw FROM allowances WHERE hash = ?", (allowance_hash,))
        if row is None:
            return None
        try:
            signed = cose.parse_sign1(row[0], self._aad[Kind.ALLOWANCE])
            allowance = wallet.ALLOWANCE.decode(signed.payload, OBJECT_BYTES_MAX)
            found = cose.verify_key(allowance.wallet_point)
        except DAMAGED:  # a finding of its own: `audit_papers`
            return None
        if signed.identity != allowance_hash:
            return None
        self._wallet_keys[allowance_hash] = found
        if len(self._wallet_keys) > WALLET_KEYS_MAX:
            self._wallet_keys.popitem(last=False)
        return found

    def _check_events(self, device_id: str, last: int, last_head: bytes) -> None:
        """The chain, over the gaps that a restore left: what stands before and after one is as the device signed."""
        head, number = ZERO_HASH, 0
        gaps = {
            first: (through, after)
            for first, through, after in self._store.fetch(
                "SELECT first, last, head FROM event_gaps WHERE device = ?", (device_id,)
            )
        }
        rows = self._store.stream(
            "SELECT number, kind, body, head FROM events WHERE device = ? ORDER BY number", (device_id,)
        )
        for found, kind, body, stored in rows:
            number, head = gaps.pop(number + 1, (number, head))
            number, head = number + 1, event_link(head, kind, body)
            if number != found or head != stored:
                self._findings.add("event_chain", Place("event", f"{device_id} {found}"))
                return
        number, head = gaps.pop(number + 1, (number, head))
        if gaps:
            self._findings.add("event_chain", Place("event", f"{device_id} {min(gaps)}"))
        if (number, head) != (last, last_head):
            self._findings.add("event_chain", Place("event", f"{device_id} {last}"))

    def _check_heads(self, device_id: str, key: VerifyKey | None, through: int) -> None:
        runs, where = audit_batches.Runs(), Place("device", device_id)
        for raw, identity, *noted in self._store.stream(
            "SELECT head, identity, device, first_sequence, last_sequence, last_event FROM batches WHERE device = ?",
            (device_id,),
        ):
            self.signatures += 1
            try:
                signed = cose.parse_sign1(raw, self._aad[Kind.BATCH_HEAD])
                head = device.BATCH_HEAD.decode(signed.payload, OBJECT_BYTES_MAX)
                is_good = signed.identity == identity and (key is None or cose.is_signature_of(signed, key))
            except DAMAGED:
                self._findings.add("head_signature", where)
                continue
            if not is_good or noted != [head.device, head.first_sequence, head.last_sequence, head.last_event]:
                self._findings.add("head_signature", where)
            runs.add(head.first_sequence, head.last_sequence)
        audit_batches.check_covered(self._findings, where, runs, through)

    def _check_forks(self) -> None:
        """Nobody's fork is without a proof and a block on record."""
        for (device_id,) in self._store.stream(
            "SELECT DISTINCT device FROM fork_vouchers INDEXED BY fork_by_device ORDER BY device"
        ):
            if self._store.one("SELECT 1 FROM equivocations WHERE device = ?", (device_id,)) is None:
                self._findings.add("fork_unproven", Place("device", str(device_id)))
        for identity, device_id, sequence, previous, raw in self._store.stream(
            "SELECT identity, device, sequence, previous, raw FROM fork_vouchers"
        ):
            where = voucher_at(str(device_id), sequence)
            with self._findings.unharmed(where):
                signed = cose.parse_sign1(raw, self._aad[Kind.VOUCHER])
                found = device.VOUCHER.decode(signed.payload, OBJECT_BYTES_MAX)
                said = (signed.identity, found.device, found.sequence, found.previous)
                if said != (identity, device_id, sequence, previous):
                    self._findings.add("fork_noted_wrong", where)
                row = self._store.one("SELECT point FROM devices WHERE device = ?", (device_id,))
                if row is not None and not cose.is_signature_of(signed, cose.verify_key(row[0])):
                    self._check_whose_fault(f"{device_id}~{identity.hex()[:8]}", sequence, raw, where)

    def _check_proofs(self) -> None:
        for (number,) in self._store.stream("SELECT equivocation_id FROM equivocations ORDER BY 1"):
            self.signatures += 2
            where = Place("equivocation", str(number))
            with self._findings.unharmed(where):
                if not equivocation.is_proven(equivocation.numbered_proof(self._store, number), self._city):
                    self._findings.add("equivocation_unproven", where)
