"""evidence.db: the log of one gateway, written by one thread with group commit.

Whatever waits is taken together: one transaction, one fsync, one wake-up of the event loop.  A leaf is acknowledged when
the transaction that holds it has been committed with `synchronous=FULL`, and not before.

When a commit fails, nothing in it is acknowledged and the connection is thrown away: after a failed fsync the
page cache no longer says what is on the disk.  The next attempt opens anew, reads what is really there, verifies
the tail, and goes on from it with a `recover` leaf.  What it finds must still be the log that was being written, with
every acknowledged leaf in it: an index is never given to two different leaves that could both be durable.

Calls that were decided and never ended are kept in `open_call`, in the same transactions.  At start each gets an outcome
`interrupted`; so does, on recovery, a call whose leaf failed to be acknowledged and yet is there, or whose outcome was
lost.  A second decision or outcome of a call is refused: a repeated attempt to record must not spoil the log.
"""

import asyncio
import contextlib
import logging
import os
import queue
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from jupiter_addons.errors import StoreError, VerificationError
from jupiter_addons.evidence.encoding import ZERO_HASH, encode, leaf_hash, pae
from jupiter_addons.evidence.record import VERSION, Fields, control, interrupted
from jupiter_addons.evidence.signing import SigningKey
from jupiter_addons.storage.sqlite import connect, hold_lock

logger = logging.getLogger(__name__)

MIGRATIONS = (
    """
    CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
    CREATE TABLE leaf (
        idx INTEGER PRIMARY KEY, kind TEXT NOT NULL, id TEXT, t_us INTEGER NOT NULL,
        leaf BLOB NOT NULL, sig BLOB NOT NULL, hash TEXT NOT NULL
    ) STRICT;
    CREATE INDEX leaf_id ON leaf (id) WHERE id IS NOT NULL;
    CREATE INDEX leaf_t_us ON leaf (t_us);
    CREATE TABLE open_call (id TEXT PRIMARY KEY) STRICT
    """,
)

MAX_BATCH = 256
MAX_WAITING = 4096
"""With leaves of at most MAX_LEAF_BYTES that is at most 64 MiB."""
RETRY_S = 0.5
"""How long a failed store is left alone before it is tried again."""


@dataclass(slots=True)
class _Waiting:
    fields: Fields
    loop: asyncio.AbstractEventLoop | None
    done: asyncio.Future[int] | None
    error: StoreError | None = None
    idx: int = -1


@dataclass(slots=True)
class _Tail:
    idx: int = -1
    hash: str = ZERO_HASH
    t_us: int = 0
    calls: dict[str, bool] = field(default_factory=dict)
    """Calls that the leaves sealed since have opened (True) or ended (False)."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What the log writes into each leaf about itself."""

    key: SigningKey
    instance: str
    build: str
    boot: str = field(default_factory=lambda: uuid.uuid4().hex)


