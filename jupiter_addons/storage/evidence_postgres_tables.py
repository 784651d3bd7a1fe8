"""One log in PostgreSQL, through one connection: taken over, read, and added to in one transaction after the other.

A batch is two round trips.  The first moves the head on, from exactly what its writer knows, adds the rows, and has the
server hash what it stored; the second adds the checkpoint, signed when those hashes are known to be ours, and commits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from jupiter_addons.errors import StoreError, VerificationError
from jupiter_addons.evidence import checkpoint
from jupiter_addons.evidence.merkle import HASH_BYTES, TILE_WIDTH, hash_leaf
from jupiter_addons.evidence.signing import PublicKey, SigningKey
from jupiter_addons.storage import evidence_tree
from jupiter_addons.storage.evidence_store import Batch, Kept, check_last
from jupiter_addons.storage.evidence_tail import LeafRow, Tail
from jupiter_addons.storage.postgres import Connection

LOCK_TRIES = 20
"""How often it is looked whether a connection of ours that was given up is gone: a second."""


class NotEndedError(StoreError):
    """The process that wrote the log may still have leaves of it that are not here."""


class TakenOverError(StoreError):
    """Another process writes the log now, or what is stored of it is not what was written: this one must stop."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What the server has of a log."""

    tail: Tail
    open_calls: set[str]
    signed_by: str | None
    note: str


