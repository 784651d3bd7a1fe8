"""Opening a SQLite database the way we rely on: private, versioned, write-ahead logged.

The version is in `PRAGMA user_version` from the first commit on; a database of a newer version is refused, not guessed at.
"""

import fcntl
import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Literal

from jupiter_addons.errors import StoreError


def connect(
    path: Path, migrations: Sequence[str], *, synchronous: Literal["FULL", "NORMAL"] = "FULL"
) -> sqlite3.Connection:
    """Open for writing, creating and migrating as needed.  `migrations[n]` takes the schema from version n to n + 1.

    The connection may be used from any one thread at a time.  Raises StoreError.
    """
    try:
        make(path)
        db = sqlite3.connect(path, isolation_level=None, timeout=5.0, check_same_thread=False)
        try:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute(f"PRAGMA synchronous={synchronous}")
            db.execute("PRAGMA foreign_keys=ON")
            db.execute("PRAGMA trusted_schema=OFF")
            db.execute("PRAGMA secure_delete=ON")
            _migrate(db, path, migrations)
        except BaseException:
            db.close()
            raise
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"cannot open `{path}` for writing: {error}") from error
    return db


def make(path: Path) -> None:
    """Make a database, and the directory it is in, that are this user's alone, if they are not there.  Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        path.touch(mode=0o600)


def connect_reading(path: Path, migrations: Sequence[str]) -> sqlite3.Connection:
    """Open an existing database for reading only.  Raises StoreError."""
    if not path.exists():
        raise StoreError(f"there is no database at `{path}`")
    try:
        db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None, timeout=5.0)
        try:
            version = _version(db)
        except BaseException:
            db.close()
            raise
    except sqlite3.Error as error:
        raise StoreError(f"cannot read `{path}`: {error}") from error
    if version > len(migrations):
        db.close()
        raise too_new(path, version, len(migrations))
    return db


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _migrate(db: sqlite3.Connection, path: Path, migrations: Sequence[str]) -> None:
    version = _version(db)
    if version > len(migrations):
        raise too_new(path, version, len(migrations))
    while version < len(migrations):
        number = version + 1
        try:
            db.executescript(f"BEGIN IMMEDIATE; {migrations[version]}; PRAGMA user_version={number}; COMMIT;")
        except sqlite3.OperationalError:
            if db.in_transaction:
                db.execute("ROLLBACK")
            if _version(db) == version:
                raise
        version = _version(db)  # another process may have done it meanwhile, and more


def too_new(path: Path, version: int, known: int) -> StoreError:
    """Return what is said of a database of a later version."""
    return StoreError(
        f"`{path}` has schema version {version}, this program knows {known}: it was written by a newer one"
    )


def hold_lock(path: Path) -> IO[bytes]:
    """Hold the lock file beside a database with one writer; released by the kernel however the process ends.

    Raises StoreError.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        target = Path(os.path.realpath(path))  # two names of one file are one log
        held = os.fdopen(os.open(target.with_name(target.name + ".lock"), os.O_WRONLY | os.O_CREAT, 0o600), "wb")
    except OSError as error:
        raise StoreError(f"cannot write beside `{path}`: {error}") from error
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        held.close()
        what = "another process is writing" if isinstance(error, BlockingIOError) else "cannot lock"
        raise StoreError(f"{what} `{path}`") from error
    return held
