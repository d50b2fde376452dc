"""One upload: the batch that goes out, and whether an answer really acknowledges it. Pure but for the journal handed
in. DESIGN §7.

An answer counts only if the ack is by an ack key, for this device and exactly these vouchers, each leaf of the log is
proven with this terminal's own leaf data, and the log is proven to extend the one of the ack held before. Everything
else is UNKNOWN and is sent again. Never decides when to send.
"""

import zlib
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from offline_ledger.errors import AnswerInvalid, JournalDamaged, LedgerRestored, LogRewritten, Refusal
from offline_ledger.protocol import cose
from offline_ledger.protocol.city import ACK, ANSWER, Ack, KeyRole, Outcome
from offline_ledger.protocol.cose import Signer
from offline_ledger.protocol.device import (
    BATCH,
    BATCH_EVENTS_MAX,
    BATCH_HEAD,
    LACKING_BYTES,
    LACKING_MAX,
    Batch,
    BatchHead,
    StateKey,
    event_link,
)
from offline_ledger.protocol.kinds import CITY_OBJECT_BYTES_MAX, Kind
from offline_ledger.protocol.tree import is_consistent, is_range_included, leaf_hash
from offline_ledger.rules.clock import TimeNow
from offline_ledger.terminal.journal_objects import split_objects
from offline_ledger.terminal.journal_rows import NO_IDENTITY, VoucherRow
from offline_ledger.terminal.ports import SyncJournal
from offline_ledger.terminal.sync_leaves import own_leaf_data
from offline_ledger.terminal.trust import HeldTrust, naming_later_versions, verify_signed

INFLATED_BYTES_MAX = 1_500_000
"""The city inflates no more than 2 MiB; the rest is for framing."""
ANSWER_BYTES_MAX = 1_048_576
EVENTS_PER_VOUCHER_MAX = 10
"""A small batch for a bad link is small in its events too."""
_ROW_BYTES = 16
_OUTCOMES = frozenset(map(int, Outcome))


class Sender(NamedTuple):
    """Who sends: the device, its city and its key."""

    city: str
    device: str
    key_id: bytes
    signer: Signer


class Place(NamedTuple):
    """A point in both chains: the last voucher and event before a batch."""

    sequence: int
    event_number: int
    event_head: bytes


class SentBatch(NamedTuple):
    """What went out, as far as its answer is judged by it. `event_heads[i]` is the head after event first_event + i."""

    body: bytes
    after: Place
    identity_before: bytes
    identities: tuple[bytes, ...]
    event_heads: tuple[bytes, ...]
    wanted: frozenset[bytes]

    @property
    def last_sequence(self) -> int:
        return self.after.sequence + len(self.identities)

    @property
    def last_event(self) -> int:
        return self.after.event_number + len(self.event_heads)

    @property
    def is_empty(self) -> bool:
        return not self.identities and not self.event_heads

    def identity_at(self, sequence: int) -> bytes:
        """The chain head at a sequence of this batch, or just before it."""
        offset = sequence - self.after.sequence
        return self.identities[offset - 1] if offset else self.identity_before

    def event_head_at(self, number: int) -> bytes:
        """The event chain's head at an event of this batch, or just before it."""
        offset = number - self.after.event_number
        return self.event_heads[offset - 1] if offset else self.after.event_head


class HeldAck(NamedTuple):
    """The newest ack that this terminal keeps: signed bytes and what they say."""

    raw: bytes
    ack: Ack


class Acknowledged(NamedTuple):
    """A verified answer."""

    raw: bytes
    ack: Ack
    wanted: tuple[bytes, ...]
    certificate: bytes | None

    def end_beyond(self, sent: SentBatch) -> int | None:
        """The last voucher of this device that the city has, when our journal ends before it: somebody signed on with
        our key, or our journal lost its end. Only a batch without vouchers tells: else an answer may be late."""
        end = self.ack.chain_end
        return end[0] if end is not None and not sent.identities and end[0] > sent.last_sequence else None

    def outcomes(self) -> tuple[tuple[int, int, int], ...]:
        """(sequence, outcome, refusal number) of each voucher."""
        first = self.ack.first_sequence
        return tuple((first + at, outcome, refusal) for at, (outcome, refusal, _leaf) in enumerate(self.ack.outcomes))


