"""limits.db: the store of the processes of one host.  It outlives them, however they end.

Each method is one transaction, at once and in the thread that calls: going through another thread would cost more than the
transaction, and would not be sooner done.  So nothing here may take long.  Whoever meets a transaction of another process waits
for `WAIT_S` at most; after that, or if anything else is wrong, the store fails at once for a while (`PAUSE_S`), so that a disk
or a process that hangs does not take the event loop with it.  What syncs, the checkpoints, is done by a thread.

A commit is written to the log and not synced: it survives the process, and not a power cut.  How far a store is to be
trusted after one, `doubt` says.
"""

import logging
import struct
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import apsw

from jupiter_addons.errors import StoreError
from jupiter_addons.limits.counting import MAX_SUBJECTS, Counting
from jupiter_addons.limits.store import Count, Counter, Expired, Held, Short, Take, Taken
from jupiter_addons.limits.tables import NS
from jupiter_addons.storage.checkpoints import Checkpoints
from jupiter_addons.storage.limits_books import MIGRATIONS, SqliteBooks
from jupiter_addons.storage.sqlite import make, too_new
from jupiter_addons.storage.steady import Anchor, anchored, boot_id, boot_ns

logger = logging.getLogger(__name__)

WAIT_S = 0.02
"""The longest that a call waits for another process."""
FIRST_WAIT_S = 5.0
"""The longest that opening the store at start waits."""
PAUSE_S = 0.2
"""How long a store that failed is left alone: nine tenths of the event loop's time at least are its own."""
LOOK_S = 60
"""How often it is written down what time it is while nothing is taken."""
SPIN_S = 0.0002
"""How often it is looked whether another process has ended its transaction."""

type Doubt = Literal["lost", "stale"]
"""`lost`: nothing is known of what was taken.  `stale`: the machine was started anew, what was taken last may be missing."""


