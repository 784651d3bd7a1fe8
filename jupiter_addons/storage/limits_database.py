"""The database behind the counters of one host: opened, migrated, told the time, locked, and let go of when it fails.

Each thing that is done is one transaction, in the thread that asks: going through another thread would cost more than the
transaction itself.  If another process is in the middle of one, that is `BusyError` after a moment, and who asked may ask
again; if anything else is wrong, the database fails at once for a while (`PAUSE_S`), so that a disk that hangs does not take
the event loop with it.  What syncs, the checkpoints, is done by a thread.

A commit is written to the log and not synced: it survives the process, and not a power cut.  How far what is there can be
trusted after one, `doubt` says.
"""

import logging
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import apsw

from jupiter_addons.errors import StoreError
from jupiter_addons.limits.tables import NS
from jupiter_addons.storage.checkpoints import Checkpoints
from jupiter_addons.storage.limits_books import MIGRATIONS, SqliteBooks
from jupiter_addons.storage.sqlite import make, too_new
from jupiter_addons.storage.steady import Anchor, anchored

logger = logging.getLogger(__name__)

SPIN_S = 0.002
"""The longest that a call waits for another process without letting go of the event loop."""
WAIT_S = 0.02
"""The longest that anything else does."""
FIRST_WAIT_S = 5.0
"""The longest that the start waits."""
PAUSE_S = 0.2
"""How long a database that failed is left alone."""
LOOK_S = 60
"""How often it is written down what time it is while nothing is taken."""
STEP_S = 0.0002
"""How often it is looked whether another process has ended its transaction."""

type Doubt = Literal["lost", "stale"]
"""`lost`: nothing is known of what was taken.  `stale`: the machine was started anew, what was taken last may be missing."""


class BusyError(StoreError):
    """Another process is in the middle of a transaction."""