def build_batch(
    journal: SyncJournal,
    sender: Sender,
    after: Place,
    vouchers_max: int,
    at: TimeNow,
    newest_ack: HeldAck | None,
    state: Mapping[int, object],
    wanted: Sequence[bytes] = (),
    events_lost_after: int | None = None,
) -> SentBatch:
    """The next vouchers and events after a place, oldest first, signed and compressed. `events_lost_after`: the city's
    last event of ours; what followed is no longer here; this batch brings no events, so that its head names a place.

    Raises JournalDamaged: a damaged row is found before it is sent.
    """
    rows = journal.pending(vouchers_max, after.sequence)
    held = {digest: journal.allowance_bytes(digest) for digest in wanted}
    allowances = [raw for raw in held.values() if raw is not None]
    lacking = [digest[:LACKING_BYTES] for digest, raw in held.items() if raw is None][:LACKING_MAX]
    room = INFLATED_BYTES_MAX - sum(len(raw) + _ROW_BYTES for raw in allowances)
    room -= len(newest_ack.raw) if newest_ack is not None else 0
    rows = rows[: _fitting([_row_bytes(row) for row in rows], room)]
    room -= sum(map(_row_bytes, rows))
    events = journal.events_after(after.event_number, min(BATCH_EVENTS_MAX, vouchers_max * EVENTS_PER_VOUCHER_MAX))
    events = (
        []
        if events_lost_after is not None
        else events[: _fitting([len(event.body) + _ROW_BYTES for event in events], room)]
    )
    said = {
        **state,
        **({int(StateKey.LACKING): lacking} if lacking else {}),
        **({int(StateKey.EVENTS_LOST_AFTER): events_lost_after} if events_lost_after is not None else {}),
    }
    heads = [after.event_head]
    for event in events:
        heads.append(event_link(heads[-1], event.kind, event.body))
    before = _identity_before(journal, after.sequence, rows)
    if (rows and rows[0].sequence != after.sequence + 1) or (events and events[0].number != after.event_number + 1):
        raise JournalDamaged(f"nothing follows voucher {after.sequence} and event {after.event_number}")
    head = BatchHead(
        device=sender.device,
        first_sequence=after.sequence + 1,
        last_sequence=after.sequence + len(rows),
        chain_head=rows[-1].identity if rows else before,
        first_event=after.event_number + 1,
        last_event=after.event_number + len(events),
        event_head=heads[-1],
        at_s=at.at_s,
        trust=int(at.trust),
        newest_ack=(newest_ack.ack.log_size, newest_ack.ack.log_root) if newest_ack is not None else None,
        state=said,
    )
    aad = cose.external_aad(Kind.BATCH_HEAD, sender.city)
    signed = cose.sign1(BATCH_HEAD.encode(head), aad, sender.key_id, sender.signer.sign)
    batch = Batch(
        signed.raw,
        tuple((row.voucher, split_objects(row.wallet_object)) for row in rows),
        tuple((event.kind, event.body) for event in events),
        tuple(allowances),
        newest_ack.raw if newest_ack is not None else None,
    )
    body = zlib.compress(BATCH.encode(batch), 9)
    return SentBatch(body, after, before, tuple(row.identity for row in rows), tuple(heads[1:]), frozenset(wanted))


def _row_bytes(row: VoucherRow) -> int:
    return len(row.voucher) + sum(map(len, split_objects(row.wallet_object))) + _ROW_BYTES


def _fitting(sizes: Sequence[int], room: int) -> int:
    """How many of these fit; the first always goes, or nothing ever would."""
    count = 0
    for size in sizes:
        room -= size
        if room < 0 and count:
            break
        count += 1
    return count


