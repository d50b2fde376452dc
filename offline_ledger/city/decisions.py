"""What the operator decides: release what is held, pay or refuse what is in suspense, name the shop. DESIGN §7, §8.

Every decision is a posting like any other, or a voucher judged again by the same rules; nothing is edited. Never
decides by itself.
"""

from offline_ledger.city import equivocation, posting
from offline_ledger.city.accounts import (
    UNFUNDED,
    Account,
    Books,
    OwnerKind,
    Posting,
    Reason,
    deposit_account,
    owner_account,
    suspense_account,
    wallet_account,
)
from offline_ledger.city.allowances import Issued, issued_by_hash
from offline_ledger.city.bench import Bench, take_back_reward
from offline_ledger.city.branches import fork_record
from offline_ledger.city.ingest_reading import BatchReader, stored_objects, terminal_of
from offline_ledger.city.judging import Judge
from offline_ledger.city.log import Log, leaf_data
from offline_ledger.city.posting import Payee, Payer
from offline_ledger.city.pricing import Prices
from offline_ledger.city.store import Store
from offline_ledger.errors import JoinInvalid, Reconsidered, RefundInvalid, WalletUnknown
from offline_ledger.protocol.city import Outcome
from offline_ledger.protocol.device import BATCH_VOUCHERS_MAX, DeviceRole
from offline_ledger.rules.limits import Limits

RELEASE_MAX = BATCH_VOUCHERS_MAX
NOTE_CHARACTERS_MAX = 200


def release_held(store: Store, reader: BatchReader, limits: Limits, device_id: str, now_s: int) -> int:
    """Judges what is held of this device, main chain first, then forks; at most RELEASE_MAX a call. How many.

    The caller writes the new checkpoint; the device learns the outcomes when it asks again.
    """
    with store.transaction():
        rows = store.fetch(
            "SELECT 0, sequence, identity, raw, objects FROM vouchers WHERE device = ? AND outcome = ?"
            " UNION ALL SELECT 1, sequence, identity, raw, objects FROM fork_vouchers WHERE device = ? AND outcome = ?"
            " ORDER BY 1, 2, 3 LIMIT ?",
            (device_id, Outcome.HELD, device_id, Outcome.HELD, RELEASE_MAX),
        )
        bench = Bench(store, Books(store, now_s), Prices(store), limits, now_s)
        log = Log(store)
        first, leaves = log.head().size, list[bytes]()
        total = store.one("SELECT total_kgo FROM devices WHERE device = ?", (device_id,))
        reads = [reader.reread(raw, stored_objects(objects)) for *_rest, raw, objects in rows]
        first_at_s = min((read.voucher.at_s for read in reads), default=now_s)
        judge = Judge(bench, terminal_of(store, device_id), total[0] if total else 0, first_at_s)
        for (is_fork, sequence, identity, _raw, _objects), read in zip(rows, reads, strict=True):
            record = fork_record(device_id, identity) if is_fork else device_id
            verdict = judge.judge(read, record)
            leaves.append(leaf_data(device_id, sequence, identity, verdict.outcome, verdict.refusal))
            table, key = ("fork_vouchers", "identity") if is_fork else ("vouchers", "identity")
            store.execute(
                f"UPDATE {table} SET outcome = ?, refusal = ?, leaf = ? WHERE {key} = ? AND device = ?",
                (verdict.outcome, verdict.refusal, first + len(leaves) - 1, identity, device_id),
            )
        bench.books.write()
        log.append(leaves)
        store.execute("UPDATE devices SET total_kgo = ? WHERE device = ?", (judge.total_kgo, device_id))
    return len(rows)


def unblock(store: Store, device_id: str) -> None:
    """The device was looked at; what it sends from now on is judged again."""
    with store.transaction():
        store.execute("UPDATE devices SET blocked = 0, blocked_reason = '' WHERE device = ?", (device_id,))


