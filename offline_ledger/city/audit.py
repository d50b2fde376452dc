"""Replays everything: chains, signatures, proofs, balances, log. Reads only; every finding is one line. DESIGN §8.

Trusts no column that can be computed again, and uses none of the rules that made the postings: vouchers are parsed from
their bytes, balances summed from entries, the log's root from its leaves. Rows pass one by one, so memory does not grow
with the ledger. A bad voucher signature under a good head is the device's fault, flagged, and stays posted.
"""

from dataclasses import dataclass
from functools import partial

from offline_ledger.city.accounts import Currency
from offline_ledger.city.audit_charges import check_charges
from offline_ledger.city.audit_devices import DeviceAudit
from offline_ledger.city.audit_findings import DAMAGED, Finding, Findings, Place
from offline_ledger.city.audit_links import LinkAudit
from offline_ledger.city.audit_log import check_log
from offline_ledger.city.audit_money import MoneyAudit
from offline_ledger.city.audit_papers import PaperAudit
from offline_ledger.city.audit_people import check_people
from offline_ledger.city.audit_proofs import check_proofs
from offline_ledger.city.audit_published import check_published
from offline_ledger.city.audit_refund_requests import check_refund_requests
from offline_ledger.city.audit_reserves import check_reserves
from offline_ledger.city.audit_rewards import check_rewards
from offline_ledger.city.audit_risk import check_risk
from offline_ledger.city.log import leaf_data
from offline_ledger.city.posting_links import Mark
from offline_ledger.city.store import Store
from offline_ledger.errors import Refusal
from offline_ledger.protocol import city, cose, device, tree
from offline_ledger.protocol.kinds import CITY_OBJECT_BYTES_MAX, OBJECT_BYTES_MAX, Kind
from offline_ledger.protocol.tree import EMPTY_ROOT

CHECKS = (
    *(check_reserves, check_charges, check_risk, check_rewards, check_proofs, check_published, check_people),
    check_refund_requests,
)


@dataclass(frozen=True, slots=True)
class AuditReport:
    """The findings (the first FINDINGS_MAX of `count`), and how much was looked at."""

    findings: tuple[Finding, ...]
    count: int
    is_ok: bool
    vouchers: int
    signatures: int
    entries: int
    leaves: int
    kgo_sum: int
    satang_sum: int
    log_root: bytes
    mark: Mark


def audit(store: Store) -> AuditReport:
    """Replays the whole ledger from one snapshot. Nothing is wrong with the ledger itself when `is_ok`."""
    findings = Findings()
    try:
        city_id = store.city
    except DAMAGED:  # without it no signature can be read
        findings.add("row_damaged", Place("ledger", "-"))
        return AuditReport(tuple(findings.kept), 1, False, 0, 0, 0, 0, 0, 0, EMPTY_ROOT, Mark(0, EMPTY_ROOT))
    with store.snapshot():
        money, papers = MoneyAudit(store, findings), PaperAudit(store, findings)
        devices = DeviceAudit(store, findings, papers.is_issued)
        leaves, root, links = 0, EMPTY_ROOT, LinkAudit(store, findings)
        whole = Place("ledger", city_id)
        rest = [partial(check, store, findings) for check in CHECKS]
        for part in (papers.run, devices.run, money.run, *rest, links.run):
            with findings.unharmed(whole):
                part()
        with findings.unharmed(whole):
            leaves, root = check_log(store, findings)
    return AuditReport(
        tuple(findings.kept),
        findings.count,
        findings.is_ok,
        devices.vouchers,
        devices.signatures + papers.signatures,
        money.entries,
        leaves,
        money.sums[Currency.KGO],
        money.sums[Currency.THB],
        root,
        links.mark,
    )


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
