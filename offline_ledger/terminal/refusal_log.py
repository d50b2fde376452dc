"""Refusals in the journal: bounded, and a proof of equivocation durably, with both payloads. DESIGN §5.

Decides nothing but which light a refusal gets. Its caller takes turns.
"""

from collections import OrderedDict
from hashlib import sha256

from offline_ledger.errors import (
    AlreadyAccepted,
    Conflict,
    DeviceBlocked,
    DeviceCertificateInvalid,
    JournalDamaged,
    JournalLost,
    Refusal,
    StorageFailed,
    StorageFull,
    SumUnderstated,
    TerminalRevoked,
)
from offline_ledger.protocol import cbor
from offline_ledger.protocol.device import EventKind
from offline_ledger.protocol.kinds import PASS_ID_BYTES
from offline_ledger.rules.civil import civil_day
from offline_ledger.rules.clock import TimeNow
from offline_ledger.terminal.evidence import Evidence
from offline_ledger.terminal.journal import Journal
from offline_ledger.terminal.journal_objects import split_objects
from offline_ledger.terminal.outcome import Light, Outcome

NO_MORE_PAID = (TerminalRevoked, DeviceBlocked, JournalLost, DeviceCertificateInvalid)
"""The terminal's own standing, not the code's: out of service."""
PROVEN_MAX = 4096
"""Allowances whose proof is in the journal since this start; who has more than these was issued them by the city."""
_DIGEST_BYTES = 8


class RefusalLog:
    """What was refused and why."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._proven: OrderedDict[bytes, None] = OrderedDict()

    def refused(
        self, refusal: Refusal, said: bytes, evidence: Evidence | None, at: TimeNow, *, is_read: bool = False
    ) -> Outcome:
        """Journaled, and its light. `said`: the bytes shown. `is_read`: what was shown is good, also where it is no
        evidence; holding it again helps nobody. A proof is kept once per allowance: one is enough to freeze the
        account."""
        try:
            if (
                isinstance(refusal, Conflict | SumUnderstated)
                and evidence is not None
                and evidence.allowance_signed.identity not in self._proven
            ):
                self._keep_proof(evidence, refusal, at)
            else:
                body = cbor.encode([refusal.number, at.at_s, sha256(said).digest()[:_DIGEST_BYTES]])
                self._journal.append_event(EventKind.REFUSAL, body, durable=False, day=civil_day(at.at_s))
        except (StorageFailed, StorageFull, JournalDamaged) as failure:
            return Outcome(Light.OUT_OF_SERVICE, refusal=failure)
        if isinstance(refusal, NO_MORE_PAID):
            return Outcome(Light.OUT_OF_SERVICE, refusal=refusal)
        is_held_badly = refusal.waiting_helps and evidence is None and not is_read
        light = Light.TRY_AGAIN if is_held_badly else Light.REFUSED
        return Outcome(light, refusal=refusal)

    def repeated(self, said: bytes, at: TimeNow) -> None:
        """Something that had paid already was shown again: nobody is refused anything, but the day's list says so."""
        body = cbor.encode([AlreadyAccepted.number, at.at_s, sha256(said).digest()[:_DIGEST_BYTES]])
        self._journal.append_event(EventKind.REFUSAL, body, durable=False, day=civil_day(at.at_s))

    def _keep_proof(self, evidence: Evidence, refusal: Refusal, at: TimeNow) -> None:
        state = self._journal.state_of(evidence.allowance_signed.identity[:PASS_ID_BYTES])
        row = self._journal.voucher_at(state.last_sequence) if state is not None else None
        earlier, *_ = (*split_objects(row.wallet_object if row is not None else None), b"")
        body = cbor.encode(
            [refusal.number, at.at_s, evidence.allowance_signed.raw, earlier, evidence.wallet_signed.raw]
        )
        self._journal.append_event(EventKind.CONFLICT, body, durable=True)
        self._proven[evidence.allowance_signed.identity] = None
        if len(self._proven) > PROVEN_MAX:
            self._proven.popitem(last=False)
