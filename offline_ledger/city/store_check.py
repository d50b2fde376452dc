"""Is the ledger's file of one piece? What `serve`, `recover`, `backup` and `restore` look at first. DESIGN §8.

An older copy under the newer write-ahead log of the ledger it replaced is a mixture that SQLite cannot tell from a
ledger: pages of both, each sound. So the tables are held against each other. Quick: signatures and amounts are the
audit's. Never writes.
"""

from offline_ledger.city.accounts import CHARGES, Reason
from offline_ledger.city.log import Log
from offline_ledger.city.store import Store
from offline_ledger.errors import LedgerDamaged, RecoveryNeeded, StorageFailed

_CHARGE = ", ".join(str(int(reason)) for reason in sorted(CHARGES))
_SUMS = "SELECT currency FROM accounts GROUP BY currency HAVING sum(balance) <> 0 LIMIT 1"
_LOOKS: tuple[tuple[str, str], ...] = (
    (
        "{} {} is posted more than once",
        f"SELECT device, sequence FROM postings WHERE device IS NOT NULL AND reason IN ({_CHARGE}, {int(Reason.YIELD)})"
        f" GROUP BY device, sequence HAVING sum(reason IN ({_CHARGE})) - sum(reason = {int(Reason.YIELD)}) > 1 LIMIT 1",
    ),
    (
        "{} {} is posted without its voucher",
        "SELECT device, sequence FROM postings p WHERE device IS NOT NULL AND instr(device, '~') = 0"
        " AND NOT EXISTS(SELECT 1 FROM vouchers v WHERE v.device = p.device AND v.sequence = p.sequence) LIMIT 1",
    ),
    (
        "{} {} is not where its device ends",
        "SELECT d.device, d.through_sequence FROM devices d WHERE d.through_sequence <> coalesce("
        "(SELECT max(v.sequence) FROM vouchers v WHERE v.device = d.device), 0)"
        " OR (d.through_sequence > 0 AND d.chain_head IS NOT (SELECT v.identity FROM vouchers v"
        " WHERE v.device = d.device AND v.sequence = d.through_sequence)) LIMIT 1",
    ),
    (
        "{} {} is at a place that the log does not have",
        "SELECT device, sequence FROM vouchers WHERE leaf >= (SELECT size FROM log WHERE id = 1) LIMIT 1",
    ),
    (
        "entries of {} without a posting of {}",
        "SELECT e.posting_id, e.posting_id FROM entries e"
        " WHERE NOT EXISTS(SELECT 1 FROM postings p WHERE p.posting_id = e.posting_id) LIMIT 1",
    ),
    (
        "a posting of {} {} without entries",
        "SELECT coalesce(p.device, '-'), p.posting_id FROM postings p"
        " WHERE NOT EXISTS(SELECT 1 FROM entries e WHERE e.posting_id = p.posting_id) LIMIT 1",
    ),
    ("currency {}: all balances together are not {}", f"SELECT currency, 0 FROM ({_SUMS})"),
)


def check_whole(store: Store) -> None:
    """Raises LedgerDamaged with the first contradiction found."""
    with store.snapshot():
        try:
            _check_pages(store)
            _check_log(store)
            for what, query in _LOOKS:
                row = store.one(query)
                if row is not None:
                    raise LedgerDamaged(what.format(*row))
        except StorageFailed as error:  # a page that cannot be read: the file's fault, and no wait mends it
            raise LedgerDamaged(error.detail) from error


def _check_pages(store: Store) -> None:
    row = store.one("PRAGMA quick_check(1)")
    if row != ("ok",):
        raise LedgerDamaged(str(row and row[0]))


def _check_log(store: Store) -> None:
    """The head against the leaves and the hashes that make it."""
    log = Log(store)
    head = log.head()
    row = store.one("SELECT count(*), coalesce(max(leaf), -1) + 1 FROM leaves")
    if row != (head.size, head.size):
        raise LedgerDamaged(f"the log says {head.size} leaves and has {row and row[0]}")
    try:
        root = log.root_at(head.size)
    except RecoveryNeeded as missing:
        raise LedgerDamaged(missing.detail) from missing
    if root != head.root:
        raise LedgerDamaged(f"the log's {head.size} leaves do not give its root")
