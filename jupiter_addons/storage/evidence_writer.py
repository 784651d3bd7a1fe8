"""The log of one gateway, written with group commit, whatever store it is kept in.

Whatever waits is taken together: one transaction, one fsync, one wake-up of the event loop.  A leaf is acknowledged when
the store says that the transaction that holds it is durable, and not before; `async` is the named exception,
where a leaf is acknowledged when it is queued, and carries how many such leaves a crash can take.

When a commit fails, nothing in it is acknowledged and the store is let go of: after a failed fsync the
page cache no longer says what is on the disk.  The next attempt opens anew, reads what is really there, verifies
the tail, and goes on from it with a `recover` leaf.  What it finds must still be the log that was being written, with
every acknowledged leaf in it: an index is never given to two different leaves that could both be durable.

Calls that were decided and never ended are kept in `open_call`, in the same transactions.  At start each gets an outcome
`interrupted`; so does, on recovery, a call whose leaf failed to be acknowledged and yet is there, or whose outcome was
lost.  A second decision or outcome of a call is refused: a repeated attempt to record must not spoil the log.
"""

import asyncio
import hashlib
import logging
import math
import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from jupiter_addons.errors import StoreError
from jupiter_addons.evidence.payload import Sealed
from jupiter_addons.evidence.record import Fields, control, interrupted
from jupiter_addons.storage.evidence_pace import Pace
from jupiter_addons.storage.evidence_store import Item, LogStore, NotNowError
from jupiter_addons.storage.evidence_tail import Durability, Identity

logger = logging.getLogger(__name__)

MAX_BATCH = 256
MAX_WAITING = 4096
"""With leaves of at most MAX_LEAF_BYTES that is at most 64 MiB.  In `async` it is what a crash can take."""
RETRY_S = 0.5
"""How long a failed store is left alone before it is tried again."""
IDLE_S = 1.0
"""How long the writer waits for a leaf before it brings the index of calls on."""
MAX_BEHIND = 4096
"""By so many leaves the index may be behind before it is brought on between commits."""
INDEX_STEP = 64
"""How many leaves are indexed at once between commits: two or three milliseconds."""
INDEX_RETRY_S = 60.0
"""How long the index is left alone when it could not be written."""
GATHER_S = 0.01
"""How long leaves that nobody waits for are gathered in `async` before they are written."""


@dataclass(slots=True)
class _Waiting(Item):
    loop: asyncio.AbstractEventLoop | None = None
    done: asyncio.Future[int] | None = None


class Closable(Protocol):
    """What is closed at the end."""

    def close(self) -> None:
        """Let go."""


