"""A proof that travels proves its leaf, and with any bit of it flipped nothing at all."""

import pytest

from jupiter_addons.errors import VerificationError
from jupiter_addons.evidence import checkpoint, proof
from jupiter_addons.evidence.checkpoint import Checkpoint
from jupiter_addons.evidence.merkle import Edge, hash_leaf, nodes, prove_inclusion
from jupiter_addons.evidence.signing import from_seed

KEY = from_seed("log", b"\x01" * 32)
HASHES = [hash_leaf(str(number).encode()) for number in range(200)]
INDEX = 77


def a_proof(index: int = INDEX, size: int = len(HASHES)) -> bytes:
    edge = Edge()
    for one in HASHES[:size]:
        edge.append(one)
    path = prove_inclusion(index, size, nodes(lambda _level, _n: HASHES[:size]))
    return proof.render(index, path, checkpoint.sign(Checkpoint("o", size, edge.root()), KEY)).encode()


def accepts(data: bytes, leaf: bytes = HASHES[INDEX]) -> bool:
    try:
        proof.verify(data, leaf, [KEY.public])
    except VerificationError:
        return False
    return True


def test_a_proof_leads_to_the_checkpoint_it_carries():
    assert proof.verify(a_proof(), HASHES[INDEX], [KEY.public]).size == 200
    assert proof.verify(a_proof(0, 1), HASHES[0], [KEY.public]).root == HASHES[0]


def test_no_flipped_bit_no_truncation_and_nothing_added_is_accepted():
    whole = a_proof()
    accepted = []
    for bit in range(len(whole) * 8):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        accepted += [bit] if accepts(bytes(flipped)) else []
    accepted += [cut for cut in range(len(whole)) if accepts(whole[:cut])]
    accepted += [more for more in (b"\n", b" ", b"\x00", b"x", whole) if accepts(whole + more) or accepts(more + whole)]
    assert accepted == []


def test_a_proof_is_of_one_leaf_and_one_key():
    assert not accepts(a_proof(), HASHES[INDEX + 1])
    with pytest.raises(VerificationError):
        proof.verify(a_proof(), HASHES[INDEX], [from_seed("log", b"\x02" * 32).public])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"index 77", b"index 077"),
        (b"index 77", b"index +77"),
        (b"index 77", b"77"),
        (b"index 77", b"index 7_7"),
        (b"index 77", b"index -77"),
        (b"@v1", b"@v2"),
        (b"index 77\n", b"index 77\n\n"),
        (b"index 77\n", b"index 77\nAAAA\n"),
        (b"index 77\n", b"index 77\r\n"),
    ],
)
def test_another_spelling_is_no_proof(old, new):
    changed = a_proof().replace(old, new, 1)
    assert changed != a_proof()
    assert not accepts(changed)
