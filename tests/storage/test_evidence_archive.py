"""Archiving: full segments, each once, held to the tree; and what becomes of failures."""

import asyncio
import hashlib
import logging
import sqlite3
import time

import pytest
from support import golang
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
            said = b"ciphertext %d" % n
            digest = hashlib.sha256(said).hexdigest()
            decision["payload"] = [{"role": "request", "key": "k1", "sha256": "00", "len": 1, "ct_sha256": digest}]
            log.append(decision, [Sealed("request", "k1", said)])
            await log.append(an_outcome(decision["id"]))
        log.close()

    asyncio.run(main())


def an_archivist(place: SqlitePlace, objects: Memory, **options) -> Archivist:
    return Archivist(objects, lambda: snapshot(place.log()), SIGNING, NOTE, **options)


def all_steps(archivist: Archivist, *, tail: bool = False) -> None:
    while archivist.step(tail=tail):
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


def size_of(place: SqlitePlace) -> int:
    with snapshot(place.log()) as log:
        return log.size


def test_the_end_of_a_quiet_log_is_archived_once_its_first_leaf_has_waited_long_enough(place):
    now_s = [time.time()]
    objects = Memory()
    archivist = an_archivist(place, objects, after_s=3600, clock=lambda: int(now_s[0] * 1e9))
    all_steps(archivist)
    assert archivist.archived == 512
    now_s[0] += 3590
    all_steps(archivist)
    assert archivist.archived == 512
    now_s[0] += 20
    all_steps(archivist)
    assert archivist.archived == size_of(place) == 602
    before = {key: len(versions) for key, versions in objects.kept.items()}
    all_steps(archivist, tail=True)
    all_steps(an_archivist(place, objects), tail=True)
    assert {key: len(versions) for key, versions in objects.kept.items()} == before, "nothing new, nothing written"
    [log] = audit(objects, ROOT.public)
    assert (log.report.findings, log.segments, log.report.leaves) == ([], 2, 602)