class LogWriter:
    """The writer of one store.  There is one at a time: whoever makes it has seen to that, by `lock`."""

    def __init__(
        self,
        store: LogStore,
        identity: Identity,
        lock: Closable,
        *,
        durability: Durability = "strict",
        heartbeat_s: int | None = None,
    ) -> None:
        """Open the log and write its `log.open` leaf.  Raises StoreError; in the end, and then too, the lock is closed.

        `heartbeat_s` is what the log is to promise about heart-beats, which its owner appends.
        """
        self._identity = identity
        self._durability = durability
        self._store = store
        self._waiting: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._gathered: list[_Waiting] = []
        """What was appended in this round of the event loop."""
        self._gate = threading.Lock()
        self._turn = threading.Lock()
        """Held by whoever writes."""
        self._closed = False
        self._pace = Pace()
        self._index_from_s = 0.0
        """When the index of calls is brought on again; never, if a leaf cannot be read."""
        self._behind = 0
        self._failed_at_s: float | None = None
        self._lock = lock
        try:
            if not self._store.is_open:
                self._store.open()
            self._write_all(self._opening(heartbeat_s))
            self._behind = self._store.tail.edge.size - self._store.derived()
        except BaseException:
            self._store.close()
            self._lock.close()
            raise
        self._thread = threading.Thread(target=self._run, name="evidence", daemon=True)
        self._thread.start()

    @property
    def healthy(self) -> bool:
        """Whether the last commit succeeded."""
        return self._failed_at_s is None

    @property
    def origin(self) -> str:
        """The log's name, which is in every leaf and checkpoint."""
        return self._store.origin

    @property
    def checkpoint(self) -> str:
        """The newest checkpoint, a signed note; from any thread."""
        return self._store.note

    def append(self, fields: Fields, sealed: Sequence[Sealed] = ()) -> asyncio.Future[int]:
        """Return a future of the leaf's index, done when it is durable; it fails with StoreError if it never will be.

        `sealed` is what the leaf commits to: it becomes durable with it, or not at all.  In `async` the future is done
        when the leaf is queued, with -1 for an index that is not known yet.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[int] = loop.create_future()
        if self._durability == "async":
            refused = self._enqueue(_Waiting(fields, sealed))
            done.set_exception(refused) if refused is not None else done.set_result(-1)
            return done
        self._gathered.append(_Waiting(fields, sealed, loop=loop, done=done))
        if len(self._gathered) == 1:
            loop.call_soon(self._hand_over)
        return done

    def _hand_over(self) -> None:
        """See to what one round of the event loop has appended: one commit for all of it, made here or by the writer."""
        gathered, self._gathered = self._gathered, []
        if self._commit_here(gathered):
            return
        for item in gathered:
            refused = self._enqueue(item)
            if refused is not None and item.done is not None and not item.done.done():
                item.done.set_exception(refused)

    def _commit_here(self, items: list[_Waiting]) -> bool:
        if not self._pace.allows(time.monotonic()) or self._failed_at_s is not None or self._closed:
            return False
        if not self._waiting.empty() or not self._turn.acquire(blocking=False):
            return False
        try:
            if not self._store.is_open or not self._begin_here():
                return False
            self._write(items, inline=True)
        finally:
            self._turn.release()
        _resolve(items)
        return True

    def _begin_here(self) -> bool:
        """Begin a transaction without waiting for anybody; if that fails, the writer will meet the same and say so."""
        try:
            begun = self._store.begin_at_once()
        except StoreError:
            begun = False
        if not begun:
            self._pace.hold()
        return begun

    def append_nowait(self, fields: Fields) -> None:
        """Append a leaf that nobody waits for, from any thread; a failure is logged."""
        refused = self._enqueue(_Waiting(fields))
        if refused is not None:
            logger.error("a leaf of kind `%s` is lost: %s", fields.get("kind"), refused)

    def probe(self) -> bool:
        """Whether a leaf could be written; after a failure, has the writer try, so that it recovers without traffic."""
        failed_at_s = self._failed_at_s
        if failed_at_s is not None and time.monotonic() - failed_at_s >= RETRY_S and self._waiting.empty():
            self._enqueue(_Waiting({}))
        return failed_at_s is None

    def close(self) -> None:
        """Write what waits and a `log.close` leaf, then let go of the database.  A second call changes nothing."""
        self._pace.hold()
        self._hand_over()
        with self._gate:
            if self._closed:
                return
            self._closed = True
            self._waiting.put(_Waiting(control("log.close", boot=self._identity.boot)))
            self._waiting.put(None)
        self._thread.join()
        self._store.shrink()
        self._store.close()
        self._lock.close()

    def _opening(self, heartbeat_s: int | None) -> list[Fields]:
        """Return the leaves that a start begins with."""
        identity, store = self._identity, self._store
        keys = identity.keys.manifest
        detail: dict[str, str | int] = {"build": identity.build, "durability": self._durability, "keys": keys.serial}
        if heartbeat_s is not None:
            detail["heartbeat_s"] = heartbeat_s
        leaves = [control("log.open", boot=identity.boot, **detail)]
        digest = hashlib.sha256(str(keys).encode()).hexdigest()
        for use, old in store.former_keys(identity.keys).items():
            new = keys.active(use).kid
            leaves.append(control("key.rotate", use=use, old=old, new=new, serial=keys.serial, manifest_sha256=digest))
        return [*leaves, *map(interrupted, sorted(store.open_calls))]

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
            batch = self._next()
            stopping = bool(batch) and batch[-1] is None
            leaves = [item for item in batch if item is not None and item.fields]
            with self._turn:
                if batch:
                    self._write(leaves)
                self._bring_on(idle=not batch)
            self._acknowledge(leaves)

    def _next(self) -> list[_Waiting | None]:
        """Return what waits, once there is something; nothing if for a while there is not."""
        try:
            batch: list[_Waiting | None] = [self._waiting.get(timeout=IDLE_S if self._behind else None)]
        except queue.Empty:
            return []
        if self._durability == "async":
            time.sleep(GATHER_S)
        while len(batch) < MAX_BATCH and not self._waiting.empty():
            batch.append(self._waiting.get())
        return batch

    def _write(self, leaves: list[_Waiting], *, inline: bool = False) -> None:
        """Write leaves, or give each the reason why not: whatever happens, the writer lives and every waiter is told."""
        reason = self._attempt(leaves, inline=inline)
        while reason is not None and self._durability == "async" and not self._closed:
            time.sleep(RETRY_S)  # they are acknowledged: they are kept, and what comes meanwhile waits behind them
            leaves = [item for item in leaves if item.error is None]
            reason = self._attempt(leaves, inline=inline)
        if reason is None:
            return
        for item in leaves:
            item.error = item.error or StoreError(reason)
            if item.fields.get("kind") == "outcome" and item.fields.get("id") in self._store.open_calls:
                self._store.unsure.add(item.fields["id"])
        if lost := sum(item.done is None for item in leaves):
            logger.error("%d leaves that nobody waits for are lost: %s", lost, reason)

    def _attempt(self, leaves: Sequence[Item], *, inline: bool) -> str | None:
        """Write leaves; return the reason if that failed for all of them."""
        try:
            if not self._store.is_open:
                self._reopen()
            started_s = time.monotonic()
            self._store.write(leaves)
            self._pace.note(started_s, time.monotonic(), inline=inline)
        except StoreError as error:
            self._fail(error)
            return str(error)
        except Exception as error:
            logger.exception("the evidence writer failed")
            self._fail(error)
            return f"the evidence writer failed: {type(error).__name__}"
        self._behind += len(leaves) if self._index_from_s < math.inf else 0
        return None

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
            batch = [Item(fields) for fields in leaves[start : start + MAX_BATCH]]
            self._store.write(batch)
            for item in batch:
                if item.error is not None:
                    raise item.error

    def _bring_on(self, *, idle: bool) -> None:
        """Do what no call waits for: let the store tidy up, bring the index of calls on."""
        if not self._store.is_open:
            return
        try:
            self._store.settle(idle=idle)
        except StoreError as error:
            self._fail(error)
            return
        if time.monotonic() < self._index_from_s or not (idle or self._behind > MAX_BEHIND):
            return
        try:
            while done := self._store.derive(INDEX_STEP):
                self._behind -= done
                if not idle or not self._waiting.empty():
                    return
        except NotNowError as error:
            logger.error("the index of calls waits: %s", error)
            self._index_from_s = time.monotonic() + INDEX_RETRY_S
            return
        except StoreError as error:
            logger.error("the index of calls stops here; searching reads the leaves instead: %s", error)
            self._index_from_s = math.inf
        self._behind = 0

    def _fail(self, error: Exception) -> None:
        if self._store.is_open:
            logger.error("the evidence store failed: %s", error)
            self._store.let_go()
            self._failed_at_s = time.monotonic()
        self._pace.hold()

    def _reopen(self) -> None:
        if self._failed_at_s is not None and time.monotonic() - self._failed_at_s < RETRY_S:
            raise StoreError(f"`{self._store.name}` failed a moment ago and is left alone for {RETRY_S} s")
        store, before = self._store, self._store.tail.idx
        try:
            store.open()
            leaves = [control("recover", boot=self._identity.boot, known=before)]
            if self._durability == "strict":
                # A commit that was reported as failed may have been made all the same; what is there counts.
                leaves += map(interrupted, sorted(store.unsure & store.open_calls))
            self._write_all(leaves)
        except StoreError:
            store.let_go()
            self._failed_at_s = time.monotonic()
            raise
        store.unsure.clear()
        self._failed_at_s = None
        logger.warning("the evidence store works again, from leaf %d on", store.tail.idx)


def _resolve(batch: list[_Waiting]) -> None:
    for item in batch:
        if item.done is None or item.done.done():
            continue
        if item.error is not None:
            item.done.set_exception(item.error)
        else:
            item.done.set_result(item.idx)
