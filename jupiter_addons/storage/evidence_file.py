"""evidence.db as one connection that writes: opened and checked, then added to, one transaction after the other.

A transaction holds leaves, what is sealed beside them, the tiles they fill and one checkpoint over all of it.
"""

import contextlib
import logging
import sqlite3
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from jupiter_addons.errors import StoreError, VerificationError
from jupiter_addons.evidence import checkpoint
from jupiter_addons.evidence.merkle import Edge, hash_leaf
from jupiter_addons.evidence.verify import verify
from jupiter_addons.storage import evidence_index, evidence_tree
from jupiter_addons.storage.evidence_reader import rows
from jupiter_addons.storage.evidence_schema import MIGRATIONS
from jupiter_addons.storage.evidence_store import Anchored, Batch, Kept, LogStore, NotNowError, check_last
from jupiter_addons.storage.evidence_tail import Identity, Sealer, Tail
from jupiter_addons.storage.sqlite import connect

logger = logging.getLogger(__name__)

HINT = "hint: jupiter evidence recover says what would be lost"
BUSY_MS = 5000
"""How long a commit waits for somebody else who writes: a backup that is brought back, a hand in the database."""
SETTLE, SETTLE_IDLE = 256, 32
"""After so many commits the write-ahead log is moved into the database; after fewer if there is time."""


