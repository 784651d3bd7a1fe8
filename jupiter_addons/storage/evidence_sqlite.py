"""evidence.db: the log of one gateway, written by one thread with group commit.

Whatever waits is taken together: one transaction, one fsync, one wake-up of the event loop.  A leaf is acknowledged when
the transaction that holds it has been committed with `synchronous=FULL`, and not before.

When a commit fails, nothing in it is acknowledged and the connection is thrown away: after a failed fsync the
page cache no longer says what is on the disk.  The next attempt opens anew, reads what is really there, verifies
the tail, and goes on from it with a `recover` leaf.  An index is never given to two different leaves that could both be
durable.

Calls that were decided and never ended are kept in `open_call`, in the same transactions; at start each gets an outcome
`interrupted`.
"""

import asyncio
import fcntl
import logging
import os
import queue
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from jupiter_addons.errors import StoreError
from jupiter_addons.evidence.encoding import ZERO_HASH, encode, leaf_hash, pae
from jupiter_addons.evidence.record import VERSION, Fields, control, interrupted
from jupiter_addons.evidence.signing import SigningKey
from jupiter_addons.storage.sqlite import connect

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
        self._clock = clock
        self._waiting: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._lock = _lock(path)
        self._tail = _Tail()
        self._origin = ""
        self._failed_at_s: float | None = None
        self._db: sqlite3.Connection | None = None
        try:
            self._open()
            self._write([_Waiting(control("log.open", boot=identity.boot, build=identity.build), None, None)])
            self._close_interrupted()
        except BaseException:
            self._lock.close()
            raise
        self._thread = threading.Thread(target=self._run, name="evidence", daemon=True)
        self._thread.start()

    # -- the event loop's side ----------------------------------------------------------------------------------------

    @property
    def healthy(self) -> bool:
        """Whether the last commit succeeded."""
        return self._failed_at_s is None

    def append(self, fields: Fields) -> asyncio.Future[int]:
        """Return a future of the leaf's index, done when it is durable; it fails with StoreError if it never will be."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[int] = loop.create_future()
        if self._waiting.qsize() >= MAX_WAITING:
            done.set_exception(StoreError(f"{MAX_WAITING} leaves are waiting to be written"))
        else:
            self._waiting.put(_Waiting(fields, loop, done))
        return done

    def append_nowait(self, fields: Fields) -> None:
        """Append a leaf that nobody waits for; a failure is logged."""
        if self._waiting.qsize() < MAX_WAITING:
            self._waiting.put(_Waiting(fields, None, None))

    def probe(self) -> bool:
        """Whether a leaf could be written; after a failure, has the writer try, so that it recovers without traffic."""
        failed_at_s = self._failed_at_s
        if failed_at_s is not None and time.monotonic() - failed_at_s >= RETRY_S:
            self.append_nowait(control("recover", probe=1))
        return failed_at_s is None

    def close(self) -> None:
        """Write what waits and a `log.close` leaf, then let go of the database."""
        self.append_nowait(control("log.close", boot=self._identity.boot))
        self._waiting.put(None)
        self._thread.join()
        if self._db is not None:
            self._db.close()
        self._lock.close()

    # -- the writer's side --------------------------------------------------------------------------------------------

    def _run(self) -> None:
        stopping = False
        while not stopping:
            batch = [self._waiting.get()]
            while len(batch) < MAX_BATCH and not self._waiting.empty():
                batch.append(self._waiting.get())
            stopping = None in batch
            leaves = [item for item in batch if item is not None]
            try:
                self._write(leaves)
            except StoreError as error:
                for item in leaves:
                    item.error = item.error or error
            self._acknowledge(leaves)

    def _acknowledge(self, batch: list[_Waiting]) -> None:
        loops = {item.loop for item in batch if item.loop is not None}
        for loop in loops:
            mine = [item for item in batch if item.loop is loop]
            try:
                loop.call_soon_threadsafe(_resolve, mine)
            except RuntimeError:  # the loop is closed: whoever waited is gone, what is durable stays so
                logger.debug("%d leaves have nobody left to tell", len(mine))

    def _write(self, batch: list[_Waiting]) -> None:
        """Make a batch durable.  Raises StoreError for all of it; an item that cannot be encoded fails alone."""
        if not batch:
            return
        if self._db is None:
            self._reopen()
        assert self._db is not None
        tail = _Tail(self._tail.idx, self._tail.hash, self._tail.t_us)
        rows = [row for item in batch if (row := self._seal(item, tail)) is not None]
        started = [(row[2],) for row, item in zip(rows, _good(batch), strict=True) if _starts_call(item.fields)]
        ended = [(item.fields["id"],) for item in _good(batch) if item.fields["kind"] == "outcome"]
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany("INSERT INTO leaf VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
            self._db.executemany("INSERT OR IGNORE INTO open_call VALUES (?)", started)
            self._db.executemany("DELETE FROM open_call WHERE id = ?", ended)
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            self._fail(error)
            raise StoreError(f"cannot write `{self._path}`: {error}") from error
        self._tail = tail

    def _seal(self, item: _Waiting, tail: _Tail) -> tuple[int, str, str | None, int, bytes, bytes, str] | None:
        """Give a leaf its place, encode and sign it, and move the tail on."""
        now_us = max(self._clock() // 1000, tail.t_us)
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
            "kid": identity.key.public.kid,
        }
        try:
            leaf = encode(fields)
        except ValueError as error:
            item.error = StoreError(f"a leaf could not be encoded: {error}")
            logger.error("a leaf of kind `%s` could not be encoded: %s", item.fields.get("kind"), error)
            return None
        item.idx = tail.idx = tail.idx + 1
        tail.hash, tail.t_us = leaf_hash(leaf), now_us
        signature = identity.key.sign(pae(leaf))
        return item.idx, str(fields["kind"]), fields.get("id"), now_us, leaf, signature, tail.hash

    # -- opening, failing, recovering ---------------------------------------------------------------------------------

    def _open(self) -> None:
        db = connect(self._path, MIGRATIONS)
        try:
            found = db.execute("SELECT value FROM meta WHERE name = 'origin'").fetchone()
            if found is None:
                found = (f"jupiter/{uuid.uuid4()}",)
                db.execute("INSERT INTO meta VALUES ('origin', ?)", found)
            self._origin = found[0]
            row = db.execute("SELECT idx, t_us, leaf, sig, hash FROM leaf ORDER BY idx DESC LIMIT 1").fetchone()
            self._tail = _Tail() if row is None else self._verified(row)
        except sqlite3.Error as error:
            db.close()
            raise StoreError(f"cannot read `{self._path}`: {error}") from error
        except StoreError:
            db.close()
            raise
        self._db = db

    def _verified(self, row: tuple[int, int, bytes, bytes, str]) -> _Tail:
        """Return the tail, if its last leaf is the one that was written.  Signed by an older key, only its hash can tell."""
        idx, t_us, leaf, _, stored = row
        if leaf_hash(leaf) != stored:
            raise StoreError(f"the last leaf of `{self._path}` is not what was written; run `jupiter evidence verify`")
        return _Tail(idx, stored, t_us)

    def _fail(self, error: sqlite3.Error) -> None:
        logger.error("the evidence store failed: %s", error)
        self._failed_at_s = time.monotonic()
        if self._db is not None:
            db, self._db = self._db, None
            try:
                db.close()
            except sqlite3.Error as second:
                logger.error("closing the failed evidence store failed too: %s", second)

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
        self._write([_Waiting(control("recover", boot=self._identity.boot, known=before), None, None)])
        self._failed_at_s = None
        logger.warning("the evidence store works again, from leaf %d on", self._tail.idx)

    def _close_interrupted(self) -> None:
        assert self._db is not None
        ids = [row[0] for row in self._db.execute("SELECT id FROM open_call")]
        for start in range(0, len(ids), MAX_BATCH):
            self._write([_Waiting(interrupted(call), None, None) for call in ids[start : start + MAX_BATCH]])


def _good(batch: list[_Waiting]) -> list[_Waiting]:
    return [item for item in batch if item.error is None]


def _starts_call(fields: Fields) -> bool:
    return fields["kind"] == "decision" and "outcome" not in fields


def _resolve(batch: list[_Waiting]) -> None:
    for item in batch:
        if item.done is None or item.done.done():
            continue
        if item.error is not None:
            item.done.set_exception(item.error)
        else:
            item.done.set_result(item.idx)


def _lock(path: Path) -> IO[bytes]:
    """Hold the log's lock file; released by the kernel however the process ends."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        held = path.with_name(path.name + ".lock").open("wb")
    except OSError as error:
        raise StoreError(f"cannot write beside `{path}`: {error}") from error
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        held.close()
        raise StoreError(f"another process is writing `{path}`") from error
    return held