class LogTables:
    """One log."""

    def __init__(self, db: Connection, origin: str, log_key: SigningKey) -> None:
        self.db = db
        self.origin = origin
        self.size = self.epoch = 0
        """How many leaves there were when it was taken over, and how often it has been."""
        self.kept = Kept()
        self._log_key = log_key

    def take(self, boot: str, *, is_ours: bool, make: bool) -> None:
        """Take the log over.  `is_ours` says that this process had it before; `make` makes a new one.

        Raises StoreError if another process writes it, TakenOverError if another has taken it over from us, psycopg.Error.
        """
        with self.db.transaction():
            if is_ours:
                self._check_ours(boot, self._one("SELECT boot FROM jupiter.log WHERE log = %s", self.origin))
            if not self._lock(boot, is_ours=is_ours):
                raise StoreError(f"another process is writing the log `{self.origin}`")
            if make:
                self.db.execute(
                    "INSERT INTO jupiter.log (log, size, epoch, boot) VALUES (%s, 0, 0, %s) ON CONFLICT DO NOTHING",
                    (self.origin, boot),
                )
            # It waits here for a transaction of ours that a connection we have given up may still be in.
            found = self._one("SELECT boot, size, epoch FROM jupiter.log WHERE log = %s FOR UPDATE", self.origin)
            self._check_ours(boot if is_ours else None, found)
            self.db.execute("UPDATE jupiter.log SET epoch = epoch + 1, boot = %s WHERE log = %s", (boot, self.origin))
            newest = self._newest()
        self.size, self.epoch = found[1], found[2] + 1
        self.kept = Kept(None if newest is None else newest[:2])

    def take_ended(self, *, abandoned: bool = False) -> None:
        """Take over a log that its process has closed, and all of whose leaves are here; `abandoned`: or never will.

        Until a `log.close` of ours is appended it counts as closed by that process: who dies before has changed nothing.
        Raises StoreError if a process writes it, NotEndedError if one was cut off from it, psycopg.Error.
        """
        with self.db.transaction():
            if not self._try_lock():
                raise StoreError(f"another process is writing the log `{self.origin}`")
            found = self._one("SELECT boot, size, epoch FROM jupiter.log WHERE log = %s FOR UPDATE", self.origin)
            self._check_ours(None, found)
            closed = self._one(f"{_LEAF} WHERE log = %s AND kind = 'log.close' AND {RARE} {_LAST}", self.origin)
            if not abandoned and (closed is None or _boot_of(closed[4]) != found[0]):
                raise NotEndedError(f"the process that wrote the log `{self.origin}` has not closed it")
            self.db.execute("UPDATE jupiter.log SET epoch = epoch + 1 WHERE log = %s", (self.origin,))
            newest = self._newest()
        self.size, self.epoch = found[1], found[2] + 1
        self.kept = Kept(None if newest is None else newest[:2])

    def _check_ours(self, boot: str | None, found: Any) -> None:
        """Raise TakenOverError unless the head of the log is there, and `boot` has taken it last."""
        if found is None:
            raise TakenOverError(f"PostgreSQL does not have the log `{self.origin}`")
        if boot is not None and found[0] != boot:
            raise TakenOverError(f"another process has taken the log `{self.origin}` over")

    def _lock(self, boot: str, *, is_ours: bool) -> bool:
        """Take the lock that the log's one writer holds while it is connected."""
        for _ in range(LOCK_TRIES if is_ours else 1):
            if self._try_lock():
                return True
            # A connection that we have given up keeps it until the server finds out: it is helped to.
            self.db.execute(_END_OTHERS, (application(boot),))
            self.db.execute("SELECT pg_sleep(0.05)")
        return self._try_lock()

    def _try_lock(self) -> bool:
        found = self.db.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", (self.origin,)).fetchone()
        return found == (True,)

    def read(self, record_keys: Mapping[str, PublicKey], log_keys: Sequence[PublicKey]) -> Stored:
        """Return the end of the log.  Raises VerificationError, StoreError, psycopg.Error."""
        size = self.size
        calls = {call for (call,) in self.db.execute("SELECT id FROM jupiter.open_call WHERE log = %s", (self.origin,))}
        newest = self._newest()
        last = self._one(f"{_LEAF} WHERE log = %s {_LAST}", self.origin)
        if last is None:
            if size or newest is not None:
                raise VerificationError("its leaves have been taken away")
            return Stored(Tail(), calls, None, "")
        kid = check_last(last, self.origin, record_keys, self.origin)
        note = None if newest is None else newest[2]
        if last[0] + 1 != size:
            raise VerificationError(f"its head says {size} leaves, and its last is number {last[0]}")
        edge = evidence_tree.agreed(self.tiles, note, self.origin, size, log_keys)
        return Stored(Tail(edge, last[6], last[3]), calls, kid, note or "")

    def tiles(self, level: int, n: int) -> Sequence[bytes]:
        """Return the hashes of a tile; the last ones of level 0 are taken from the leaves."""
        found = self._one(
            "SELECT hashes FROM jupiter.tile WHERE log = %s AND level = %s AND n = %s", self.origin, level, n
        )
        if found is not None:
            hashes = bytes(found[0])
            return [hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES)]
        if level:
            return []
        return [hash_leaf(row[4]) for row in self.leaves(n * TILE_WIDTH, TILE_WIDTH)]

    def leaves(self, first: int, most: int) -> list[LeafRow]:
        """Return at most so many leaves from a number on, in order.  Raises psycopg.Error."""
        sql = f"{_LEAF} WHERE log = %s AND idx >= %s ORDER BY idx LIMIT %s"
        return self.db.execute(sql.encode(), (self.origin, first, most), binary=True).fetchall()

    def hash_of(self, idx: int) -> str | None:
        """Return the hash of a leaf, by its bytes; None if there is none.  Raises psycopg.Error."""
        found = self.leaves(idx, 1)
        return hash_leaf(found[0][4]).hex() if found and found[0][0] == idx else None

    def decided_after(self, idx: int) -> set[str]:
        """Return the calls that were decided behind a leaf.  Raises psycopg.Error."""
        sql = "SELECT id FROM jupiter.leaf WHERE log = %s AND idx > %s AND kind = 'decision'"
        return {call for (call,) in self.db.execute(sql, (self.origin, idx))}

    def append(self, batch: Batch, within_s: float, *, closed_by: str | None = None) -> str:
        """Make a batch durable; return its checkpoint.  `closed_by` ends what `take_ended` began.

        Raises TakenOverError if the log has gone on without us, StoreError if it was not stored as given, and psycopg.Error,
        after which it may be durable all the same.
        """
        first, size = batch.leaves[0][0], batch.head.size
        with self.db.within(within_s):
            with self.db.pipeline():
                self.db.execute("BEGIN")
                moved = self.db.execute(_MOVE_ON, (size, closed_by, self.origin, first, self.epoch))
                self.db.execute(_INSERT_LEAVES, (self.origin, *map(list, zip(*batch.leaves, strict=True))), binary=True)
                self._insert_beside(batch)
                stored = self.db.execute(_COUNT_AS_HASHED, (self.origin, first, size))
                has_moved = moved.fetchone() is not None
                as_hashed = stored.fetchone()
            if not has_moved:
                self.db.rollback()
                raise TakenOverError(f"the head of `{self.origin}` is not where this process left it")
            if as_hashed != (size - first,):
                self.db.rollback()
                raise StoreError("what is stored is not what was given to the store")
            note = checkpoint.sign(batch.head, self._log_key)
            with self.db.pipeline():
                if (replaced := self.kept.replaced()) is not None:
                    self.db.execute(
                        "DELETE FROM jupiter.checkpoint WHERE log = %s AND size = %s", (self.origin, replaced)
                    )
                self.db.execute(
                    "INSERT INTO jupiter.checkpoint VALUES (%s, %s, %s, %s)",
                    (self.origin, size, batch.tail.t_us, note),
                )
                self.db.execute("COMMIT")
        self.kept.note(size, batch.tail.t_us)
        return note

    def _insert_beside(self, batch: Batch) -> None:
        if batch.payloads:
            for _, call, role, key, ciphertext in batch.payloads:
                self.db.execute(_INSERT_PAYLOAD, (self.origin, call, role, key, ciphertext), binary=True)
        if opened := batch.opened:
            self.db.execute("INSERT INTO jupiter.open_call SELECT %s, unnest(%s::text[])", (self.origin, opened))
        if ended := batch.ended:
            self.db.execute("DELETE FROM jupiter.open_call WHERE log = %s AND id = ANY(%s)", (self.origin, ended))
        for tile in batch.tail.tiles:
            self.db.execute(_KEEP_TILE, (self.origin, tile.level, tile.n, tile.hashes), binary=True)

    def _newest(self) -> tuple[int, int, str] | None:
        """Return size, time and note of the newest checkpoint."""
        sql = "SELECT size, t_us, note FROM jupiter.checkpoint WHERE log = %s ORDER BY size DESC LIMIT 1"
        found: tuple[int, int, str] | None = self.db.execute(sql, (self.origin,)).fetchone()
        return found

    def _one(self, sql: str, *values: object) -> Any:
        return self.db.execute(sql.encode(), values).fetchone()


