"""The allowance behind a voucher of this device, out of its own journal. DESIGN §4, §6.

It was verified when its voucher was made; here it is only read again. Never writes.
"""

from typing import Protocol

from offline_ledger.errors import Refusal
from offline_ledger.protocol import cose
from offline_ledger.protocol.kinds import OBJECT_BYTES_MAX, Kind
from offline_ledger.protocol.wallet import ALLOWANCE, Allowance


class AllowanceJournal(Protocol):
    """What it needs of the journal."""

    def allowance_bytes(self, allowance_hash: bytes) -> bytes | None: ...


def kept_allowance(journal: AllowanceJournal, city: str, allowance_hash: bytes | None) -> Allowance | None:
    """None: the voucher has none (a coupon), it is pruned, or it cannot be read any more."""
    raw = None if allowance_hash is None else journal.allowance_bytes(allowance_hash)
    if raw is None:
        return None
    try:
        return ALLOWANCE.decode(
            cose.parse_sign1(raw, cose.external_aad(Kind.ALLOWANCE, city)).payload, OBJECT_BYTES_MAX
        )
    except Refusal:
        return None
