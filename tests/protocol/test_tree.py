"""The RFC 9162 tree: known roots and proofs of Certificate Transparency, every proof up to 40 leaves, no mutant."""

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline_ledger.protocol import tree

LEAVES_MAX = 40
# certificate-transparency, merkle_tree_test: the eight leaves, and the roots over the first 1..8 of them.
CT_LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
CT_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
CT_INCLUSION = {
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
}
CT_CONSISTENCY = {
    (1, 8): CT_INCLUSION[0, 8],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 5): [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
LEAVES = [tree.leaf_hash(number.to_bytes(2, "big")) for number in range(LEAVES_MAX)]


def nodes_of(leaf_hashes: Sequence[bytes]) -> tree.Nodes:
    """A store filled the way the city fills it: what each append completes."""
    stored: dict[tuple[int, int], bytes] = {}
    read: Callable[[int, int], bytes] = lambda level, index: stored[level, index]  # noqa: E731
    for index, leaf in enumerate(leaf_hashes):
        for level, at, value in tree.completed_nodes(index, leaf, read):
            assert (level, at) not in stored
            stored[level, at] = value
    return read


def plain_root(leaf_hashes: Sequence[bytes]) -> bytes:
    """RFC 9162 §2.1.1 level by level: pair up, the odd one rises."""
    level = list(leaf_hashes)
    while len(level) > 1:
        paired = [tree.node_hash(*level[at : at + 2]) for at in range(0, len(level) - 1, 2)]
        level = paired + (level[-1:] if len(level) & 1 else [])
    return level[0]


def mutants(proof: Sequence[bytes]) -> list[tuple[bytes, ...]]:
    """Every proof with one hash changed, dropped, doubled or swapped, and one too many."""
    made = [(*proof, bytes(32)), (bytes(32), *proof)]
    for at, step in enumerate(proof):
        made.append((*proof[:at], bytes((step[0] ^ 1,)) + step[1:], *proof[at + 1 :]))
        made.append((*proof[:at], *proof[at + 1 :]))
        made.append((*proof[:at], step, *proof[at:]))
    return [one for one in [*made, tuple(reversed(proof))] if one != tuple(proof)]


NODES = nodes_of(LEAVES)
ROOTS = [tree.EMPTY_ROOT, *(plain_root(LEAVES[:size]) for size in range(1, LEAVES_MAX + 1))]


def test_known_roots() -> None:
    hashes = [tree.leaf_hash(bytes.fromhex(leaf)) for leaf in CT_LEAVES]
    nodes = nodes_of(hashes)
    assert tree.root(0, nodes).hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    for size, expected in enumerate(CT_ROOTS, 1):
        assert tree.root(size, nodes).hex() == tree.root_of_leaves(hashes[:size]).hex() == expected


def test_known_proofs() -> None:
    hashes = [tree.leaf_hash(bytes.fromhex(leaf)) for leaf in CT_LEAVES]
    nodes = nodes_of(hashes)
    for (index, size), expected in CT_INCLUSION.items():
        assert [step.hex() for step in tree.inclusion_proof(index, size, nodes)] == expected
    for (old, size), expected in CT_CONSISTENCY.items():
        assert [step.hex() for step in tree.consistency_proof(old, size, nodes)] == expected


@pytest.mark.parametrize("size", range(1, LEAVES_MAX + 1))
def test_every_inclusion(size: int) -> None:
    assert tree.root(size, NODES) == ROOTS[size] == tree.root_of_leaves(LEAVES[:size])
    for index in range(size):
        proof = tree.inclusion_proof(index, size, NODES)
        assert tree.is_included(LEAVES[index], index, size, proof, ROOTS[size])
        assert not tree.is_included(LEAVES[index], index, size, proof, ROOTS[size - 1])
        assert not tree.is_included(bytes(32), index, size, proof, ROOTS[size])
        assert not any(tree.is_included(LEAVES[index], index, size, bad, ROOTS[size]) for bad in mutants(proof))
        others = [other for other in range(-1, size + 1) if other != index]
        assert not any(tree.is_included(LEAVES[index], other, size, proof, ROOTS[size]) for other in others)


@pytest.mark.parametrize("size", range(1, LEAVES_MAX + 1))
def test_every_consistency(size: int) -> None:
    for old in range(1, size + 1):
        proof = tree.consistency_proof(old, size, NODES)
        assert tree.is_consistent(old, size, proof, ROOTS[old], ROOTS[size])
        assert not tree.is_consistent(old, size, proof, ROOTS[old - 1], ROOTS[size])
        assert not tree.is_consistent(old, size, proof, ROOTS[old], ROOTS[size - 1])
        assert not any(tree.is_consistent(old, size, bad, ROOTS[old], ROOTS[size]) for bad in mutants(proof))
    assert not tree.is_consistent(0, size, (), ROOTS[0], ROOTS[size])
    assert not tree.is_consistent(size + 1, size, (), ROOTS[size], ROOTS[size])


@pytest.mark.parametrize("size", range(1, LEAVES_MAX + 1))
def test_every_run_of_leaves(size: int) -> None:
    for begin in range(size):
        for end in range(begin + 1, size + 1):
            run, proof = LEAVES[begin:end], tree.range_proof(begin, end, size, NODES)
            assert tree.is_range_included(run, begin, size, proof, ROOTS[size])
            assert not tree.is_range_included(run, begin, size, proof, ROOTS[size - 1])
            assert not tree.is_range_included([*run[:-1], bytes(32)], begin, size, proof, ROOTS[size])
            assert not tree.is_range_included(run, begin, size, (*proof, bytes(32)), ROOTS[size])
            assert not tree.is_range_included(run, begin, size, proof[:-1], ROOTS[size]) or not proof


@given(st.data())
def test_mutated_runs_are_refused(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, LEAVES_MAX))
    begin = data.draw(st.integers(0, size - 1))
    end = data.draw(st.integers(begin + 1, size))
    proof = tree.range_proof(begin, end, size, NODES)
    bad = data.draw(st.sampled_from(mutants(proof)))
    assert not tree.is_range_included(LEAVES[begin:end], begin, size, bad, ROOTS[size])
    other = data.draw(st.integers(-3, size + 3).filter(lambda at: at != begin))
    assert not tree.is_range_included(LEAVES[begin:end], other, size, proof, ROOTS[size])
    assert not tree.is_range_included([], begin, size, proof, ROOTS[size])
