"""The audit of the transparency log: the root over all leaves, and each voucher's leaf. DESIGN §8, RFC 9162 §2.1.

The root is built by a stack of perfect subtrees, apart from the code that appends: as many hashes in memory as the
tree is high. One row at a time.
"""

from collections.abc import Iterator

from offline_ledger.city.audit_findings import Findings, Place, voucher_at
from offline_ledger.city.log import Log, leaf_data
from offline_ledger.city.store import Row, Store
from offline_ledger.protocol import tree
from offline_ledger.protocol.city import Outcome
from offline_ledger.protocol.tree import EMPTY_ROOT


class RootOfLeaves:
    """The tree head over leaves that come one by one."""

    def __init__(self) -> None:
        self._perfect: list[tuple[int, bytes]] = []
        self.size = 0

    def add(self, leaf_hash: bytes) -> list[tuple[int, int, bytes]]:
        """One more leaf at the right end; the (level, index, hash) of every subtree that it completes."""
        height, at, value = 0, self.size, leaf_hash
        completed = [(height, at, value)]
        while self._perfect and self._perfect[-1][0] == height:
            height, at, value = height + 1, at // 2, tree.node_hash(self._perfect.pop()[1], value)
            completed.append((height, at, value))
        self._perfect.append((height, value))
        self.size += 1
        return completed

    @property
    def root(self) -> bytes:
        """The head over what was added so far."""
        if not self._perfect:
            return EMPTY_ROOT
        value = self._perfect[-1][1]
        for _height, left in reversed(self._perfect[:-1]):
            value = tree.node_hash(left, value)
        return value


def check_log(store: Store, findings: Findings) -> tuple[int, bytes]:
    """(leaves, root), as they really are; everything that the log should say and does not is a finding."""
    found = RootOfLeaves()
    for leaf, data in store.stream("SELECT leaf, data FROM leaves ORDER BY leaf"):
        if leaf != found.size:
            findings.add("leaves_gap", Place("log", str(leaf)), expected=found.size)
            break
        with findings.unharmed(Place("log", str(leaf))):
            _check_nodes(store, findings, found.add(tree.leaf_hash(data)))
    with findings.unharmed(Place("log", str(found.size))):
        head = Log(store).head()
        if head.size != found.size or head.root != found.root:
            findings.add("root_wrong", Place("log", str(head.size)), size=found.size)
    for device_id, sequence, identity, outcome, refusal, leaf in _logged(store):
        with findings.unharmed(voucher_at(str(device_id), sequence)):
            row = store.one("SELECT data FROM leaves WHERE leaf = ?", (leaf,)) if leaf is not None else None
            if row is None or row[0] != leaf_data(device_id, sequence, identity, outcome, refusal):
                findings.add("log_says_otherwise", voucher_at(device_id, sequence))
    return found.size, found.root


def _check_nodes(store: Store, findings: Findings, completed: list[tuple[int, int, bytes]]) -> None:
    """The stored hashes that every proof is made of."""
    for level, at, value in completed:
        row = store.one("SELECT hash FROM nodes WHERE level = ? AND at = ?", (level, at))
        if row is None or row[0] != value:
            findings.add("node_wrong", Place("log", f"{level}/{at}"))


def _logged(store: Store) -> Iterator[Row]:
    for table in ("vouchers", "fork_vouchers"):
        yield from store.stream(
            f"SELECT device, sequence, identity, outcome, refusal, leaf FROM {table} WHERE outcome <> ?",
            (Outcome.HELD,),
        )
