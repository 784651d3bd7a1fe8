"""Where leaves go while the server they belong to is away: a file on this machine, as durable as the log itself.

A spooled leaf has its number, its link and its signature already; it is sent on as it is, in order, and only then deleted.
The spool is bounded, because what is not said of it is that it may fill the disk: what would not fit is refused.

The file is there also while nothing is spooled: its name is the log that this process writes, and who holds its lock is the
one process that does.
"""

import sqlite3
from pathlib import Path
from typing import Any

from jupiter_addons.errors import StoreError
from jupiter_addons.storage.evidence_store import ROW_BYTES, Batch, PayloadRow
from jupiter_addons.storage.evidence_tail import LeafRow
from jupiter_addons.storage.sqlite import connect

MIGRATIONS = (
    """
    CREATE TABLE leaf (
        idx INTEGER PRIMARY KEY, kind TEXT NOT NULL, id TEXT, t_us INTEGER NOT NULL,
        leaf BLOB NOT NULL, sig BLOB NOT NULL, hash TEXT NOT NULL
    ) STRICT;
    CREATE TABLE payload (
        idx INTEGER NOT NULL, call_id TEXT NOT NULL, role TEXT NOT NULL, key_id TEXT NOT NULL, ct BLOB NOT NULL,
        PRIMARY KEY (call_id, role)
    ) STRICT;
    CREATE INDEX payload_idx ON payload (idx);
    CREATE TABLE newest (one INTEGER PRIMARY KEY CHECK (one = 1), note TEXT NOT NULL) STRICT;
    CREATE TABLE registered (one INTEGER PRIMARY KEY CHECK (one = 1)) STRICT
    """,
)
"""`migrations[n]` takes version n to n + 1."""

MAX_IDX = 2**53


class Spool:
    """One file.  Not for several threads at once."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._db: sqlite3.Connection | None = None
        self.bytes = 0
        """About how much is in it."""
        self.leaves = 0
        self.is_registered = False
        """Whether the server is known to have the log, be it empty: else all of it is here."""

    def open(self) -> None:
        """Open or create the file.  Raises StoreError."""
        self.close()
        db = connect(self.path, MIGRATIONS)
        try:
            self.leaves, self.bytes = _sums(db, MAX_IDX)
            self.is_registered = db.execute("SELECT count(*) FROM registered").fetchone() == (1,)
        except sqlite3.Error as error:
            db.close()
            raise self._failed(error) from error
        self._db = db

    def close(self) -> None:
        """Let go of the file."""
        if self._db is not None:
            db, self._db = self._db, None
            db.close()

    def put(self, batch: Batch, note: str) -> None:
        """Make a batch and its checkpoint durable.  Raises StoreError: it may be there all the same, unless it was too much."""
        more = batch.bytes
        if self.bytes + more > self._max_bytes:
            raise StoreError(f"`{self.path}` is full: {self.leaves} leaves wait in it for PostgreSQL")
        db = self._opened()
        try:
            _begin(db)
            db.executemany("INSERT INTO leaf VALUES (?, ?, ?, ?, ?, ?, ?)", batch.leaves)
            db.executemany("INSERT INTO payload VALUES (?, ?, ?, ?, ?)", batch.payloads)
            db.execute("INSERT OR REPLACE INTO newest VALUES (1, ?)", (note,))
            db.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._failed(error) from error
        self.bytes += more
        self.leaves += len(batch.leaves)

    def register(self) -> None:
        """Note that the server has the log.  Raises StoreError."""
        if not self.is_registered:
            self._all("INSERT INTO registered VALUES (1)")
            self.is_registered = True

    def first(self) -> int | None:
        """Return the number of the first leaf.  Raises StoreError."""
        found: int | None = self._all("SELECT min(idx) FROM leaf")[0][0]
        return found

    def read(self, first: int, most: int) -> list[LeafRow]:
        """Return at most so many leaves from a number on, in order.  Raises StoreError."""
        return self._all(_LEAVES, first, most)

    def read_some(self, first: int, most: int, most_bytes: int) -> tuple[list[LeafRow], list[PayloadRow]]:
        """Return leaves from a number on and what was said with them: so many, or as few as make so many bytes; at least one.

        Raises StoreError.
        """
        rows = self.read(first, most)
        if not rows:
            return [], []
        said = dict(self._all(_PAYLOAD_BYTES, first, rows[-1][0]))
        left_bytes = most_bytes
        for number, row in enumerate(rows):
            left_bytes -= len(row[4]) + said.get(row[0], 0)
            if left_bytes < 0 and number:
                rows = rows[:number]
                break
        return rows, self._all("SELECT * FROM payload WHERE idx BETWEEN ? AND ?", first, rows[-1][0])

    def note(self) -> str | None:
        """Return the checkpoint of the last batch that was put in; None if nothing is in it.  Raises StoreError."""
        found = self._all("SELECT note FROM newest") if self.leaves else []
        return str(found[0][0]) if found else None

    def drop(self, below: int) -> None:
        """Delete the leaves below a number: they are where they belong.  Raises StoreError."""
        db = self._opened()
        try:
            leaves, gone_bytes = _sums(db, below)
            _begin(db)
            db.execute("DELETE FROM leaf WHERE idx < ?", (below,))
            db.execute("DELETE FROM payload WHERE idx < ?", (below,))
            db.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._failed(error) from error
        self.leaves, self.bytes = self.leaves - leaves, self.bytes - gone_bytes

    def shrink(self) -> None:
        """Give the space back that nothing is in.  Raises StoreError."""
        if self._db is None:
            return
        try:
            self._db.execute("VACUUM")
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.Error as error:
            raise self._failed(error) from error

    def remove(self) -> None:
        """Delete the file, which nothing is in any more."""
        self.close()
        for suffix in ("-wal", "-shm", ""):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)

    def _opened(self) -> sqlite3.Connection:
        if self._db is None:
            raise StoreError(f"`{self.path}` is not open")
        return self._db

    def _all(self, sql: str, *values: object) -> list[Any]:
        try:
            return self._opened().execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise self._failed(error) from error

    def _failed(self, error: sqlite3.Error) -> StoreError:
        return StoreError(f"cannot spool in `{self.path}`: {error}")


_LEAVES = "SELECT * FROM leaf WHERE idx >= ? ORDER BY idx LIMIT ?"
_PAYLOAD_BYTES = "SELECT idx, sum(length(ct)) FROM payload WHERE idx BETWEEN ? AND ? GROUP BY idx"
_SUM_OF_LEAVES = "SELECT count(*), coalesce(sum(length(leaf) + length(sig)), 0) FROM leaf WHERE idx < ?"
_SUM_OF_PAYLOADS = "SELECT count(*), coalesce(sum(length(ct)), 0) FROM payload WHERE idx < ?"


def _begin(db: sqlite3.Connection) -> None:
    if db.in_transaction:  # one that failed, and that nobody has ended
        db.execute("ROLLBACK")
    db.execute("BEGIN IMMEDIATE")


def _sums(db: sqlite3.Connection, below: int) -> tuple[int, int]:
    """Return how many leaves there are below a number, and about how many bytes they take with what goes with them."""
    leaves, leaf_bytes = db.execute(_SUM_OF_LEAVES, (below,)).fetchone()
    payloads, payload_bytes = db.execute(_SUM_OF_PAYLOADS, (below,)).fetchone()
    return leaves, leaf_bytes + payload_bytes + ROW_BYTES * (leaves + payloads)
