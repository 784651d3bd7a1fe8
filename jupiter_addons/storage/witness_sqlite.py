"""What a witness remembers, in SQLite: of each log the newest checkpoint that it has cosigned.

A checkpoint takes the place of exactly the one it was judged against (compare and set), and is on the disk before anybody is
told: of two that arrive together one is refused, and a cosignature that somebody has is never forgotten here.
"""

import sqlite3
from pathlib import Path

from jupiter_addons.errors import StoreError
from jupiter_addons.evidence.checkpoint import Checkpoint
from jupiter_addons.evidence.merkle import EMPTY_ROOT
from jupiter_addons.evidence.witness import Latest, origin_hash
from jupiter_addons.storage.sqlite import connect

MIGRATIONS = (
    """
    CREATE TABLE witnessed (
        origin TEXT PRIMARY KEY, hash TEXT NOT NULL UNIQUE, size INTEGER NOT NULL, root BLOB NOT NULL, note TEXT NOT NULL
    ) STRICT
    """,
)
_ADVANCE = "UPDATE witnessed SET size = ?, root = ?, note = ? WHERE origin = ? AND size = ? AND root = ?"


class WitnessStore:
    """The memory of one witness.  Not for several threads at once; several processes may share the file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db = connect(path, MIGRATIONS)

    def close(self) -> None:
        """Let go of the database."""
        self._db.close()

    def latest(self, origin: str) -> Latest:
        """Return what was cosigned last of a log; the empty tree if nothing was.  Raises StoreError."""
        try:
            found = self._db.execute("SELECT size, root FROM witnessed WHERE origin = ?", (origin,)).fetchone()
        except sqlite3.Error as error:
            raise self._failed(error) from error
        return Latest(*found) if found else Latest()

    def advance(self, before: Latest, head: Checkpoint, note: str) -> bool:
        """Remember a checkpoint if `before` is still what was cosigned last; return whether it was.  Raises StoreError."""
        first = (head.origin, origin_hash(head.origin), 0, EMPTY_ROOT, note)
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._db.execute("INSERT OR IGNORE INTO witnessed VALUES (?, ?, ?, ?, ?)", first)
                values = (head.size, head.root, note, head.origin, before.size, before.root)
                advanced = self._db.execute(_ADVANCE, values).rowcount == 1
                self._db.execute("COMMIT" if advanced else "ROLLBACK")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise self._failed(error) from error
        return advanced

    def note(self, hashed: str) -> str | None:
        """Return the newest cosigned checkpoint of the log whose origin has this hash.  Raises StoreError."""
        try:
            found = self._db.execute("SELECT note FROM witnessed WHERE hash = ?", (hashed,)).fetchone()
        except sqlite3.Error as error:
            raise self._failed(error) from error
        return str(found[0]) if found else None

    def _failed(self, error: sqlite3.Error) -> StoreError:
        return StoreError(f"the memory of the witness, `{self._path}`, failed: {error}")
