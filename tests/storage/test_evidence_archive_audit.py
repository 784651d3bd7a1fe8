"""Auditing an archive: whatever is changed, written over, hidden or missing has a name."""

import itertools
import uuid

import pytest
from storage.test_evidence_archive import NOTE, ROOT, all_steps, an_archivist, write
from support.log_places import SqlitePlace
from support.logs import SIGNING
from support.s3 import Kept, Memory

from jupiter_addons.evidence import archive, checkpoint
from jupiter_addons.evidence.archive import Said
from jupiter_addons.evidence.checkpoint import Checkpoint
from jupiter_addons.storage.evidence_archive_audit import audit

__all__ = ["NOTE"]


@pytest.fixture
def objects(tmp_path):
    place, objects = SqlitePlace(tmp_path), Memory()
    write(place, 400)
    all_steps(an_archivist(place, objects))
    [log] = audit(objects, ROOT.public)
    assert (log.report.findings, log.segments) == ([], 3)
    return objects


def found(objects: Memory) -> set[str]:
    [log] = audit(objects, ROOT.public)
    return {finding.check for finding in log.report.findings}


def versions(objects: Memory, part: str) -> list[Kept]:
    return next(those for key, those in objects.kept.items() if part in key)


@pytest.mark.parametrize(
    "part",
    ["tile/entries/001", "signatures/001", "tile/0/001", "payload/001-0", "checkpoints/512", "manifest/00000001"],
)
def test_every_changed_object_is_found(objects, part):
    one = versions(objects, part)[0]
    one.data = one.data[:-3] + bytes([one.data[-3] ^ 1]) + one.data[-2:]
    assert found(objects) & {"object", "manifest"}


@pytest.mark.parametrize("part", ["tile/entries/001", "manifest/00000001"])
def test_what_is_gone_is_found(objects, part):
    versions(objects, part).clear()
    assert found(objects) & {"object", "missing"}


def test_a_version_that_was_written_over_is_not_what_counts(objects):
    those = versions(objects, "tile/entries/001")
    those.insert(0, Kept(those[0].key, uuid.uuid4().hex, b"another"))
    assert found(objects) == set()
    manifests = versions(objects, "manifest/00000001")
    manifests.insert(0, Kept(manifests[0].key, uuid.uuid4().hex, b"another"))
    assert found(objects) == {"manifest"}
    [log] = audit(objects, ROOT.public)
    assert log.segments == 3


def test_what_somebody_has_tried_to_delete_is_still_there_and_said(objects):
    those = versions(objects, "manifest/00000002")
    those.insert(0, Kept(those[0].key, uuid.uuid4().hex, b"", is_deletion=True))
    assert found(objects) == {"hidden"}
    [log] = audit(objects, ROOT.public)
    assert log.segments == 3


@pytest.fixture(scope="module")
def archived(tmp_path_factory):
    """Two full segments and the beginning of a third, which was archived twice: first with fewer leaves."""
    place, objects = SqlitePlace(tmp_path_factory.mktemp("log")), Memory()
    write(place, 100)
    all_steps(an_archivist(place, objects), tail=True)
    for calls in (170, 10):
        write(place, calls)
        all_steps(an_archivist(place, objects), tail=True)
    return objects.kept


@pytest.fixture
def tailed(archived):
    objects = Memory()
    for key, those in archived.items():
        objects.kept[key] = [Kept(one.key, one.id, one.data) for one in those]
    assert found(objects) == set()
    return objects


TAIL = {
    *("tile/entries/002.p/", "signatures/002.p/", "tile/0/002.p/", "tile/1/000.p/2", "payload/002.p/"),
    *("checkpoints/566", "manifest/00000002.p/", "manifest/00000000.p/202"),
}


@pytest.mark.parametrize("part", sorted(TAIL))
@pytest.mark.parametrize("newest", [False, True])
def test_every_changed_object_of_a_segment_that_is_not_full_is_found_unless_it_is_superseded(tailed, part, newest):
    those = [key for key in sorted(tailed.kept, key=lambda key: (len(key), key)) if f"/{part}" in key]
    one = tailed.kept[those[-1 if newest else 0]][0]
    one.data = one.data[:-3] + bytes([one.data[-3] ^ 1]) + one.data[-2:]
    superseded = not newest and len(those) > 1 and part[:8] not in ("manifest", "payload/")
    assert bool(found(tailed) & {"object", "manifest", "tile", "payload"}) != superseded


def test_a_manifest_that_is_gone_shows_by_the_newest_checkpoint(tailed):
    last = max(
        (key for key in tailed.kept if "manifest/00000002.p/" in key), key=lambda key: int(key.rpartition("/")[2])
    )
    tailed.kept[last].clear()
    assert found(tailed) == {"truncated"}


@pytest.mark.parametrize(
    ("size", "check"), [(202, "checkpoint"), (10**6, "truncated"), (203, "checkpoint")], ids=["root", "size", "unknown"]
)
def test_a_newest_checkpoint_of_something_else_is_found(tailed, size, check):
    origin = audit(tailed, ROOT.public)[0].origin
    [key] = [key for key in tailed.kept if key.endswith("/checkpoint")]
    note = checkpoint.sign(Checkpoint(origin, size, bytes(32)), SIGNING.log).encode()
    tailed.kept[key].insert(0, Kept(key, uuid.uuid4().hex, note))
    assert found(tailed) == {check}
    tailed.kept[key][0].data = b"nothing"
    assert found(tailed) == {"checkpoint"}
    tailed.kept[key].clear()
    assert found(tailed) == set(), "it is made anew"


def test_another_tree_that_the_key_has_signed_once_is_a_fork_for_good(tailed):
    key = next(key for key in tailed.kept if "manifest/00000000.p/202" in key)
    honest = archive.opened(tailed.kept[key][0].data, SIGNING.manifest.keys("log").values())
    other = archive.Manifest(honest.origin, 0, b"\x01" * 32, honest.previous, honest.objects, 202)
    tailed.kept[key] = [Kept(key, uuid.uuid4().hex, archive.sign(other, SIGNING.log))]
    assert found(tailed) == {"fork"}


@pytest.mark.parametrize(
    "change",
    [
        lambda one: Said(one.idx, one.call_id, one.role, one.key_id, b"other"),
        lambda one: Said(one.idx, one.call_id, one.role, "other", one.ciphertext),
        lambda one: Said(one.idx, one.call_id, "response", one.key_id, one.ciphertext),
        lambda one: Said(one.idx, "other", one.role, one.key_id, one.ciphertext),
        lambda one: Said(one.idx + 1, one.call_id, one.role, one.key_id, one.ciphertext),
        lambda one: Said(one.idx + 10**6, one.call_id, one.role, one.key_id, one.ciphertext),
    ],
    ids=["ciphertext", "key", "role", "call", "leaf", "no leaf"],
)
def test_what_no_leaf_commits_to_is_found_although_it_was_signed(tmp_path, monkeypatch, change):
    place, objects, numbers = SqlitePlace(tmp_path), Memory(), itertools.count()
    write(place, 9)
    packed = archive.pack_said
    lie = lambda said: packed([change(one) if next(numbers) == 3 else one for one in said])  # noqa: E731
    monkeypatch.setattr(archive, "pack_said", lie)
    all_steps(an_archivist(place, objects), tail=True)
    assert found(objects) == {"payload"}
