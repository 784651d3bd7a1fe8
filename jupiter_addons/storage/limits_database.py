"""The database behind the counters of one host: opened, migrated, told the time, locked, and let go of when it fails.

Each thing that is done is one transaction, in the thread that asks: going through another thread would cost more than the
transaction itself.  A process that has the database to itself makes one a second instead, see `limits_kept`.  If another
process is in the middle of one, that is `BusyError` after a moment, and who asked may ask again; if anything else is wrong, the
database fails at once for a while (`PAUSE_S`), so that a disk that hangs does not take the event loop with it.  What syncs, the
checkpoints, is done by a thread.

A commit is written to the log and not synced: it survives the process, and not a power cut.  How far what is there can be
trusted after one, `doubt` says.
"""

import contextlib
import logging
import struct
import time
from collections.abc import Callable
from pathlib import Path

import apsw

from jupiter_addons.errors import StoreError
from jupiter_addons.limits.tables import NS
from jupiter_addons.storage import limits_meta
from jupiter_addons.storage.checkpoints import Checkpoints
from jupiter_addons.storage.limits_books import MIGRATIONS
from jupiter_addons.storage.limits_journal import Journal
from jupiter_addons.storage.limits_kept import KeptBooks
from jupiter_addons.storage.limits_meta import Doubt
from jupiter_addons.storage.limits_presence import Presence
from jupiter_addons.storage.sqlite import make, too_new
from jupiter_addons.storage.steady import Anchor

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
ALONE_AFTER_S = 10.0
"""How often a process that had to share it looks whether it could have it to itself again."""
STEP_S = 0.0002
"""How often it is looked whether another process has ended its transaction."""


class BusyError(StoreError):
    """Another process is in the middle of a transaction."""


