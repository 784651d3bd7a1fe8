"""What witnesses have cosigned is kept by log and witness, never taken back, and put together for a bundle."""

import pytest
from support.trees import GrowingLog

from jupiter_addons.errors import StoreError, VerificationError
from jupiter_addons.evidence import checkpoint, note
from jupiter_addons.evidence.cosignature import Cosigner, cosign
from jupiter_addons.evidence.signing import from_seed
from jupiter_addons.storage.evidence_cosigned import Cosigned

KEY = from_seed("log", b"\x01" * 32)
LOG = GrowingLog("jupiter/1", KEY)
W1, W2, OTHER = (from_seed(f"w{number}", bytes([number]) * 32) for number in (1, 2, 3))
C1, C2 = Cosigner(W1.public), Cosigner(W2.public)


def note_of(size: int, *witnesses) -> bytes:
    lines = "".join(note.line(cosign(str(LOG.head(size)), one, 1000 + size)) for one in witnesses)
    return (LOG.signed(size) + lines).encode()


@pytest.fixture
def cosigned(tmp_path):
    return Cosigned(tmp_path / "anchors", [C1, C2])


def test_the_newest_of_each_witness_is_kept_without_what_others_have_signed(cosigned):
    assert (cosigned.read("jupiter/1", C1), list(cosigned.all())) == (None, [])
    cosigned.keep(note_of(3, W1, W2, OTHER), C1)
    seen = cosigned.keep(note_of(5, W1, OTHER), C1)
    assert cosigned.read("jupiter/1", C1) == seen
    assert (seen.head, seen.by, seen.time_s) == (LOG.head(5), "w1", 1005)
    assert list(cosigned.all()) == [seen]
    size, data = cosigned.newest("jupiter/1", 4)
    assert checkpoint.opened(data, [KEY.public], [C1]) == LOG.head(size) == LOG.head(5)


def test_nothing_is_taken_back_nor_kept_that_the_witness_has_not_cosigned(cosigned):
    cosigned.keep(note_of(5, W1), C1)
    with pytest.raises(StoreError, match="seen 5 leaves already"):
        cosigned.keep(note_of(3, W1), C1)
    for bad in (note_of(7), note_of(7, W2), b"nonsense", LOG.signed(7).encode() + b"<html>"):
        with pytest.raises(VerificationError):
            cosigned.keep(bad, C1)
    assert cosigned.read("jupiter/1", C1).head.size == 5


def test_a_bundle_gets_the_checkpoint_that_most_have_cosigned_and_that_covers_it(cosigned):
    cosigned.keep(note_of(5, W1), C1)
    cosigned.keep(note_of(7, W2), C2)
    assert cosigned.newest("jupiter/1", 4)[0] == 7
    cosigned.keep(note_of(7, W1), C1)
    size, data = cosigned.newest("jupiter/1", 6)
    assert (size, checkpoint.opened(data, [KEY.public], [C1, C2])) == (7, LOG.head(7))
    assert {one.name for one in note.parse(data).signatures} == {"jupiter/1", "w1", "w2"}
    assert cosigned.newest("jupiter/1", 7) is None
    assert cosigned.newest("jupiter/2", 0) is None


def test_what_cannot_be_believed_is_a_fault(cosigned, tmp_path):
    cosigned.keep(note_of(5, W1), C1)
    [path] = (tmp_path / "anchors").iterdir()
    moved = path.with_name(path.name.replace("1.", "2.", 1))
    moved.write_bytes(path.read_bytes())
    with pytest.raises(StoreError, match="is of another log"):
        cosigned.read("jupiter/2", C1)
    path.write_bytes(note_of(5, W2))
    with pytest.raises(StoreError, match="cannot be used"):
        cosigned.read("jupiter/1", C1)
    blocked = Cosigned(tmp_path / "anchors" / path.name, [C1])
    with pytest.raises(StoreError, match="cannot keep"):
        blocked.keep(note_of(7, W1), C1)