class LimitsDatabase:
    """One process's connection, and the books in it."""

    def __init__(self, path: Path, books: SqliteBooks, kernel_ns: Callable[[], int], boot: str) -> None:
        """Open or create the database.  Raises StoreError; `kernel_ns` and `boot` are the clock and the name of this boot."""
        self.path = path
        self.doubt: Doubt | None = None
        self._books = books
        self._kernel_ns = kernel_ns
        self._boot = boot
        self._offset_ns = 0
        self._wait_s = FIRST_WAIT_S
        self._waiting_s = 0.0
        self._rest_until_s = 0.0
        self._why = ""
        self._closed = False
        self._has_changed = False
        self._seen_ns = 0
        self._db: apsw.Connection | None = None
        self._inode = 0
        self._checkpoints = Checkpoints(path)
        self._open()
        self._checkpoints.start()

    def now_ns(self) -> int:
        """Return what time it is by the clock of all processes."""
        return self._kernel_ns() + self._offset_ns

    def do[*Ts, T](
        self,
        what: Callable[[*Ts], T],
        *args: *Ts,
        writes: bool = True,
        wait_s: float = WAIT_S,
        restoring: bool = False,
    ) -> T:
        """Do something in a transaction; one that only reads waits for nobody.  Raises StoreError, and nothing is done then."""
        if self._db is None or self._why:
            self._ready()
        self._wait_s = wait_s
        books = self._books
        execute = books.cursor.execute
        try:
            execute("BEGIN IMMEDIATE" if writes else "BEGIN")
            if self.doubt == "lost" and not restoring:
                self._was_restored()
            found = what(*args)
            books.flush()
            execute("COMMIT")
            return found
        except apsw.BusyError as error:
            self._roll_back()
            raise BusyError(f"`{self.path}` is locked by another process") from error
        except (apsw.Error, struct.error, OverflowError) as error:
            raise self.fail(error) from error
        except BaseException:
            self._roll_back()
            raise
        finally:
            books.forget()

    def fail(self, error: Exception) -> StoreError:
        """Leave the database alone for a while, and return what is said of that."""
        self._roll_back()
        if not isinstance(error, BusyError):
            self._let_go()
        if not self._why:
            logger.error("`%s` cannot be used: %s", self.path, error)
        self._why = str(error)
        self._rest_until_s = time.monotonic() + PAUSE_S
        return error if isinstance(error, StoreError) else StoreError(f"cannot use `{self.path}`: {error}")

    def note_the_time(self) -> None:
        """Write down what time it is, in a transaction, if something was taken lately, or that was long ago."""
        now_ns = self.now_ns()
        if self._has_changed or now_ns - self._seen_ns > LOOK_S * NS:
            self._keep(Anchor(self._boot, self._offset_ns, now_ns))
            self._has_changed = False

    def look(self) -> None:
        """Raise StoreError if the database is not where it was opened."""
        try:
            is_there = self.path.stat().st_ino == self._inode
        except OSError:
            is_there = False
        if self._db is not None and not is_there:
            raise self.fail(StoreError(f"`{self.path}` is gone"))

    def close(self) -> None:
        """Let go of everything; a second call changes nothing."""
        if not self._closed:
            self._closed = True
            self._checkpoints.stop()
            self._let_go()

    def _was_restored(self) -> None:
        if self._books.cursor.execute("SELECT 1 FROM meta WHERE name = 'restored'").fetchone() is None:
            raise StoreError(f"`{self.path}` does not know what was taken before it was made")
        self.doubt = None

    def _roll_back(self) -> None:
        db = self._db
        self._books.undo()
        try:
            if db is not None and db.in_transaction:
                self._books.cursor.execute("ROLLBACK")
        except apsw.Error:  # what was not committed is not there for whoever opens it next
            self._let_go()

    def _ready(self) -> None:
        """Be open, unless that failed a moment ago."""
        if self._closed:
            raise StoreError(f"`{self.path}` is closed")
        if time.monotonic() < self._rest_until_s:
            raise StoreError(f"`{self.path}` failed a moment ago: {self._why}")
        if self._db is None:
            try:
                if not self.path.exists():
                    raise StoreError(f"`{self.path}` is gone")
                self._open()
            except StoreError as error:
                raise self.fail(error) from error
        logger.warning("`%s` is used again", self.path)
        self._why = ""

    def _open(self) -> None:
        """Open, create and migrate the database, and find out what time it is there.  Raises StoreError."""
        try:
            make(self.path)
            db = self._db = apsw.Connection(str(self.path))
            self._inode = self.path.stat().st_ino
            db.set_busy_handler(self._wait)
            cursor = self._books.cursor = db.cursor()
            for pragma in ("page_size = 2048", "journal_mode = WAL", "synchronous = NORMAL", "trusted_schema = OFF"):
                cursor.execute(f"PRAGMA {pragma}").fetchall()
            cursor.execute("BEGIN IMMEDIATE")  # several processes may start at once
            self._migrate(cursor)
            self._find_the_time(cursor)
            cursor.execute("COMMIT")
            db.set_wal_hook(self._committed)
        except (apsw.Error, OSError, StoreError) as error:
            self._let_go()
            raise (
                error if isinstance(error, StoreError) else StoreError(f"cannot open `{self.path}`: {error}")
            ) from error

    def _migrate(self, cursor: apsw.Cursor) -> None:
        ((version,),) = cursor.execute("PRAGMA user_version").fetchall()
        assert isinstance(version, int)
        if version > len(MIGRATIONS):
            raise too_new(self.path, version, len(MIGRATIONS))
        for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
            cursor.execute(f"{script}; PRAGMA user_version = {number}")

    def _find_the_time(self, cursor: apsw.Cursor) -> None:
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

    def _wait(self, before: int) -> bool:
        """Wait a little for another process, unless that was long enough."""
        if not before:
            self._waiting_s = time.monotonic()
        if time.monotonic() - self._waiting_s >= self._wait_s:
            return False
        time.sleep(STEP_S)
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
                logger.error("closing `%s` failed: %s", self.path, error)
