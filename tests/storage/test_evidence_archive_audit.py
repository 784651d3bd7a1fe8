"""Auditing an archive: whatever is changed, written over, hidden or missing has a name."""

import uuid

import pytest
from storage.test_evidence_archive import NOTE, ROOT, all_steps, an_archivist, write
from support.log_places import SqlitePlace
from support.s3 import Kept, Memory

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
