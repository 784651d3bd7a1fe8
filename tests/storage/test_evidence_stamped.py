"""Timestamps are kept by log and size, all of them, as OpenSSL reads them."""

import pytest

from jupiter_addons.errors import StoreError
from jupiter_addons.storage.evidence_stamped import Stamps


@pytest.fixture
def stamps(tmp_path):
    return Stamps(tmp_path / "anchors")


def test_all_are_kept_and_come_in_the_order_of_their_sizes(stamps, tmp_path):
    for size in (1000, 9, 100):
        stamps.keep("jupiter/1", size, b"note %d" % size, b"answer %d" % size)
    stamps.keep("jupiter/2", 5, b"other", b"answer")
    assert [(one.size, one.note, one.response) for one in stamps.all()][:3] == [
        (size, b"note %d" % size, b"answer %d" % size) for size in (9, 100, 1000)
    ]
    assert len(list(stamps.all())) == 4


def test_the_oldest_that_covers_a_leaf_proves_most_of_it(stamps):
    assert stamps.first_over("jupiter/1", 1) is None
    for size in (9, 100, 1000):
        stamps.keep("jupiter/1", size, b"", b"")
    sizes = {size: stamps.first_over("jupiter/1", size) for size in (1, 9, 10, 1000, 1001)}
    assert {size: one and one.size for size, one in sizes.items()} == {1: 9, 9: 9, 10: 100, 1000: 1000, 1001: None}
    assert stamps.first_over("jupiter/2", 1) is None


def test_an_older_timestamp_of_the_same_checkpoint_stays(stamps):
    stamps.keep("jupiter/1", 5, b"note", b"first")
    stamps.keep("jupiter/1", 5, b"note", b"second")
    assert [one.response for one in stamps.all()] == [b"first"]


def test_what_cannot_be_kept_or_read_is_a_fault(stamps, tmp_path):
    stamps.keep("jupiter/1", 5, b"note", b"answer")
    place = tmp_path / "anchors/timestamps/1"
    (place / "0000000000000005.checkpoint").unlink()
    with pytest.raises(StoreError, match="cannot be read"):
        list(stamps.all())
    (place / "nonsense.tsr").write_bytes(b"")
    with pytest.raises(StoreError, match="not named like a timestamp"):
        stamps.first_over("jupiter/1", 6)
    (tmp_path / "anchors/timestamps/2").write_text("in the way")
    with pytest.raises(StoreError, match="cannot keep"):
        stamps.keep("jupiter/2", 5, b"note", b"answer")