def decide_suspense(
    store: Store, record: str, sequence: int, *, pay: bool, from_risk: bool, note: str, now_s: int
) -> int:
    """Pays what waits to the owner, or gives it back to who had funded it; what nobody funded comes from the risk fund
    or the wallet. 1/100 KGO.

    Naming the second shop of a duplicate: `reconsider` the first and refuse it, then pay the second from the wallet.
    Raises RefundInvalid when nothing is open there.
    """
    with store.transaction():
        row = store.one(
            "SELECT owner FROM suspense WHERE device = ? AND sequence = ? AND decided_at_s IS NULL", (record, sequence)
        )
        if row is None:
            raise RefundInvalid(f"nothing in suspense at {record}/{sequence}")
        books = Books(store, now_s)
        net = books.entries_of(record, sequence)
        waiting_kgo = dict(net).get(suspense_account(row[0]), 0)
        owner = Payee(owner_kind(store, row[0], record), row[0])
        issued = _issued_of(store, record, sequence)
        if pay:
            unfunded_kgo = -dict(net).get(UNFUNDED, 0)  # nothing of a coupon's: issuance has paid it
            payer = _payer(books, issued, record) if unfunded_kgo and not from_risk else None
            entries = posting.payout_entries(owner, waiting_kgo, unfunded_kgo, payer)
        else:
            entries = posting.refund_entries(net, issued.wallet_id if issued else None, waiting_kgo, 0, owner)
        books.post(Posting(Reason.DECISION, entries, record, sequence, note))
        if not pay:  # the sale did not stand, so its reward does not either
            take_back_reward(store, books, record, sequence, note)
        books.write()
        store.execute(
            "UPDATE suspense SET decided_at_s = ?, decision = ? WHERE device = ? AND sequence = ?",
            (now_s, f"{'paid' if pay else 'refused'}: {note}", record, sequence),
        )
    return waiting_kgo


def reconsider(store: Store, record: str, sequence: int, note: str, now_s: int) -> int:
    """Takes back into suspense what an owner was credited, or opens again what was refused, so that `decide_suspense`
    can decide otherwise. 1/100 KGO.

    Raises RefundInvalid when it waits already, or the owner holds nothing of it and nothing was refused.
    """
    with store.transaction():
        row = store.one(
            "SELECT d.owner, s.device IS NOT NULL, s.decided_at_s FROM devices d JOIN vouchers v USING(device)"
            " LEFT JOIN suspense s ON s.device = ? AND s.sequence = v.sequence WHERE d.device = ? AND v.sequence = ?",
            (record, record.partition("~")[0], sequence),
        )
        if row is None:
            raise RefundInvalid(f"no voucher {record}/{sequence}")
        owner, was_in_suspense, decided_at_s = row
        if was_in_suspense and decided_at_s is None:
            raise RefundInvalid(f"{record}/{sequence} waits in suspense already")
        books = Books(store, now_s)
        waiting = suspense_account(owner)
        source = owner_account(owner_kind(store, owner, record), owner)
        kgo = dict(books.entries_of(record, sequence)).get(source, 0)
        if kgo <= 0 and was_in_suspense:  # refused: it went back, so nobody has paid it any more
            source, kgo = UNFUNDED, _refused_kgo(store, record, sequence, waiting)
        if kgo <= 0:
            raise RefundInvalid(f"nothing credited for {record}/{sequence}")
        books.post(Posting(Reason.DECISION, ((source, -kgo), (waiting, kgo)), record, sequence, note))
        books.write()
        store.execute(
            "REPLACE INTO suspense(device, sequence, owner, kgo, refusal, decision) VALUES(?, ?, ?, ?, ?, ?)",
            (record, sequence, owner, kgo, Reconsidered.number, note),
        )
    return kgo


def _refused_kgo(store: Store, record: str, sequence: int, waiting: Account) -> int:
    """What the last decision took out of suspense."""
    row = store.one(
        "SELECT -e.amount FROM postings p JOIN entries e USING(posting_id) JOIN accounts a USING(account_id)"
        " WHERE p.device = ? AND p.sequence = ? AND p.reason = ? AND a.kind = ? AND a.name = ? AND a.currency = ?"
        " ORDER BY p.posting_id DESC LIMIT 1",
        (record, sequence, Reason.DECISION, *waiting),
    )
    return 0 if row is None else row[0]