def _identity_before(journal: SyncJournal, sequence: int, rows: Sequence[VoucherRow]) -> bytes:
    """The chain head before a batch; its voucher may be pruned, but the next one names it."""
    if rows:
        return rows[0].previous
    if sequence == 0:
        return NO_IDENTITY
    tail = journal.tail
    if tail.sequence == sequence:
        return tail.identity
    row = journal.voucher_at(sequence)
    return row.identity if row is not None else NO_IDENTITY


def after_lost_events(journal: SyncJournal, place: Place, own: Place) -> Place | None:
    """Where our events begin again for a city that lost those behind `place`, when the next ones were pruned here: what
    is still here goes back. None: nothing is missing between."""
    if place.event_number >= own.event_number:
        return None
    events = journal.events_after(place.event_number, 1)
    if not events or events[0].number > own.event_number:
        return own._replace(sequence=place.sequence)
    if events[0].number == place.event_number + 1:
        return None
    return Place(place.sequence, events[0].number - 1, events[0].previous)


def leads_to(journal: SyncJournal, early: Place, late: Place) -> bool:
    """Whether all between two places is still here and the event chain joins them: what a restored city asks for."""
    if early.sequence > late.sequence or early.event_number > late.event_number:
        return False
    if early.sequence < late.sequence and journal.voucher_at(early.sequence + 1) is None:
        return False
    number, head = early.event_number, early.event_head
    while number < late.event_number:
        events = journal.events_after(number, min(BATCH_EVENTS_MAX, late.event_number - number))
        if not events or events[0].number != number + 1:
            return False
        for event in events:
            number, head = event.number, event_link(head, event.kind, event.body)
    return head == late.event_head


def read_held_ack(raw: bytes | None, city: str) -> HeldAck | None:
    """Our own newest ack again, from the journal; it was verified when it was taken."""
    if raw is None:
        return None
    signed = cose.parse_sign1(raw, cose.external_aad(Kind.ACK, city), CITY_OBJECT_BYTES_MAX)
    return HeldAck(raw, ACK.decode(signed.payload, CITY_OBJECT_BYTES_MAX))


def check_answer(
    body: bytes,
    sent: SentBatch,
    sender: Sender,
    trust: HeldTrust,
    held: HeldAck | None,
    *,
    may_be_new_log: bool = False,
) -> Acknowledged:
    """Verify the answer to `sent`. `may_be_new_log`: the city's roots have announced a new log since it was restored.

    Raises AnswerInvalid (UNKNOWN: send again), UnknownIssuer, IssuerRoleWrong, IssuerKeyExpired (the trust list must be
    renewed), VersionUnknown, LedgerRestored (the log is behind the ack that we hold), LogRewritten (it does not extend
    that ack's log). Whether our journal reaches as far as the city says is not judged here: `Acknowledged.end_beyond`.
    """
    try:
        answer = ANSWER.decode(body, ANSWER_BYTES_MAX)
    except Refusal as refusal:
        raise AnswerInvalid(str(refusal)) from refusal
    with naming_later_versions(trust, answer.ack, Kind.ACK, KeyRole.ACK):
        ack = _read_ack(answer.ack, sender.city, trust)
    _check_range(ack, sent, sender.device)
    _check_log(ack, held, may_be_new_log)
    _check_growth(ack, answer.consistency, held, may_be_new_log)
    _check_proofs(ack, answer.proofs, sent, sender.device)
    return Acknowledged(answer.ack, ack, answer.wanted_allowances, answer.certificate)


def _read_ack(raw: bytes, city: str, trust: HeldTrust) -> Ack:
    try:
        signed = cose.parse_sign1(raw, cose.external_aad(Kind.ACK, city), CITY_OBJECT_BYTES_MAX)
        ack = ACK.decode(signed.payload, CITY_OBJECT_BYTES_MAX)
    except Refusal as refusal:
        raise AnswerInvalid(str(refusal)) from refusal
    verify_signed(trust, signed, KeyRole.ACK, ack.issued_at_s, AnswerInvalid)
    return ack


