"""A database says of itself which journal it has, and whether it knows what was taken."""

from collections.abc import Iterator

import apsw
import pytest

from jupiter_addons.storage import limits_meta
from jupiter_addons.storage.limits_books import MIGRATIONS
from jupiter_addons.storage.limits_journal import Step

STEPS = [Step([("user:alice", "tokens/60s", None, b"\0", 7, 0)], [], [])]


@pytest.fixture
def cursor() -> Iterator[apsw.Cursor]:
    db = apsw.Connection(":memory:")
    db.execute(MIGRATIONS[0])
    yield db.cursor()
    db.close()


def test_a_new_one_is_lost_until_it_is_told_what_was_taken(cursor: apsw.Cursor):
    assert limits_meta.doubt(cursor) == "lost"
    limits_meta.restored(cursor)
    assert limits_meta.doubt(cursor) is None
    limits_meta.missing(cursor)
    assert limits_meta.doubt(cursor) == "stale"
    limits_meta.vouched(cursor)
    assert limits_meta.doubt(cursor) is None


@pytest.mark.parametrize(
    ("last", "found", "is_torn", "counts", "doubt"),
    [
        pytest.param(0, 0, False, False, None, id="no journal was ever there"),
        pytest.param(0, 1, False, True, None, id="the first"),
        pytest.param(7, 8, False, True, None, id="the next"),
        pytest.param(7, 7, False, False, None, id="the last, once more"),
        pytest.param(7, 7, True, False, None, id="the last, and the process died while it was emptied"),
        pytest.param(7, 8, True, True, "stale", id="the next, torn"),
        pytest.param(7, 9, False, True, "stale", id="the database is a backup"),
        pytest.param(7, 6, False, False, "stale", id="the journal is a backup"),
        pytest.param(7, 0, False, False, "stale", id="the journal was taken away"),
    ],
)
def test_steps_count_once_and_files_that_are_not_of_one_moment_leave_a_doubt(
    cursor: apsw.Cursor, last: int, found: int, is_torn: bool, counts: bool, doubt: str | None
):
    limits_meta.restored(cursor)
    if last:
        limits_meta.took_over(cursor, last)
    assert limits_meta.due(cursor, found, STEPS, is_torn=is_torn) == (STEPS if counts else [])
    assert limits_meta.doubt(cursor) == doubt
    limits_meta.vouched(cursor)
    assert limits_meta.due(cursor, found, STEPS, is_torn=is_torn) == []
    assert limits_meta.doubt(cursor) is None


def test_a_database_that_will_be_told_everything_takes_no_steps(cursor: apsw.Cursor):
    assert limits_meta.due(cursor, 500, STEPS, is_torn=True) == []
    limits_meta.restored(cursor)
    assert limits_meta.doubt(cursor) is None
    assert limits_meta.generation(cursor) == 500


def test_another_boot_leaves_a_doubt_and_moves_no_time(cursor: apsw.Cursor):
    limits_meta.restored(cursor)
    first = limits_meta.found_time(cursor, "one", 1000)
    assert limits_meta.found_time(cursor, "one", 1500).offset_ns == first.offset_ns
    assert limits_meta.doubt(cursor) is None
    after = limits_meta.found_time(cursor, "two", 10)
    assert after.seen_ns == 10 + after.offset_ns == 1500
    assert limits_meta.doubt(cursor) == "stale"
