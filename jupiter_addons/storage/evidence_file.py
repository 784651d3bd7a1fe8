"""evidence.db as one connection that writes: opened and checked, then added to, one transaction after the other.

A transaction holds leaves, what is sealed beside them, the tiles they fill and one checkpoint over all of it, signed after
the leaves have been read back and hashed again: a log in which one bit changed between hashing and storing is dead.

Of checkpoints, the newest is always there, and one a second is kept for good; what lies between follows from them.
"""

import logging
import sqlite3
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from jupiter_addons.errors import StoreError, VerificationError
from jupiter_addons.evidence import checkpoint
from jupiter_addons.evidence.checkpoint import Checkpoint
from jupiter_addons.evidence.encoding import encode, pae
from jupiter_addons.evidence.manifest import Use
from jupiter_addons.evidence.merkle import Edge, hash_leaf
from jupiter_addons.evidence.note import parse
from jupiter_addons.evidence.payload import Sealed
from jupiter_addons.evidence.record import Fields
from jupiter_addons.evidence.signing import PublicKey
from jupiter_addons.evidence.verify import verify
from jupiter_addons.storage import evidence_index, evidence_tree
from jupiter_addons.storage.evidence_reader import rows
from jupiter_addons.storage.evidence_schema import MIGRATIONS
from jupiter_addons.storage.evidence_tail import Identity, LeafRow, Sealer, Tail
from jupiter_addons.storage.sqlite import connect

logger = logging.getLogger(__name__)

KEEP_EVERY_US = 1_000_000
"""How far apart the checkpoints are that are kept for good."""

BUSY_MS = 5000
"""How long a commit waits for somebody else who writes: a backup that is brought back, a hand in the database."""
SETTLE, SETTLE_IDLE = 256, 32
"""After so many commits the write-ahead log is moved into the database; after fewer if there is time."""

type Anchored = Callable[[str], Checkpoint | None]
"""The origin of a log -> the newest checkpoint of it that is kept elsewhere."""


@dataclass(slots=True)
class Item:
    """A leaf on its way, and what has become of it."""

    fields: Fields
    sealed: Sequence[Sealed] = ()
    error: StoreError | None = None
    idx: int = -1


