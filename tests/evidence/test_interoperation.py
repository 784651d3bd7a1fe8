"""Others read what we sign: Go's note and tlog packages, which know nothing of this project."""

import pytest
from support import golang

from jupiter_addons.evidence import checkpoint
from jupiter_addons.evidence.checkpoint import Checkpoint
from jupiter_addons.evidence.encoding import base64_of
from jupiter_addons.evidence.merkle import Edge, hash_leaf, nodes, prove_consistency, prove_inclusion
from jupiter_addons.evidence.signing import from_seed

KEY = from_seed("jupiter/9d2a", b"\x01" * 32)
LEAVES = [f'{{"idx":{number}}}'.encode() for number in range(700)]
HASHES = [hash_leaf(leaf) for leaf in LEAVES]


def given(index: int, old: int, new: int) -> dict[str, object]:
    edge, roots, kept = Edge(), {}, {}
    for number, one in enumerate(HASHES[:new], start=1):
        for tile in edge.append(one):
            kept[tile.level, tile.n] = [tile.hashes[at : at + 32] for at in range(0, len(tile.hashes), 32)]
        roots[number] = edge.root()
    kept[0, new // 256] = HASHES[new // 256 * 256 : new]
    node = nodes(lambda level, n: kept.get((level, n), []))

    def signed(size: int) -> str:
        return checkpoint.sign(Checkpoint(KEY.public.name, size, roots[size]), KEY)

    return {
        "Vkey": str(KEY.public),
        "Old": signed(old),
        "New": signed(new),
        "OldSize": old,
        "NewSize": new,
        "Leaf": base64_of(LEAVES[index]),
        "Index": index,
        "Inclusion": [base64_of(one) for one in prove_inclusion(index, new, node)],
        "Consistency": [base64_of(one) for one in prove_consistency(old, new, node)],
    }


@golang.AT_HAND
@pytest.mark.parametrize(
    ("index", "old", "new"), [(0, 1, 1), (3, 2, 7), (255, 256, 257), (0, 100, 700), (699, 699, 700)]
)
def test_go_verifies_our_checkpoints_and_proofs(index, old, new):
    assert golang.verify(given(index, old, new)) == ""


@golang.AT_HAND
@pytest.mark.parametrize(
    "change",
    [
        {"Index": 4},
        {"Leaf": base64_of(b"other")},
        {"Inclusion": []},
        {"Consistency": []},
        {"Vkey": str(from_seed("jupiter/9d2a", b"\x02" * 32).public)},
        {"OldSize": 3},
    ],
    ids=lambda change: next(iter(change)),
)
def test_go_refuses_what_is_not_so(change):
    assert golang.verify({**given(3, 2, 7), **change}) != ""
