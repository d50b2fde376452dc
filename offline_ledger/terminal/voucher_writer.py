"""From a decision to a signed voucher, durable in the journal: the one place where a terminal signs one. DESIGN §5.

Decides nothing. After `write` returns, whatever it was about has happened, whatever becomes of this process.
"""

from collections.abc import Mapping
from typing import NamedTuple

from offline_ledger.protocol import cose, device
from offline_ledger.protocol.cose import Signed, Signer
from offline_ledger.protocol.device import Voucher, VoucherKind
from offline_ledger.protocol.kinds import Kind
from offline_ledger.rules.clock import TimeNow
from offline_ledger.terminal.journal import Journal
from offline_ledger.terminal.journal_objects import join_objects
from offline_ledger.terminal.journal_rows import CouponUse, PassState, VoucherRow
from offline_ledger.terminal.outcome import Charge


class Identity(NamedTuple):
    """Who this terminal is, and whose."""

    city: str
    device: str
    owner: str
    key_id: bytes


class Accepted(NamedTuple):
    """What the voucher is about and what goes with it. `object_hash`: identity of `objects[0]`, what it accepted; none
    for what gives back. `refers_to`: the voucher that it gives back."""

    charge: Charge
    object_hash: bytes | None = None
    objects: tuple[bytes, ...] = ()
    refers_to: int | None = None
    allowance: Signed | None = None
    pass_key: bytes | None = None
    state: PassState | None = None
    coupon: CouponUse | None = None
    meta: Mapping[str, bytes] | None = None
    closes_request: bytes | None = None


GIVES_BACK = frozenset({VoucherKind.REFUND, VoucherKind.VOID, VoucherKind.ANNUL})
"""Their value was counted against F with the original, which stays counted until it is acknowledged."""


class VoucherWriter:
    """Signs and appends. Its caller takes turns."""

    def __init__(self, identity: Identity, journal: Journal, signer: Signer) -> None:
        self._identity, self._journal, self._signer = identity, journal, signer
        self._aad = cose.external_aad(Kind.VOUCHER, identity.city)

    def write(self, sequence: int, accepted: Accepted, at: TimeNow) -> Signed:
        """The voucher, durable; `sequence` must be the next. Raises StorageFull, StorageFailed, JournalDamaged."""
        charge, tail = accepted.charge, self._journal.tail
        voucher = Voucher(
            device=self._identity.device,
            sequence=sequence,
            previous=tail.identity,
            at_s=at.at_s,
            trust=int(at.trust),
            kind=int(charge.kind),
            kgo=charge.kgo,
            satang=charge.satang,
            object_hash=accepted.object_hash,
            product=charge.product,
            bulletin=charge.bulletin,
            place=charge.place,
            reward_kgo=charge.reward_kgo,
            refers_to=accepted.refers_to,
        )
        signed = cose.sign1(device.VOUCHER.encode(voucher), self._aad, self._identity.key_id, self._signer.sign)
        row = VoucherRow(
            sequence=sequence,
            previous=tail.identity,
            identity=signed.identity,
            voucher=signed.raw,
            wallet_object=join_objects(*accepted.objects) if accepted.objects else None,
            allowance_hash=accepted.allowance.identity if accepted.allowance is not None else None,
            pass_id=accepted.pass_key,
            kgo=0 if charge.kind in GIVES_BACK else charge.kgo,
            thb_satang=charge.satang,
            at_s=at.at_s,
            kind=charge.kind,
        )
        self._journal.append(
            row,
            state=accepted.state,
            allowance=accepted.allowance.raw if accepted.allowance is not None else None,
            coupon=accepted.coupon,
            meta=accepted.meta,
            closes_request=accepted.closes_request,
        )
        return signed

    def read(self, sequence: int) -> Voucher | None:
        """One of ours as it was signed; None when it is pruned or not there."""
        row = self._journal.voucher_at(sequence)
        if row is None:
            return None
        signed = cose.parse_sign1(row.voucher, self._aad)
        return device.VOUCHER.decode(signed.payload, 1_024)
