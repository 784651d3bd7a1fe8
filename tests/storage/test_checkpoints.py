"""The log of a database is synced beside those who write it, and does not grow for ever."""

from pathlib import Path

import apsw
import pytest
from support.wire import wait_until

from jupiter_addons.storage import checkpoints
from jupiter_addons.storage.checkpoints import Checkpoints, checkpoint


@pytest.fixture
def db(tmp_path: Path):
    made = apsw.Connection(str(tmp_path / "x.db"))
    made.execute("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (x)").fetchall()
    yield made
    made.close()


def other(db: apsw.Connection) -> apsw.Connection:
    return apsw.Connection(db.filename)


def log_bytes(db: apsw.Connection) -> int:
    return Path(db.filename_wal).stat().st_size


def write(db: apsw.Connection) -> None:
    db.execute("INSERT INTO t VALUES (zeroblob(40000))")


def test_what_is_synced_is_in_the_database_and_a_short_log_is_used_again(db: apsw.Connection):
    write(db)
    size = log_bytes(db)
    checkpoint(other(db))
    assert Path(db.filename).stat().st_size > 40_000
    write(db)
    assert log_bytes(db) == size


def test_a_long_log_is_emptied_even_if_somebody_reads_on(db: apsw.Connection):
    write(db)
    writer = other(db)
    writer.set_wal_hook(lambda *_: apsw.SQLITE_OK)
    synced = other(db)
    checkpoint(synced, too_many=1)
    before = log_bytes(db)
    write(writer)
    assert log_bytes(db) == before


def test_a_reader_who_stays_makes_the_emptying_wait_and_not_fail_the_writers(db: apsw.Connection):
    write(db)
    reader = other(db)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM t").fetchall()
    write(db)
    with pytest.raises(apsw.BusyError):
        checkpoint(other(db), too_many=1)
    write(db)


def test_the_thread_syncs_from_time_to_time_and_sooner_when_much_is_written(
    db: apsw.Connection,
):
    made = Checkpoints(Path(db.filename), look_s=0.01)
    made.start()
    try:
        write(db)
        made.log_pages = checkpoints.MANY_PAGES
        assert wait_until(lambda: Path(db.filename).stat().st_size > 40_000)
    finally:
        made.stop()
