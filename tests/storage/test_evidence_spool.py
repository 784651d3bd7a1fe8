"""The spool: in order, bounded, and gone when it has been sent."""

import sqlite3

import pytest
from support.logs import seal

from jupiter_addons.errors import StoreError
from jupiter_addons.evidence.checkpoint import Checkpoint
from jupiter_addons.evidence.encoding import leaf_hash
from jupiter_addons.storage.evidence_spool import Spool
from jupiter_addons.storage.evidence_store import Batch
from jupiter_addons.storage.evidence_tail import LeafRow, Tail, extend

LEAVES = [{"kind": "x", "n": n} for n in range(40)]


def rows(first: int, count: int) -> list[LeafRow]:
    sealed = seal(LEAVES)[first : first + count]
    return [(row.idx, "x", None, 1000 + row.idx, row.leaf, row.signature, leaf_hash(row.leaf)) for row in sealed]


def a_batch(first: int, count: int, ciphertext: bytes = b"") -> Batch:
    tail = Tail()
    extend(tail, rows(0, first + count))
    said = [(first, f"call-{first}", "request", "key", ciphertext)] if ciphertext else []
    return Batch(rows(first, count), said, tail, Checkpoint("l", tail.edge.size, tail.edge.root()))


def a_spool(path, max_bytes: int = 1_000_000) -> Spool:
    spool = Spool(path, max_bytes)
    spool.open()
    return spool


def test_what_is_put_in_comes_out_in_order_also_after_a_restart(tmp_path):
    spool = a_spool(tmp_path / "s.db")
    spool.put(a_batch(3, 4, b"said"), "note 1")
    spool.put(a_batch(7, 5), "note 2")
    spool.close()
    spool = a_spool(tmp_path / "s.db")
    assert (spool.first(), spool.leaves, spool.note()) == (3, 9, "note 2")
    assert spool.read_some(3, 100, 1_000_000) == (rows(3, 9), [(3, "call-3", "request", "key", b"said")])
    assert spool.read(5, 2) == rows(5, 2)
    spool.close()


def test_as_much_is_read_at_once_as_was_asked_for_but_at_least_one_leaf(tmp_path):
    spool = a_spool(tmp_path / "s.db")
    for first in range(0, 12, 4):
        spool.put(a_batch(first, 4, b"x" * 10_000), "note")
    some, said = spool.read_some(0, 256, 15_000)
    assert (len(some), len(said)) == (4, 1)
    assert len(spool.read_some(0, 256, 1)[0]) == 1
    assert len(spool.read_some(0, 2, 1_000_000)[0]) == 2
    assert spool.read_some(12, 256, 1) == ([], [])
    spool.close()


def test_it_takes_no_more_than_it_may_and_takes_again_what_fits_once_some_is_sent(tmp_path):
    spool = a_spool(tmp_path / "s.db", max_bytes=25_000)
    spool.put(a_batch(0, 4, b"x" * 10_000), "note 1")
    with pytest.raises(StoreError, match="full: 4 leaves wait"):
        spool.put(a_batch(4, 4, b"x" * 20_000), "note 2")
    assert (spool.leaves, spool.note()) == (4, "note 1")
    spool.drop(4)
    assert (spool.leaves, spool.bytes, spool.note()) == (0, 0, None)
    spool.put(a_batch(4, 4, b"x" * 20_000), "note 2")
    before = spool.bytes
    spool.close()
    spool = a_spool(tmp_path / "s.db")
    assert spool.bytes == before
    spool.close()


def test_what_was_sent_is_in_no_file_and_an_empty_spool_can_be_taken_away(tmp_path):
    spool = a_spool(tmp_path / "s.db")
    spool.put(a_batch(0, 4, b"a secret of somebody"), "note")
    spool.drop(4)
    spool.shrink()
    assert not any(b"a secret of somebody" in file.read_bytes() for file in tmp_path.iterdir())
    spool.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_failure_is_said_and_nothing_is_counted(tmp_path):
    spool = a_spool(tmp_path / "s.db")
    spool.put(a_batch(0, 4), "note")
    with pytest.raises(StoreError, match="cannot spool"):
        spool.put(a_batch(2, 4), "note")
    spool.open()
    assert spool.leaves == 4
    spool.close()
    with pytest.raises(StoreError, match="not open"):
        spool.read(0, 1)
    (tmp_path / "t.db").write_bytes(b"no database at all, but long enough to be taken for one" * 20)
    with pytest.raises(StoreError):
        a_spool(tmp_path / "t.db")


def test_whether_the_server_knows_the_log_is_remembered(tmp_path):
    spool = a_spool(tmp_path / "s.db")
    assert not spool.is_registered
    spool.register()
    spool.register()
    spool.close()
    assert a_spool(tmp_path / "s.db").is_registered
    assert sqlite3.connect(tmp_path / "s.db").execute("SELECT count(*) FROM registered").fetchone() == (1,)
