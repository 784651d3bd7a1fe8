"""Reading evidence.db while a gateway writes it: for all commands that look at it.

The file is not trusted: its schema runs no code, and every column is read as bytes, whatever its type says, so that a
value of the wrong kind is something to find and not something to trip over.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Self

from jupiter_addons.errors import StoreError
from jupiter_addons.evidence.verify import Row
from jupiter_addons.storage import evidence_tree
from jupiter_addons.storage.evidence_schema import MIGRATIONS
from jupiter_addons.storage.sqlite import connect_reading

_ROWS = """
    SELECT idx, coalesce(CAST(leaf AS BLOB), x''), coalesce(CAST(sig AS BLOB), x''), CAST(kind AS BLOB),
           CAST(id AS BLOB), CAST(CAST(t_us AS TEXT) AS BLOB), CAST(hash AS BLOB)
    FROM leaf WHERE idx >= ? ORDER BY idx
"""
_CHECKPOINTS = "SELECT size, coalesce(CAST(note AS BLOB), x'') FROM checkpoint WHERE size > ? ORDER BY size"
_NEWEST = "SELECT size, coalesce(CAST(note AS BLOB), x'') FROM checkpoint ORDER BY size DESC LIMIT 1"
_FIRST_WITH_TREE = 2
# The index of such leaves is used if its condition is repeated.  One roll-up is a leaf, or a few if it is long.
_ROLL_UPS = """
    SELECT leaf FROM leaf WHERE kind = 'rollup'
    AND kind NOT IN ('decision', 'attempt', 'outcome', 'tunnel', 'refusals', 'heartbeat')
    ORDER BY idx DESC LIMIT 16
"""


class Snapshot:
    """A log as of one moment, while its gateway goes on writing.  Raises StoreError, also while it is read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db = _opened(path)
        try:
            self._db.execute("PRAGMA query_only=ON")
            self._db.execute("PRAGMA trusted_schema=OFF")
            self._db.execute("BEGIN")
            [(self.size,)] = self._all("SELECT coalesce(max(idx) + 1, 0) FROM leaf")
            found = self._all("SELECT CAST(value AS TEXT) FROM meta WHERE name = 'origin'")
            self.origin = str(found[0][0]) if found else ""
            self.has_tree = self._all("PRAGMA user_version")[0][0] >= _FIRST_WITH_TREE
        except sqlite3.Error as error:
            self._db.close()
            raise _unreadable(path, error) from error
        except BaseException:
            self._db.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def rows(self, start: int = 0) -> Iterator[Row]:
        """Yield the leaves from a number on, in order."""
        try:
            for idx, leaf, signature, *columns in self._db.execute(_ROWS, (start,)):
                yield Row(idx, leaf, signature, tuple(columns))
        except sqlite3.Error as error:
            raise _unreadable(self._path, error) from error

    def checkpoints(self, after: int = 0) -> Iterator[tuple[int, bytes]]:
        """Yield size and note of the checkpoints over more than so many leaves, by size."""
        if not self.has_tree:
            return
        try:
            yield from self._db.execute(_CHECKPOINTS, (after,))
        except sqlite3.Error as error:
            raise _unreadable(self._path, error) from error

    def newest_checkpoint(self) -> tuple[int, bytes] | None:
        """Return size and note of the newest checkpoint."""
        found = self._all(_NEWEST) if self.has_tree else []
        return tuple(found[0]) if found else None

    def tiles(self, level: int, n: int) -> Sequence[bytes]:
        """Return the hashes of a tile, as many as there are."""
        try:
            return evidence_tree.tiles(self._db)(level, n) if self.has_tree else []
        except sqlite3.Error as error:
            raise _unreadable(self._path, error) from error

    def leaves_of(self, call_id: str) -> Sequence[Row]:
        """Return the leaves of one call."""
        return [Row(*row) for row in self._all("SELECT idx, leaf, sig FROM leaf WHERE id = ? ORDER BY idx", (call_id,))]

    def ciphertext(self, call_id: str, role: str) -> bytes | None:
        """Return what is stored of a body of a call."""
        found = self._all("SELECT ct FROM payload WHERE call_id = ? AND role = ?", (call_id, role))
        return found[0][0] if found else None

    def _all(self, sql: str, values: Sequence[object] = ()) -> list[Any]:
        try:
            return self._db.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise _unreadable(self._path, error) from error


def rows(path: Path) -> Iterator[Row]:
    """Yield all leaves in order, as of one moment.  Raises StoreError."""
    with Snapshot(path) as snapshot:
        yield from snapshot.rows()


def rollups(path: Path) -> Sequence[bytes]:
    """Return the newest leaves that name other logs, the last one first.  Raises StoreError."""
    return [leaf for (leaf,) in _select(path, _ROLL_UPS)]


def _opened(path: Path) -> sqlite3.Connection:
    try:
        return connect_reading(path, MIGRATIONS)
    except StoreError as error:
        if isinstance(error.__cause__, sqlite3.Error):
            raise _unreadable(path, error.__cause__) from error.__cause__
        raise


def _unreadable(path: Path, error: sqlite3.Error) -> StoreError:
    damaged = getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    hint = "; hint: jupiter evidence recover" if damaged else ""
    return StoreError(f"cannot read `{path}`: {error}{hint}")


def _select(path: Path, sql: str) -> list[Any]:
    with closing(_opened(path)) as db:
        try:
            db.execute("PRAGMA trusted_schema=OFF")
            return db.execute(sql).fetchall()
        except sqlite3.Error as error:
            raise _unreadable(path, error) from error


def tampered_copy(source: Path, copy: Path) -> None:
    """Copy a log as it is now and change one word in one outcome: what the demo and the tests have `verify` find."""
    with closing(connect_reading(source, MIGRATIONS)) as reading, closing(sqlite3.connect(copy)) as writing:
        reading.backup(writing)
        idx, leaf = writing.execute("SELECT idx, leaf FROM leaf WHERE kind = 'outcome' ORDER BY idx LIMIT 1").fetchone()
        changed = bytes(leaf).replace(b'"status":"ok"', b'"status":"no"')
        writing.execute("UPDATE leaf SET leaf = ? WHERE idx = ?", (changed, idx))
        writing.commit()
