"""What a start refuses is named, and what is set aside is all there, under names that nothing takes for a log or an anchor."""

import hashlib
import sqlite3

import pytest
from support.logs import SIGNING, a_decision, write_log

from jupiter_addons.errors import StoreError
from jupiter_addons.evidence.checkpoint import Checkpoint
from jupiter_addons.evidence.recovery import UNKNOWN
from jupiter_addons.storage.evidence_anchor import Anchors
from jupiter_addons.storage.evidence_reader import Snapshot
from jupiter_addons.storage.evidence_recovery import (
    diagnose,
    given_up,
    set_anchors_aside,
    set_aside,
    trouble,
    with_known,
)
from jupiter_addons.storage.evidence_sqlite import Identity
from jupiter_addons.storage.sqlite import hold_lock

IDENTITY = Identity(SIGNING, "test", "0")
NOW_US = 1_767_225_600_000_000
NAME = "e.db.set-aside-20260101T000000Z"


@pytest.fixture
def anchors(tmp_path):
    return Anchors(tmp_path / "anchors", SIGNING.manifest.keys("log").values())


@pytest.fixture
def path(tmp_path, anchors):
    write_log(tmp_path / "e.db", [a_decision("a"), a_decision("b")])
    return tmp_path / "e.db"


def anchor(path, anchors) -> str:
    with Snapshot(path) as log:
        anchors.keep(log.newest_checkpoint()[1].decode())
        return log.origin


def test_a_log_that_is_as_it_should_be_is_no_trouble(path, anchors):
    assert diagnose(path, IDENTITY, anchors) is None
    anchor(path, anchors)
    assert diagnose(path, IDENTITY, anchors) is None


def test_an_old_copy_says_how_much_it_lacks(path, anchors):
    old = path.read_bytes()
    write_log(path, [a_decision("c")])
    origin = anchor(path, anchors)
    path.write_bytes(old)
    found = diagnose(path, IDENTITY, anchors)
    assert (found.origin, found.size, found.known) == (origin, 4, 9)
    assert found.why.startswith("the log has 4 leaves and the anchor elsewhere knows 9")


def test_a_file_that_is_no_database_any_more_says_what_is_left(path, anchors):
    anchor(path, anchors)
    path.write_bytes(b"nonsense" * 1000)
    found = diagnose(path, IDENTITY, anchors)
    assert (found.origin, found.size, found.known) == ("", UNKNOWN, UNKNOWN)
    assert "not a database" in found.why


def test_what_is_known_elsewhere_is_told_of_the_log_it_is_of_and_else_of_those_that_are_in_no_file(path, anchors):
    origin = anchor(path, anchors)
    other = path.with_name("e-1.db")
    write_log(other, [a_decision("a")])
    with Snapshot(other) as log:
        there = log.origin
    heads = [*anchors.believed(), Checkpoint(there, 3, b"r" * 32), Checkpoint("jupiter/gone", 5, b"r" * 32)]
    readable = trouble(path, "why", anchors)
    assert [[one.log for one in found.elsewhere] for found in with_known([readable], [path, other], heads)] == [
        [origin]
    ]
    path.write_bytes(b"nonsense" * 1000)
    [found] = with_known([trouble(path, "why", anchors)], [path, other], heads)
    assert sorted(one.log for one in found.elsewhere) == sorted([origin, "jupiter/gone"])
    assert set_aside(found, NOW_US).elsewhere == found.elsewhere


def test_a_changed_last_leaf_is_trouble(path, anchors):
    with sqlite3.connect(path) as db:
        db.execute("UPDATE leaf SET leaf = x'00' WHERE idx = 3")
    db.close()
    assert "is not what was written" in diagnose(path, IDENTITY, anchors).why


def test_a_log_that_is_being_written_is_left_alone(path, anchors):
    held = hold_lock(path)
    with pytest.raises(StoreError, match="another process is writing"):
        diagnose(path, IDENTITY, anchors)
    with pytest.raises(StoreError, match="another process is writing"):
        set_aside(trouble(path, "why", anchors), NOW_US)
    held.close()


def test_what_is_set_aside_can_be_read_there_and_is_nowhere_else(path, anchors, tmp_path):
    db = sqlite3.connect(path)  # leaves its write-ahead log behind, as a process that was killed does
    db.execute("UPDATE leaf SET kind = 'x' WHERE idx = 1")
    db.commit()
    assert (tmp_path / "e.db-wal").stat().st_size
    found = set_aside(trouble(path, "why", anchors), NOW_US)
    db.close()
    assert (found.kept_as, found.size, found.why, found.t_us) == (NAME, 4, "why", NOW_US)
    assert not any((tmp_path / name).exists() for name in ("e.db", "e.db-wal", "e.db-shm"))
    assert hashlib.sha256((tmp_path / NAME).read_bytes()).hexdigest() == found.sha256
    with Snapshot(tmp_path / NAME) as log:
        assert (log.origin, log.size) == (found.log, 4)


def test_nothing_takes_the_place_of_what_was_set_aside_before(path, anchors, tmp_path):
    (tmp_path / NAME).write_text("before")
    with pytest.raises(StoreError, match="is there already"):
        set_aside(trouble(path, "why", anchors), NOW_US)
    assert ((tmp_path / NAME).read_text(), path.exists()) == ("before", True)


def test_what_is_no_database_is_set_aside_as_it_is(path, anchors, tmp_path):
    path.write_bytes(b"nonsense" * 1000)
    assert set_aside(trouble(path, "why", anchors), NOW_US).log == ""
    assert (tmp_path / NAME).read_bytes() == b"nonsense" * 1000


def test_anchors_that_cannot_be_believed_go_and_the_others_stay(path, anchors, tmp_path):
    origin = anchor(path, anchors)
    (tmp_path / "anchors/other.checkpoint").write_text("nonsense")
    (tmp_path / "anchors/notes.txt").write_text("not ours")
    moved = set_anchors_aside(tmp_path / "anchors", NOW_US, anchors)
    assert [one.name for one in moved] == ["other.checkpoint.set-aside-20260101T000000Z"]
    assert [head.origin for head in anchors.all()] == [origin]
    (tmp_path / "anchors/timestamps").mkdir()
    names = {one.name.partition(".set-aside")[0] for one in set_anchors_aside(tmp_path / "anchors", NOW_US, None)}
    assert names == {f"{origin.rpartition('/')[2]}.checkpoint", "timestamps"}
    assert list(anchors.all()) == []
    assert set_anchors_aside(tmp_path / "nowhere", NOW_US, None) == []


def test_a_log_says_what_was_given_up(path):
    assert list(given_up(path)) == []