class LogFile:
    """One log.  Not for several threads at once."""

    def __init__(self, path: Path, identity: Identity, sealer: Sealer, anchored: Anchored) -> None:
        self.path = path
        self._identity = identity
        self._sealer = sealer
        self._anchored = anchored
        self._log_key = identity.keys.log
        self._db: sqlite3.Connection | None = None
        self._inode = 0
        self._newest: tuple[int, int] | None = None
        """Size and time of the newest checkpoint."""
        self._kept_us = 0
        self._commits = 0
        """Since the write-ahead log was last moved into the database."""
        self.origin = ""
        self.tail = Tail()
        self.signed_by: str | None = None
        """The `kid` of the last leaf that was there when the file was opened."""
        self.note = ""
        """The newest checkpoint."""
        self.open_calls: set[str] = set()
        self.late: set[str] = set()
        """Calls whose decision is there although nobody was told so."""
        self.unsure: set[str] = set()
        """Calls of which nobody knows whether their last leaf is there."""

    @property
    def is_open(self) -> bool:
        """Whether it can be written to."""
        return self._db is not None

    def open(self) -> None:
        """Open the file and find its end.  Nothing of ours changes unless all of it succeeds.  Raises StoreError.

        Opened again, it must be the log that was being written, with every acknowledged leaf in it.
        """
        if self.origin and not self.path.exists():
            raise StoreError(f"`{self.path}` is gone")
        db = connect(self.path, MIGRATIONS)
        try:
            origin = self._read_origin(db)
            late = self._late(db, origin)
            tail, signed_by = self._read_tail(db, origin)
            anchored = self._anchored(origin)
            if anchored is not None:
                evidence_tree.check_anchor(db, tail.edge.size, anchored)
            open_calls = {found[0] for found in db.execute("SELECT id FROM open_call")}
            newest = evidence_tree.newest(db)
            inode = self.path.stat().st_ino
            db.execute("PRAGMA wal_autocheckpoint=0")
        except (sqlite3.Error, OSError, ValueError, VerificationError) as error:
            db.close()
            if isinstance(error, StoreError):
                raise
            raise StoreError(f"`{self.path}` cannot be gone on with: {error}; hint: jupiter evidence verify") from error
        self._db, self.origin, self.tail, self.open_calls, self._inode = db, origin, tail, open_calls, inode
        self.signed_by = signed_by
        self.late |= late
        self._newest = None if newest is None else newest[:2]
        self.note = "" if newest is None else newest[2]
        self._kept_us = 0

    def former_keys(self) -> dict[Use, str]:
        """Return the kids of the keys that had signed last when the file was opened, where they sign no more."""
        found: dict[Use, str] = {}
        if self.signed_by not in (None, self._identity.keys.record.public.kid):
            found["record"] = str(self.signed_by)
        if self.note:
            ids = {one.id for one in parse(self.note.encode()).signatures}
            own = self._log_key.named(self.origin).public
            if own.id not in ids:
                logs = self._identity.keys.manifest.keys("log").items()
                found["log"] = next(kid for kid, key in logs if PublicKey(self.origin, key.raw).id in ids)
        return found

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

    def write(self, items: Sequence[Item]) -> None:
        """Make leaves durable.  Raises StoreError for all of them; one that cannot be sealed is given its error alone."""
        assert self._db is not None, "opened before"
        tail = self.tail.copy()
        leaves = [row for item in items if (row := self._seal(item, tail)) is not None]
        if not leaves:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            return
        head = Checkpoint(self.origin, tail.edge.size, tail.edge.root())
        try:
            if self.path.stat().st_ino != self._inode:
                raise OSError("another file has taken its place")
            note = self._transaction(self._db, items, leaves, tail, head)
        except (sqlite3.Error, OSError, StoreError) as error:
            self.unsure.update(tail.calls)
            raise StoreError(f"cannot write `{self.path}`: {error}") from error
        for call, opened in tail.calls.items():
            (self.open_calls.add if opened else self.open_calls.discard)(call)
        tail.calls.clear()
        tail.tiles.clear()
        self.tail, self.note = tail, note

    def derive(self, most: int) -> int:
        """Bring the index of calls on by at most so many leaves; return how many.  Raises StoreError, sqlite3.Error."""
        assert self._db is not None, "opened before"
        return evidence_index.advance(self._db, most)

    def derived(self) -> int:
        """Return how many leaves the index of calls knows."""
        assert self._db is not None, "opened before"
        return evidence_index.indexed(self._db)

    def take_away(self, step: Callable[[sqlite3.Connection], bool]) -> bool:
        """Have a step of pruning made; return whether there is more.  Raises sqlite3.Error."""
        assert self._db is not None, "opened before"
        return step(self._db)

    def settle(self, *, idle: bool) -> None:
        """Move what is in the write-ahead log into the database, if that is much.  Raises sqlite3.Error.

        SQLite would do it in the commit that makes it much, which may be one that the event loop makes.
        """
        if self._db is not None and self._commits >= (SETTLE_IDLE if idle else SETTLE):
            self._commits = 0
            self._db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    def shrink(self) -> None:
        """Move what is in the write-ahead log into the database, if no reader holds it."""
        if self._db is not None:
            self._db.execute("PRAGMA busy_timeout=200")  # a reader may keep it; that is no reason to wait
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            self._db.execute("PRAGMA busy_timeout=5000")

    def let_go(self) -> None:
        """Close the connection.  After a failure it is not to be used again: what it knows may not be on the disk."""
        if self._db is not None:
            db, self._db = self._db, None
            try:
                db.close()
            except sqlite3.Error as error:
                logger.error("closing the evidence store failed: %s", error)

    def _seal(self, item: Item, tail: Tail) -> LeafRow | None:
        try:
            row = self._sealer.seal(item.fields, tail, self.origin, self.open_calls, self.late)
        except ValueError as error:
            item.error = StoreError(f"a leaf could not be written: {error}")
            logger.error("a leaf of kind `%s` could not be written: %s", item.fields.get("kind"), error)
            return None
        item.idx = row[0]
        return row

    def _transaction(
        self, db: sqlite3.Connection, items: Sequence[Item], leaves: Sequence[LeafRow], tail: Tail, head: Checkpoint
    ) -> str:
        if not db.in_transaction:
            db.execute("BEGIN IMMEDIATE")
        db.executemany("INSERT INTO leaf VALUES (?, ?, ?, ?, ?, ?, ?)", leaves)
        if payloads := _payloads(items):
            db.executemany("INSERT INTO payload VALUES (?, ?, ?, ?)", payloads)
        calls = tail.calls.items()
        if opened := [(call,) for call, state in calls if state]:
            db.executemany("INSERT INTO open_call VALUES (?)", opened)
        if ended := [(call,) for call, state in calls if not state]:
            db.executemany("DELETE FROM open_call WHERE id = ?", ended)
        if tail.tiles:
            evidence_tree.keep_tiles(db, tail.tiles)
        for (stored,), row in zip(db.execute(_READ_BACK, (leaves[0][0],)), leaves, strict=True):
            if hash_leaf(stored).hex() != row[6]:
                raise StoreError(f"leaf {row[0]} is not what was given to the store")
        note = checkpoint.sign(head, self._log_key)
        newest, kept_us = self._keep(db, head.size, tail.t_us, note)
        db.execute("COMMIT")
        self._newest, self._kept_us = newest, kept_us
        self._commits += 1
        return note

    def _keep(self, db: sqlite3.Connection, size: int, t_us: int, note: str) -> tuple[tuple[int, int], int]:
        """Write the checkpoint; the one before it goes, unless it is the first of its second."""
        before, kept_us = self._newest, self._kept_us
        if before is not None and before[1] < kept_us + KEEP_EVERY_US:
            db.execute(
                "UPDATE checkpoint SET size = ?, t_us = ?, note = ? WHERE size = ?", (size, t_us, note, before[0])
            )
        else:
            db.execute("INSERT INTO checkpoint VALUES (?, ?, ?)", (size, t_us, note))
            kept_us = before[1] if before is not None else kept_us
        return (size, t_us), kept_us

    def _read_origin(self, db: sqlite3.Connection) -> str:
        found = db.execute("SELECT value FROM meta WHERE name = 'origin'").fetchone()
        if found is None:
            found = (f"jupiter/{uuid.uuid4()}",)
            created_us = str(time.time_ns() // 1000)
            db.execute("INSERT INTO meta VALUES ('origin', ?), ('created_us', ?)", (*found, created_us))
        return str(found[0])

    def _read_tail(self, db: sqlite3.Connection, origin: str) -> tuple[Tail, str | None]:
        """Return the end of the log and whose key signed it.  Raises StoreError unless it is what was written."""
        row = db.execute("SELECT idx, t_us, leaf, sig, hash FROM leaf ORDER BY idx DESC LIMIT 1").fetchone()
        if row is None:
            if evidence_tree.newest(db) is not None:
                raise StoreError(f"`{self.path}` has a checkpoint and no leaves: they have been taken away")
            return Tail(), None
        idx, t_us, leaf, signature, stored = row
        kid = self._check_last(origin, idx, t_us, leaf, signature, stored)
        if evidence_tree.newest(db) is None and db.execute("SELECT count(*) FROM tile").fetchone() == (0,):
            edge = self._planted(db)
        else:
            edge = evidence_tree.restored(db, origin, idx + 1, self._identity.keys.manifest.keys("log").values())
        return Tail(edge, stored, t_us), kid

    def _check_last(self, origin: str, idx: int, t_us: int, leaf: bytes, signature: bytes, stored: str) -> str:
        try:
            fields = orjson.loads(leaf)
            placed = (fields["log"], fields["idx"], fields["t_us"]) == (origin, idx, t_us)
            good = placed and hash_leaf(leaf).hex() == stored and encode(fields) == leaf
            self._identity.keys.manifest.keys("record")[fields["kid"]].verify(pae(leaf), signature)
        except (ValueError, LookupError, TypeError, VerificationError):
            good = False
        if not good:
            raise StoreError(f"the last leaf of `{self.path}` is not what was written; run `jupiter evidence verify`")
        return str(fields["kid"])

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


def _payloads(items: Sequence[Item]) -> list[tuple[str, str, str, bytes]]:
    return [
        (item.fields["id"], one.role, one.key_id, one.ciphertext)
        for item in items
        if item.error is None
        for one in item.sealed
    ]