class EvidenceLog:
    """The writer.  One per database: a second one, in this process or another, is refused."""

    def __init__(self, path: Path, identity: Identity, clock: Callable[[], int] = time.time_ns) -> None:
        """Open or create the log at `path` and write its `log.open` leaf.  Raises StoreError; `clock` is UTC in ns."""
        self._path = path
        self._identity = identity
        self._kid = identity.key.public.kid
        self._clock = clock
        self._waiting: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._gathered: list[_Waiting] = []
        """What was appended in this round of the event loop."""
        self._gate = threading.Lock()
        self._closed = False
        self._lock = hold_lock(path)
        self._tail = _Tail()
        self._origin = ""
        self._open_calls: set[str] = set()
        self._unsure: set[str] = set()
        self._late: set[str] = set()
        self._failed_at_s: float | None = None
        self._db: sqlite3.Connection | None = None
        self._inode = 0
        try:
            self._open()
            detail = {"boot": identity.boot, "build": identity.build}
            self._write_all([control("log.open", **detail), *map(interrupted, sorted(self._open_calls))])
        except BaseException:
            self._let_go()
            self._lock.close()
            raise
        self._thread = threading.Thread(target=self._run, name="evidence", daemon=True)
        self._thread.start()

    @property
    def origin(self) -> str:
        """The name that the log was given when it was made."""
        return self._origin

    @property
    def healthy(self) -> bool:
        """Whether the last commit succeeded."""
        return self._failed_at_s is None

    def append(self, fields: Fields) -> asyncio.Future[int]:
        """Return a future of the leaf's index, done when it is durable; it fails with StoreError if it never will be."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[int] = loop.create_future()
        self._gathered.append(_Waiting(fields, loop, done))
        if len(self._gathered) == 1:
            loop.call_soon(self._hand_over)
        return done

    def _hand_over(self) -> None:
        """Give the writer what one round of the event loop has appended: one wake-up, and one commit, for all of it."""
        gathered, self._gathered = self._gathered, []
        for item in gathered:
            refused = self._enqueue(item)
            if refused is not None and item.done is not None and not item.done.done():
                item.done.set_exception(refused)

    def append_nowait(self, fields: Fields) -> None:
        """Append a leaf that nobody waits for, from any thread; a failure is logged."""
        refused = self._enqueue(_Waiting(fields, None, None))
        if refused is not None:
            logger.error("a leaf of kind `%s` is lost: %s", fields.get("kind"), refused)

    def probe(self) -> bool:
        """Whether a leaf could be written; after a failure, has the writer try, so that it recovers without traffic."""
        failed_at_s = self._failed_at_s
        if failed_at_s is not None and time.monotonic() - failed_at_s >= RETRY_S and self._waiting.empty():
            self._enqueue(_Waiting({}, None, None))
        return failed_at_s is None

    def close(self) -> None:
        """Write what waits and a `log.close` leaf, then let go of the database.  A second call changes nothing."""
        self._hand_over()
        with self._gate:
            if self._closed:
                return
            self._closed = True
            self._waiting.put(_Waiting(control("log.close", boot=self._identity.boot), None, None))
            self._waiting.put(None)
        self._thread.join()
        if self._db is not None:
            with contextlib.suppress(
                sqlite3.Error
            ):  # every leaf is durable in the WAL already; the next start reads it
                self._db.execute("PRAGMA busy_timeout=200")  # a reader may keep the WAL; that is no reason to wait
                self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        self._let_go()
        self._lock.close()

    def _enqueue(self, item: _Waiting) -> StoreError | None:
        with self._gate:  # nothing is put behind the last item, where nobody would read it
            if self._closed:
                return StoreError("the evidence log is closed")
            if self._waiting.qsize() >= MAX_WAITING:
                return StoreError(f"{MAX_WAITING} leaves are waiting to be written")
            self._waiting.put(item)
        return None

    def _run(self) -> None:
        stopping = False
        while not stopping:
            batch = [self._waiting.get()]
            while len(batch) < MAX_BATCH and not self._waiting.empty():
                batch.append(self._waiting.get())
            stopping = batch[-1] is None
            leaves = [item for item in batch if item is not None and item.fields]
            self._try(leaves)
            self._acknowledge(leaves)

    def _try(self, leaves: list[_Waiting]) -> None:
        """Write leaves, or give each the reason why not: whatever happens, the writer lives and every waiter is told."""
        try:
            self._write(leaves)
        except StoreError as error:
            reason = str(error)
        except Exception as error:
            logger.exception("the evidence writer failed")
            self._fail(error)
            reason = f"the evidence writer failed: {type(error).__name__}"
        else:
            return
        for item in leaves:
            item.error = item.error or StoreError(reason)
            if item.fields.get("kind") == "outcome" and item.fields.get("id") in self._open_calls:
                self._unsure.add(item.fields["id"])
        if lost := sum(item.done is None for item in leaves):
            logger.error("%d leaves that nobody waits for are lost: %s", lost, reason)

    def _acknowledge(self, batch: list[_Waiting]) -> None:
        loops = {item.loop for item in batch if item.loop is not None}
        for loop in loops:
            mine = [item for item in batch if item.loop is loop]
            try:
                loop.call_soon_threadsafe(_resolve, mine)
            except RuntimeError:  # the loop is closed: whoever waited is gone, what is durable stays so
                logger.debug("%d leaves have nobody left to tell", len(mine))

    def _write_all(self, leaves: Sequence[Fields]) -> None:
        """Make our own leaves durable, before any others.  Raises StoreError."""
        for start in range(0, len(leaves), MAX_BATCH):
            batch = [_Waiting(fields, None, None) for fields in leaves[start : start + MAX_BATCH]]
            self._write(batch)
            for item in batch:
                if item.error is not None:
                    raise item.error

    def _write(self, batch: list[_Waiting]) -> None:
        """Make a batch durable.  Raises StoreError for all of it; an item that cannot be sealed fails alone."""
        if self._db is None:
            self._reopen()
        assert self._db is not None
        tail = _Tail(self._tail.idx, self._tail.hash, self._tail.t_us)
        rows = [row for item in batch if (row := self._seal(item, tail)) is not None]
        if not rows:
            return
        calls = tail.calls.items()
        try:
            if self._path.stat().st_ino != self._inode:
                raise OSError("another file has taken its place")
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany("INSERT INTO leaf VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
            self._db.executemany("INSERT INTO open_call VALUES (?)", [(call,) for call, state in calls if state])
            self._db.executemany("DELETE FROM open_call WHERE id = ?", [(call,) for call, state in calls if not state])
            self._db.execute("COMMIT")
        except (sqlite3.Error, OSError) as error:
            self._unsure.update(tail.calls)
            self._fail(error)
            raise StoreError(f"cannot write `{self._path}`: {error}") from error
        self._open_calls.difference_update(call for call, state in calls if not state)
        self._open_calls.update(call for call, state in calls if state)
        self._tail = tail

    def _seal(self, item: _Waiting, tail: _Tail) -> tuple[int, str, str | None, int, bytes, bytes, str] | None:
        """Give a leaf its place, encode and sign it, and move the tail on; or give it the reason why not."""
        clock_us = self._clock() // 1000
        now_us = max(clock_us, tail.t_us)
        identity = self._identity
        fields: dict[str, Any] = {
            **item.fields,
            "v": VERSION,
            "log": self._origin,
            "idx": tail.idx + 1,
            "prev": tail.hash,
            "salt": os.urandom(16).hex(),
            "t_us": now_us,
            "mono_ns": time.monotonic_ns(),
            "boot": identity.boot,
            "inst": identity.instance,
            "build": identity.build,
            "kid": self._kid,
        }
        if clock_us < now_us:
            fields["clock_back_us"] = now_us - clock_us
        try:
            self._place(fields, tail)
            leaf = encode(fields)
        except ValueError as error:
            item.error = StoreError(f"a leaf could not be written: {error}")
            logger.error("a leaf of kind `%s` could not be written: %s", item.fields.get("kind"), error)
            return None
        item.idx = tail.idx = tail.idx + 1
        tail.hash, tail.t_us = leaf_hash(leaf), now_us
        if fields["kind"] == "outcome" or (fields["kind"] == "decision" and "outcome" not in fields):
            tail.calls[fields["id"]] = fields["kind"] == "decision"
        return item.idx, fields["kind"], fields.get("id"), now_us, leaf, identity.key.sign(pae(leaf)), tail.hash

    def _place(self, fields: Fields, tail: _Tail) -> None:
        """Raise ValueError if a leaf cannot stand after those that are there."""
        kind, call = fields.get("kind"), fields.get("id")
        if not isinstance(kind, str) or not (call is None or isinstance(call, str)):
            raise ValueError("it has no kind, or an id that is no text")
        is_open = call is not None and tail.calls.get(call, call in self._open_calls)
        if kind == "outcome" and not is_open:
            raise ValueError(f"call {call} has no decision that is still open")
        if kind == "decision" and (call is None or is_open or call in self._late):
            raise ValueError(f"call {call} has been decided already")

    def _open(self) -> None:
        """Open the database and find the tail.  Nothing of ours changes unless all of it succeeds.  Raises StoreError."""
        if self._origin and not self._path.exists():
            raise StoreError(f"`{self._path}` is gone")
        db = connect(self._path, MIGRATIONS)
        try:
            origin = self._read_origin(db)
            row = db.execute("SELECT idx, t_us, leaf, sig, hash FROM leaf ORDER BY idx DESC LIMIT 1").fetchone()
            tail = _Tail() if row is None else self._verified(row, origin)
            self._late |= self._acknowledged_are_there(db, origin)
            open_calls = {found[0] for found in db.execute("SELECT id FROM open_call")}
            inode = self._path.stat().st_ino
        except (sqlite3.Error, OSError, StoreError) as error:
            db.close()
            raise (
                error if isinstance(error, StoreError) else StoreError(f"cannot read `{self._path}`: {error}")
            ) from error
        self._db, self._origin, self._tail, self._open_calls, self._inode = db, origin, tail, open_calls, inode

    def _read_origin(self, db: sqlite3.Connection) -> str:
        found = db.execute("SELECT value FROM meta WHERE name = 'origin'").fetchone()
        if found is None:
            found = (f"jupiter/{uuid.uuid4()}",)
            created_us = str(self._clock() // 1000)
            db.execute("INSERT INTO meta VALUES ('origin', ?), ('created_us', ?)", (*found, created_us))
        return str(found[0])

    def _verified(self, row: tuple[int, int, bytes, bytes, str], origin: str) -> _Tail:
        """Return the tail, if its last leaf is the one that was written.  Signed by an older key, only its hash can tell."""
        idx, t_us, leaf, signature, stored = row
        try:
            fields = orjson.loads(leaf)
            placed = (fields["log"], fields["idx"], fields["t_us"]) == (origin, idx, t_us)
            good = placed and leaf_hash(leaf) == stored and encode(fields) == leaf
            if fields["kid"] == self._kid:
                self._identity.key.public.verify(pae(leaf), signature)
        except (ValueError, LookupError, TypeError, VerificationError):
            good = False
        if not good:
            raise StoreError(f"the last leaf of `{self._path}` is not what was written; run `jupiter evidence verify`")
        return _Tail(idx, stored, t_us)

    def _acknowledged_are_there(self, db: sqlite3.Connection, origin: str) -> set[str]:
        """Return the calls of leaves that are there and were never acknowledged.  Raises StoreError if others are missing."""
        if not self._origin:
            return set()
        known = self._tail
        found = db.execute("SELECT hash FROM leaf WHERE idx = ?", (known.idx,)).fetchone()
        if origin != self._origin or found != (known.hash,):
            raise StoreError(f"`{self._path}` is not the log that was being written; hint: restart on the right file")
        return {row[0] for row in db.execute("SELECT id FROM leaf WHERE idx > ? AND kind = 'decision'", (known.idx,))}

    def _let_go(self) -> None:
        if self._db is not None:
            db, self._db = self._db, None
            try:
                db.close()
            except sqlite3.Error as error:
                logger.error("closing the evidence store failed: %s", error)

    def _fail(self, error: Exception) -> None:
        logger.error("the evidence store failed: %s", error)
        self._failed_at_s = time.monotonic()
        self._let_go()

    def _reopen(self) -> None:
        if self._failed_at_s is not None and time.monotonic() - self._failed_at_s < RETRY_S:
            raise StoreError(f"`{self._path}` failed a moment ago and is left alone for {RETRY_S} s")
        before = self._tail.idx
        try:
            self._open()
        except StoreError:
            self._failed_at_s = time.monotonic()
            raise
        # A commit that was reported as failed may have been made all the same; what is there counts.
        ended = sorted(self._unsure & self._open_calls)
        self._write_all([control("recover", boot=self._identity.boot, known=before), *map(interrupted, ended)])
        self._unsure.clear()
        self._failed_at_s = None
        logger.warning("the evidence store works again, from leaf %d on", self._tail.idx)


def _resolve(batch: list[_Waiting]) -> None:
    for item in batch:
        if item.done is None or item.done.done():
            continue
        if item.error is not None:
            item.done.set_exception(item.error)
        else:
            item.done.set_result(item.idx)