class LimitsDatabase:
    """One process's connection, and the books in it."""

    def __init__(
        self, path: Path, books: KeptBooks, kernel_ns: Callable[[], int], boot: str, *, alone: bool = False
    ) -> None:
        """Open or create the database.  Raises StoreError; `kernel_ns` and `boot` are the clock and the name of this boot.

        `alone`: to have it to itself for as long as no other process wants it.
        """
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
        """Whether something was taken since it was written down what time it is."""
        self._has_noted = False
        """Whether the transaction that is under way says what time it is."""
        self._seen_ns = 0
        self._db: apsw.Connection | None = None
        self._inode = 0
        self._wants_alone = alone
        self.is_alone = False
        self._alone_at_s = 0.0
        """When it is tried again to be alone."""
        self._presence: Presence | None = None
        self._journal: Journal | None = None
        self._checkpoints = Checkpoints(path)
        try:
            self._open()
        except StoreError:
            self._leave()  # nobody will close what was not made
            raise
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
        if self.is_alone:
            return self._do_alone(what, *args, restoring=restoring)
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

    def step[*Ts, T](self, what: Callable[[*Ts], T], *args: *Ts, writes: bool = True, wait_s: float = WAIT_S) -> T:
        """Do what calls wait for: in memory, with what has changed in the journal, where that can be.  Raises StoreError."""
        if not self.is_alone or self.doubt == "lost" or self._db is None or self._why:
            return self.do(what, *args, writes=writes, wait_s=wait_s)
        books, journal = self._books, self._journal
        assert journal is not None
        try:
            found = what(*args)
            step = books.step()
            if step is not None:
                journal.append(step)
                self._has_changed = True
                books.count()
        except (apsw.Error, OSError, struct.error, OverflowError) as error:
            raise self.fail(error) from error
        except BaseException:
            if books.is_changing:
                self._let_go()  # what counts is what was written, and will be read again
            raise
        finally:
            books.forget()
        if journal.is_long or books.is_far_behind:
            # the step is written down and counts: if this fails, that is for whoever asks next, and for the log
            with contextlib.suppress(StoreError):
                self.do(_nothing, wait_s=0.0)
        return found

    def _do_alone[*Ts, T](self, what: Callable[[*Ts], T], *args: *Ts, restoring: bool) -> T:
        """Do something in a transaction that begins with writing down all that was kept."""
        books, journal, execute = self._books, self._journal, self._books.cursor.execute
        assert journal is not None
        try:
            execute("BEGIN IMMEDIATE")
            if self.doubt == "lost" and not restoring:
                self._was_restored()
        except apsw.BusyError as error:  # of whoever makes a checkpoint
            raise BusyError(f"`{self.path}` is locked by another process") from error
        except StoreError:
            execute("ROLLBACK")
            raise
        except apsw.Error as error:
            raise self.fail(error) from error
        has_steps = not journal.is_empty  # else nothing is written: a gateway at rest leaves its disk alone
        try:
            books.settle()
            if has_steps:
                limits_meta.took_over(books.cursor, journal.generation)
            found = what(*args)
            books.flush()
            execute("COMMIT")
        except (apsw.Error, OSError, struct.error, OverflowError) as error:
            raise self.fail(error) from error
        except BaseException:
            self._let_go()
            raise
        try:
            books.forget()
            if has_steps:
                journal.begin(journal.generation + 1)
            books.keep()
        except (apsw.Error, OSError) as error:  # what was asked for is done, and is answered
            self.fail(error)
        return found

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
            limits_meta.keep_time(self._books.cursor, Anchor(self._boot, self._offset_ns, now_ns))
            self._seen_ns, self._has_noted = now_ns, True

    def look(self) -> None:
        """Raise StoreError if the database is not where it was opened."""
        try:
            is_there = self.path.stat().st_ino == self._inode
            stays = self._presence is None or self._presence.is_there
        except OSError:
            is_there = stays = False
        if self._db is not None and not (is_there and stays):
            gone = self.path if not is_there or self._presence is None else self._presence.path
            if is_there and self.is_alone:
                with contextlib.suppress(StoreError):  # it has failed then, and says so
                    self.do(_nothing)
            error = self.fail(StoreError(f"`{gone}` is gone"))
            self._leave()
            self._alone_at_s = time.monotonic() + ALONE_AFTER_S  # others may not have missed it yet
            raise error

    def give_way(self) -> None:
        """Share it with others if any have come, have it alone again if all have gone.  Raises StoreError."""
        presence = self._presence
        if presence is None or self._db is None or not self._wants_alone:
            return
        if self.is_alone:
            if presence.is_wanted:
                self.do(_nothing)
                self._books.undo()
                self.is_alone = False
                presence.share(0.0)
                self._alone_at_s = time.monotonic() + ALONE_AFTER_S
                logger.info("`%s` is shared with another process from now on", self.path)
        elif time.monotonic() >= self._alone_at_s:
            self._alone_at_s = time.monotonic() + ALONE_AFTER_S
            if not presence.is_wanted and presence.be_alone():
                self._be_alone()

    def close(self) -> None:
        """Let go of everything; a second call changes nothing."""
        if self._closed:
            return
        if self.is_alone and self._db is not None and self._books.is_behind:
            try:
                self.do(_nothing)
            except StoreError as error:  # it is in the journal
                logger.warning("`%s` will take over what was counted last when it is opened: %s", self.path, error)
        self._closed = True
        self._checkpoints.stop()
        self._let_go()
        self._leave()

    def _was_restored(self) -> None:
        if limits_meta.doubt(self._books.cursor) == "lost":
            raise StoreError(f"`{self.path}` does not know what was taken before it was made")
        self.doubt = None

    def _roll_back(self) -> None:
        db = self._db
        self._has_noted = False
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
            presence = self._come()
            db = self._db = apsw.Connection(str(self.path))
            self._inode = self.path.stat().st_ino
            db.set_busy_handler(self._wait)
            cursor = self._books.cursor = db.cursor()
            for pragma in ("page_size = 2048", "journal_mode = WAL", "synchronous = NORMAL", "trusted_schema = OFF"):
                cursor.execute(f"PRAGMA {pragma}").fetchall()
            cursor.execute("BEGIN IMMEDIATE")  # several processes may start at once
            self._migrate(cursor)
            generation, steps, is_torn = Journal(presence.path, presence.fd).read()
            self._books.take_over(limits_meta.due(cursor, generation, steps, is_torn=is_torn))
            anchor = limits_meta.found_time(cursor, self._boot, self._kernel_ns())
            self._offset_ns, self._seen_ns = anchor.offset_ns, anchor.seen_ns
            self.doubt = limits_meta.doubt(cursor)
            cursor.execute("COMMIT")
            db.set_wal_hook(self._committed)
            if self.is_alone:
                self._be_alone()
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

    def _come(self) -> Presence:
        """Be one of those who use the database, or the only one.  Raises OSError, StoreError."""
        presence = self._presence = self._presence or Presence(self.path.with_name(f"{self.path.name}-steps"))
        may_be_alone = self._wants_alone and time.monotonic() >= self._alone_at_s
        self.is_alone = may_be_alone and presence.be_alone()
        if not self.is_alone:
            presence.share(FIRST_WAIT_S)
        return presence

    def _leave(self) -> None:
        presence, self._presence, self._journal = self._presence, None, None
        if presence is not None:
            presence.close()

    def _be_alone(self) -> None:
        """Begin to keep in memory what is counted.  Raises StoreError."""
        presence = self._presence
        assert presence is not None
        try:
            journal = self._journal = Journal(presence.path, presence.fd)
            journal.begin(limits_meta.generation(self._books.cursor) + 1)
            self._books.keep()
        except (apsw.Error, OSError) as error:
            raise self.fail(error) from error
        self.is_alone = True

    def _wait(self, before: int) -> bool:
        """Wait a little for another process, unless that was long enough."""
        if not before:
            self._waiting_s = time.monotonic()
        if time.monotonic() - self._waiting_s >= self._wait_s:
            return False
        time.sleep(STEP_S)
        return True

    def _committed(self, _db: apsw.Connection, _name: str, pages: int) -> int:
        self._has_changed, self._has_noted = not self._has_noted, False
        self._checkpoints.log_pages = pages
        return apsw.SQLITE_OK

    def _let_go(self) -> None:
        db, self._db = self._db, None
        self._has_noted = False
        self._books.undo()
        if db is not None:
            try:
                db.close(True)
            except apsw.Error as error:
                logger.error("closing `%s` failed: %s", self.path, error)


def _nothing() -> None:
    """Do nothing, in a transaction that is made for what comes with it."""
