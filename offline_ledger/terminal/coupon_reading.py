"""A paper coupon at a terminal: from the code's text to a verified coupon, and whether it is good here. DESIGN §4, §5.

Size → parse → city → issuer signature, role → used here? → pinned → expiry → cancelled → value. The issuer's one
signature is checked each time: a coupon comes once. Never writes; whether a used one is still owed its green is the
acceptor's to say, before it asks `check_coupon`.
"""

from collections.abc import Mapping
from typing import NamedTuple

from offline_ledger.errors import (
    CouponCancelled,
    CouponForged,
    CouponUsed,
    TerminalValueUsedUp,
    WrongCodeType,
)
from offline_ledger.protocol import cose, qr
from offline_ledger.protocol.city import rows_of_signer
from offline_ledger.protocol.cose import Signed
from offline_ledger.protocol.device import VoucherKind
from offline_ledger.protocol.kinds import Kind
from offline_ledger.protocol.wallet import Coupon
from offline_ledger.rules import coupon as rules
from offline_ledger.rules.clock import TimeNow
from offline_ledger.rules.coupon import Here
from offline_ledger.rules.staleness import Caps
from offline_ledger.terminal.evidence import KeyRing
from offline_ledger.terminal.journal_rows import CouponUse
from offline_ledger.terminal.outcome import Charge

COUPON_START = f"{qr.PREFIX}{qr.QrType.COUPON}:"


class CouponEvidence(NamedTuple):
    """A coupon that a key of the city signed. `signed.identity` is the voucher's object hash, `signed.raw` goes to the
    city beside it."""

    coupon: Coupon
    signed: Signed

    @property
    def use(self) -> CouponUse:
        """What the journal remembers with its voucher."""
        return CouponUse(self.coupon.coupon_id, self.coupon.expires_at_s)


def is_coupon(text: str) -> bool:
    """Whether a scanned text claims to be a coupon; every other one is `EvidenceReader`'s."""
    return text.startswith(COUPON_START)


class CouponReader:
    """Reads and verifies the coupons of one city. Holds no state of its own."""

    def __init__(self, city: str, keys: KeyRing) -> None:
        self._city = city
        self._keys = keys
        self._aad = cose.external_aad(Kind.COUPON, city)

    def read(self, text: str) -> CouponEvidence:
        """From a code's text. Raises the reading refusals, WrongCodeType and what `read_object` raises."""
        code = qr.decode(text)
        if code.type is not qr.QrType.COUPON:
            raise WrongCodeType(code.type.value)
        return self.read_object(code.objects[0])

    def read_object(self, raw: bytes) -> CouponEvidence:
        """From the signed bytes. Raises the reading refusals, UnknownCity, UnknownIssuer ("this terminal must
        reconnect"), CouponForged, CouponCancelled, CouponFromAfterKey."""
        signed = cose.parse_sign1(raw, self._aad)
        coupon = rules.read_coupon(signed.payload, self._city)
        fitting = rows_of_signer(signed, self._keys.candidates(signed.key_id), CouponForged)
        rules.check_issuer(fitting, coupon)
        return CouponEvidence(coupon, signed)


def check_coupon(
    coupon: Coupon, here: Here, at: TimeNow, skew_s: int, *, used_sequence: int | None, is_denied: bool
) -> None:
    """Good here and now? `used_sequence`: the voucher that took it here (`Journal.coupon_used`), None for none;
    `is_denied`: whether the deny list names its id.

    Used comes first: it is this terminal's own coupon then, and who shows it again a day late hears that it was used.
    Raises CouponUsed, CouponOfOtherTerminal, CouponOfOtherTrip, CouponExpired, CouponCancelled.
    """
    if used_sequence is not None:
        raise CouponUsed(str(used_sequence))
    rules.check_pinned(coupon, here)
    rules.check_not_expired(coupon, at.at_s, skew_s)
    if is_denied:
        raise CouponCancelled()


def check_value(coupon: Coupon, unacked_kgo: int, caps: Caps) -> None:
    """F: a terminal that is lost before it synced loses its coupons too. No other cap is about coupons: the issuer set
    the value, and no wallet can overspend one. Raises TerminalValueUsedUp."""
    if coupon.value_kgo and unacked_kgo + coupon.value_kgo > caps.offline_value_kgo_max:
        raise TerminalValueUsedUp(f"{unacked_kgo} + {coupon.value_kgo} of {caps.offline_value_kgo_max}")


def coupon_charge(coupon: Coupon, satang: int, bulletin: tuple[int, int], place: Mapping[int, object]) -> Charge:
    """What its voucher says: the value and product that the city printed; the coin beside it is the tariff's."""
    return Charge(coupon.value_kgo, satang, VoucherKind.COUPON, coupon.product, bulletin, place, None)
