"""Whatever is done to a log is found, by the name of what was done, as long as somebody remembers how far it had come."""

import random
import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from support.logs import SIGNING, a_decision, an_outcome

from jupiter_addons.evidence import checkpoint, record
from jupiter_addons.evidence.encoding import pae
from jupiter_addons.evidence.signing import from_seed
from jupiter_addons.storage.evidence_audit import Audit, Remembered, to_save
from jupiter_addons.storage.evidence_file import LogFile
from jupiter_addons.storage.evidence_store import Item
from jupiter_addons.storage.evidence_tail import Identity, Sealer

CALLS = 300
MALLORY = from_seed("evidence", b"\x66" * 32)


def written(path: Path, calls: int = CALLS, *, keys=SIGNING, extra=()) -> checkpoint.Checkpoint:
    """Write, or go on with, a log of calls; return its newest checkpoint."""
    identity = Identity(keys, "test", "0")
    file = LogFile(path, identity, Sealer(identity, lambda: 5_000_000), lambda _origin: None)
    file.open()
    start = file.tail.edge.size
    for number in range(start, start + calls):
        file.write([Item(a_decision(f"c{number}")), Item(an_outcome(f"c{number}"))])
    for fields in extra:
        file.write([Item(fields)])
    file.shrink()
    file.let_go()
    return checkpoint.opened(file.note.encode(), [keys.log.public])


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    path = tmp_path_factory.mktemp("good") / "evidence.db"
    return path, written(path)


def change(path: Path, *statements: str, values=()) -> None:
    db = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        db.execute(statement, values)
    db.close()


def checks(path: Path, *heads, manifest=SIGNING.manifest) -> set[str]:
    audited, together = Audit(manifest).run([path], [Remembered(head, "the anchor") for head in heads])
    return {finding.check for log in audited for finding in log.report.findings} | {one.check for one in together}


def swap(column: str) -> str:
    return f"""UPDATE leaf SET {column} = (SELECT {column} FROM leaf AS o WHERE o.idx = CASE leaf.idx WHEN 7 THEN 8 ELSE 7 END)
               WHERE idx IN (7, 8)"""


