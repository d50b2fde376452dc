"""The audit of what each voucher was charged: once, what it says, funded in order, given back within bounds. DESIGN §8.

All postings of one voucher are looked at together, vouchers one after another. Uses none of the posting rules: only
what the voucher says, which `audit_devices` has held against its bytes.
"""

from itertools import groupby

from offline_ledger.city.accounts import AccountKind, Currency, Reason
from offline_ledger.city.audit_findings import Findings, Place, voucher_at
from offline_ledger.city.audit_parts import Part, Said, parts_of
from offline_ledger.city.audit_whose import check_whose
from offline_ledger.city.posting_links import is_as_received, refund_of
from offline_ledger.city.store import Store
from offline_ledger.errors import Refusal
from offline_ledger.money import format_minor
from offline_ledger.protocol import cose, device
from offline_ledger.protocol.city import Outcome
from offline_ledger.protocol.device import Voucher, VoucherKind
from offline_ledger.protocol.kinds import OBJECT_BYTES_MAX, Kind
from offline_ledger.rules.civil import civil_day


def check_charges(store: Store, findings: Findings) -> None:
    """Within one snapshot."""
    rows = store.stream(
        "SELECT p.device, p.sequence, p.posting_id, p.reason, p.posted_at_s, p.note, a.kind, a.name, a.currency,"
        " e.amount"
        " FROM postings p INDEXED BY postings_by_voucher LEFT JOIN entries e USING(posting_id)"
        " LEFT JOIN accounts a USING(account_id)"
        " WHERE p.device IS NOT NULL ORDER BY p.device, p.sequence, p.posting_id"
    )
    for (record, sequence), found in groupby(rows, key=lambda row: (row[0], row[1])):
        parts = [row[2:] for row in found]
        with findings.unharmed(voucher_at(str(record), sequence)):
            _check_voucher(store, findings, record, sequence, list(parts_of(parts)))
    for record, sequence in store.stream(
        "SELECT device, sequence FROM rebates r WHERE NOT EXISTS(SELECT 1 FROM postings p"
        " WHERE p.device = r.device AND p.sequence = r.sequence AND p.reason = ?)",
        (Reason.REBATE,),
    ):
        findings.add("rebate_wrong", voucher_at(record, sequence), given="0.00")
    for record, sequence, kgo in store.stream(
        "SELECT device, sequence, kgo FROM suspense s WHERE NOT EXISTS(SELECT 1 FROM postings p"
        " WHERE p.device = s.device AND p.sequence = s.sequence)"
    ):
        findings.add("suspense_amount", voucher_at(record, sequence), noted=format_minor(kgo), expected="0.00")
    for record, sequence, kgo in store.stream(
        "SELECT v.device, v.sequence, v.kgo FROM vouchers v WHERE v.outcome IN (?, ?) AND v.kind IN (?, ?, ?)"
        " AND (v.kgo > 0 OR v.satang > 0) AND NOT EXISTS(SELECT 1 FROM postings p WHERE p.device = v.device"
        " AND p.sequence = v.sequence AND p.reason IN (?, ?)) AND NOT EXISTS(SELECT 1 FROM unratified u"
        " WHERE u.device = v.device AND u.sequence = v.sequence)",
        (
            *(Outcome.POSTED, Outcome.SUSPENSE, VoucherKind.BOARDING, VoucherKind.SALE, VoucherKind.COUPON),
            *(Reason.SPEND, Reason.COUPON),
        ),
    ):
        findings.add("not_posted", voucher_at(record, sequence), kgo=format_minor(kgo))


def _check_voucher(store: Store, findings: Findings, record: str, sequence: int, parts: list[Part]) -> None:
    where = voucher_at(record, sequence)
    said = _said(store, record, sequence)
    if said is None:
        findings.add("posted_for_nothing", where)
        return
    spends = [part for part in parts if part.reason in (Reason.SPEND, Reason.COUPON)]
    standing = len(spends) - sum(part.reason == Reason.YIELD for part in parts)
    if standing > 1:
        findings.add("posted_twice", where, count=standing)
    if spends and said.outcome not in (Outcome.POSTED, Outcome.SUSPENSE):
        findings.add("posted_rejected", where)
    for part in spends:
        if not is_as_received(part.note, said.raw):
            findings.add("not_as_received", where, posting=part.posting_id)
        if part.given_kgo > said.kgo:
            given, kgo = format_minor(part.given_kgo), format_minor(said.kgo)
            findings.add("charged_too_much", where, given=given, kgo=kgo)
        if (part.credited_kgo, part.credited_satang) != (said.kgo, said.satang):
            credited, kgo = format_minor(part.credited_kgo), format_minor(said.kgo)
            findings.add("credited_wrong", where, credited=credited, kgo=kgo)
        if part.deposit_kgo > 0:
            _check_deposit_was_due(store, findings, record, sequence, part)
    for part in parts:
        _check_refund(store, findings, record, part)
    rest = [part for part in parts if part.reason != Reason.REWARD]
    if sum(part.given_kgo for part in rest) < 0 or sum(part.credited_kgo for part in rest) < 0:
        findings.add("returned_too_much", where)
    rewarded_kgo = -sum(part.given_kgo for part in parts if part.reason == Reason.REWARD)
    if rewarded_kgo < 0 or (rewarded_kgo and standing < 1):
        findings.add("reward_alone", where, given=format_minor(rewarded_kgo))
    _check_rebate(store, findings, where, (record, sequence), parts, said)
    check_whose(store, findings, (record, sequence), parts, said)


