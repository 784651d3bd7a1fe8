"""What a store has beside the leaves is held against the tree over them, and so is what others remember."""

import pytest
from support.logs import KEYS, LOG_KEY, a_decision, seal

from jupiter_addons.errors import VerificationError
from jupiter_addons.evidence import checkpoint
from jupiter_addons.evidence.checkpoint import Checkpoint
from jupiter_addons.evidence.merkle import Edge, hash_leaf
from jupiter_addons.evidence.record import control
from jupiter_addons.evidence.signing import from_seed
from jupiter_addons.evidence.verify import Report, verify
from jupiter_addons.evidence.verify_tree import Expected, StoredTree, compare, missing

ROWS = seal([a_decision(f"c{n}") for n in range(520)] + [control("prune", upto=256)])
SIZE = len(ROWS)


class Kept:
    """What a store would have of the tree over ROWS."""

    def __init__(self, sizes=(1, 300, SIZE), key=LOG_KEY, origin="l") -> None:
        edge, self.tiles, self.roots = Edge(), {}, {}
        for row in ROWS:
            for tile in edge.append(hash_leaf(row.leaf)):
                self.tiles[tile.level, tile.n] = [tile.hashes[at : at + 32] for at in range(0, len(tile.hashes), 32)]
            self.roots[edge.size] = edge.root()
        self.tiles[0, 2] = [hash_leaf(row.leaf) for row in ROWS[512:]]
        self.notes = [
            (size, checkpoint.sign(Checkpoint(origin, size, self.roots[size]), key).encode()) for size in sizes
        ]

    def tile(self, level: int, n: int) -> list[bytes]:
        return self.tiles.get((level, n), [])

    def tree(self, origin="l") -> StoredTree:
        return StoredTree(self.tile, iter(self.notes), [LOG_KEY.public], origin)


def found(kept: Kept, rows=ROWS, origin="l", expected=()) -> tuple[set[str], Report]:
    tree = kept.tree(origin)
    report = verify(rows, KEYS, tree=tree)
    report.findings += tree.end(report.edge)
    report.findings += compare(report, kept.tile, expected)
    return {finding.check for finding in report.findings}, report


def test_a_store_that_kept_the_tree_has_no_findings():
    checks, report = found(Kept())
    assert (checks, report.edge.size) == (set(), SIZE)


def test_leaves_that_were_cut_off_leave_a_checkpoint_behind():
    checks, report = found(Kept(), ROWS[:400])
    assert checks == {"truncated"}
    assert str(report.findings[0]) == "log: truncated: there is a checkpoint of 521 leaves, and 400 are there"


def test_a_checkpoint_that_is_gone_forged_or_of_another_log_is_found():
    assert found(Kept(sizes=(1, 300)))[0] == {"checkpoint"}
    assert found(Kept(key=from_seed("log", b"\x0c" * 32)))[0] == {"checkpoint"}
    assert found(Kept(origin="m"))[0] == {"checkpoint"}
    kept = Kept()
    kept.notes[1] = (299, kept.notes[1][1])
    assert found(kept)[0] == {"checkpoint"}
    kept = Kept()
    kept.roots[300] = bytes(32)
    kept.notes[1] = (300, checkpoint.sign(Checkpoint("l", 300, bytes(32)), LOG_KEY).encode())
    checks, report = found(kept)
    assert checks == {"checkpoint"}
    assert str(report.findings[0]).endswith("the leaves are not those it was signed over")


def test_a_tile_that_is_not_of_the_leaves_is_found():
    kept = Kept()
    kept.tiles[0, 1][7] = bytes(32)
    assert found(kept)[0] == {"tile"}
    kept = Kept()
    del kept.tiles[1, 0]
    assert found(kept)[0] == {"tile"}


def test_the_first_of_many_wrong_checkpoints_is_the_finding():
    kept = Kept(sizes=(1, 2, 3, 300, SIZE))
    rows = [ROWS[0], *ROWS[2:]]
    _, report = found(kept, rows)
    assert [finding.check for finding in report.findings].count("checkpoint") == 1
    assert {"sequence", "chain", "checkpoint", "truncated"} <= {finding.check for finding in report.findings}


def test_a_log_is_held_to_what_others_remember_of_it():
    kept = Kept()
    for size in (1, 255, 300, SIZE):
        assert found(kept, expected=[Expected(size, kept.roots[size], "x")])[0] == set()
        assert found(kept, expected=[Expected(size, bytes(32), "x")])[0] == {"fork"}
    checks, report = found(kept, expected=[Expected(SIZE + 1, bytes(32), "the anchor")])
    assert checks == {"truncated"}
    assert "the anchor knows 522 leaves, and 521 are there" in str(report.findings[0])


def test_a_pruned_log_goes_on_from_its_tiles_if_a_leaf_says_so():
    kept = Kept()
    assert found(kept, ROWS[256:])[0] == set()
    assert found(kept, ROWS[256:], expected=[Expected(100, kept.roots[100], "x")])[0] == set()
    assert found(kept, ROWS[256:-1])[0] == {"prune", "truncated"}
    assert "prune" in found(kept, ROWS[512:])[0]
    assert "prune" in found(kept, ROWS[100:])[0]
    kept.tiles[0, 0][3] = bytes(32)
    assert "prune" in found(kept, ROWS[256:])[0]
    del kept.tiles[0, 0]
    assert "prune" in found(kept, ROWS[256:])[0]


def test_a_log_that_is_named_and_not_there_is_missed_once():
    heads = [(Checkpoint(name, 5, bytes(32)), "the anchor") for name in ("a", "b", "b")]
    assert [str(one) for one in missing(heads, ["a"])] == [
        "log: missing: log `b` of 5 leaves is gone; the anchor knows it"
    ]


def test_what_begins_in_the_middle_of_a_tile_was_not_pruned():
    with pytest.raises(VerificationError, match="in the middle of a tile"):
        Kept().tree().begin(100)