def _check_range(ack: Ack, sent: SentBatch, device: str) -> None:
    if ack.device != device:
        raise AnswerInvalid(f"for device {ack.device}")
    if ack.first_sequence != sent.after.sequence + 1:
        raise AnswerInvalid(f"from {ack.first_sequence}, sent from {sent.after.sequence + 1}")
    if not sent.after.sequence <= ack.through_sequence <= sent.last_sequence:
        raise AnswerInvalid(f"through {ack.through_sequence}, sent through {sent.last_sequence}")
    if not sent.after.event_number <= ack.through_event <= sent.last_event:
        raise AnswerInvalid(f"through event {ack.through_event}, sent through {sent.last_event}")
    if ack.chain_head != sent.identity_at(ack.through_sequence):
        raise AnswerInvalid("another chain head")
    if len(ack.outcomes) != ack.through_sequence - sent.after.sequence:
        raise AnswerInvalid(f"{len(ack.outcomes)} outcomes")


def _check_log(ack: Ack, held: HeldAck | None, may_be_new_log: bool) -> None:
    """The log only grows. An older ack is a replay; a younger one over a shorter or other log is a restored ledger."""
    if held is None or may_be_new_log or ack.log_size > held.ack.log_size:
        return
    if ack.log_size == held.ack.log_size and ack.log_root == held.ack.log_root:
        return
    if ack.issued_at_s < held.ack.issued_at_s:
        raise AnswerInvalid("older than the ack that is held")
    raise LedgerRestored(f"log of {ack.log_size}, held ack names {held.ack.log_size}")


def _check_growth(ack: Ack, proof: Sequence[bytes] | None, held: HeldAck | None, may_be_new_log: bool) -> None:
    """What was acknowledged before is still in the log, where it was: a city that proves nothing has rewritten it."""
    if held is None or may_be_new_log or held.ack.log_size == 0:
        return
    old = held.ack
    if (ack.log_size, ack.log_root) == (old.log_size, old.log_root):
        return  # the very same log, whatever an answer that comes twice proves beside it
    if proof is None or not is_consistent(old.log_size, ack.log_size, proof, old.log_root, ack.log_root):
        raise LogRewritten(f"the log of {ack.log_size} leaves does not extend the one of {old.log_size}")


def _check_proofs(ack: Ack, proofs: Sequence[tuple[int, int, tuple[bytes, ...]]], sent: SentBatch, device: str) -> None:
    leaves: list[tuple[int, bytes]] = []
    for at, (outcome, refusal, leaf_after) in enumerate(ack.outcomes):
        if outcome not in _OUTCOMES or (leaf_after == 0) != (outcome == Outcome.HELD):
            raise AnswerInvalid(f"outcome {outcome} with leaf {leaf_after}")
        if leaf_after:
            sequence = ack.first_sequence + at
            leaves.append((leaf_after - 1, own_leaf(device, sequence, sent.identities[at], outcome, refusal)))
    leaves.sort()
    if any(before == index for (before, _), (index, _) in pairwise(leaves)):
        raise AnswerInvalid("two vouchers in one leaf")
    proven = 0
    for begin, count, steps in sorted(proofs):
        run = leaves[proven : proven + count]
        if len(run) != count or run[0][0] != begin or run[-1][0] != begin + count - 1:
            raise AnswerInvalid(f"a proof for other leaves: {count} from {begin}")
        if not is_range_included([hash_ for _, hash_ in run], begin, ack.log_size, steps, ack.log_root):
            raise AnswerInvalid(f"the log does not hold leaves {begin} to {begin + count - 1} as we know them")
        proven += count
    if proven != len(leaves):
        raise AnswerInvalid(f"{proven} of {len(leaves)} leaves proven")


def own_leaf(device: str, sequence: int, identity: bytes, outcome: int, refusal: int) -> bytes:
    """The leaf hash that the log must hold for a voucher of ours."""
    return leaf_hash(own_leaf_data(device, sequence, identity, outcome, refusal))
