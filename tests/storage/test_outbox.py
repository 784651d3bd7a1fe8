"""Leaves that wait for whoever writes the log: durable, in order, each once."""

import pytest

from jupiter_addons.errors import StoreError
from jupiter_addons.evidence.record import control
from jupiter_addons.storage.outbox import Outbox


@pytest.fixture
def outbox(tmp_path):
    found = Outbox(tmp_path / "outbox.db")
    yield found
    found.close()


def test_what_was_left_waits_until_it_is_recorded(outbox, tmp_path):
    outbox.put("b", control("export", count=1))
    outbox.put("a", control("export", count=2))
    again = Outbox(tmp_path / "outbox.db")
    assert again.waiting() == [("b", control("export", count=1)), ("a", control("export", count=2))]
    again.recorded("b")
    again.close()
    assert [name for name, _ in outbox.waiting()] == ["a"]


def test_the_same_thing_left_twice_is_one_leaf(outbox):
    outbox.put("a", control("export", count=1))
    outbox.put("a", control("export", count=2))
    assert outbox.waiting() == [("a", control("export", count=2))]


def test_what_another_process_leaves_is_seen_once(outbox, tmp_path):
    other = Outbox(tmp_path / "outbox.db")
    assert outbox.refresh()
    assert not outbox.refresh()
    other.put("a", control("export"))
    assert outbox.refresh()
    assert not outbox.refresh()
    outbox.recorded("a")
    assert not outbox.refresh(), "its own doing is no news"
    other.close()


def test_one_that_cannot_be_used_is_a_fault(tmp_path):
    (tmp_path / "outbox.db").mkdir()
    with pytest.raises(StoreError, match="outbox.db"):
        Outbox(tmp_path / "outbox.db")
