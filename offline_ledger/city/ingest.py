"""A batch becomes postings and one signed ack: verify, one transaction, checkpoint, then the answer. DESIGN §7, §8.

Acked is only what is committed durably. A batch sent again, whole or cut otherwise, gets the stored outcomes. The same
sequence with other content is a fork: stored with its proof, held, and the device blocked, though it may go on
uploading. A ledger behind any checkpoint or ack of its own signs nothing. Never drops what a device sent.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import cast

from offline_ledger.city import allowances, device_events, equivocation, heads, recover, wallet_numbers
from offline_ledger.city.accounts import Books
from offline_ledger.city.bench import Bench, Verdict
from offline_ledger.city.equivocation import Contradiction, ProofKind
from offline_ledger.city.ingest_reading import (
    BatchReader,
    KeyRing,
    Mapper,
    Read,
    ReadBatch,
    Terminal,
)
from offline_ledger.city.judging import Judge
from offline_ledger.city.log import Checkpoint, Log, advance_checkpoint, leaf_data
from offline_ledger.city.posting_links import newest_mark
from offline_ledger.city.pricing import Prices
from offline_ledger.city.renewal import Renewal
from offline_ledger.city.store import Row, Store
from offline_ledger.errors import BatchInvalid, BatchOutOfOrder, DeviceBlocked, RecoveryNeeded
from offline_ledger.protocol import cbor, city, cose
from offline_ledger.protocol.city import Ack, Answer, Outcome
from offline_ledger.protocol.cose import Signer
from offline_ledger.protocol.device import LACKING_BYTES, BatchHead, StateKey
from offline_ledger.protocol.kinds import ZERO_HASH, Kind
from offline_ledger.protocol.wallet import Allowance
from offline_ledger.rules.civil import civil_day, day_start_s
from offline_ledger.rules.limits import Limits

STATE_BYTES_MAX = 1_024


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the ledger says of one voucher of the batch. `leaf` None: not in the log, held."""

    outcome: int
    refusal: int
    leaf: int | None


@dataclass
class Progress:
    """The device's main chain while the batch is posted, and the leaves that it adds."""

    through: int
    chain_head: bytes
    is_blocked: bool
    first_leaf: int
    leaves: list[bytes] = field(default_factory=list[bytes])
    forked: bool = False