class SqliteStore:
    """See `store.Store` for the contract."""

    def __init__(
        self,
        path: Path,
        *,
        kernel_ns: Callable[[], int] = boot_ns,
        wall_s: Callable[[], float] = time.time,
        boot: str | None = None,
        max_subjects: int = MAX_SUBJECTS,
    ) -> None:
        """Open or create the database.  Raises StoreError; `kernel_ns` and `boot` are the clock and the name of this boot."""
        self._path = path
        self._kernel_ns = kernel_ns
        self._boot = boot_id() if boot is None else boot
        self._offset_ns = 0
        self._wait_s = FIRST_WAIT_S
        self._waiting_s = 0.0
        self._rest_until_s = 0.0
        self._why = ""
        self._closed = False
        self._has_changed = False
        self._seen_ns = 0
        self.doubt: Doubt | None = None
        self._books = SqliteBooks(wall_s)
        self._counting = Counting(self._books, self._now_ns, max_subjects)
        self._db: apsw.Connection | None = None
        self._inode = 0
        self._checkpoints = Checkpoints(path)
        self._open()
        self._wait_s = WAIT_S
        self._checkpoints.start()

    def _now_ns(self) -> int:
        return self._kernel_ns() + self._offset_ns

    # -- the contract -------------------------------------------------------------------------------------------------

    def reserve(self, call_id: str, takes: Sequence[Take], lease_s: float) -> Held | Short:
        """Take everything or nothing."""
        return self._do(self._counting.reserve, call_id, takes, lease_s)

    def extend(self, call_id: str, more: Sequence[int]) -> Held | Short:
        """Take more, or nothing."""
        return self._do(self._counting.extend, call_id, more)

    def settle(self, call_id: str, amounts: Sequence[int]) -> bool:
        """End a call at what it truly came to."""
        return self._do(self._counting.settle, call_id, amounts)

    def renew(self, call_ids: Iterable[str], lease_s: float) -> Sequence[str]:
        """Let leases last from now; return the calls that were not open any more."""

        def renew() -> Sequence[str]:
            until_ns, cursor, lost = self._now_ns() + int(lease_s * NS), self._books.cursor, []
            for call_id in call_ids:
                statement = "UPDATE hold SET until_ns = ? WHERE id = ? RETURNING 1"
                if cursor.execute(statement, (until_ns, call_id)).fetchone() is None:
                    lost.append(call_id)
            return lost

        return self._do(renew)

    def tend(self, most: int = 1000) -> Sequence[Expired]:
        """End what has run out, and forget what is empty."""
        if self._db is not None and not self._is_in_place():
            raise self._fail(StoreError(f"`{self._path}` is gone"))

        def tend() -> Sequence[Expired]:
            now_ns = self._now_ns()
            if self._has_changed or now_ns - self._seen_ns > LOOK_S * NS:
                self._keep(Anchor(self._boot, self._offset_ns, now_ns))
            return self._counting.tend(most)

        found = self._do(tend)
        self._has_changed = False
        return found

    def usage(self, counters: Sequence[Counter]) -> Sequence[Count]:
        """Return what counters hold."""
        return self._do(self._counting.usage, counters, begin="BEGIN")

    def adjust(self, counter: Counter, change: int) -> None:
        """Count so much more, or less."""
        self._do(self._counting.adjust, counter, change)

    def reset(self, counters: Sequence[Counter]) -> None:
        """Forget what was taken, except what open calls hold."""
        self._do(self._counting.reset, counters)

    def restore(self, taken: Iterable[Taken]) -> None:
        """Count what the evidence says was taken; the store is no longer lost then."""

        def restore() -> None:
            self._counting.restore(taken)
            self._books.cursor.execute("INSERT OR REPLACE INTO meta VALUES ('restored', 1)")

        self._do(restore, restoring=True)
        self.doubt = None

    def vouch(self) -> None:
        """Know that what the evidence has is counted: the store is no longer stale."""

        def vouch() -> None:
            self._books.cursor.execute("DELETE FROM meta WHERE name = 'stale'")

        self._do(vouch)
        self.doubt = None

    def open_calls(self) -> int:
        """Return how many calls are not settled."""
        return self._do(self._counting.open_calls, begin="BEGIN")

    def close(self) -> None:
        """Let go of the database; a second call changes nothing."""
        if self._closed:
            return
        self._closed = True
        self._checkpoints.stop()
        self._let_go()

    # -- transactions -------------------------------------------------------------------------------------------------

    def _do[*Ts, T](
        self, what: Callable[[*Ts], T], *args: *Ts, begin: str = "BEGIN IMMEDIATE", restoring: bool = False
    ) -> T:
        """Do something in a transaction.  Raises StoreError, after which nothing is done."""
        if self._db is None or time.monotonic() < self._rest_until_s:
            self._reopen()
        books = self._books
        execute = books.cursor.execute
        try:
            execute(begin)
            if self.doubt == "lost" and not restoring:
                self._was_restored()
            found = what(*args)
            books.flush()
            execute("COMMIT")
            return found
        except (apsw.Error, struct.error, OverflowError) as error:
            raise self._fail(error) from error
        except BaseException:
            self._roll_back()
            raise
        finally:
            books.forget()

    def _was_restored(self) -> None:
        if self._books.cursor.execute("SELECT 1 FROM meta WHERE name = 'restored'").fetchone() is None:
            raise StoreError(f"`{self._path}` does not know what was taken before it was made")
        self.doubt = None

    def _roll_back(self) -> None:
        db = self._db
        self._books.undo()
        try:
            if db is not None and db.in_transaction:
                self._books.cursor.execute("ROLLBACK")
        except apsw.Error:  # what was not committed is not there for whoever opens it next
            self._let_go()

    def _fail(self, error: Exception) -> StoreError:
        """Leave the store alone for a while; one that is only busy stays open."""
        self._roll_back()
        if not isinstance(error, apsw.BusyError):
            self._let_go()
        what = "another process keeps it locked" if isinstance(error, apsw.BusyError) else str(error)
        if not self._why:
            logger.error("`%s` cannot be used: %s", self._path, what)
        self._why = what
        self._rest_until_s = time.monotonic() + PAUSE_S
        return error if isinstance(error, StoreError) else StoreError(f"cannot use `{self._path}`: {what}")

    # -- the database -------------------------------------------------------------------------------------------------

    def _reopen(self) -> None:
        if self._closed:
            raise StoreError(f"`{self._path}` is closed")
        if time.monotonic() < self._rest_until_s:
            raise StoreError(f"`{self._path}` failed a moment ago: {self._why}")
        try:
            if not self._path.exists():
                raise StoreError(f"`{self._path}` is gone")
            self._open()
        except StoreError as error:
            raise self._fail(error) from error
        logger.warning("`%s` can be used again", self._path)

    def _open(self) -> None:
        """Open, create and migrate the database, and find out what time it is there.  Raises StoreError."""
        try:
            make(self._path)
            db = self._db = apsw.Connection(str(self._path))
            self._inode = self._path.stat().st_ino
            db.set_busy_handler(self._wait)
            cursor = self._books.cursor = db.cursor()
            for pragma in ("page_size = 2048", "journal_mode = WAL", "synchronous = NORMAL", "trusted_schema = OFF"):
                cursor.execute(f"PRAGMA {pragma}").fetchall()
            cursor.execute("BEGIN IMMEDIATE")  # several processes may start at once
            self._migrate(cursor)
            self._look_at_the_clock(cursor)
            cursor.execute("COMMIT")
            db.set_wal_hook(self._committed)
        except (apsw.Error, OSError, StoreError) as error:
            self._let_go()
            raise (
                error if isinstance(error, StoreError) else StoreError(f"cannot open `{self._path}`: {error}")
            ) from error
        self._why = ""

    def _migrate(self, cursor: apsw.Cursor) -> None:
        ((version,),) = cursor.execute("PRAGMA user_version").fetchall()
        assert isinstance(version, int)
        if version > len(MIGRATIONS):
            raise too_new(self._path, version, len(MIGRATIONS))
        for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
            cursor.execute(f"{script}; PRAGMA user_version = {number}")

    def _look_at_the_clock(self, cursor: apsw.Cursor) -> None:
        rows: list[Any] = cursor.execute("SELECT name, value FROM meta").fetchall()
        kept = dict(rows)
        last = Anchor(kept["boot"], kept["offset_ns"], kept["seen_ns"]) if "boot" in kept else None
        anchor = anchored(last, self._boot, self._kernel_ns())
        if last is not None and (last.boot, last.offset_ns) != (anchor.boot, anchor.offset_ns):
            cursor.execute("INSERT OR REPLACE INTO meta VALUES ('stale', 1)")
            kept["stale"] = 1
        self._offset_ns = anchor.offset_ns
        self._keep(anchor)
        self.doubt = "lost" if "restored" not in kept else "stale" if "stale" in kept else None

    def _keep(self, anchor: Anchor) -> None:
        values = (("boot", anchor.boot), ("offset_ns", anchor.offset_ns), ("seen_ns", anchor.seen_ns))
        self._books.cursor.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", values)
        self._seen_ns = anchor.seen_ns

    def _is_in_place(self) -> bool:
        try:
            return self._path.stat().st_ino == self._inode
        except OSError:
            return False

    def _wait(self, before: int) -> bool:
        """Wait a little for another process, unless that was long enough."""
        if not before:
            self._waiting_s = time.monotonic()
        if time.monotonic() - self._waiting_s >= self._wait_s:
            return False
        time.sleep(SPIN_S)
        return True

    def _committed(self, _db: apsw.Connection, _name: str, pages: int) -> int:
        self._has_changed = True
        self._checkpoints.log_pages = pages
        return apsw.SQLITE_OK

    def _let_go(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            try:
                db.close(True)
            except apsw.Error as error:
                logger.error("closing `%s` failed: %s", self._path, error)
