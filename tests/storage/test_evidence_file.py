"""One log as a file: a checkpoint over every transaction, logs of the first version, keys that change."""

import asyncio
import sqlite3
from dataclasses import replace

import pytest
from support.logs import KEY, LOG_KEY, SIGNING, a_decision, an_outcome, seal

from jupiter_addons.errors import StoreError
from jupiter_addons.evidence import checkpoint
from jupiter_addons.evidence.encoding import leaf_hash
from jupiter_addons.evidence.merkle import Edge, hash_leaf
from jupiter_addons.evidence.signing import from_seed
from jupiter_addons.evidence.verify import verify
from jupiter_addons.storage.evidence_file import LogFile
from jupiter_addons.storage.evidence_reader import rows
from jupiter_addons.storage.evidence_schema import MIGRATIONS
from jupiter_addons.storage.evidence_sqlite import EvidenceLog, Identity
from jupiter_addons.storage.evidence_store import Item
from jupiter_addons.storage.evidence_tail import Sealer

KEYS = SIGNING.manifest.keys("log").values()


def a_file(path, clock=lambda: 5_000_000, keys=SIGNING) -> LogFile:
    identity = Identity(keys, "test", "0")
    file = LogFile(path, identity, Sealer(identity, clock), lambda _origin: None)
    file.open()
    return file


def stored(path, sql: str) -> list[tuple]:
    db = sqlite3.connect(path)
    found = db.execute(sql).fetchall()
    db.close()
    return found


def test_every_transaction_ends_in_a_checkpoint_over_all_leaves(tmp_path):
    file = a_file(tmp_path / "e.db")
    edge = Edge()
    for size in (1, 3, 260, 600):
        file.write([Item({"kind": "x"}) for _ in range(size - file.tail.edge.size)])
        signed = checkpoint.opened(file.note.encode(), [LOG_KEY.public])
        for (leaf,) in stored(tmp_path / "e.db", f"SELECT leaf FROM leaf WHERE idx >= {edge.size} ORDER BY idx"):
            edge.append(hash_leaf(leaf))
        assert (signed.origin, signed.size, signed.root) == (file.origin, size, edge.root())
        assert stored(tmp_path / "e.db", "SELECT note FROM checkpoint ORDER BY size DESC LIMIT 1") == [(file.note,)]
    file.let_go()
    again = a_file(tmp_path / "e.db")
    assert (again.tail, again.origin, again.note) == (file.tail, file.origin, file.note)
    again.let_go()


def test_one_checkpoint_a_second_is_kept_for_good(tmp_path):
    now_s = iter([10.0, 10.2, 10.9, 11.0, 11.5, 13.0, 13.1])
    file = a_file(tmp_path / "e.db", clock=lambda: int(next(now_s) * 1e9))
    for _ in range(7):
        file.write([Item({"kind": "x"})])
    file.let_go()
    assert stored(tmp_path / "e.db", "SELECT size FROM checkpoint ORDER BY size") == [(1,), (4,), (6,), (7,)]


def test_leaves_that_are_not_stored_as_they_were_hashed_are_not_signed_for(tmp_path):
    file = a_file(tmp_path / "e.db")
    file.write([Item({"kind": "x"})])
    assert file._db is not None
    file._db.execute(
        "CREATE TRIGGER flip AFTER INSERT ON leaf BEGIN UPDATE leaf SET leaf = x'00' WHERE idx = new.idx; END"
    )
    with pytest.raises(StoreError, match="leaf 1 is not what was given to the store"):
        file.write([Item({"kind": "x"})])
    file.let_go()


def first_version(path, leaves) -> None:
    """Write a log as the first version did."""
    db = sqlite3.connect(path, isolation_level=None)
    db.executescript(f"{MIGRATIONS[0]}; PRAGMA user_version=1; PRAGMA journal_mode=WAL")
    db.execute("INSERT INTO meta VALUES ('origin', 'l')")
    for row, fields in zip(seal(leaves), leaves, strict=True):
        columns = (row.idx, fields["kind"], fields.get("id"), 1000 + row.idx)
        db.execute(
            "INSERT INTO leaf VALUES (?, ?, ?, ?, ?, ?, ?)", (*columns, row.leaf, row.signature, leaf_hash(row.leaf))
        )
    db.execute("INSERT INTO open_call VALUES ('b')")
    db.close()
    path.chmod(0o600)