def _check_refund(store: Store, findings: Findings, record: str, part: Part) -> None:
    """The voucher that gave back, on the device's own chain or on a fork, is there as it came."""
    sequence, note = refund_of(part.note) if part.reason == Reason.REFUND else (0, "")
    if not sequence:
        return
    key = (record.partition("~")[0], sequence)
    rows = store.fetch(
        "SELECT raw FROM vouchers WHERE device = ?1 AND sequence = ?2"
        " UNION ALL SELECT raw FROM fork_vouchers WHERE device = ?1 AND sequence = ?2",
        key,
    )
    if not any(is_as_received(note, raw) for (raw,) in rows):
        findings.add("not_as_received", voucher_at(*key), posting=part.posting_id)


def _check_deposit_was_due(store: Store, findings: Findings, record: str, sequence: int, part: Part) -> None:
    """A deposit pays only when reserve and *available* were empty after the same posting."""
    left = store.one(
        "SELECT coalesce(sum(max(0, (SELECT coalesce(sum(e.amount), 0) FROM entries e INDEXED BY entries_by_account"
        " WHERE e.account_id = a.account_id AND e.posting_id <= ?))), 0) FROM accounts a WHERE a.account_id IN"
        " (SELECT l.reserved_id FROM spends s JOIN allowances l USING(hash) WHERE s.device = ? AND s.sequence = ?)"
        " OR (a.kind = ? AND a.currency = ? AND a.name ="
        " (SELECT c.name FROM entries x JOIN accounts c USING(account_id) WHERE x.posting_id = ? AND c.kind = ?))",
        (
            *(part.posting_id, record, sequence, AccountKind.WALLET, Currency.KGO),
            *(part.posting_id, AccountKind.DEPOSIT),
        ),
    )
    if left is not None and left[0]:
        findings.add("deposit_early", voucher_at(record, sequence), left=format_minor(left[0]))


def _check_rebate(
    store: Store, findings: Findings, where: Place, key: tuple[str, int], parts: list[Part], said: Said
) -> None:
    """What day close gave since the voucher was last charged, held against its row and its day."""
    row = store.one("SELECT kgo, fair_kgo, day FROM rebates WHERE device = ? AND sequence = ?", key)
    last_yield = max((part.posting_id for part in parts if part.reason == Reason.YIELD), default=0)
    rebates = [part for part in parts if part.reason == Reason.REBATE and part.posting_id > last_yield]
    given_kgo = -sum(part.credited_kgo for part in rebates)
    if given_kgo != (row[0] if row else 0):
        findings.add("rebate_wrong", where, given=format_minor(given_kgo))
    if row is not None and (row[0] + row[1] > said.kgo or row[2] != civil_day(said.at_s)):
        findings.add("rebate_too_much", where, given=format_minor(row[0]), kgo=format_minor(said.kgo))
    if any(civil_day(part.posted_at_s) <= civil_day(said.at_s) for part in rebates):
        findings.add("rebate_early", where)


def _said(store: Store, record: str, sequence: int) -> Said | None:
    """The voucher by the name it was posted under; a released fork's is read from its bytes."""
    device_id, _, fork = record.partition("~")
    if not fork:
        row = store.one(
            "SELECT raw, kind, kgo, satang, outcome, refusal, at_s, received_at_s, late FROM vouchers"
            " WHERE device = ? AND sequence = ?",
            (record, sequence),
        )
        if row is None:
            return None
        raw, kind, kgo, satang, outcome, refusal, at_s, received_at_s, late = row
        claim = _voucher(store, raw) if kind == VoucherKind.SALE else None  # of the rest, the columns are enough
        product, reward_kgo = (claim.product, claim.reward_kgo or 0) if claim is not None else ("", 0)
        return Said(kgo, satang, outcome, at_s, kind, refusal, received_at_s, bool(late), product, reward_kgo, raw)
    for raw, outcome, refusal, identity, received_at_s in store.fetch(
        "SELECT raw, outcome, refusal, identity, received_at_s FROM fork_vouchers WHERE device = ? AND sequence = ?",
        (device_id, sequence),
    ):
        if identity.hex().startswith(fork):
            found = _voucher(store, raw)
            if found is None:
                return None
            amounts = (found.kgo, found.satang, outcome, found.at_s, found.kind, refusal, received_at_s)
            return Said(*amounts, False, found.product, found.reward_kgo or 0, raw)
    return None


def _voucher(store: Store, raw: bytes) -> Voucher | None:
    try:
        signed = cose.parse_sign1(raw, cose.external_aad(Kind.VOUCHER, store.city))
        return device.VOUCHER.decode(signed.payload, OBJECT_BYTES_MAX)
    except Refusal:
        return None
