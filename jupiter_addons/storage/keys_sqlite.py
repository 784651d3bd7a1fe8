"""keys.db: the records of Jupiter API keys, and the running proxy's view of them."""

import sqlite3
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from jupiter_addons.errors import StoreError
from jupiter_addons.identity.keys import KeyRecord
from jupiter_addons.storage.sqlite import connect

MIGRATIONS = (
    """
    CREATE TABLE key (
        id TEXT PRIMARY KEY, digest BLOB NOT NULL, user TEXT NOT NULL, created_s INTEGER NOT NULL,
        name TEXT, expires_s INTEGER, revoked_s INTEGER
    ) STRICT
    """,
)

_COLUMNS = "id, digest, user, created_s, name, expires_s, revoked_s"


class KeyStore:
    """The database.  Every method raises StoreError when it cannot be used."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db = connect(path, MIGRATIONS)

    def add(self, record: KeyRecord) -> None:
        """Keep a new key."""
        row = (record.id, record.digest, record.user, record.created_s, record.name, record.expires_s, record.revoked_s)
        self._execute(f"INSERT INTO key ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)", row)  # noqa: S608 - constant columns

    def revoke(self, key_id: str, now_s: float) -> bool:
        """Revoke a key; return whether there was an unrevoked one of that id."""
        cursor = self._execute("UPDATE key SET revoked_s = ? WHERE id = ? AND revoked_s IS NULL", (int(now_s), key_id))
        return cursor.rowcount == 1

    def list(self) -> list[KeyRecord]:
        """Return all keys, oldest first, revoked and expired ones included."""
        rows = self._execute(f"SELECT {_COLUMNS} FROM key ORDER BY created_s, id")  # noqa: S608 - constant columns
        return [KeyRecord(*row) for row in rows]

    def version(self) -> int:
        """Return a number that changes when another process has written; costs microseconds."""
        return int(self._execute("PRAGMA data_version").fetchone()[0])

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def _execute(self, statement: str, values: tuple[object, ...] = ()) -> sqlite3.Cursor:
        try:
            return self._db.execute(statement, values)
        except sqlite3.Error as error:
            raise StoreError(f"cannot use `{self._path}`: {error}") from error


class KeyView:
    """The current keys, looked up on each request and reloaded when the database has changed.

    A revoked key stops working within `REFRESH_S`, on open connections too.  If the database cannot be read, nobody is
    authenticated: a view that may be stale could let a revoked key in.
    """

    REFRESH_S = 0.25
    RENEW_S = 0.01
    """So often at most it is looked for keys that nobody has heard of: who guesses at keys costs no more."""

    def __init__(self, store: KeyStore, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._version = -1
        self._checked_s = float("-inf")
        self._keys: Mapping[str, KeyRecord] = {}

    def current(self) -> Mapping[str, KeyRecord]:
        """Return the keys by id.  Raises StoreError."""
        now_s = self._clock()
        if now_s - self._checked_s >= self.REFRESH_S:
            version = self._store.version()
            if version != self._version:
                self._keys = {record.id: record for record in self._store.list()}
                self._version = version
            self._checked_s = now_s
        return self._keys

    def renew(self) -> bool:
        """Look again, unless that was done a moment ago; return whether anything has changed.  Raises StoreError."""
        if self._clock() - self._checked_s < self.RENEW_S:
            return False
        before, self._checked_s = self._version, float("-inf")
        self.current()
        return self._version != before
