"""The RFC 9162 §2.1 Merkle tree: roots, inclusion, consistency, and proofs for a run of leaves. Pure. DESIGN §8.

Sizes and indices count leaves. Provers read perfect subtrees through `nodes(level, index)`: the hash over leaves
`index·2^level … (index+1)·2^level − 1`; stores keep exactly those.
"""

from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256

Nodes = Callable[[int, int], bytes]
EMPTY_ROOT = sha256(b"").digest()


def leaf_hash(data: bytes) -> bytes:
    """SHA-256 of 0x00 ‖ data."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256 of 0x01 ‖ left ‖ right."""
    return sha256(b"\x01" + left + right).digest()


def _split(size: int) -> int:
    """The largest power of two below `size` (≥ 2)."""
    return 1 << ((size - 1).bit_length() - 1)


def _hash_of(begin: int, end: int, nodes: Nodes) -> bytes:
    """The tree hash over leaves begin..end−1, where `begin` is aligned as RFC 9162's recursion leaves it."""
    size = end - begin
    if size & (size - 1) == 0:
        level = size.bit_length() - 1
        return nodes(level, begin >> level)
    middle = begin + _split(size)
    return node_hash(_hash_of(begin, middle, nodes), _hash_of(middle, end, nodes))


def root(size: int, nodes: Nodes) -> bytes:
    """The tree head over the first `size` leaves."""
    return _hash_of(0, size, nodes) if size else EMPTY_ROOT


def root_of_leaves(leaf_hashes: Sequence[bytes]) -> bytes:
    """The tree head of leaf hashes held in memory."""
    return _of_list(leaf_hashes) if leaf_hashes else EMPTY_ROOT


def _of_list(leaf_hashes: Sequence[bytes]) -> bytes:
    if len(leaf_hashes) == 1:
        return leaf_hashes[0]
    middle = _split(len(leaf_hashes))
    return node_hash(_of_list(leaf_hashes[:middle]), _of_list(leaf_hashes[middle:]))


def completed_nodes(index: int, leaf: bytes, nodes: Nodes) -> Iterator[tuple[int, int, bytes]]:
    """The perfect subtrees (level, index, hash) that appending `leaf` at `index` completes, the leaf itself first."""
    level, at, value = 0, index, leaf
    yield level, at, value
    while at & 1:
        value = node_hash(nodes(level, at - 1), value)
        level, at = level + 1, at >> 1
        yield level, at, value


def inclusion_proof(index: int, size: int, nodes: Nodes) -> tuple[bytes, ...]:
    """RFC 9162 §2.1.3.1: the audit path of leaf `index` in the tree of `size`, lowest first."""
    assert 0 <= index < size
    return tuple(_path(index, 0, size, nodes))


def _path(index: int, begin: int, end: int, nodes: Nodes) -> list[bytes]:
    if end - begin == 1:
        return []
    middle = begin + _split(end - begin)
    if index < middle:
        return [*_path(index, begin, middle, nodes), _hash_of(middle, end, nodes)]
    return [*_path(index, middle, end, nodes), _hash_of(begin, middle, nodes)]


def is_included(leaf: bytes, index: int, size: int, proof: Sequence[bytes], tree_root: bytes) -> bool:
    """RFC 9162 §2.1.3.2 for the leaf hash `leaf`."""
    if not 0 <= index < size:
        return False
    at, last, value = index, size - 1, leaf
    for step in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            value = node_hash(step, value)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            value = node_hash(value, step)
        at, last = at >> 1, last >> 1
    return last == 0 and value == tree_root


def consistency_proof(old_size: int, size: int, nodes: Nodes) -> tuple[bytes, ...]:
    """RFC 9162 §2.1.4.1: that the tree of `size` extends the tree of `old_size`; 0 < old_size ≤ size."""
    assert 0 < old_size <= size
    return tuple(_subproof(old_size, 0, size, True, nodes))


def _subproof(old_size: int, begin: int, end: int, whole: bool, nodes: Nodes) -> list[bytes]:
    if old_size == end - begin:
        return [] if whole else [_hash_of(begin, end, nodes)]
    split = _split(end - begin)
    middle = begin + split
    if old_size <= split:
        return [*_subproof(old_size, begin, middle, whole, nodes), _hash_of(middle, end, nodes)]
    return [*_subproof(old_size - split, middle, end, False, nodes), _hash_of(begin, middle, nodes)]


def is_consistent(old_size: int, size: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes) -> bool:
    """RFC 9162 §2.1.4.2."""
    if not 0 < old_size <= size:
        return False
    if old_size == size:
        return not proof and old_root == new_root
    path = list(proof)
    if old_size & (old_size - 1) == 0:
        path.insert(0, old_root)
    if not path:
        return False
    at, last = old_size - 1, size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    old_value = new_value = path[0]
    for step in path[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            old_value, new_value = node_hash(step, old_value), node_hash(step, new_value)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            new_value = node_hash(new_value, step)
        at, last = at >> 1, last >> 1
    return last == 0 and old_value == old_root and new_value == new_root


def range_proof(begin: int, end: int, size: int, nodes: Nodes) -> tuple[bytes, ...]:
    """The hashes beside the run of leaves begin..end−1, left to right: one proof for a whole batch."""
    assert 0 <= begin < end <= size
    return tuple(_beside(begin, end, 0, size, nodes))


def _beside(begin: int, end: int, low: int, high: int, nodes: Nodes) -> list[bytes]:
    if high <= begin or end <= low:
        return [_hash_of(low, high, nodes)]
    if begin <= low and high <= end:
        return []
    middle = low + _split(high - low)
    return [*_beside(begin, end, low, middle, nodes), *_beside(begin, end, middle, high, nodes)]


def is_range_included(
    leaf_hashes: Sequence[bytes], begin: int, size: int, proof: Sequence[bytes], tree_root: bytes
) -> bool:
    """Whether the run of `leaf_hashes` stands at `begin` in the tree of `size` with head `tree_root`."""
    end = begin + len(leaf_hashes)
    if not leaf_hashes or not 0 <= begin < end <= size:
        return False
    steps = iter(proof)

    def value(low: int, high: int) -> bytes | None:
        if high <= begin or end <= low:
            return next(steps, None)
        if begin <= low and high <= end:
            return _of_list(leaf_hashes[low - begin : high - begin])
        middle = low + _split(high - low)
        left, right = value(low, middle), value(middle, high)
        return node_hash(left, right) if left is not None and right is not None else None

    computed = value(0, size)
    return computed == tree_root and next(steps, None) is None
