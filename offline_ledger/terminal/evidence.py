"""From QR text to verified values: allowance and wallet object, each signature checked once. DESIGN §4, §5.

Does the first half of acceptance (size … wallet signature). The cache holds only "this issuer key signed these
bytes"; validity, role and denial are judged every time. Never decides an amount, never writes.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from offline_ledger.errors import (
    AllowanceForged,
    IssuerKeyExpired,
    IssuerKeyWithdrawn,
    WalletSignatureWrong,
    WrongCodeType,
)
from offline_ledger.protocol import cose, qr, wallet
from offline_ledger.protocol.city import TrustedKey, rows_of_signer
from offline_ledger.protocol.cose import Signed, VerifyKey
from offline_ledger.protocol.kinds import OBJECT_BYTES_MAX, Kind
from offline_ledger.protocol.wallet import Allowance, Payment, Presentment
from offline_ledger.rules import acceptance

ISSUER_CACHE_MAX = 4_096


class KeyRing(Protocol):
    """The city keys that this terminal trusts now."""

    @property
    def version(self) -> int:
        """Changes whenever the keys do."""
        ...

    def candidates(self, key_id: bytes) -> Sequence[tuple[TrustedKey, VerifyKey]]:
        """Every trusted key with this id: an id may match more than one, so each is tried."""
        ...


class Evidence(NamedTuple):
    """What the customer showed, verified: who signed what. Nothing is decided yet."""

    allowance: Allowance
    allowance_signed: Signed
    wallet_object: Presentment | Payment
    wallet_signed: Signed
    intent: bytes


class Issued(NamedTuple):
    """An allowance that a key of the city signed; whether it is good now is judged every time."""

    allowance: Allowance
    signed: Signed
    issuer: TrustedKey
    wallet_key: VerifyKey


class EvidenceReader:
    """Reads and verifies codes of one city. Not thread-safe: the acceptor calls it in turn."""

    def __init__(self, city: str, keys: KeyRing) -> None:
        self._city = city
        self._keys = keys
        self._keys_version = keys.version
        self._issued: OrderedDict[bytes, Issued] = OrderedDict()
        self._allowance_aad = cose.external_aad(Kind.ALLOWANCE, city)
        self._presentment_aad = cose.external_aad(Kind.PRESENTMENT, city)
        self._payment_aad = cose.external_aad(Kind.PAYMENT, city)

    @property
    def keys(self) -> KeyRing:
        """By which it reads."""
        return self._keys

    def read(self, text: str, at_s: int, skew_s: int) -> Evidence:
        """Size → parse → city → issuer signature, validity, role → wallet signature; one refusal each."""
        code = qr.decode(text)
        if code.type is qr.QrType.PRESENTMENT:
            kind = Kind.PRESENTMENT
        elif code.type is qr.QrType.PAYMENT:
            kind = Kind.PAYMENT
        else:
            raise WrongCodeType(code.type.value)
        return self.read_objects(code.objects[0], code.objects[1], kind, at_s, skew_s)

    def read_objects(self, allowance_raw: bytes, wallet_raw: bytes, kind: Kind, at_s: int, skew_s: int) -> Evidence:
        """The same for objects that came by card or cable."""
        issued = self.read_allowance(allowance_raw, at_s, skew_s)
        wallet_object: Presentment | Payment
        if kind is Kind.PRESENTMENT:
            signed = cose.parse_sign1(wallet_raw, self._presentment_aad)
            wallet_object = wallet.PRESENTMENT.decode(signed.payload, OBJECT_BYTES_MAX)
        else:
            signed = cose.parse_sign1(wallet_raw, self._payment_aad)
            wallet_object = wallet.PAYMENT.decode(signed.payload, OBJECT_BYTES_MAX)
        acceptance.check_belongs(wallet_object, issued.signed.identity)
        if not cose.is_signature_of(signed, issued.wallet_key):
            raise WalletSignatureWrong()
        return Evidence(issued.allowance, issued.signed, wallet_object, signed, acceptance.intent_of(wallet_object))

    def read_allowance(self, raw: bytes, at_s: int, skew_s: int) -> Issued:
        """What a card holds, before it has signed anything: issuer signature, validity, role."""
        issued = self._issued_by(raw)
        acceptance.check_validity(issued.allowance, at_s, skew_s)
        try:
            acceptance.check_issuer(issued.issuer, issued.allowance)
        except IssuerKeyExpired:
            if issued.issuer.is_revoked:  # this terminal knows all there is to know: the wallet must go online, not we
                raise IssuerKeyWithdrawn() from None
            raise
        return issued

    def _issued_by(self, raw: bytes) -> Issued:
        if self._keys.version != self._keys_version:  # a new trust list: every issuer is judged anew
            self._issued.clear()
            self._keys_version = self._keys.version
        known = self._issued.get(raw)
        if known is not None:
            self._issued.move_to_end(raw)
            return known
        signed = cose.parse_sign1(raw, self._allowance_aad)
        allowance = acceptance.read_allowance(signed.payload, self._city)
        fitting = rows_of_signer(signed, self._keys.candidates(signed.key_id), AllowanceForged)
        issuer = acceptance.issuer_among(fitting, allowance)
        issued = Issued(allowance, signed, issuer, cose.verify_key(allowance.wallet_point))
        self._issued[raw] = issued
        if len(self._issued) > ISSUER_CACHE_MAX:
            self._issued.popitem(last=False)
        return issued
