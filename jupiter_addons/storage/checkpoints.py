"""Syncing what was committed to the log of a SQLite database, in a thread: a sync takes as long as the disk likes.

Most of the work is done while others write, and so is never quite done: the log would grow for as long as they go on.  Once it
is long, the rest is done while nobody may write; that is little, and they wait for it.
"""

import logging
import threading
from pathlib import Path

import apsw

logger = logging.getLogger(__name__)

EVERY_S = 5.0
"""How often: no more than this is lost in a power cut."""
LOOK_S = 0.5
"""How often the length of the log is looked at."""
MANY_PAGES = 8_000
"""With so many pages in the log it is synced sooner."""
TOO_MANY_PAGES = 32_000
"""With so many, nobody writes until it is empty."""
BUSY_MS = 100


class Checkpoints:
    """Makes checkpoints of one database, over a connection of its own."""

    def __init__(self, path: Path, look_s: float = LOOK_S) -> None:
        self._look_s = look_s
        self.log_pages = 0
        """How long the log is; whoever commits says so."""
        self._path = path
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, name="limits-checkpoints", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Make no more."""
        self._ends.set()
        self._thread.join()

    def _run(self) -> None:
        db: apsw.Connection | None = None
        waited_s = 0.0
        while not self._ends.wait(self._look_s):
            waited_s += self._look_s
            if waited_s < EVERY_S and self.log_pages < MANY_PAGES:
                continue
            waited_s = 0.0
            try:
                if db is None:
                    db = apsw.Connection(str(self._path), flags=apsw.SQLITE_OPEN_READWRITE)
                    db.set_busy_timeout(BUSY_MS)
                checkpoint(db)
            except apsw.BusyError:  # another process makes one, or writes
                continue
            except apsw.Error as error:
                logger.warning("`%s` cannot be synced: %s", self._path, error)
                if db is not None:
                    db.close(True)
                    db = None
        if db is not None:
            db.close(True)


def checkpoint(db: apsw.Connection, too_many: int = TOO_MANY_PAGES) -> None:
    """Sync what is in the log, and empty it if it is too long.  Raises apsw.Error."""
    db.execute("PRAGMA user_version").fetchall()  # a connection that has read nothing does not know that there is a log
    pages, _ = db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
    if pages >= too_many:
        db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_RESTART)
