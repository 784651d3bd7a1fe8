"""outbox.db: leaves that commands have left for whoever writes the log: a gateway that runs, or the next that starts.

A command that does something which belongs on the record says so here first, durably, and only then does it.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson

from jupiter_addons.errors import StoreError
from jupiter_addons.evidence.record import Fields
from jupiter_addons.storage.sqlite import connect

MIGRATIONS = ("CREATE TABLE leaf (n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, fields BLOB NOT NULL) STRICT",)


class Outbox:
    """The leaves that wait.  Any thread may call; every method raises StoreError."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._version = -1
        self._db = connect(path, MIGRATIONS)

    def put(self, leaf_id: str, fields: Fields) -> None:
        """Leave a leaf, in place of one of the same id that still waits."""
        with self._using() as db:
            db.execute("INSERT OR REPLACE INTO leaf (id, fields) VALUES (?, ?)", (leaf_id, orjson.dumps(fields)))

    def waiting(self) -> list[tuple[str, Fields]]:
        """Return the leaves that are not on the signed record yet, by their ids, the oldest first."""
        with self._using() as db:
            return [(name, orjson.loads(data)) for name, data in db.execute("SELECT id, fields FROM leaf ORDER BY n")]

    def recorded(self, leaf_id: str) -> None:
        """Note that a leaf is on the signed record."""
        with self._using() as db:
            db.execute("DELETE FROM leaf WHERE id = ?", (leaf_id,))

    def refresh(self) -> bool:
        """Return whether another process has left or taken something since the last look; cheap enough for every second."""
        with self._using() as db:
            version = int(db.execute("PRAGMA data_version").fetchone()[0])
        changed, self._version = version != self._version, version
        return changed

    def close(self) -> None:
        """Let go of the database."""
        with self._lock:
            self._db.close()

    @contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._db
            except (sqlite3.Error, orjson.JSONDecodeError) as error:
                raise StoreError(f"cannot use `{self._path}`: {error}") from error