class LogFile(LogStore):
    """One log.  Not for several threads at once."""

    def __init__(self, path: Path, identity: Identity, sealer: Sealer, anchored: Anchored) -> None:
        super().__init__(str(path), sealer)
        self.path = path
        self._identity = identity
        self._anchored = anchored
        self._log_key = identity.keys.log
        self._db: sqlite3.Connection | None = None
        self._inode = 0
        self._kept = Kept()
        self._commits = 0
        """Since the write-ahead log was last moved into the database."""

    @property
    def is_open(self) -> bool:
        """Whether it can be written to."""
        return self._db is not None

    def open(self) -> None:
        """Open the file and find its end; see LogStore.  Raises StoreError."""
        if self.origin and not self.path.exists():
            raise StoreError(f"`{self.path}` is gone")
        db = connect(self.path, MIGRATIONS)
        try:
            origin = self._read_origin(db)
            late = self._late(db, origin)
            tail, signed_by = self._read_tail(db, origin)
            anchored = self._anchored(origin)
            if anchored is not None:
                evidence_tree.check_anchor(evidence_tree.tiles(db), tail.edge.size, anchored)
            open_calls = {found[0] for found in db.execute("SELECT id FROM open_call")}
            newest = evidence_tree.newest(db)
            inode = self.path.stat().st_ino
        except (sqlite3.Error, OSError, ValueError, VerificationError, StoreError) as error:
            db.close()
            raise StoreError(f"`{self.path}` cannot be gone on with: {error}; {HINT}") from error
        self._db, self.origin, self.tail, self.open_calls, self._inode = db, origin, tail, open_calls, inode
        self.signed_by = signed_by
        self.late |= late
        self._kept = Kept(None if newest is None else newest[:2])
        self.note = "" if newest is None else newest[2]

    def begin_at_once(self) -> bool:
        """Begin the transaction of the next `write` if nobody else is writing; for who must not wait.  Raises StoreError."""
        assert self._db is not None, "opened before"
        try:
            self._db.execute("PRAGMA busy_timeout=0")
            try:
                self._db.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                    return False
                raise
            finally:
                self._db.execute(f"PRAGMA busy_timeout={BUSY_MS}")
        except sqlite3.Error as error:
            raise StoreError(f"cannot write `{self.path}`: {error}") from error
        return True

    def _forgo(self) -> None:
        if self._db is not None and self._db.in_transaction:
            self._db.execute("ROLLBACK")

    def _commit(self, batch: Batch) -> str:
        assert self._db is not None, "opened before"
        try:
            if self.path.stat().st_ino != self._inode:
                raise OSError("another file has taken its place")
            return self._transaction(self._db, batch)
        except (sqlite3.Error, OSError) as error:
            raise StoreError(str(error)) from error

    def derive(self, most: int) -> int:
        """Bring the index of calls on by at most so many leaves; return how many.  Raises StoreError."""
        assert self._db is not None, "opened before"
        try:
            return evidence_index.advance(self._db, most)
        except sqlite3.Error as error:
            raise NotNowError(f"cannot index `{self.path}`: {error}") from error

    def derived(self) -> int:
        """Return how many leaves the index of calls knows.  Raises StoreError."""
        assert self._db is not None, "opened before"
        try:
            return evidence_index.indexed(self._db)
        except sqlite3.Error as error:
            raise StoreError(f"cannot read `{self.path}`: {error}") from error

    def take_away(self, step: Callable[[sqlite3.Connection], bool]) -> bool:
        """Have a step of pruning made; return whether there is more.  Raises sqlite3.Error."""
        assert self._db is not None, "opened before"
        return step(self._db)

    def settle(self, *, idle: bool) -> None:
        """Move what is in the write-ahead log into the database, if that is much.  Raises StoreError.

        SQLite would do it in the commit that makes it much, which may be one that the event loop makes.
        """
        if self._db is None or self._commits < (SETTLE_IDLE if idle else SETTLE):
            return
        self._commits = 0
        try:
            self._db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error as error:
            raise StoreError(f"cannot write `{self.path}`: {error}") from error

    def shrink(self) -> None:
        """Move what is in the write-ahead log into the database, if no reader holds it."""
        if self._db is None:
            return
        with contextlib.suppress(sqlite3.Error):  # every leaf is durable in the WAL already; the next start reads it
            self._db.execute("PRAGMA busy_timeout=200")  # a reader may keep it; that is no reason to wait
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            self._db.execute(f"PRAGMA busy_timeout={BUSY_MS}")

    def let_go(self) -> None:
        """Close the connection.  After a failure it is not to be used again: what it knows may not be on the disk."""
        if self._db is not None:
            db, self._db = self._db, None
            try:
                db.close()
            except sqlite3.Error as error:
                logger.error("closing the evidence store failed: %s", error)

    def _transaction(self, db: sqlite3.Connection, batch: Batch) -> str:
        size, t_us = batch.head.size, batch.tail.t_us
        if not db.in_transaction:
            db.execute("BEGIN IMMEDIATE")
        db.executemany("INSERT INTO leaf VALUES (?, ?, ?, ?, ?, ?, ?)", batch.leaves)
        if batch.payloads:
            db.executemany("INSERT INTO payload VALUES (?, ?, ?, ?)", [row[1:] for row in batch.payloads])
        if opened := [(call,) for call in batch.opened]:
            db.executemany("INSERT INTO open_call VALUES (?)", opened)
        if ended := [(call,) for call in batch.ended]:
            db.executemany("DELETE FROM open_call WHERE id = ?", ended)
        if batch.tail.tiles:
            evidence_tree.keep_tiles(db, batch.tail.tiles)
        for (stored,), row in zip(db.execute(_READ_BACK, (batch.leaves[0][0],)), batch.leaves, strict=True):
            if hash_leaf(stored).hex() != row[6]:
                raise StoreError(f"leaf {row[0]} is not what was given to the store")
        note = checkpoint.sign(batch.head, self._log_key)
        if (replaced := self._kept.replaced()) is None:
            db.execute("INSERT INTO checkpoint VALUES (?, ?, ?)", (size, t_us, note))
        else:
            db.execute(
                "UPDATE checkpoint SET size = ?, t_us = ?, note = ? WHERE size = ?", (size, t_us, note, replaced)
            )
        db.execute("COMMIT")
        self._kept.note(size, t_us)
        self._commits += 1
        return note

    def _read_origin(self, db: sqlite3.Connection) -> str:
        found = db.execute("SELECT value FROM meta WHERE name = 'origin'").fetchone()
        if found is None:
            found = (f"jupiter/{uuid.uuid4()}",)
            created_us = str(time.time_ns() // 1000)
            db.execute("INSERT INTO meta VALUES ('origin', ?), ('created_us', ?)", (*found, created_us))
        return str(found[0])

    def _read_tail(self, db: sqlite3.Connection, origin: str) -> tuple[Tail, str | None]:
        """Return the end of the log and whose key signed it.  Raises StoreError unless it is what was written."""
        row = db.execute("SELECT * FROM leaf ORDER BY idx DESC LIMIT 1").fetchone()
        if row is None:
            if evidence_tree.newest(db) is not None:
                raise StoreError(f"`{self.path}` has a checkpoint and no leaves: they have been taken away")
            return Tail(), None
        idx, _, _, t_us, _, _, stored = row
        kid = check_last(row, origin, self._identity.keys.manifest.keys("record"), self.name)
        if evidence_tree.newest(db) is None and db.execute("SELECT count(*) FROM tile").fetchone() == (0,):
            edge = self._planted(db)
        else:
            edge = evidence_tree.restored(db, origin, idx + 1, self._identity.keys.manifest.keys("log").values())
        return Tail(edge, stored, t_us), kid

    def _planted(self, db: sqlite3.Connection) -> Edge:
        """Grow the tree of a log that was written before there were trees, once all of it has been verified."""
        logger.warning("`%s` has no tree yet: all of it is verified, and the tree grown", self.path)
        report = verify(rows(self.path), self._identity.keys.manifest.keys("record"))
        if report.findings:
            raise StoreError(f"`{self.path}` does not verify, and gets no tree: {report.findings[0]}")
        return evidence_tree.grown(db)

    def _late(self, db: sqlite3.Connection, origin: str) -> set[str]:
        """Return the calls of leaves that are there and were never acknowledged.  Raises StoreError if others are missing."""
        if not self.origin:
            return set()
        known = self.tail
        found = db.execute("SELECT leaf FROM leaf WHERE idx = ?", (known.idx,)).fetchone()
        there = known.idx < 0 or (found is not None and hash_leaf(found[0]).hex() == known.hash)
        if origin != self.origin or not there:
            raise StoreError(f"`{self.path}` is not the log that was being written; hint: restart on the right file")
        return {row[0] for row in db.execute("SELECT id FROM leaf WHERE idx > ? AND kind = 'decision'", (known.idx,))}


_READ_BACK = "SELECT leaf FROM leaf WHERE idx >= ? ORDER BY idx"