class Ingest:
    """Posts batches of one city. Several threads may call it; the store lets one transaction through at a time."""

    def __init__(
        self,
        store: Store,
        keys: KeyRing,
        ack_signer: Signer,
        limits: Limits,
        checkpoint_path: Path,
        mapper: Mapper = map,
        committed: Callable[[], None] = lambda: None,
        renewal: Renewal | None = None,
    ) -> None:
        """`mapper`: `map` or a pool's; `committed` is called between commit and ack, where a crash must be harmless.
        `renewal`: None where no terminal syncs, as in a desk's tool."""
        self._store = store
        self._reader = BatchReader(store, keys, mapper)
        self._signer = ack_signer
        self._aad = cose.external_aad(Kind.ACK, store.city)
        self._limits = limits
        self._checkpoint_path = checkpoint_path
        self._committed = committed
        self._renewal = renewal
        self._log = Log(store)
        self._checkpoint_lock = Lock()

    def ingest(self, body: bytes, now_s: int) -> bytes:
        """The ANSWER to one upload. Raises what `BatchReader.read` raises, BatchOutOfOrder, RecoveryNeeded."""
        recover.check_may_sign(self._store, self._checkpoint_path)
        batch = self._reader.read(body)
        held = Checkpoint(*batch.head.newest_ack) if batch.head.newest_ack is not None else None
        if held is not None:
            recover.check_ack_held(self._store, self._log, held, may_halt=batch.shown_ack is not None)
        with self._store.transaction():
            ack, proofs, wanted = self._post(batch, now_s)
            growth = self._log.growth_since(held)
            mark = newest_mark(self._store)
            newer = self._renewal and self._renewal.certificate_for(batch.head.device, batch.head.state, now_s)
        self._committed()
        with self._checkpoint_lock:
            advance_checkpoint(self._checkpoint_path, Checkpoint(ack.log_size, ack.log_root), mark)
        key_id = cose.key_id_of(self._signer.point)  # asked each time: the key in force changes while we run
        signed = cose.sign1(city.ACK.encode(ack), self._aad, key_id, self._signer.sign)
        return city.ANSWER.encode(Answer(signed.raw, proofs, wanted, growth, newer))

    # --- inside the transaction

    def _post(
        self, batch: ReadBatch, now_s: int
    ) -> tuple[Ack, tuple[tuple[int, int, tuple[bytes, ...]], ...], tuple[bytes, ...]]:
        head = batch.head
        row = self._device(head.device)
        self._check_follows(batch, row)
        joined = device_events.join(self._store, batch)
        device_events.keep(self._store, batch, joined, now_s)
        device_events.apply_before(self._store, head.device, joined)
        bench = Bench(self._store, Books(self._store, now_s), Prices(self._store), self._limits, now_s)
        self._add_uploaded(batch, bench)
        known = self._known(head.device, head.first_sequence, head.last_sequence)
        vouchers, wanted = self._cut(batch, known)
        progress = Progress(row[0], row[1], bool(self._device(head.device)[2]), self._log.head().size)
        judge = Judge(bench, batch.terminal, row[3], min((read.voucher.at_s for read in vouchers), default=now_s))
        bench.prefetch(read.shown.allowance_hash for read in vouchers if read.shown is not None and read.allowance)
        recorded = [self._record(read, known, progress, judge, batch, now_s) for read in vouchers]
        device_events.apply_after(bench, head.device, joined)
        bench.books.write()
        self._log.append(progress.leaves)
        self._seen(batch, progress, judge, now_s)
        return self._answer(batch, vouchers, recorded, progress, now_s), self._proofs(recorded), wanted

    def _device(self, device_id: str) -> Row:
        row = self._store.one(
            "SELECT through_sequence, chain_head, blocked, total_kgo, event_number, event_head FROM devices"
            " WHERE device = ?",
            (device_id,),
        )
        assert row is not None  # the reader found it
        return row

    def _check_follows(self, batch: ReadBatch, row: Row) -> None:
        """The batch begins at or before the first voucher that is not here yet, on a chain that is known."""
        head = batch.head
        before = head.first_sequence - 1
        if not self._identities_at(head.device, before) or before > max(row[0], self._fork_through(head.device)):
            is_acked = batch.shown_ack is not None and row[0] < before <= batch.shown_ack.through_sequence
            is_explained = recover.explained_through(self._store) or self._store.setting(recover.REFILLED) is not None
            if is_acked or is_explained:
                gap = RecoveryNeeded(f"{head.device} begins at {head.first_sequence}, known through {row[0]}")
                gap.resume_at = (row[0], row[4], row[5])
                raise gap
            raise BatchOutOfOrder(f"vouchers from {head.first_sequence}, known through {row[0]}")
        if not batch.vouchers and head.chain_head not in self._identities_at(head.device, before):
            raise BatchInvalid("the head names another last voucher")

    def _identities_at(self, device_id: str, sequence: int) -> set[bytes]:
        if sequence == 0:
            return {ZERO_HASH}
        rows = self._store.fetch(
            "SELECT identity FROM vouchers WHERE device = ? AND sequence = ?"
            " UNION ALL SELECT identity FROM fork_vouchers WHERE device = ? AND sequence = ?",
            (device_id, sequence, device_id, sequence),
        )
        return {row[0] for row in rows}

    def _fork_through(self, device_id: str) -> int:
        row = self._store.one("SELECT coalesce(max(sequence), 0) FROM fork_vouchers WHERE device = ?", (device_id,))
        return row[0] if row else 0

    def _known(self, device_id: str, first: int, last: int) -> dict[bytes, Recorded]:
        """Stored outcomes by identity, of the main chain and of forks."""
        rows = self._store.fetch(
            "SELECT identity, outcome, refusal, leaf FROM vouchers WHERE device = ? AND sequence BETWEEN ? AND ?"
            " UNION ALL SELECT identity, outcome, refusal, leaf FROM fork_vouchers"
            " WHERE device = ? AND sequence BETWEEN ? AND ?",
            (device_id, first, last, device_id, first, last),
        )
        return {row[0]: Recorded(row[1], row[2], row[3]) for row in rows}

    def _add_uploaded(self, batch: ReadBatch, bench: Bench) -> None:
        """Allowances that this ledger lost in a restore: our issuer signed them, so their reserve is rebuilt."""
        for found, sent in batch.uploaded.items():
            if allowances.issued_by_hash(self._store, found) is None:
                wallet_id = self._placeholder(sent.allowance, bench.now_s)
                allowances.add_allowance(self._store, bench.books, sent.signed, sent.allowance, wallet_id, bench.now_s)

    def _placeholder(self, allowance: Allowance, now_s: int) -> int:
        """An allowance does not name its account: a stand-in holds the debt until the operator joins it."""
        row = self._store.one(
            "SELECT coalesce(s.joined_id, w.wallet_id) FROM wallets w LEFT JOIN stand_ins s USING(wallet_id)"
            " WHERE w.account_point = ?",
            (allowance.wallet_point,),
        )
        if row is not None:
            return row[0]
        number = wallet_numbers.next_number(self._store)
        wallet_id = self._store.insert(
            "INSERT INTO wallets(wallet_id, account_point, concession, medium, registered_at_s, name)"
            " VALUES(?, ?, ?, ?, ?, ?)",
            (
                number,
                allowance.wallet_point,
                allowance.concession,
                allowance.medium,
                day_start_s(civil_day(now_s)),
                "rebuilt from an allowance",
            ),
        )
        self._store.execute("INSERT INTO stand_ins(wallet_id) VALUES(?)", (wallet_id,))
        return wallet_id

    def _cut(self, batch: ReadBatch, known: dict[bytes, Recorded]) -> tuple[tuple[Read, ...], tuple[bytes, ...]]:
        """Stop before the first voucher whose allowance is not here; ask for all such, again in every answer.

        An answer may be lost or dropped, so having asked proves nothing. Only what the device itself signs that it
        lacks, or sends and does not verify, is judged without.
        """
        lacking = _lacking(batch)
        missing = [
            (at, read.shown.allowance_hash)
            for at, read in enumerate(batch.vouchers)
            if read.is_allowance_missing
            and read.shown is not None
            and read.signed.identity not in known
            and read.shown.allowance_hash not in batch.offered
            and read.shown.allowance_hash[:LACKING_BYTES] not in lacking
        ]
        wanted = tuple(dict.fromkeys(found for _at, found in missing))
        return (batch.vouchers[: missing[0][0]] if missing else batch.vouchers), wanted

    def _record(
        self,
        read: Read,
        known: dict[bytes, Recorded],
        progress: Progress,
        judge: Judge,
        batch: ReadBatch,
        now_s: int,
    ) -> Recorded:
        """One voucher: known, the next of the main chain, or a fork."""
        found = known.get(read.signed.identity)
        if found is not None:
            return found
        voucher = read.voucher
        if voucher.sequence != progress.through + 1 or voucher.previous != progress.chain_head:
            return self._fork(read, progress, batch, now_s)
        progress.through, progress.chain_head = voucher.sequence, read.signed.identity
        if progress.is_blocked:
            verdict, leaf = Verdict(Outcome.HELD, DeviceBlocked.number), None
        else:
            verdict = judge.judge(read, voucher.device)
            leaf = self._leaf(read, verdict, progress)
        self._store.execute(
            "INSERT INTO vouchers VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                voucher.device,
                voucher.sequence,
                read.signed.identity,
                read.signed.raw,
                cbor.encode(list(read.objects)),
                verdict.outcome,
                verdict.refusal,
                leaf,
                voucher.kind,
                voucher.kgo,
                voucher.satang,
                voucher.at_s,
                now_s,
                int(verdict.is_late),
                voucher.refers_to,
            ),
        )
        return Recorded(verdict.outcome, verdict.refusal, leaf)

    def _leaf(self, read: Read, verdict: Verdict, progress: Progress) -> int:
        voucher = read.voucher
        data = leaf_data(voucher.device, voucher.sequence, read.signed.identity, verdict.outcome, verdict.refusal)
        refilled = recover.refilled_leaf(self._store, data)
        if refilled is not None:
            return refilled
        progress.leaves.append(data)
        return progress.first_leaf + len(progress.leaves) - 1

    def _fork(self, read: Read, progress: Progress, batch: ReadBatch, now_s: int) -> Recorded:
        """Other content at a known place: kept whole, held, the device blocked; a batch's first is the proof."""
        voucher = read.voucher
        if not progress.forked:
            progress.forked = progress.is_blocked = True
            proof = self._fork_proof(read, batch.terminal)
            if proof is not None:
                equivocation.store_proof(self._store, proof, now_s, device_id=voucher.device)
            equivocation.block_device(self._store, voucher.device, f"two vouchers at {voucher.sequence}")
        self._store.execute(
            "INSERT INTO fork_vouchers VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)",
            (
                read.signed.identity,
                voucher.device,
                voucher.sequence,
                voucher.previous,
                read.signed.raw,
                cbor.encode(list(read.objects)),
                now_s,
                Outcome.HELD,
                DeviceBlocked.number,
            ),
        )
        return Recorded(Outcome.HELD, DeviceBlocked.number, None)

    def _fork_proof(self, read: Read, terminal: Terminal) -> Contradiction | None:
        """Against the voucher of the same sequence, or the one before it that this one does not name.

        None for what follows a fork already on record: its proof stands.
        """
        voucher = read.voucher
        if self._store.one("SELECT 1 FROM fork_vouchers WHERE identity = ?", (voucher.previous,)) is not None:
            return None
        row = self._store.one(
            "SELECT raw FROM vouchers WHERE device = ? AND sequence IN (?, ? - 1) ORDER BY sequence DESC LIMIT 1",
            (voucher.device, voucher.sequence, voucher.sequence),
        )
        if row is None:
            return None
        first = cose.parse_sign1(row[0], cose.external_aad(Kind.VOUCHER, self._store.city))
        return Contradiction(
            ProofKind.DEVICE_VOUCHER,
            first.raw,
            first.identity,
            read.signed.raw,
            read.signed.identity,
            terminal.certificate,
        )

    def _seen(self, batch: ReadBatch, progress: Progress, judge: Judge, now_s: int) -> None:
        head = batch.head
        state = cbor.encode(dict(head.state))
        self._store.execute(
            "UPDATE devices SET through_sequence = ?, chain_head = ?, total_kgo = ?, last_seen_s = ?, head_at_s = ?,"
            " head_trust = ?, state = ? WHERE device = ?",
            (
                progress.through,
                progress.chain_head,
                judge.total_kgo,
                now_s,
                head.at_s,
                head.trust,
                state if len(state) <= STATE_BYTES_MAX else cbor.encode({}),
                head.device,
            ),
        )
        self._store.execute(
            "INSERT OR IGNORE INTO batches VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
            (
                batch.head_signed.identity,
                head.device,
                head.first_sequence,
                head.last_sequence,
                head.last_event,
                batch.head_signed.raw,
                now_s,
                judge.total_kgo,
            ),
        )
        if not batch.vouchers and not batch.events:
            heads.forget_older(self._store, batch.head, batch.head_signed.identity)

    # --- the answer

    def _answer(
        self, batch: ReadBatch, vouchers: tuple[Read, ...], recorded: list[Recorded], progress: Progress, now_s: int
    ) -> Ack:
        head = batch.head
        checkpoint = self._log.head()
        chain_head = head.chain_head
        if len(vouchers) < len(batch.vouchers):
            chain_head = vouchers[-1].signed.identity if vouchers else batch.vouchers[0].voucher.previous
        return Ack(
            device=head.device,
            first_sequence=head.first_sequence,
            through_sequence=head.first_sequence - 1 + len(vouchers),
            chain_head=chain_head,
            through_event=head.last_event,
            outcomes=tuple((one.outcome, one.refusal, 0 if one.leaf is None else one.leaf + 1) for one in recorded),
            log_size=checkpoint.size,
            log_root=checkpoint.root,
            issued_at_s=now_s,
            chain_end=None if batch.vouchers else self._chain_end(head, progress),
        )

    def _chain_end(self, head: BatchHead, progress: Progress) -> tuple[int, bytes] | None:
        """For a device that says it has no more: how far it went as we know it, so that one that lost its journal stops
        before its first light. None on the branch of a fork, which is blocked already."""
        row = self._store.one(
            "SELECT identity FROM vouchers WHERE device = ? AND sequence = ?", (head.device, head.last_sequence)
        )
        is_on_main = head.last_sequence == 0 or (row is not None and row[0] == head.chain_head)
        return (progress.through, progress.chain_head) if is_on_main else None

    def _proofs(self, recorded: list[Recorded]) -> tuple[tuple[int, int, tuple[bytes, ...]], ...]:
        """One range proof per run of neighbouring leaves."""
        size = self._log.head().size
        runs: list[tuple[int, int]] = []
        for leaf in sorted(one.leaf for one in recorded if one.leaf is not None):
            if runs and runs[-1][1] == leaf:
                runs[-1] = (runs[-1][0], leaf + 1)
            else:
                runs.append((leaf, leaf + 1))
        return tuple((begin, end - begin, self._log.range_proof(begin, end, size)) for begin, end in runs)


def _lacking(batch: ReadBatch) -> frozenset[bytes]:
    """Beginnings of hashes of allowances that the device signs it does not have."""
    said = batch.head.state.get(StateKey.LACKING)
    if not isinstance(said, list | tuple):
        return frozenset()
    return frozenset(one for one in cast(list[object], said) if isinstance(one, bytes) and len(one) == LACKING_BYTES)
