"""The audit of what may be used once: requests and coupons are noted, a coupon is the issuer's. DESIGN §5.

A note that was erased would let the same paper or payment be posted a second time.
"""

from collections.abc import Callable

from offline_ledger.city.audit_findings import Findings, Place
from offline_ledger.city.store import Store
from offline_ledger.protocol import cose, wallet
from offline_ledger.protocol.cose import Signed
from offline_ledger.protocol.device import Voucher
from offline_ledger.protocol.kinds import OBJECT_BYTES_MAX, Kind


def check_request(store: Store, findings: Findings, request_hash: bytes, where: Place) -> None:
    """The request of a payment that was posted is noted as paid."""
    row = store.one("SELECT cancelled FROM requests WHERE request_hash = ?", (request_hash,))
    if row is None or row[0]:
        findings.add("request_gone", where)


def check_coupon(
    store: Store, findings: Findings, voucher: Voucher, raw: bytes, is_issued: Callable[[Signed], bool], where: Place
) -> None:
    """The coupon that was posted: signed by the issuer, pinned to this device, of this value, noted as used."""
    signed = cose.parse_sign1(raw, cose.external_aad(Kind.COUPON, store.city))
    coupon = wallet.COUPON.decode(signed.payload, OBJECT_BYTES_MAX)
    said = (signed.identity, coupon.device, coupon.value_kgo)
    if said != (voucher.object_hash, voucher.device, voucher.kgo) or not is_issued(signed):
        findings.add("coupon_wrong", where)
    row = store.one("SELECT sequence FROM coupons WHERE coupon_id = ?", (coupon.coupon_id,))
    if row is None or row[0] != voucher.sequence:
        findings.add("coupon_gone", where)
