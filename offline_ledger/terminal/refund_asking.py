"""A till asks the city for the KGO of another till's sale: the receipt's code is read, the request signed and durable.
DESIGN §5 "elsewhere it is a refund request, no cash"; decision 0194.

Checks what the code itself says. Whether the other terminal really signed it, whose it is and what is left of it, only
the city can tell: the request names the voucher by its identity. The same amount of a voucher is asked for once in a
row; another is a new request, and the city never gives back more than is left. Moves no money, promises nothing.
"""

from threading import RLock
from typing import NamedTuple

from offline_ledger.errors import (
    AmountNotPositive,
    JournalDamaged,
    ReceiptForged,
    ReceiptNotOfSale,
    ReceiptWithoutKgo,
    RefundAskedTooOften,
    Refusal,
    ReturnTooLarge,
    WrongCodeType,
)
from offline_ledger.money import format_minor
from offline_ledger.protocol import cbor, cose, device, qr
from offline_ledger.protocol.cose import Signer
from offline_ledger.protocol.device import EventKind, VoucherKind
from offline_ledger.protocol.kinds import HASH_BYTES, OBJECT_BYTES_MAX, Kind
from offline_ledger.protocol.qr import QrType
from offline_ledger.protocol.refund_request import REFUND_REQUEST, Asked, RefundRequest, Shown, encode_event, number_of
from offline_ledger.rules.civil import civil_day
from offline_ledger.terminal.journal import Journal
from offline_ledger.terminal.ports import Conditions

ASKED_META = "asked."
"""And the identity of the other till's voucher: what was last asked for it, and when. Kept for good."""
DAY_META = "asked_of_day"
A_DAY_MAX = 100
"""More than customers come with receipts of another till; what a stolen till could write in a day."""
RECEIPT_PREFIX = f"{qr.PREFIX}{QrType.RECEIPT}:"
_META_BYTES_MAX = 128


class AskingParts(NamedTuple):
    """The acceptor's own, shared with it. `signer` is also who checks its own receipts, by `point`."""

    lock: RLock
    journal: Journal
    signer: Signer
    key_id: bytes
    city: str
    device: str
    conditions: Conditions


class RefundAsking:
    """One till's. `ask` may raise StorageFull, StorageFailed."""

    def __init__(self, parts: AskingParts) -> None:
        self._parts = parts
        self._aad = {kind: cose.external_aad(kind, parts.city) for kind in (Kind.VOUCHER, Kind.REFUND_REQUEST)}

    def read(self, text: str) -> Shown:
        """What a receipt's code says. Raises the reading refusals, WrongCodeType, ReceiptForged (in this terminal's
        name), ReceiptNotOfSale, ReceiptWithoutKgo (of another terminal)."""
        code = qr.decode(text)
        if code.type is not QrType.RECEIPT:
            raise WrongCodeType(code.type)
        signed = cose.parse_sign1(code.objects[0], self._aad[Kind.VOUCHER])
        voucher = device.VOUCHER.decode(signed.payload, OBJECT_BYTES_MAX)
        if voucher.device == self._parts.device:
            if not cose.is_signature_of(signed, cose.verify_key(self._parts.signer.point)):
                raise ReceiptForged("not this terminal's signature")
            return Shown(voucher, signed.identity, is_own=True)
        if voucher.kind != VoucherKind.SALE:
            raise ReceiptNotOfSale(f"voucher kind {voucher.kind}")
        if not voucher.kgo:
            raise ReceiptWithoutKgo(f"{voucher.device}/{voucher.sequence}")
        return Shown(voucher, signed.identity, is_own=False)

    def asked(self, shown: Shown) -> Asked | None:
        """What this terminal last asked for this voucher. Raises JournalDamaged."""
        kept = self._parts.journal.meta_get(ASKED_META + shown.identity.hex())
        if kept is None:
            return None
        match _values(kept):
            case [bytes(identity), int(kgo), int(at_s)] if len(identity) == HASH_BYTES:
                return Asked(number_of(identity), kgo, at_s)
            case _:
                raise JournalDamaged("what was asked for a receipt is no request")

    def ask(self, shown: Shown, kgo: int, shift: int, cashier: str, note: str) -> Asked:
        """The signed request for `kgo` (1/100 KGO) of it, durable; the last one, if that asked for as much.

        Raises AmountNotPositive, ReturnTooLarge, RefundAskedTooOften, and what keeps this terminal from being paid."""
        parts = self._parts
        assert not shown.is_own
        with parts.lock:
            before = self.asked(shown)
            if before is not None and before.kgo == kgo:
                return before
            if kgo < 1:
                raise AmountNotPositive(str(kgo))
            if kgo > shown.voucher.kgo:
                raise ReturnTooLarge(f"{format_minor(kgo)} of {format_minor(shown.voucher.kgo)}")
            at = parts.conditions.time()
            parts.conditions.check_standing(parts.journal.tail.sequence + 1, at)
            count = self._of_day(at.at_s)
            request = RefundRequest(
                *(parts.device, shown.voucher.device, shown.voucher.sequence, shown.identity, kgo),
                *(at.at_s, int(at.trust), shift, cashier, note),
            )
            aad, payload = self._aad[Kind.REFUND_REQUEST], REFUND_REQUEST.encode(request)
            signed = cose.sign1(payload, aad, parts.key_id, parts.signer.sign)
            meta = {
                ASKED_META + shown.identity.hex(): cbor.encode([signed.identity, kgo, at.at_s]),
                DAY_META: cbor.encode([civil_day(at.at_s), count + 1]),
            }
            parts.journal.append_event(EventKind.REFUND_REQUEST, encode_event(signed.raw), durable=True, meta=meta)
            return Asked(number_of(signed.identity), kgo, at.at_s)

    def _of_day(self, at_s: int) -> int:
        """How many were asked on this civil day. Raises RefundAskedTooOften, JournalDamaged."""
        kept = self._parts.journal.meta_get(DAY_META)
        match _values(kept) if kept is not None else [0, 0]:
            case [int(day), int(count)]:
                count = count if day == civil_day(at_s) else 0
            case _:
                raise JournalDamaged("the day's refund requests are no count")
        if count >= A_DAY_MAX:
            raise RefundAskedTooOften(str(count))
        return count


def _values(kept: bytes) -> object:
    try:
        return cbor.decode(kept, _META_BYTES_MAX)
    except Refusal as refusal:
        raise JournalDamaged("what was asked for a receipt is no request") from refusal
