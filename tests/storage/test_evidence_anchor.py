"""An anchor remembers how far a log had come, and never less."""

import stat

import pytest
from support.logs import LOG_KEY

from jupiter_addons.errors import StoreError
from jupiter_addons.evidence import checkpoint
from jupiter_addons.evidence.checkpoint import Checkpoint
from jupiter_addons.evidence.signing import from_seed
from jupiter_addons.storage.evidence_anchor import Anchors

OTHER = from_seed("log", b"\x0a" * 32)


def note(size: int, origin: str = "jupiter/1", root: bytes = bytes(32), key=LOG_KEY) -> str:
    return checkpoint.sign(Checkpoint(origin, size, root), key)


@pytest.fixture
def anchors(tmp_path) -> Anchors:
    return Anchors(tmp_path / "anchors", [LOG_KEY.public])


def test_what_is_kept_is_remembered_log_by_log(anchors, tmp_path):
    assert (anchors.read("jupiter/1"), list(anchors.all())) == (None, [])
    for one in (note(1), note(5), note(7, "jupiter/2")):
        anchors.keep(one)
    assert anchors.read("jupiter/1") == Checkpoint("jupiter/1", 5, bytes(32))
    assert [head.size for head in anchors.all()] == [5, 7]
    kept = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "anchors").iterdir()}
    assert kept == {"1.checkpoint": 0o600, "2.checkpoint": 0o600}


@pytest.mark.parametrize("back", [note(4), note(5, root=b"\x01" * 32), note(9, key=OTHER), "nonsense"])
def test_an_anchor_is_not_taken_back_nor_written_by_others(anchors, back):
    anchors.keep(note(5))
    with pytest.raises(StoreError):
        anchors.keep(back)
    anchors.keep(note(5))
    found = anchors.read("jupiter/1")
    assert found is not None and found.size == 5


def test_an_anchor_that_cannot_be_trusted_is_no_anchor(anchors, tmp_path):
    anchors.keep(note(5))
    path = tmp_path / "anchors/1.checkpoint"
    path.rename(tmp_path / "anchors/2.checkpoint")
    with pytest.raises(StoreError, match="is of another log"):
        anchors.read("jupiter/2")
    path.write_text(note(5, key=OTHER))
    with pytest.raises(StoreError, match="cannot be trusted"):
        anchors.read("jupiter/1")
    anchors.keep(note(7, "jupiter/3"))
    assert [head.size for head in anchors.believed()] == [7]
    path.write_bytes(b"")
    with pytest.raises(StoreError, match="cannot be trusted"):
        list(anchors.all())


def test_a_directory_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "anchors").write_text("a file")
    with pytest.raises(StoreError, match="cannot write the anchor"):
        Anchors(tmp_path / "anchors", [LOG_KEY.public]).keep(note(1))
