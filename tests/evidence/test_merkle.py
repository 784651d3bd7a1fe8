"""The tree of RFC 6962 against its own definition, and against the vectors others publish."""

import hashlib
import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.vectors import AT_HAND, VECTORS, merkle, unbase64

from jupiter_addons.errors import VerificationError
from jupiter_addons.evidence.merkle import (
    EMPTY_ROOT,
    TILE_WIDTH,
    Edge,
    edge_of,
    hash_leaf,
    hash_node,
    nodes,
    prove_consistency,
    prove_inclusion,
    root_of,
    verify_consistency,
    verify_inclusion,
)


def leaves(count: int) -> list[bytes]:
    return [hash_leaf(str(number).encode()) for number in range(count)]


def mth(hashes: Sequence[bytes]) -> bytes:
    """The definition of section 2.1, word for word."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    k = 1
    while 2 * k < len(hashes):
        k *= 2
    return hash_node(mth(hashes[:k]), mth(hashes[k:]))


def grown(hashes: Sequence[bytes]) -> tuple[Edge, dict[tuple[int, int], list[bytes]]]:
    """Return the edge after these leaves, and the tiles as a store has them: the last leaves stand in no tile yet."""
    edge, kept = Edge(), {}
    for leaf in hashes:
        for tile in edge.append(leaf):
            kept[tile.level, tile.n] = [tile.hashes[at : at + 32] for at in range(0, len(tile.hashes), 32)]
    last = len(hashes) // TILE_WIDTH
    if rest := list(hashes[last * TILE_WIDTH :]):
        kept[0, last] = rest
    return edge, kept


def lookup(kept):
    return lambda level, n: kept.get((level, n), [])


SIZES = [0, 1, 2, 3, 7, 8, 9, 254, 255, 256, 257, 511, 512, 513, 1000]


@pytest.mark.parametrize("size", SIZES)
def test_an_edge_knows_the_root_and_can_be_found_again_from_the_tiles(size):
    edge, kept = grown(leaves(size))
    assert edge.root() == mth(leaves(size))
    again = edge_of(size, lookup(kept))
    assert again == edge
    more = hash_leaf(b"more")
    assert again.append(more) == edge.copy().append(more)
    assert again.root() == mth([*leaves(size), more])


@pytest.mark.parametrize("size", [*SIZES, 65_535, 65_536, 65_537])
def test_the_tiles_that_are_not_full_are_the_rest_of_each_level(size):
    every = leaves(size)
    edge, _ = grown(every)
    widths = {tile.level: len(tile.hashes) // 32 for tile in edge.partial()}
    assert widths == {level: w for level in range(3) if (w := (size >> 8 * level) % 256)}
    assert all(tile.n == size >> 8 * (tile.level + 1) for tile in edge.partial())
    for tile in edge.partial():
        hashes = [tile.hashes[at : at + 32] for at in range(0, len(tile.hashes), 32)]
        first = tile.n << 8 * (tile.level + 1)
        spanned = [every[first + (at << 8 * tile.level) :][: 1 << 8 * tile.level] for at in range(len(hashes))]
        assert hashes == [mth(some) for some in spanned]


def test_a_copy_grows_without_what_it_was_copied_from():
    edge, _ = grown(leaves(300))
    copy = edge.copy()
    copy.append(hash_leaf(b"x"))
    assert (edge.size, edge.root()) == (300, mth(leaves(300)))


@pytest.mark.parametrize("size", [65_535, 65_536, 65_537])
def test_tiles_of_the_second_level_are_full_after_65536_leaves(size):
    hashes = leaves(size)
    edge, kept = grown(hashes)
    assert len(kept[1, 0]) == size // TILE_WIDTH
    assert ((2, 0) in kept) == (size >= 65_536)
    assert edge_of(size, lookup(kept)).root() == edge.root()
    node = nodes(lookup(kept))
    for index in (0, 255, 256, 65_279, size - 1):
        verify_inclusion(hashes[index], index, size, edge.root(), prove_inclusion(index, size, node))
    for old in (1, 255, 256, 40_000, 65_535):
        path = prove_consistency(old, size, node)
        verify_consistency(old, size, mth(hashes[:old]), edge.root(), path)


def test_every_leaf_is_proved_in_every_tree_of_up_to_70():
    hashes = leaves(70)
    node = nodes(lookup(grown(hashes)[1]))
    for size in range(1, 71):
        root = mth(hashes[:size])
        assert root_of(size, node) == root
        for index in range(size):
            path = prove_inclusion(index, size, node)
            verify_inclusion(hashes[index], index, size, root, path)
            with pytest.raises(VerificationError):
                verify_inclusion(hash_leaf(b"other"), index, size, root, path)
        for old in range(1, size + 1):
            verify_consistency(old, size, mth(hashes[:old]), root, prove_consistency(old, size, node))


@given(st.data())
def test_a_proof_with_anything_changed_proves_nothing(data):
    size = data.draw(st.integers(2, 600))
    index = data.draw(st.integers(0, size - 1))
    hashes = leaves(size)
    _, kept = grown(hashes)
    root = mth(hashes)
    path = prove_inclusion(index, size, nodes(lookup(kept)))
    at = data.draw(st.integers(0, len(path) - 1))
    flipped = bytearray(path[at])
    flipped[data.draw(st.integers(0, 31))] ^= 1 << data.draw(st.integers(0, 7))
    for wrong in (
        [*path[:at], bytes(flipped), *path[at + 1 :]],
        [*path[:at], *path[at + 1 :]],
        [*path, path[at]],
        [path[at], *path],
        [*path[:at], path[at][:31], *path[at + 1 :]],
    ):
        with pytest.raises(VerificationError):
            verify_inclusion(hashes[index], index, size, root, wrong)


@given(st.integers(2, 600), st.integers(1, 599), st.integers(0, 255))
def test_a_changed_consistency_proof_proves_nothing(new, old, bit):
    old = min(old, new - 1)
    hashes = leaves(new)
    path = prove_consistency(old, new, nodes(lookup(grown(hashes)[1])))
    for at, one in enumerate(path):
        flipped = bytearray(one)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(VerificationError):
            verify_consistency(old, new, mth(hashes[:old]), mth(hashes), [*path[:at], bytes(flipped), *path[at + 1 :]])
    with pytest.raises(VerificationError):
        verify_consistency(old, new, mth(hashes[:old]), mth(hashes), path[:-1])
    with pytest.raises(VerificationError):
        verify_consistency(old, new, mth(hashes[: old - 1]), mth(hashes), path)


def test_what_is_not_there_is_not_proved():
    node = nodes(lookup(grown(leaves(5))[1]))
    for make in (
        lambda: prove_inclusion(5, 5, node),
        lambda: prove_inclusion(-1, 5, node),
        lambda: prove_consistency(0, 5, node),
        lambda: prove_consistency(6, 5, node),
        lambda: prove_inclusion(0, 600, node),
    ):
        with pytest.raises(ValueError):
            make()
    with pytest.raises(VerificationError, match="tile 0 of level 0 has 5 hashes of 6"):
        edge_of(6, lookup(grown(leaves(5))[1]))


@AT_HAND
def test_all_published_vectors_come_out_as_they_say():
    wrong, seen = [], 0
    for kind in ("inclusion", "consistency"):
        for name, vector in merkle(kind):
            path = [unbase64(one) for one in vector["proof"] or ()]
            try:
                if kind == "inclusion":
                    leaf, root = unbase64(vector["leafHash"]), unbase64(vector["root"])
                    verify_inclusion(leaf, vector["leafIdx"], vector["treeSize"], root, path)
                else:
                    roots = unbase64(vector["root1"]), unbase64(vector["root2"])
                    verify_consistency(vector["size1"], vector["size2"], *roots, path)
                refused = False
            except VerificationError:
                refused = True
            seen += 1
            if refused != vector["wantErr"]:
                wrong.append(name)
    assert (wrong, seen) == ([], 196)


@AT_HAND
def test_the_published_hashes_are_ours():
    known = json.loads((VECTORS / "rfc6962/hashes.json").read_text())
    for one in known["single_hashes"]:
        if "leaf_hex" in one:
            assert hash_leaf(bytes.fromhex(one["leaf_hex"])).hex() == one["sha256"]
        elif "left_hex" in one:
            assert hash_node(bytes.fromhex(one["left_hex"]), bytes.fromhex(one["right_hex"])).hex() == one["sha256"]
        else:
            assert EMPTY_ROOT.hex() == one["sha256"]