@pytest.mark.parametrize("restarts", [False, True])
def test_a_segment_grows_and_is_superseded_by_the_full_one_and_what_was_said_is_written_once(tmp_path, restarts):
    place, objects, sizes = SqlitePlace(tmp_path), Memory(), []
    archivist = an_archivist(place, objects)
    for calls in (20, 1, 80, 30, 150):
        write(place, calls)
        archivist = an_archivist(place, objects) if restarts else archivist
        all_steps(archivist, tail=True)
        sizes.append(size_of(place))
        [log] = audit(objects, ROOT.public)
        assert archivist.archived == log.report.leaves == sizes[-1]
        assert (log.report.findings, log.segments) == ([], sizes[-1] // 256)
    names = {key.partition("/")[2] for key in objects.kept}
    assert {f"manifest/00000000.p/{size}" for size in sizes if size < 256} <= names
    assert {"tile/entries/000", f"tile/entries/002.p/{sizes[-1] % 256}", "tile/1/000.p/2"} <= names
    for number in (0, 1):
        manifest = archive.opened(
            next(kept[0].data for key, kept in objects.kept.items() if key.endswith(f"manifest/0000000{number}")),
            SIGNING.manifest.keys("log").values(),
        )
        said = [
            one
            for part in manifest.objects
            if part.name.startswith("payload/")
            for one in archive.unpack_said(objects.kept[f"{log.name}/{part.name}"][0].data)
        ]
        idx = [one.idx for one in said]
        assert idx == sorted(set(idx)), "each once, in order"
        assert len(idx) > 50


@golang.AT_HAND
@pytest.mark.parametrize("calls", [10, 126, 127, 128, 300])
def test_go_reads_an_archive_as_it_reads_any_log_of_tiles(tmp_path, calls):
    """126 calls and what opens and closes a log are 254 leaves: around the edge of a tile."""
    place, objects = SqlitePlace(tmp_path), Memory()
    write(place, calls)
    all_steps(an_archivist(place, objects), tail=True)
    [log] = audit(objects, ROOT.public)
    served = tmp_path / "served"
    for key, those in objects.kept.items():
        if key.startswith(f"{log.name}/"):
            path = served / key.removeprefix(f"{log.name}/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(those[0].data)
    key = str(SIGNING.log.named(log.origin).public)
    size = size_of(place)
    assert golang.read_tiles(served, key) == f"{size} of {size}"
    encodings = {kept[0].headers.get("content-encoding") for name, kept in objects.kept.items() if "/entries/" in name}
    assert encodings == {"gzip"}
    tile = next(path for path in sorted(served.glob("tile/0/**/*")) if path.is_file())
    tile.write_bytes(bytes(32) + tile.read_bytes()[32:])
    assert golang.read_tiles(served, key) != f"{size} of {size}"


def test_who_asks_how_much_is_archived_has_the_rest_archived(place, monkeypatch):
    monkeypatch.setattr(evidence_archive, "STEP_S", 600)
    archiving = Archiving(an_archivist(place, Memory()))
    assert wait_until(lambda: archiving.archived() == 602, 20)
    write(place, 1)
    assert wait_until(lambda: archiving.archived() == size_of(place), 20)
    archiving.stop()


@pytest.mark.parametrize("failing", [1, 2, 3, 5, 8, 11])
def test_a_store_that_fails_in_the_middle_of_the_tail_leaves_nothing_half(place, failing):
    objects = Memory()
    all_steps(an_archivist(place, objects))
    objects.failing = failing
    for _ in range(failing + 1):
        try:
            all_steps(an_archivist(place, objects), tail=True)
        except StoreError:
            write(place, 1)  # the next one is wider than what was begun
    all_steps(an_archivist(place, objects), tail=True)
    [log] = audit(objects, ROOT.public)
    assert (log.report.findings, log.report.leaves) == ([], size_of(place))


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


@pytest.mark.parametrize("failing", [1, 2, 3, 5, 8, 11])
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


def renamed(place: SqlitePlace, like: SqlitePlace) -> None:
    """Have a log go by the name of another."""
    with sqlite3.connect(like.argument()) as db:
        origin = db.execute("SELECT value FROM meta WHERE name = 'origin'").fetchone()[0]
    with sqlite3.connect(place.argument()) as db:
        db.execute("UPDATE meta SET value = ? WHERE name = 'origin'", (origin,))


@pytest.mark.parametrize(
    ("calls", "others", "why"),
    [
        (300, 1, "the archive has 512 leaves of .*, and the log 4"),
        (300, 400, "the first 512 leaves of the log are not those"),
        (30, 40, "the first 62 leaves of the log are not those"),
    ],
)
def test_another_log_of_the_same_name_is_not_archived_over_it(tmp_path, calls, others, why):
    one, other, objects = SqlitePlace(tmp_path / "one"), SqlitePlace(tmp_path / "other"), Memory()
    write(one, calls)
    all_steps(an_archivist(one, objects), tail=True)
    write(other, others)
    renamed(other, one)
    with pytest.raises(StoreError, match=why):
        all_steps(an_archivist(other, objects), tail=True)


def test_the_thread_archives_what_fills_and_waits_longer_after_failures(place, monkeypatch, caplog):
    monkeypatch.setattr(evidence_archive, "STEP_S", 0.02)
    objects = Memory()
    objects.failing = 3
    archiving = Archiving(an_archivist(place, objects))
    assert wait_until(lambda: archiving.archived() >= 512, 60)  # who asks has the rest archived as well
    archiving.stop()
    assert "will be later" in caplog.text
    assert all(record.levelno < logging.ERROR for record in caplog.records), "an error would end a start"


def test_keys_that_another_root_signed_are_not_believed(place):
    objects = Memory()
    all_steps(an_archivist(place, objects))
    with pytest.raises(VerificationError, match="no manifest of keys"):
        audit(objects, from_seed("jupiter-root", b"\x0a" * 32).public)
