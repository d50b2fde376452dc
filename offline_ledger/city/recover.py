"""After a restore: sign nothing, then refill the log or begin a new one that names the gap. DESIGN §7, §8.

What proves a restore is any head of our own log that the log does not contain: the checkpoint file, or the ack that a
device names. `recover` takes leaves collected from devices' answers; if all are there and give the signed root, the old
log goes on. If not, a new log starts with a leaf that names the last checkpoint, and the city raises its trust list.
Vouchers come back from the devices themselves: each is asked to begin again where this ledger ends.
"""

from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, cast

from offline_ledger.city import wallet_numbers
from offline_ledger.city.log import Checkpoint, Log, read_checkpoint, write_checkpoint
from offline_ledger.city.posting_links import newest_mark
from offline_ledger.city.store import Store
from offline_ledger.errors import RecoveryNeeded
from offline_ledger.protocol import cbor

NEEDED = "recovery.needed"
"""CBOR [size, root, detail]: the largest head of ours that the log lacks."""
EXPLAINED = "recovery.explained_through"
"""Acks up to this log size are of the log that ended with the restore."""
REFILLED = "recovery.refilled_from"
SETTING_BYTES_MAX = 4_096
ABSENT_RUNS_MAX = 10
"""How many are named; operators collect devices' files, and see from these which device they lack."""
VOUCHERLESS_MAX = 1_000
"""Each is settled by hand."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """`is_whole`: every lost leaf came back and the old log goes on. Else `lost`: the log that we lack; a new one
    begins after it, unless that was not allowed: then `missing` (first leaf, end, how many of these were not handed in)
    says what to collect, and nothing is changed. `absent`: the first of these leaves, as (first, last) of each run.
    `accounts`: from which number on they may be missing, and the first number of new ones."""

    is_whole: bool
    refilled: int
    lost: Checkpoint | None
    missing: tuple[int, int, int] | None = None
    absent: tuple[tuple[int, int], ...] = ()
    accounts: tuple[int, int] | None = None


def check_may_sign(store: Store, checkpoint_path: Path) -> None:
    """Before anything is signed. Raises RecoveryNeeded."""
    needed = _needed(store)
    if needed is not None:
        raise RecoveryNeeded(f"the log lacks leaves up to {needed.size}")
    kept = read_checkpoint(checkpoint_path)
    log = Log(store)
    head = log.head()
    if kept is None:
        if head.size:  # whoever puts an older ledger back takes it away, and nothing else would say so
            raise RecoveryNeeded(f"{checkpoint_path} is missing, the log has {head.size}")
    elif kept != head:
        log.check_not_behind(kept)


def check_ack_held(store: Store, log: Log, held: Checkpoint, *, may_halt: bool) -> None:
    """A device names the newest ack it holds: our log must contain it, or a recovery must have explained it.

    `may_halt`: it showed that ack, signed by this city. Its mere word stops only its own upload. Raises RecoveryNeeded.
    """
    try:
        log.check_not_behind(held)
    except RecoveryNeeded as refusal:
        if held.size > explained_through(store):
            if may_halt:
                note_restored(store, held, refusal.detail)
            raise


def note_restored(store: Store, held: Checkpoint, detail: str) -> None:
    """From here on nothing is signed, in any process, until `recover`. A transaction that rolls back forgets it."""
    needed = _needed(store)
    if needed is None or held.size > needed.size:
        store.put_setting(NEEDED, cbor.encode([held.size, held.root, detail[:200]]))


def explained_through(store: Store) -> int:
    """Log size up to which acks of the lost log are known to be lost; 0 when there never was a restore."""
    value = store.setting(EXPLAINED)
    return int(value) if value is not None else 0


def refilled_leaf(store: Store, data: bytes) -> int | None:
    """The place that a refilled log already has for this very leaf."""
    value = store.setting(REFILLED)
    if value is None:
        return None
    row = store.one("SELECT leaf FROM leaves WHERE leaf >= ? AND data = ?", (int(value), data))
    return row[0] if row else None


def without_vouchers(store: Store) -> list[tuple[int, str, int]]:
    """(leaf, device, sequence) of refilled leaves whose vouchers no terminal has sent again (yet): the log says what
    became of them, and the books know nothing of it. VOUCHERLESS_MAX, and one more when there are more."""
    refilled_from = store.setting(REFILLED)
    if refilled_from is None:
        return []
    with store.snapshot(), closing(_voucherless(store, int(refilled_from))) as lacking:
        return list(islice(lacking, VOUCHERLESS_MAX + 1))


def _voucherless(store: Store, refilled_from: int) -> Generator[tuple[int, str, int]]:
    for leaf, data in store.stream(
        "SELECT leaf, data FROM leaves WHERE leaf >= ?1 AND leaf NOT IN (SELECT leaf FROM vouchers WHERE leaf >= ?1"
        " UNION ALL SELECT leaf FROM fork_vouchers WHERE leaf >= ?1) ORDER BY leaf",
        (refilled_from,),
    ):
        device_id, sequence, identity, *rest = cast(list[Any], cbor.decode(data, SETTING_BYTES_MAX))
        is_gap = len(rest) == 1
        row = store.one(  # one that was held in between has a later leaf as well
            "SELECT 1 FROM vouchers WHERE device = ? AND sequence = ? AND identity = ? AND leaf IS NOT NULL"
            " UNION ALL SELECT 1 FROM fork_vouchers WHERE identity = ? AND leaf IS NOT NULL",
            (device_id, sequence, identity, identity),
        )
        if row is None and not is_gap:
            yield leaf, device_id, sequence


def recover(
    store: Store,
    checkpoint_path: Path,
    leaves: Mapping[int, bytes],
    *,
    may_begin: bool = False,
    begun: Callable[[], None] = lambda: None,
) -> Recovered:
    """Ends a recovery. `leaves`: leaf data by index, as far as devices' answers gave them. Safe to call again.

    `may_begin`: a person says that no more leaves can be found, and a new log shall begin; never by itself. Devices
    follow it on a trust list of a raised version, which `begun` adds: within the transaction, or nothing is begun.
    """
    with store.transaction():
        log = Log(store)
        lost = _lost(store, log, checkpoint_path)
        if lost is None:
            store.execute("DELETE FROM settings WHERE key = ?", (NEEDED,))
            return Recovered(True, 0, None)
        head = log.head()
        wanted = range(head.size, lost.size)
        is_whole = False
        if wanted and all(index in leaves for index in wanted):
            is_whole = _refill(store, log, lost, [leaves[index] for index in wanted])
        if is_whole:
            store.put_setting(REFILLED, str(head.size).encode())
        elif not may_begin:
            missing = (head.size, max(lost.size, head.size), sum(index not in leaves for index in wanted))
            return Recovered(False, 0, lost, missing, _absent(wanted, leaves))
        else:
            gap = cbor.encode(["gap", lost.size, lost.root, head.size])
            log.append([gap])
            store.execute("UPDATE log SET start_name = ? WHERE id = 1", (f"after {lost.size} {lost.root.hex()}",))
            store.put_setting(EXPLAINED, str(max(lost.size, explained_through(store))).encode())
            begun()
        store.execute("DELETE FROM settings WHERE key = ?", (NEEDED,))
        accounts = wallet_numbers.skip(store)
        after, mark = log.head(), newest_mark(store)
    write_checkpoint(checkpoint_path, after, mark)
    refilled = len(wanted) if is_whole else 0
    return Recovered(is_whole, refilled, None if is_whole else lost, None, _absent(wanted, leaves), accounts)


def _absent(wanted: range, leaves: Mapping[int, bytes]) -> tuple[tuple[int, int], ...]:
    """The runs of leaves that were not handed in, lowest first: ABSENT_RUNS_MAX, and one more when there are more."""
    runs: list[tuple[int, int]] = []
    for index in wanted:
        if index in leaves:
            continue
        if runs and runs[-1][1] == index - 1:
            runs[-1] = (runs[-1][0], index)
        elif len(runs) > ABSENT_RUNS_MAX:
            break
        else:
            runs.append((index, index))
    return tuple(runs)


def _refill(store: Store, log: Log, lost: Checkpoint, data: list[bytes]) -> bool:
    """All lost leaves, if they give the root that was signed; else nothing is changed."""
    head = log.head()
    log.append(data)
    if log.head().root == lost.root:
        return True
    store.execute("DELETE FROM leaves WHERE leaf >= ?", (head.size,))
    store.execute("DELETE FROM nodes WHERE (at + 1) << level > ?", (head.size,))
    store.execute("UPDATE log SET size = ?, root = ? WHERE id = 1", (head.size, head.root))
    return False


def _lost(store: Store, log: Log, checkpoint_path: Path) -> Checkpoint | None:
    """The largest head that was signed and that the log lacks."""
    found = [one for one in (_needed(store), read_checkpoint(checkpoint_path)) if one is not None]
    behind = [one for one in found if not _is_contained(log, one)]
    return max(behind, key=lambda one: one.size, default=None)


def _is_contained(log: Log, held: Checkpoint) -> bool:
    try:
        log.check_not_behind(held)
    except RecoveryNeeded:
        return False
    return True


def _needed(store: Store) -> Checkpoint | None:
    value = store.setting(NEEDED)
    if value is None:
        return None
    size, root, _detail = cast(tuple[int, bytes, str], tuple(cast(list[object], cbor.decode(value, SETTING_BYTES_MAX))))
    return Checkpoint(size, root)