ATTACKS = {
    "a leaf is flipped": (["UPDATE leaf SET leaf = CAST(replace(leaf, 'alice', 'alicf') AS BLOB) WHERE idx = 6"], "signature"),
    "a signature is flipped": (["UPDATE leaf SET sig = zeroblob(64) WHERE idx = 7"], "signature"),
    "a leaf is deleted": (["DELETE FROM leaf WHERE idx = 7"], "sequence"),
    "a leaf is deleted and the rest renumbered": (
        ["DELETE FROM leaf WHERE idx = 7", "UPDATE leaf SET idx = idx - 1 WHERE idx > 7"],
        "index",
    ),
    "leaves are swapped": ([swap("leaf"), swap("sig"), swap("hash")], "chain"),
    "a leaf is inserted": (
        [
            "UPDATE leaf SET idx = -idx - 1 WHERE idx > 7",
            "UPDATE leaf SET idx = -idx WHERE idx < 0",
            "INSERT INTO leaf SELECT 8, kind, id, t_us, leaf, sig, hash FROM leaf WHERE idx = 7",
        ],
        "chain",
    ),
    "the last leaves are cut off": (["DELETE FROM leaf WHERE idx >= 590"], "truncated"),
    "and the checkpoints with them": (
        ["DELETE FROM leaf WHERE idx >= 590", "DELETE FROM checkpoint WHERE size > 590"],
        "truncated",
    ),
    "the first leaves are cut off": (["DELETE FROM leaf WHERE idx < 256"], "prune"),
    "all leaves are cut off": (["DELETE FROM leaf"], "truncated"),
    "the checkpoint is deleted": (["DELETE FROM checkpoint"], "checkpoint"),
    "a checkpoint is forged": (["UPDATE checkpoint SET note = replace(note, '— jupiter', '— jupiteR')"], "checkpoint"),
    "a tile is changed": (["UPDATE tile SET hashes = zeroblob(8192) WHERE level = 0 AND n = 1"], "tile"),
    "a leaf is filed under another call": (["UPDATE leaf SET id = 'other' WHERE idx = 7"], "columns"),
    "a leaf is no leaf": (["UPDATE leaf SET leaf = x'ff' WHERE idx = 7"], "encoding"),
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
def test_what_is_done_to_a_log_is_found_by_its_name(good, tmp_path, name):
    path, head = good
    copy = shutil.copy(path, tmp_path / "evidence.db")
    statements, found = ATTACKS[name]
    change(copy, *statements)
    assert found in checks(copy, head)


def test_a_good_log_is_in_order(good):
    path, head = good
    assert checks(path) == set()
    assert checks(path, head) == set()


def test_a_log_that_somebody_else_has_signed_anew_is_found(good, tmp_path):
    path, head = good
    copy = shutil.copy(path, tmp_path / "evidence.db")
    db = sqlite3.connect(copy, isolation_level=None)
    for idx, leaf in db.execute("SELECT idx, leaf FROM leaf").fetchall():
        db.execute("UPDATE leaf SET sig = ? WHERE idx = ?", (MALLORY.sign(pae(leaf)), idx))
    db.close()
    assert checks(copy, head) == {"signature"}
    theirs = tmp_path / "theirs.db"
    stolen = replace(SIGNING, record=MALLORY, manifest=SIGNING.manifest.rotated("record", MALLORY.public, 1))
    written(theirs, keys=stolen)
    assert {"key", "missing"} <= checks(theirs, head)


def test_an_old_copy_and_a_fork_are_found_by_who_remembers(good, tmp_path):
    path, _ = good
    copy = Path(shutil.copy(path, tmp_path / "evidence.db"))
    later = written(copy, 5)
    assert checks(copy, later) == set()
    assert checks(path, later) == {"truncated"}
    fork = Path(shutil.copy(path, tmp_path / "fork.db"))
    written(fork, 9)  # with other salts, and every signature and checkpoint good
    assert checks(fork) == set()
    assert checks(fork, later) == {"fork"}


def test_a_log_that_was_deleted_is_missed_by_the_roll_up_of_another(good, tmp_path):
    path, head = good
    gone = Path(shutil.copy(path, tmp_path / "evidence-1.db"))
    roll_up = record.rollup([(head.origin, head.size, head.root.hex())])
    written(tmp_path / "evidence.db", 3, extra=[roll_up])
    audit = Audit(SIGNING.manifest)
    both, together = audit.run([tmp_path / "evidence.db", gone], [])
    assert (together, [log.compared for log in both]) == ([], [[], ["the roll-up in evidence.db"]])
    assert not any(log.report.findings for log in both)
    _, together = audit.run([tmp_path / "evidence.db"], [])
    assert [finding.check for finding in together] == ["missing"]
    change(gone, "DELETE FROM leaf WHERE idx > 500", "DELETE FROM checkpoint WHERE size > 501")
    both, _ = audit.run([tmp_path / "evidence.db", gone], [])
    assert {finding.check for finding in both[1].report.findings} == {"truncated", "checkpoint"}


def test_any_random_change_to_the_log_is_found(good, tmp_path):
    path, head = good
    seed = random.randrange(2**32)
    chance, missed = random.Random(seed), []
    for number in range(60):
        copy = shutil.copy(path, tmp_path / "evidence.db")
        table, column = chance.choice([("leaf", "leaf"), ("leaf", "sig"), ("tile", "hashes"), ("checkpoint", "note")])
        db = sqlite3.connect(copy, isolation_level=None)
        rowid, data = db.execute(
            f"SELECT rowid, CAST({column} AS BLOB) FROM {table} ORDER BY random() LIMIT 1"
        ).fetchone()
        at, bit = chance.randrange(len(data)), chance.randrange(7)
        changed = bytearray(data)
        changed[at] ^= 1 << bit
        cast = "CAST(? AS TEXT)" if column == "note" else "?"
        db.execute(f"UPDATE {table} SET {column} = {cast} WHERE rowid = ?", (bytes(changed), rowid))
        db.close()
        if not checks(copy, head):
            missed.append((number, table, column, rowid, at, bit))
    assert missed == [], f"seed {seed}"


def test_what_was_signed_after_a_key_was_revoked_is_found(good):
    path, _ = good
    revoked = SIGNING.manifest.rotated("record", MALLORY.public, 5000, revoke=True)
    assert checks(path, manifest=revoked) == {"revoked"}
    later = SIGNING.manifest.rotated("record", MALLORY.public, 5001, revoke=True)
    assert checks(path, manifest=later) == set()


def test_a_verification_is_gone_on_with_where_it_ended(good, tmp_path):
    path, _ = good
    copy = Path(shutil.copy(path, tmp_path / "evidence.db"))
    audit = Audit(SIGNING.manifest)
    [first], _ = audit.run([copy], [])
    saved = {first.origin: to_save(first)}
    head = written(copy, 5)
    [second], _ = audit.run([copy], [Remembered(head, "x")], saved)
    assert (second.resumed_at, second.report.findings) == (first.report.edge.size, [])
    [whole], _ = audit.run([copy], [])
    assert (second.report.kinds, second.report.leaves) == (whole.report.kinds, whole.report.leaves)
    assert second.report.edge.root() == whole.report.edge.root() == head.root
    change(copy, f"UPDATE leaf SET sig = zeroblob(64) WHERE idx = {CALLS * 2 + 3}")
    [third], _ = audit.run([copy], [], saved)
    assert [finding.check for finding in third.report.findings] == ["signature"]
    assert to_save(third) is None
    change(copy, "UPDATE tile SET hashes = zeroblob(64) WHERE level = 1")
    [fourth], _ = audit.run([copy], [], saved)
    assert fourth.resumed_at == 0, "what it went on from is another tree"


def test_signatures_can_be_checked_elsewhere_and_all_is_read_in_segments(good, tmp_path, monkeypatch):
    from jupiter_addons.storage import evidence_audit

    path, head = good
    monkeypatch.setattr(evidence_audit, "SEGMENT", 100)
    seen: list[tuple[int, int]] = []
    with ThreadPoolExecutor(2) as executor:
        audit = Audit(SIGNING.manifest, executor=executor, progress=lambda _path, done, of: seen.append((done, of)))
        [log], _ = audit.run([path], [])
        assert log.report.findings == []
        assert seen[-1] == (head.size, head.size)
        assert len(seen) > 5
        copy = shutil.copy(path, tmp_path / "evidence.db")
        change(copy, "UPDATE leaf SET sig = zeroblob(64), id = 'x' WHERE idx IN (7, 550)")
        [log], _ = audit.run([Path(copy)], [])
        assert [(one.idx, one.check) for one in log.report.findings] == [(7, "signature"), (550, "signature")]
