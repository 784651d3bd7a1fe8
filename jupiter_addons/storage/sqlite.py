"""Opening a SQLite database the way we rely on: private, versioned, write-ahead logged.

The version is in `PRAGMA user_version` from the first commit on; a database of a newer version is refused, not guessed at.
"""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from jupiter_addons.errors import StoreError


def connect(
    path: Path, migrations: Sequence[str], *, synchronous: Literal["FULL", "NORMAL"] = "FULL"
) -> sqlite3.Connection:
    """Open for writing, creating and migrating as needed.  `migrations[n]` takes the schema from version n to n + 1.

    The connection may be used from any one thread at a time.  Raises StoreError.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            path.touch(mode=0o600)
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
        raise _too_new(path, version, len(migrations))
    return db


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _migrate(db: sqlite3.Connection, path: Path, migrations: Sequence[str]) -> None:
    version = _version(db)
    if version > len(migrations):
        raise _too_new(path, version, len(migrations))
    for number, script in enumerate(migrations[version:], start=version + 1):
        db.executescript(f"BEGIN IMMEDIATE; {script}; PRAGMA user_version={number}; COMMIT;")


def _too_new(path: Path, version: int, known: int) -> StoreError:
    return StoreError(
        f"`{path}` has schema version {version}, this program knows {known}: it was written by a newer one"
    )
