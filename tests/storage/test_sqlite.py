"""Databases are private, versioned and never guessed at."""

import stat
import threading

import pytest

from jupiter_addons.errors import StoreError
from jupiter_addons.storage.sqlite import connect, connect_reading

FIRST = "CREATE TABLE a (x INTEGER) STRICT"
SECOND = "ALTER TABLE a ADD COLUMN y TEXT"


def test_a_new_database_is_private_durable_and_current(tmp_path):
    db = connect(tmp_path / "new/a.db", [FIRST, SECOND])
    assert db.execute("PRAGMA user_version").fetchone() == (2,)
    assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert db.execute("PRAGMA synchronous").fetchone() == (2,)
    assert stat.S_IMODE((tmp_path / "new/a.db").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    db.close()


def test_an_older_database_is_brought_up_to_date(tmp_path):
    db = connect(tmp_path / "a.db", [FIRST])
    db.execute("INSERT INTO a VALUES (1)")
    db.close()
    db = connect(tmp_path / "a.db", [FIRST, SECOND])
    assert db.execute("SELECT x, y FROM a").fetchall() == [(1, None)]
    db.close()


def test_a_newer_database_is_refused(tmp_path):
    connect(tmp_path / "a.db", [FIRST, SECOND]).close()
    for opening in (connect, connect_reading):
        with pytest.raises(StoreError, match="schema version 2, this program knows 1"):
            opening(tmp_path / "a.db", [FIRST])


def test_what_is_no_database_is_refused(tmp_path):
    (tmp_path / "a.db").write_bytes(b"this is not a database" * 100)
    with pytest.raises(StoreError, match="cannot open"):
        connect(tmp_path / "a.db", [FIRST])
    with pytest.raises(StoreError, match="there is no database"):
        connect_reading(tmp_path / "b.db", [FIRST])


def test_a_failed_migration_changes_nothing(tmp_path):
    connect(tmp_path / "a.db", [FIRST]).close()
    with pytest.raises(StoreError):
        connect(tmp_path / "a.db", [FIRST, "ALTER TABLE a ADD COLUMN y TEXT; this is not SQL"])
    db = connect(tmp_path / "a.db", [FIRST, SECOND])
    assert db.execute("PRAGMA user_version").fetchone() == (2,)
    db.close()


def test_a_database_that_many_make_at_once_is_made_once(tmp_path):
    path = tmp_path / "one.db"
    made: list[str] = []
    together = threading.Barrier(8)

    def make() -> None:
        together.wait()
        connect(path, [FIRST, SECOND]).close()
        made.append("once")

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 8
