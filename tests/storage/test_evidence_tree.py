"""The tree in the tables is the tree over the leaves, or the log is refused."""

import pytest
from support.logs import LOG_KEY, SIGNING

from jupiter_addons.errors import StoreError, VerificationError
from jupiter_addons.evidence import checkpoint
from jupiter_addons.evidence.checkpoint import Checkpoint
from jupiter_addons.evidence.merkle import Edge, hash_leaf, nodes, prove_inclusion, verify_inclusion
from jupiter_addons.storage import evidence_tree
from jupiter_addons.storage.evidence_schema import MIGRATIONS
from jupiter_addons.storage.sqlite import connect

KEYS = SIGNING.manifest.keys("log").values()


@pytest.fixture
def db(tmp_path):
    opened = connect(tmp_path / "e.db", MIGRATIONS)
    yield opened
    opened.close()


def filled(db, size: int) -> Edge:
    edge = Edge()
    for idx in range(size):
        leaf = b"leaf %d" % idx
        row = (idx, "x", None, idx, leaf, b"", hash_leaf(leaf).hex())
        db.execute("INSERT INTO leaf VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        evidence_tree.keep_tiles(db, edge.append(hash_leaf(leaf)))
    note = checkpoint.sign(Checkpoint("o", size, edge.root()), LOG_KEY)
    db.execute("INSERT INTO checkpoint VALUES (?, 0, ?)", (size, note))
    return edge


@pytest.mark.parametrize("size", [1, 255, 256, 257, 600])
def test_the_edge_is_found_again_and_every_leaf_proved(db, size):
    edge = filled(db, size)
    assert evidence_tree.restored(db, "o", size, KEYS) == edge
    assert evidence_tree.grown(db) == edge
    node = nodes(evidence_tree.tiles(db))
    for idx in (0, size // 2, size - 1):
        path = prove_inclusion(idx, size, node)
        verify_inclusion(hash_leaf(b"leaf %d" % idx), idx, size, edge.root(), path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("DELETE FROM checkpoint", "no checkpoint"),
        ("UPDATE checkpoint SET note = replace(note, '600', '599')", "signature"),
        ("UPDATE leaf SET leaf = x'00' WHERE idx = 599", "not those that its newest checkpoint"),
        ("UPDATE tile SET hashes = zeroblob(64) WHERE level = 1", "not those that its newest checkpoint"),
        ("DELETE FROM tile WHERE level = 1", "tile 0 of level 1 has 0 hashes of 2"),
        ("DELETE FROM leaf WHERE idx = 598", "tile 2 of level 0 has 87 hashes of 88"),
    ],
)
def test_what_does_not_agree_is_refused(db, change, said):
    filled(db, 600)
    db.execute(change)
    with pytest.raises(VerificationError, match=said):
        evidence_tree.restored(db, "o", 600, KEYS)


def test_a_checkpoint_of_another_log_or_size_is_refused(db):
    filled(db, 5)
    for origin, size in (("p", 5), ("o", 6)):
        with pytest.raises(VerificationError, match="newest checkpoint is of 5 of `o`"):
            evidence_tree.restored(db, origin, size, KEYS)


def test_an_anchor_shows_a_cut_and_a_fork(db):
    edge = filled(db, 300)
    evidence_tree.check_anchor(evidence_tree.tiles(db), 300, Checkpoint("o", 300, edge.root()))
    first = Edge()
    first.append(hash_leaf(b"leaf 0"))
    evidence_tree.check_anchor(evidence_tree.tiles(db), 300, Checkpoint("o", 1, first.root()))
    with pytest.raises(StoreError, match="it has been cut"):
        evidence_tree.check_anchor(evidence_tree.tiles(db), 300, Checkpoint("o", 301, bytes(32)))
    with pytest.raises(StoreError, match="are not those that the anchor"):
        evidence_tree.check_anchor(evidence_tree.tiles(db), 300, Checkpoint("o", 299, bytes(32)))