def application(boot: str) -> str:
    """Return what the connections of a process are called."""
    return f"jupiter-{boot}"


def _boot_of(leaf: bytes) -> object:
    try:
        return orjson.loads(leaf)["boot"]
    except (ValueError, LookupError, TypeError):
        return None  # whatever wrote that: it is not the process that is asked about


_END_OTHERS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE application_name = %s AND pid <> pg_backend_pid() AND usename = current_user
"""
RARE = "kind NOT IN ('decision', 'attempt', 'outcome', 'tunnel', 'refusals', 'heartbeat')"
"""What the index of kinds is of."""
_LEAF = "SELECT idx, kind, id, t_us, leaf, sig, hash FROM jupiter.leaf"
_LAST = "ORDER BY idx DESC LIMIT 1"
_MOVE_ON = """
    UPDATE jupiter.log SET size = %s, boot = coalesce(%s, boot) WHERE log = %s AND size = %s AND epoch = %s RETURNING size
"""
# A conflict means that the head has moved as well, which says more than an error would.
_INSERT_LEAVES = """
    INSERT INTO jupiter.leaf SELECT %s, *
    FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::bigint[], %s::bytea[], %s::bytea[], %s::text[])
    ON CONFLICT DO NOTHING
"""
_INSERT_PAYLOAD = "INSERT INTO jupiter.payload VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"
_KEEP_TILE = """
    INSERT INTO jupiter.tile VALUES (%s, %s, %s, %s) ON CONFLICT (log, level, n) DO UPDATE SET hashes = excluded.hashes
"""
_COUNT_AS_HASHED = """
    SELECT count(*) FROM jupiter.leaf
    WHERE log = %s AND idx >= %s AND idx < %s AND encode(sha256('\\x00'::bytea || leaf), 'hex') = hash
"""