def _issued_of(store: Store, record: str, sequence: int) -> Issued | None:
    row = store.one("SELECT hash FROM spends WHERE device = ? AND sequence = ?", (record, sequence))
    return issued_by_hash(store, row[0]) if row else None


def _payer(books: Books, issued: Issued | None, record: str) -> Payer:
    if issued is None:
        raise RefundInvalid(f"no wallet behind {record}")
    wallet_id = issued.wallet_id
    available_kgo, deposit_kgo = books.balance(wallet_account(wallet_id)), books.balance(deposit_account(wallet_id))
    return Payer(wallet_id, issued.hash, 0, available_kgo, deposit_kgo)


def owner_kind(store: Store, owner: str, record: str) -> OwnerKind:
    """Whether who is credited for this record is a merchant or an operator."""
    row = store.one("SELECT kind FROM owners WHERE owner = ?", (owner,))
    if row is not None:
        return OwnerKind(row[0])
    is_bus = terminal_of(store, record.partition("~")[0]).role == DeviceRole.VALIDATOR
    return OwnerKind.OPERATOR if is_bus else OwnerKind.MERCHANT


def rebuilt_wallet_joins(store: Store, placeholder_id: int, wallet_id: int, note: str, now_s: int) -> int:
    """After a restore: an allowance's stand-in turns out to be this account; its debt, allowances, proofs, denials and
    the day's rewards move there. What *available* it had, 1/100 KGO (a debt is below zero).

    Joined to the same account again, nothing changes. Raises JoinInvalid when the first is no stand-in, was joined to
    another account, or the second is no account of its own; WalletUnknown.
    """
    with store.transaction():
        done = _stand_in(store, placeholder_id)
        if done is not None and done[0] == wallet_id:
            return done[1]
        _check_join(store, placeholder_id, wallet_id)
        books = Books(store, now_s)
        kgo = books.balance(wallet_account(placeholder_id))
        entries = ((wallet_account(placeholder_id), -kgo), (wallet_account(wallet_id), kgo))
        books.post(Posting(Reason.CORRECTION, entries, note=f"join {placeholder_id}: {note}"))
        books.write()
        for table in ("allowances", "equivocations", "denied", "rebates"):
            store.execute(f"UPDATE {table} SET wallet_id = ? WHERE wallet_id = ?", (wallet_id, placeholder_id))
        store.execute(
            "INSERT INTO rewards SELECT ?, day, kgo FROM rewards WHERE wallet_id = ?"
            " ON CONFLICT DO UPDATE SET kgo = kgo + excluded.kgo",
            (wallet_id, placeholder_id),
        )
        store.execute("DELETE FROM rewards WHERE wallet_id = ?", (placeholder_id,))
        store.execute(
            "UPDATE wallets SET frozen = max(frozen, (SELECT frozen FROM wallets WHERE wallet_id = ?))"
            " WHERE wallet_id = ?",
            (placeholder_id, wallet_id),
        )
        equivocation.deny_if_frozen(store, wallet_id, now_s)
        store.execute(
            "UPDATE stand_ins SET joined_id = ?, kgo = ?, note = ?, joined_at_s = ? WHERE wallet_id = ?",
            (wallet_id, kgo, note[:NOTE_CHARACTERS_MAX], now_s, placeholder_id),
        )
    return kgo


def _check_join(store: Store, placeholder_id: int, wallet_id: int) -> None:
    for found in (placeholder_id, wallet_id):
        if store.one("SELECT 1 FROM wallets WHERE wallet_id = ?", (found,)) is None:
            raise WalletUnknown(str(found))
    found = _stand_in(store, placeholder_id)
    if found is None:
        raise JoinInvalid(f"{placeholder_id} is no stand-in")
    if found[0] is not None:
        raise JoinInvalid(f"{placeholder_id} was joined to {found[0]}")
    if _stand_in(store, wallet_id) is not None:
        raise JoinInvalid(f"{wallet_id} is a stand-in itself")


def _stand_in(store: Store, wallet_id: int) -> tuple[int | None, int] | None:
    """(account it was joined to, what moved), or None for an account of its own."""
    row = store.one("SELECT joined_id, kgo FROM stand_ins WHERE wallet_id = ?", (wallet_id,))
    return None if row is None else (row[0], row[1])
