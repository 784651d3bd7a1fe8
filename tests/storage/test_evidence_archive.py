"""Archiving: full segments, each once, held to the tree; and what becomes of failures."""

import asyncio
import sqlite3

import pytest
from support.log_places import SqlitePlace
from support.logs import SIGNING, a_decision, an_outcome
from support.s3 import Memory
from support.wire import wait_until

from jupiter_addons.errors import StoreError, VerificationError
from jupiter_addons.evidence import archive
from jupiter_addons.evidence import manifest as key_manifests
from jupiter_addons.evidence.payload import Sealed
from jupiter_addons.evidence.signing import from_seed
from jupiter_addons.storage import evidence_archive
from jupiter_addons.storage.evidence_archive import Archiving, Archivist
from jupiter_addons.storage.evidence_archive_audit import audit
from jupiter_addons.storage.evidence_places import snapshot

ROOT = from_seed("jupiter-root", b"\x09" * 32)
NOTE = key_manifests.sign(SIGNING.manifest, ROOT).encode()


def write(place: SqlitePlace, calls: int) -> None:
    async def main() -> None:
        log = place.open()
        for n in range(calls):
            decision = a_decision(f"c{log._store.tail.idx}-{n}")
            decision["payload"] = [{"role": "request", "key": "k1", "sha256": "00", "len": 1}]
            log.append(decision, [Sealed("request", "k1", b"ciphertext %d" % n)])
            await log.append(an_outcome(decision["id"]))
        log.close()

    asyncio.run(main())


def an_archivist(place: SqlitePlace, objects: Memory) -> Archivist:
    return Archivist(objects, lambda: snapshot(place.log()), SIGNING, NOTE)


def all_steps(archivist: Archivist) -> None:
    while archivist.step():
        pass


@pytest.fixture
def place(tmp_path):
    place = SqlitePlace(tmp_path)
    write(place, 300)
    return place


def test_full_segments_are_archived_and_verify_with_nothing_but_the_root(place):
    objects = Memory()
    archivist = an_archivist(place, objects)
    all_steps(archivist)
    assert archivist.archived == 512
    [log] = audit(objects, ROOT.public)
    assert (log.report.findings, log.segments, log.report.leaves) == ([], 2, 512)
    with snapshot(place.log()) as stored:
        assert log.origin == stored.origin
        archived = [
            leaf
            for n in (0, 1)
            for leaf in archive.unpack_leaves(objects.kept[f"{log.name}/tile/entries/00{n}"][0].data)
        ]
        assert archived == [row.leaf for row in stored.rows()][:512]
    said = [one for n in (0, 1) for one in archive.unpack_said(objects.kept[f"{log.name}/payload/00{n}-0"][0].data)]
    assert [one.ciphertext for one in said] == [b"ciphertext %d" % n for n in range(len(said))] and len(said) > 250


def test_archiving_goes_on_where_it_ended_and_writes_nothing_twice(place):
    objects = Memory()
    all_steps(an_archivist(place, objects))
    before = {key: len(versions) for key, versions in objects.kept.items()}
    all_steps(an_archivist(place, objects))
    assert {key: len(versions) for key, versions in objects.kept.items()} == before
    write(place, 300)
    all_steps(an_archivist(place, objects))
    [log] = audit(objects, ROOT.public)
    assert (log.report.findings, log.segments) == ([], 4)


@pytest.mark.parametrize("failing", range(1, 12))
def test_a_store_that_fails_in_between_leaves_nothing_half(place, failing):
    objects = Memory()
    objects.failing = failing
    for _ in range(failing + 1):
        try:
            all_steps(an_archivist(place, objects))
        except StoreError:
            continue
    [log] = audit(objects, ROOT.public)
    assert (log.report.findings, log.segments) == ([], 2)


def test_a_log_that_is_not_what_was_archived_is_not_archived_further(place):
    objects = Memory()
    all_steps(an_archivist(place, objects))
    write(place, 200)
    with sqlite3.connect(place.argument()) as db:
        db.execute("UPDATE leaf SET leaf = sig WHERE idx = 600")
    with pytest.raises(StoreError, match="not what its tree"):
        all_steps(an_archivist(place, objects))
    with sqlite3.connect(place.argument()) as db:
        db.execute("DELETE FROM leaf WHERE idx = 601")
    with pytest.raises(StoreError, match="missing"):
        all_steps(an_archivist(place, objects))


def test_another_log_of_the_same_name_is_not_archived_over_it(place, tmp_path):
    objects = Memory()
    all_steps(an_archivist(place, objects))
    with sqlite3.connect(place.argument()) as db:
        origin = db.execute("SELECT value FROM meta WHERE name = 'origin'").fetchone()[0]
    other = SqlitePlace(tmp_path / "other")
    write(other, 1)
    with sqlite3.connect(other.argument()) as db:
        db.execute("UPDATE meta SET value = ? WHERE name = 'origin'", (origin,))
    with pytest.raises(StoreError, match="the archive has 512 leaves"):
        all_steps(an_archivist(other, objects))


def test_the_thread_archives_what_fills_and_waits_longer_after_failures(place, monkeypatch, caplog):
    monkeypatch.setattr(evidence_archive, "STEP_S", 0.02)
    objects = Memory()
    objects.failing = 3
    archiving = Archiving(an_archivist(place, objects))
    assert wait_until(lambda: archiving.archived() == 512, 60)
    archiving.stop()
    assert "will be later" in caplog.text


def test_keys_that_another_root_signed_are_not_believed(place):
    objects = Memory()
    all_steps(an_archivist(place, objects))
    with pytest.raises(VerificationError, match="no manifest of keys"):
        audit(objects, from_seed("jupiter-root", b"\x0a" * 32).public)
