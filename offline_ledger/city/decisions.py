"""What the operator decides: release what is held, pay or refuse what is in suspense, name the shop. DESIGN §7, §8.

Every decision is a posting like any other, or a voucher judged again by the same rules; nothing is edited. Never
decides by itself.
"""

from offline_ledger.city import posting
from offline_ledger.city.accounts import (
    RISK,
    UNFUNDED,
    Books,
    OwnerKind,
    Posting,
    Reason,
    owner_account,
    suspense_account,
    wallet_account,
)
from offline_ledger.city.allowances import issued_by_hash
from offline_ledger.city.bench import Bench
from offline_ledger.city.ingest_reading import BatchReader, stored_objects, terminal_of
from offline_ledger.city.judging import Judge
from offline_ledger.city.log import Log, leaf_data
from offline_ledger.city.posting import Payee
from offline_ledger.city.pricing import Prices
from offline_ledger.city.store import Store
from offline_ledger.errors import DuplicateIntent, RefundInvalid
from offline_ledger.protocol.city import Outcome
from offline_ledger.protocol.device import BATCH_VOUCHERS_MAX, DeviceRole
from offline_ledger.rules.limits import Limits

RELEASE_MAX = BATCH_VOUCHERS_MAX


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
        judge = Judge(bench, terminal_of(store, device_id), total[0] if total else 0, now_s)
        for is_fork, sequence, identity, raw, objects in rows:
            record = fork_record(device_id, identity) if is_fork else device_id
            verdict = judge.judge(reader.reread(raw, stored_objects(objects)), record)
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


def fork_record(device_id: str, identity: bytes) -> str:
    """The name under which a released fork's spend and postings are remembered."""
    return f"{device_id}~{identity.hex()[:8]}"


def unblock(store: Store, device_id: str) -> None:
    """The device was looked at; what it sends from now on is judged again."""
    with store.transaction():
        store.execute("UPDATE devices SET blocked = 0, blocked_reason = '' WHERE device = ?", (device_id,))


def decide_suspense(
    store: Store, record: str, sequence: int, *, pay: bool, from_risk: bool, note: str, now_s: int
) -> int:
    """Pays what waits to the owner, or not; what nobody funded comes from the risk fund or the wallet. 1/100 KGO.

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
        net = dict(books.entries_of(record, sequence))
        waiting_kgo = net.get(suspense_account(row[0]), 0)
        unfunded_kgo = -net.get(UNFUNDED, 0)
        source = RISK
        if not from_risk:
            source = wallet_account(_wallet_of(store, record, sequence))
        owner = Payee(_owner_kind(store, row[0], record), row[0])
        entries = posting.decision_entries(owner, waiting_kgo, unfunded_kgo, source, pay)
        books.post(Posting(Reason.DECISION, entries, record, sequence, note))
        books.write()
        store.execute(
            "UPDATE suspense SET decided_at_s = ?, decision = ? WHERE device = ? AND sequence = ?",
            (now_s, f"{'paid' if pay else 'refused'}: {note}", record, sequence),
        )
    return waiting_kgo


def reconsider(store: Store, record: str, sequence: int, note: str, now_s: int) -> int:
    """Takes back into suspense what an owner was credited, so that `decide_suspense` can name another shop. 1/100 KGO.

    Raises RefundInvalid when the owner holds nothing of it.
    """
    with store.transaction():
        row = store.one(
            "SELECT d.owner FROM devices d JOIN vouchers v USING(device) WHERE d.device = ? AND v.sequence = ?",
            (record.partition("~")[0], sequence),
        )
        if row is None:
            raise RefundInvalid(f"no voucher {record}/{sequence}")
        books = Books(store, now_s)
        credited = owner_account(_owner_kind(store, row[0], record), row[0])
        kgo = dict(books.entries_of(record, sequence)).get(credited, 0)
        if kgo <= 0:
            raise RefundInvalid(f"nothing credited for {record}/{sequence}")
        entries = ((credited, -kgo), (suspense_account(row[0]), kgo))
        books.post(Posting(Reason.DECISION, entries, record, sequence, note))
        books.write()
        store.execute(
            "REPLACE INTO suspense(device, sequence, owner, kgo, refusal) VALUES(?, ?, ?, ?, ?)",
            (record, sequence, row[0], kgo, DuplicateIntent.number),
        )
    return kgo


def _wallet_of(store: Store, record: str, sequence: int) -> int:
    row = store.one("SELECT hash FROM spends WHERE device = ? AND sequence = ?", (record, sequence))
    issued = issued_by_hash(store, row[0]) if row else None
    if issued is None:
        raise RefundInvalid("no wallet behind this voucher")
    return issued.wallet_id


def _owner_kind(store: Store, owner: str, record: str) -> OwnerKind:
    row = store.one("SELECT kind FROM owners WHERE owner = ?", (owner,))
    if row is not None:
        return OwnerKind(row[0])
    is_bus = terminal_of(store, record.partition("~")[0]).role == DeviceRole.VALIDATOR
    return OwnerKind.OPERATOR if is_bus else OwnerKind.MERCHANT


def rebuilt_wallet_joins(store: Store, placeholder_id: int, wallet_id: int, now_s: int) -> None:
    """After a restore: an allowance's stand-in turns out to be this account; its debt and allowances move there."""
    with store.transaction():
        books = Books(store, now_s)
        debt_kgo = books.balance(wallet_account(placeholder_id))
        entries = ((wallet_account(placeholder_id), -debt_kgo), (wallet_account(wallet_id), debt_kgo))
        books.post(Posting(Reason.CORRECTION, entries, note="joined after a restore"))
        books.write()
        store.execute("UPDATE allowances SET wallet_id = ? WHERE wallet_id = ?", (wallet_id, placeholder_id))
        store.execute("UPDATE equivocations SET wallet_id = ? WHERE wallet_id = ?", (wallet_id, placeholder_id))
