"""The transparency log in the store: RFC 9162 tree, appended in the posting's own transaction. DESIGN §8.

Leaf data is CBOR [device, sequence, voucher identity, outcome, refusal number]. The newest checkpoint is also a file
outside the database and its backups: a restored ledger finds itself behind it and signs nothing. Never signs itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from offline_ledger.city.posting_links import Mark
from offline_ledger.city.store import Store
from offline_ledger.errors import NotInLog, RecoveryNeeded
from offline_ledger.files import write_atomically
from offline_ledger.protocol import cbor, tree

CHECKPOINT_BYTES_MAX = 256


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tree head."""

    size: int
    root: bytes


def leaf_data(device: str, sequence: int, identity: bytes, outcome: int, refusal: int) -> bytes:
    """What the log says about one voucher."""
    return cbor.encode([device, sequence, identity, int(outcome), refusal])


class Log:
    """The tree of one store; every call reads the store, nothing is remembered between transactions."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._new: dict[tuple[int, int], bytes] = {}

    def head(self) -> Checkpoint:
        """The tree head as committed (or as this transaction has made it)."""
        row = self._store.one("SELECT size, root FROM log WHERE id = 1")
        assert row is not None
        return Checkpoint(row[0], row[1])

    def node(self, level: int, at: int) -> bytes:
        """The perfect subtree's hash."""
        found = self._new.get((level, at))
        if found is None:
            row = self._store.one("SELECT hash FROM nodes WHERE level = ? AND at = ?", (level, at))
            if row is None:
                raise RecoveryNeeded(f"log node {level}/{at} is missing")
            found = row[0]
        return found

    def append(self, leaves: Sequence[bytes]) -> int:
        """Adds leaves in a run; the index of the first. Within the caller's transaction."""
        assert self._store.in_transaction
        first = self.head().size
        if not leaves:
            return first
        self._new.clear()
        rows: list[tuple[int, int, bytes]] = []
        for index, data in enumerate(leaves, first):
            for level, at, value in tree.completed_nodes(index, tree.leaf_hash(data), self.node):
                self._new[(level, at)] = value
                rows.append((level, at, value))
        size = first + len(leaves)
        root = tree.root(size, self.node)
        self._new.clear()
        self._store.execute_many("INSERT INTO leaves VALUES(?, ?)", enumerate(leaves, first))
        self._store.execute_many("INSERT INTO nodes VALUES(?, ?, ?)", rows)
        self._store.execute("UPDATE log SET size = ?, root = ? WHERE id = 1", (size, root))
        return first

    def root_at(self, size: int) -> bytes:
        """The head that the log had at `size`, which is at most its size now."""
        return tree.root(size, self.node)

    def range_proof(self, begin: int, end: int, size: int) -> tuple[bytes, ...]:
        """Proof for the leaves begin..end−1 in the tree of `size`."""
        return tree.range_proof(begin, end, size, self.node)

    def inclusion_proof(self, index: int, size: int) -> tuple[bytes, ...]:
        """RFC 9162 audit path of one leaf."""
        return tree.inclusion_proof(index, size, self.node)

    def consistency_proof(self, old_size: int, size: int) -> tuple[bytes, ...]:
        """RFC 9162 consistency of two heads."""
        return tree.consistency_proof(old_size, size, self.node)

    def proof_between(self, old_size: int, size: int) -> tuple[bytes, ...]:
        """RFC 9162 consistency of two sizes that this log had, for whoever asks. Raises NotInLog."""
        if not 0 < old_size <= size <= self.head().size:
            raise NotInLog(f"from {old_size} to {size}, the log has {self.head().size}")
        return self.consistency_proof(old_size, size)

    def growth_since(self, held: Checkpoint | None) -> tuple[bytes, ...] | None:
        """The proof that the log as it is now extends the one that a device holds an ack of. None where there is none:
        the device holds nothing, an empty log, or a log that ended with a restore."""
        if held is None or held.size == 0:
            return None
        try:
            self.check_not_behind(held)
        except RecoveryNeeded:
            return None
        return self.consistency_proof(held.size, self.head().size)

    def begun_after(self) -> Checkpoint | None:
        """The last checkpoint of the log that was lost, when this one was begun by a recovery."""
        row = self._store.one("SELECT start_name FROM log WHERE id = 1")
        name: str = row[0] if row is not None else ""
        words = name.split()
        return Checkpoint(int(words[1]), bytes.fromhex(words[2])) if len(words) == 3 else None

    def check_not_behind(self, held: Checkpoint) -> None:
        """`held` was signed by this city: our log must contain it. Raises RecoveryNeeded."""
        head = self.head()
        if held.size > head.size:
            raise RecoveryNeeded(f"a checkpoint of {held.size} leaves exists, the log has {head.size}")
        if self.root_at(held.size) != held.root:
            raise RecoveryNeeded(f"the log's first {held.size} leaves are not those that were signed")


def read_checkpoint(path: Path) -> Checkpoint | None:
    """The checkpoint kept outside the database; None when there is no file. RecoveryNeeded when it cannot be read."""
    return _kept(path)[0]


def read_mark(path: Path) -> Mark | None:
    """The newest link of postings that is kept beside it. RecoveryNeeded as above."""
    return _kept(path)[1]


def _kept(path: Path) -> tuple[Checkpoint | None, Mark | None]:
    if not path.exists():
        return None, None
    raw = path.read_bytes()
    try:
        size, root, *mark = raw.decode("ascii").split()
        posting_id, link = mark or ("0", "")
        kept = Mark(int(posting_id), bytes.fromhex(link))
        return Checkpoint(int(size), bytes.fromhex(root)), kept if kept.posting_id else None
    except ValueError as error:
        raise RecoveryNeeded(f"{path} cannot be read") from error


def write_checkpoint(path: Path, checkpoint: Checkpoint, mark: Mark | None = None) -> None:
    """A power cut or a full disk leaves the old one or the new one. Raises StorageFull, StorageFailed."""
    second = f"{mark.posting_id} {mark.link.hex()}\n" if mark is not None else ""
    write_atomically(path, f"{checkpoint.size} {checkpoint.root.hex()}\n{second}".encode("ascii"))


def begin_checkpoint(path: Path, log: Log) -> None:
    """Of a log without leaves: from here on a missing file is one that was lost."""
    head = log.head()
    if not head.size and not path.exists():
        write_checkpoint(path, head)


def advance_checkpoint(path: Path, checkpoint: Checkpoint, mark: Mark | None = None) -> None:
    """The same, unless a larger one is already kept: answers may be written in another order than commits."""
    kept = read_checkpoint(path)
    if kept is None or kept.size < checkpoint.size:
        write_checkpoint(path, checkpoint, mark)
