"""A log in PostgreSQL whose process has closed it, opened again by another to say that it is pruned.

Processes come and go, on hosts that do as well, and each leaves a log behind.  Of a log that was closed nothing waits in a
spool anywhere, so that whoever holds its lock may add to it; of one whose process was killed something may, and it is left
alone unless somebody says that the process will not come back.
"""

import time
from collections.abc import Callable

import psycopg

from jupiter_addons.errors import StoreError, VerificationError
from jupiter_addons.storage import evidence_postgres_index, evidence_tree, postgres
from jupiter_addons.storage.evidence_places import ServerLog
from jupiter_addons.storage.evidence_postgres_tables import LogTables, application
from jupiter_addons.storage.evidence_store import Anchored, Batch, LogStore
from jupiter_addons.storage.evidence_tail import Identity, Sealer
from jupiter_addons.storage.evidence_writer import LogWriter

COMMIT_S = 10.0
"""How long the server may take for what no call waits for."""


def reopen(
    place: ServerLog,
    identity: Identity,
    *,
    abandoned: bool = False,
    anchored: Anchored = lambda _origin: None,
    clock: Callable[[], int] = time.time_ns,
) -> LogWriter:
    """Open a log that its process has closed; `abandoned`: or that it will never write to again.

    Raises StoreError, NotEndedError among them.  Until it is closed, it counts as closed by who closed it before.
    """
    store = _EndedLog(place, identity, Sealer(identity, clock), anchored, abandoned=abandoned)
    return LogWriter(store, identity, _ItsConnection())


class _ItsConnection:
    def close(self) -> None:
        """Nothing: the connection of the store has the lock."""


class _EndedLog(LogStore):
    """One log, without a spool: what the server does not take is not written."""

    def __init__(
        self, place: ServerLog, identity: Identity, sealer: Sealer, anchored: Anchored, *, abandoned: bool
    ) -> None:
        super().__init__(f"{place} in {postgres.place_of(place.url)}", sealer)
        self.origin = place.origin
        self._url, self._identity, self._anchored, self._abandoned = place.url, identity, anchored, abandoned
        self._tables: LogTables | None = None
        self._hash: str | None = None
        """Of the last leaf that is known."""

    @property
    def is_open(self) -> bool:
        """Whether it can be written to."""
        return self._tables is not None

    def open(self) -> None:
        """Take the log over and find its end; see LogStore.  Raises StoreError."""
        db = None
        try:
            db = postgres.connect(self._url, application(self._identity.boot))
            self._take(LogTables(db, self.origin, self._identity.keys.log))
        except BaseException as error:
            if db is not None:
                db.close()
            if isinstance(error, psycopg.Error | VerificationError):
                raise StoreError(f"`{self.name}` cannot be gone on with: {postgres.reason(error)}") from error
            raise

    def _take(self, tables: LogTables) -> None:
        keys = self._identity.keys.manifest
        tables.take_ended(abandoned=self._abandoned)
        found = tables.read(keys.keys("record"), tuple(keys.keys("log").values()))
        if self._hash is not None and tables.hash_of(self.tail.idx) != self._hash:
            raise StoreError("it is not the log that was being written")
        if (anchored := self._anchored(self.origin)) is not None:
            evidence_tree.check_anchor(tables.tiles, tables.size, anchored)
        self.late |= tables.decided_after(self.tail.idx) if self._hash is not None else set()
        self.tail, self.open_calls, self.note = found.tail, found.open_calls, found.note
        self.signed_by, self._hash, self._tables = found.signed_by, found.tail.hash, tables

    def begin_at_once(self) -> bool:
        """A commit here waits for a network: it is not for the event loop."""
        return False

    def settle(self, *, idle: bool) -> None:
        """Do nothing: that is the server's."""

    def derive(self, most: int) -> int:
        """Bring the index of calls on by at most so many leaves.  Raises StoreError."""
        return self._asked(lambda db: evidence_postgres_index.advance(db, self.origin, most))

    def derived(self) -> int:
        """Return how many leaves the index of calls knows.  Raises StoreError."""
        return self._asked(lambda db: evidence_postgres_index.indexed(db, self.origin))

    def _asked(self, question: Callable[[postgres.Connection], int]) -> int:
        assert self._tables is not None, "opened before"
        try:
            return question(self._tables.db)
        except psycopg.Error as error:
            raise postgres.failed(error, f"use `{self.name}`") from error

    def shrink(self) -> None:
        """Do nothing: nothing is left anywhere else."""

    def let_go(self) -> None:
        """Close the connection, and its lock with it."""
        if self._tables is not None:
            tables, self._tables = self._tables, None
            tables.db.close()

    def _commit(self, batch: Batch) -> str:
        assert self._tables is not None, "opened before"
        closed_by = self._identity.boot if batch.leaves[-1][1] == "log.close" else None
        try:
            note = self._tables.append(batch, COMMIT_S, closed_by=closed_by)
        except psycopg.Error as error:
            raise StoreError(postgres.reason(error)) from error
        self._hash = batch.tail.hash
        return note
