"""Crash images: what may be on the disk when the power goes after each step of a record. DESIGN §6, §11.

Whatever was not synced may be there, be missing, be there without what came before it, or be there in part, by sectors
of 512 bytes; names made or removed without a folder sync may be as before. Never invents bytes that nobody wrote.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from simulators.storage.memory import (
    SECTOR_BYTES,
    Action,
    MemoryDisk,
    Operation,
    apply_truncate,
    apply_write,
)


@dataclass(frozen=True, slots=True)
class CrashImage:
    """The files after a power cut behind step `after` of the record; `how` names the variant."""

    after: int
    how: str
    files: dict[str, bytes]

    def disk(self) -> MemoryDisk:
        return MemoryDisk(self.files)


class _Platter:
    """What is certainly on the disk, and what may be."""

    def __init__(self) -> None:
        self.durable: dict[int, bytearray] = {}
        self.pending: dict[int, list[Operation]] = {}
        self.names: dict[str, int] = {}
        self.names_pending: list[Operation] = []

    def take(self, step: Operation) -> None:
        match step.action:
            case Action.CREATE:
                self.durable[step.inode] = bytearray()
                self.pending[step.inode] = []
                self.names_pending.append(step)
            case Action.DELETE:
                self.names_pending.append(step)
            case Action.SYNC_FOLDER:
                done = [change for change in self.names_pending if step.inode in (-1, change.inode)]
                _apply_names(self.names, done)
                self.names_pending = [change for change in self.names_pending if change not in done]
            case Action.SYNC:
                _apply(self.durable[step.inode], self.pending[step.inode])
                self.pending[step.inode] = []
            case Action.WRITE | Action.TRUNCATE:
                self.pending[step.inode].append(step)

    def files(self, kept: dict[int, list[Operation]], names_kept: list[Operation]) -> dict[str, bytes]:
        names = dict(self.names)
        _apply_names(names, names_kept)
        found: dict[str, bytes] = {}
        for name, inode in names.items():
            data = bytearray(self.durable[inode])
            _apply(data, kept.get(inode, []))
            found[name] = bytes(data)
        return found


def _apply(data: bytearray, steps: list[Operation]) -> None:
    for step in steps:
        if step.action is Action.WRITE:
            apply_write(data, step.offset, step.data)
        else:
            apply_truncate(data, step.offset)


def _apply_names(names: dict[str, int], steps: list[Operation]) -> None:
    for step in steps:
        if step.action is Action.CREATE:
            names[step.name] = step.inode
        elif names.get(step.name) == step.inode:
            del names[step.name]


def crash_images(
    record: list[Operation], rng: random.Random, chances: int, base: MemoryDisk | None = None
) -> Iterator[CrashImage]:
    """For every step of the record: all kept, all dropped, data without names and names without data, and `chances`
    random choices. A choice drops some writes, keeps later ones (reordered), and tears some of the kept.

    `base` is the disk as it was when the record began (its files durable); without it, an empty one.
    """
    platter = _Platter()
    for name, inode in (base.names if base else {}).items():
        platter.names[name] = inode.number
        platter.durable[inode.number] = bytearray(inode.data)
        platter.pending[inode.number] = []
    for after, step in enumerate([None, *record]):
        if step is not None:
            platter.take(step)
        pending = {inode: steps for inode, steps in platter.pending.items() if steps}
        yield CrashImage(after, "kept", platter.files(pending, platter.names_pending))
        if not pending and not platter.names_pending:
            continue
        yield CrashImage(after, "dropped", platter.files({}, []))
        if pending and platter.names_pending:
            yield CrashImage(after, "names without data", platter.files({}, platter.names_pending))
            yield CrashImage(after, "data without names", platter.files(pending, []))
        for chance in range(chances):
            kept = {inode: _chosen(steps, rng) for inode, steps in pending.items()}
            # A folder's own journal keeps its changes in order, so what is lost is lost from the end.
            names_kept = platter.names_pending[: rng.randint(0, len(platter.names_pending))]
            yield CrashImage(after, f"choice {chance}", platter.files(kept, names_kept))


def _chosen(steps: list[Operation], rng: random.Random) -> list[Operation]:
    """A part of the writes, some of them torn. Truncations stay in order with each other."""
    share = rng.choice((0.2, 0.5, 0.8))
    kept: list[Operation] = []
    for step in steps:
        if rng.random() >= share:
            continue
        if step.action is Action.WRITE and len(step.data) > SECTOR_BYTES and rng.random() < 0.5:
            kept.extend(_torn(step, rng))
        else:
            kept.append(step)
    return kept


def _torn(step: Operation, rng: random.Random) -> Iterator[Operation]:
    """The sectors of one write that reached the disk: its beginning, its end, or any of them."""
    start = step.offset
    edges = [start, *range((start // SECTOR_BYTES + 1) * SECTOR_BYTES, start + len(step.data), SECTOR_BYTES)]
    parts = list(zip(edges, [*edges[1:], start + len(step.data)], strict=True))
    at = rng.randint(0, len(parts))
    for part in rng.choice((parts[:at], parts[at:], rng.sample(parts, at))):
        yield Operation(Action.WRITE, step.inode, offset=part[0], data=step.data[part[0] - start : part[1] - start])