OLD = [leaf for n in range(200) for leaf in (a_decision(f"c{n}"), an_outcome(f"c{n}"))] + [a_decision("b")]


def test_a_log_of_the_first_version_is_verified_gets_a_tree_and_goes_on(tmp_path, caplog):
    first_version(tmp_path / "e.db", OLD)
    EvidenceLog(tmp_path / "e.db", Identity(SIGNING, "test", "0")).close()
    assert "has no tree yet" in caplog.text
    found = verify(rows(tmp_path / "e.db"), SIGNING.manifest.keys("record"))
    assert (found.findings, found.open_calls, found.leaves) == ([], set(), len(OLD) + 3)
    [(note,)] = stored(tmp_path / "e.db", "SELECT note FROM checkpoint ORDER BY size DESC LIMIT 1")
    edge = Edge()
    for row in rows(tmp_path / "e.db"):
        edge.append(hash_leaf(row.leaf))
    assert checkpoint.opened(note.encode(), KEYS).root == edge.root()
    caplog.clear()
    EvidenceLog(tmp_path / "e.db", Identity(SIGNING, "test", "0")).close()
    assert "has no tree yet" not in caplog.text


def test_a_log_of_the_first_version_that_does_not_verify_gets_no_tree(tmp_path):
    first_version(tmp_path / "e.db", OLD)
    db = sqlite3.connect(tmp_path / "e.db")
    db.execute("UPDATE leaf SET sig = zeroblob(64) WHERE idx = 7")
    db.commit()
    db.close()
    with pytest.raises(StoreError, match="gets no tree: leaf 7: signature"):
        a_file(tmp_path / "e.db")


def test_a_tree_that_was_taken_away_is_not_made_anew(tmp_path):
    file = a_file(tmp_path / "e.db")
    file.write([Item({"kind": "x"}) for _ in range(300)])
    file.let_go()
    db = sqlite3.connect(tmp_path / "e.db")
    db.execute("DELETE FROM checkpoint")
    db.commit()
    db.close()
    with pytest.raises(StoreError, match="no checkpoint"):
        a_file(tmp_path / "e.db")


def test_leaves_that_were_taken_away_are_not_forgotten(tmp_path):
    file = a_file(tmp_path / "e.db")
    file.write([Item({"kind": "x"})])
    file.let_go()
    db = sqlite3.connect(tmp_path / "e.db")
    db.execute("DELETE FROM leaf")
    db.commit()
    db.close()
    with pytest.raises(StoreError, match="a checkpoint and no leaves"):
        a_file(tmp_path / "e.db")


def test_a_key_that_was_rotated_is_recorded_and_one_that_is_unknown_is_refused(tmp_path):
    async def kinds(keys):
        log = EvidenceLog(tmp_path / "e.db", Identity(keys, "test", "0"))
        log.close()
        return [kind for (kind,) in stored(tmp_path / "e.db", "SELECT kind FROM leaf ORDER BY idx")]

    new_record, new_log = from_seed("evidence", b"\x08" * 32), from_seed("log", b"\x09" * 32)
    rotated = SIGNING.manifest.rotated("record", new_record.public, 1).rotated("log", new_log.public, 1)
    second = replace(SIGNING, record=new_record, log=new_log, manifest=rotated)
    asyncio.run(kinds(SIGNING))
    assert asyncio.run(kinds(second))[2:] == ["log.open", "key.rotate", "key.rotate", "log.close"]
    assert verify(rows(tmp_path / "e.db"), rotated.keys("record")).findings == []
    assert asyncio.run(kinds(second))[6:] == ["log.open", "log.close"]
    with pytest.raises(StoreError, match="is not what was written"):
        asyncio.run(kinds(SIGNING))
    assert KEY.public.kid != new_record.public.kid
