"""A log in PostgreSQL, and on this machine whatever PostgreSQL has not got yet.

While the server answers, a leaf is acknowledged when the server's commit is.  When it does not answer in PATIENCE_S, or not at
all, the same batch goes to the spool, and so does all that comes after it; from there it is sent on, in order, by a thread
that nothing waits for.  What became of the batch that was under way need not be known: a leaf is sealed once, so that the
head of the log says how much of the spool has arrived, and its hashes that it is the same.

There is one case in which that is not enough: the server may have a batch that could not be spooled either.  Then nothing is
written until the server has been asked.

A log belongs to one process.  Whoever takes it over raises its epoch, and who finds it raised stops for good: a log that goes
on in two places is no log.
"""

import logging
import threading
import time

import psycopg

from jupiter_addons.errors import StoreError, VerificationError
from jupiter_addons.evidence import checkpoint
from jupiter_addons.evidence.checkpoint import Checkpoint
from jupiter_addons.storage import evidence_postgres_index, postgres
from jupiter_addons.storage.evidence_drain import Drain
from jupiter_addons.storage.evidence_postgres_end import Known, compare, find
from jupiter_addons.storage.evidence_postgres_schema import migrate
from jupiter_addons.storage.evidence_postgres_tables import LogTables, TakenOverError, application
from jupiter_addons.storage.evidence_spool import Spool
from jupiter_addons.storage.evidence_store import Anchored, Batch, LogStore
from jupiter_addons.storage.evidence_tail import Identity, Sealer, Tail, extend

logger = logging.getLogger(__name__)

PATIENCE_S = 0.25
"""How long calls wait for the server before their leaves are spooled."""
BYTES_A_SECOND = 8 * 1024 * 1024
"""What the server is given time for besides, if a batch is large."""
SEND_S = 10.0
"""How long the server may take over what nobody waits for."""
SENT_AT_ONCE, SENT_BYTES = 256, 8 * 1024 * 1024
LOCK_S = 5.0
"""How long a start waits for the server to notice that the process before it is gone."""


class UnreachableError(StoreError):
    """PostgreSQL cannot be reached, and without it nobody knows where the log ends."""


class PostgresLog(LogStore):
    """One log.  The thread that writes and the one that drains the spool share it.

    `_server` is held by who talks to the server while leaves are spooled, `_lock` by who touches the spool or decides where
    the next batch goes, never for longer than one batch takes; who needs both takes `_server` first.
    """

    def __init__(
        self, url: str, origin: str, spool: Spool, identity: Identity, sealer: Sealer, anchored: Anchored
    ) -> None:
        super().__init__(postgres.place_of(url), sealer)
        self.origin = origin
        self._url, self._spool, self._identity, self._anchored = url, spool, identity, anchored
        self._tables: LogTables | None = None
        """The server, while it answers; None while leaves are spooled."""
        self._sending: LogTables | None = None
        """The server, while what is spooled is sent on."""
        self._sent = Tail()
        """How far the server is known to have the log."""
        self._has_been_ours = False
        self._known = self._open = False
        self._in_doubt = False
        """Whether the server may have leaves that are nowhere else, and that nobody was told about."""
        self._lost: TakenOverError | None = None
        self._lock, self._server = threading.RLock(), threading.Lock()
        self._drain = Drain(self._reconnect, self._send_some)

    @property
    def is_open(self) -> bool:
        """Whether it can be written to."""
        return self._open

    @property
    def spooled(self) -> int:
        """How many leaves wait for the server."""
        return self._spool.leaves

    def open(self) -> None:
        """Open the log and find its end, in the server and in the spool; see LogStore.  Raises StoreError."""
        with self._server, self._lock:
            if self._lost is not None:
                raise self._lost
            _close(self._sending)
            self._sending = None
            self._spool.open()
            tables: LogTables | None = None
            try:
                tables = self._reach()
                self._find_end(tables)
            except (psycopg.Error, VerificationError, StoreError) as error:
                _close(tables)
                self._spool.close()
                if isinstance(error, StoreError):
                    raise
                raise StoreError(
                    f"`{self.name}` cannot be gone on with: {postgres.reason(error)}; hint: jupiter evidence verify"
                ) from error
            if tables is not None and not self._spool.leaves:
                self._tables = tables
            else:
                _close(tables)
                self._drain.begin()

    def begin_at_once(self) -> bool:
        """A commit here waits for a network: it is not for the event loop."""
        return False

    def settle(self, *, idle: bool) -> None:
        """Do nothing: that is the server's."""

    def derive(self, most: int) -> int:
        """Bring the index of calls on by at most so many leaves, while the server answers.  Raises StoreError."""
        with self._lock:
            if self._tables is None:
                return 0
            try:
                with self._tables.db.within(SEND_S):
                    return evidence_postgres_index.advance(self._tables.db, self.origin, most)
            except psycopg.DataError as error:
                raise StoreError(f"a leaf cannot be indexed: {postgres.reason(error)}") from error
            except psycopg.Error as error:
                self._give_up(error)
                return 0

    def derived(self) -> int:
        """Return how many leaves the index of calls knows; 0 if the server cannot be asked."""
        with self._lock:
            if self._tables is None:
                return 0
            try:
                return evidence_postgres_index.indexed(self._tables.db, self.origin)
            except psycopg.Error as error:
                self._give_up(error)
                return 0

    def shrink(self) -> None:
        """Send what is spooled, if the server takes it at once; what is left waits for the next start."""
        self._drain.end()
        if self._tables is None and self._open and self._lost is None:
            try:
                self._drain.once()
            except (psycopg.Error, StoreError) as error:
                logger.warning("%d leaves stay in `%s`: %s", self.spooled, self._spool.path, postgres.reason(error))

    def let_go(self) -> None:
        """Write nothing more until it is opened again.  What is spooled is sent on all the same, unless in doubt."""
        with self._lock:
            self._open = False
            _close(self._tables)
            self._tables = None

    def close(self) -> None:
        """Let go of it for good; what is spooled stays."""
        self._drain.end()
        self.let_go()
        with self._server, self._lock:
            _close(self._sending)
            self._sending = None
            self._spool.close()

    def _commit(self, batch: Batch) -> str:
        with self._lock:
            if self._lost is not None:
                raise self._lost
            if any("\0" in row[2] for row in batch.leaves if row[2] is not None):
                raise StoreError("PostgreSQL cannot hold an id with a NUL in it")
            if self._tables is not None:
                try:
                    note = self._tables.append(batch, PATIENCE_S + batch.bytes / BYTES_A_SECOND)
                except TakenOverError as error:
                    self._lose(error)
                    raise
                except psycopg.Error as error:
                    self._in_doubt = True
                    self._give_up(error)
                else:
                    self._sent = batch.tail.copy()
                    return note
            note = checkpoint.sign(batch.head, self._identity.keys.log)
            self._spool.put(batch, note)
            self._in_doubt = False
            return note

    def _reach(self) -> LogTables | None:
        """Connect and take the log over; None if the server is away and can be done without for now.  Raises StoreError."""
        deadline_s = time.monotonic() + LOCK_S
        while True:
            try:
                return self._connect()
            except TakenOverError as error:
                self._lose(error)
                raise
            except psycopg.Error as error:
                if not self._in_doubt and (self._known or not self._spool.is_registered):
                    logger.warning("`%s` is done without for now: %s", self.name, postgres.reason(error))
                    return None
                raise UnreachableError(f"cannot reach `{self.name}`: {postgres.reason(error)}") from error
            except StoreError:
                if time.monotonic() > deadline_s:
                    raise
                time.sleep(0.2)

    def _connect(self) -> LogTables:
        """Return the log on a new connection, taken over.  Raises StoreError, psycopg.Error."""
        boot = self._identity.boot
        db = postgres.connect(self._url, application(boot))
        try:
            migrate(db)
            tables = LogTables(db, self.origin, self._identity.keys.log)
            tables.take(boot, is_ours=self._has_been_ours, make=not self._spool.is_registered)
            self._spool.register()
        except BaseException:
            db.close()
            raise
        self._has_been_ours = True
        return tables

    def _find_end(self, tables: LogTables | None) -> None:
        """Find where the log ends.  Raises StoreError, VerificationError, psycopg.Error, and changes nothing then."""
        known = Known(self.tail, frozenset(self.open_calls), self._sent) if self._known else None
        try:
            end = find(
                tables, self._spool, self._identity.keys.manifest, self.origin, known, self._anchored(self.origin)
            )
        except TakenOverError as error:
            self._lose(error)
            raise
        self._spool.drop(end.sent.edge.size)
        self._sent, self.tail, self.open_calls = end.sent.copy(), end.tail, end.open_calls
        self.signed_by = end.signed_by or self.signed_by
        self.late |= end.late
        head = Checkpoint(self.origin, self.tail.edge.size, self.tail.edge.root())
        self.note = checkpoint.sign(head, self._identity.keys.log) if head.size else ""
        self._known = self._open = True
        self._in_doubt = False

    def _reconnect(self) -> None:
        """Connect to send on what is spooled, from where the server has it.  Raises StoreError, psycopg.Error."""
        with self._server:
            _close(self._sending)
            self._sending = None
            if self._tables is not None:
                return  # its writer has reached the server meanwhile, and then nothing is spooled
            if not self._known or self._in_doubt:
                raise StoreError("its writer has to open it first")
            try:
                tables = self._connect()
                try:
                    self._take_up(tables)
                except BaseException:
                    _close(tables)
                    raise
            except TakenOverError as error:
                self._lose(error)
                raise
            self._sending = tables

    def _take_up(self, tables: LogTables) -> None:
        """Find out how much of the spool the server has."""
        with self._lock:
            compare(tables, self._spool, self._sent.edge.size)
            sent = self._sent.copy()
            while sent.edge.size < tables.size:
                rows = self._spool.read(sent.edge.size, min(SENT_AT_ONCE, tables.size - sent.edge.size))
                if not rows:
                    raise TakenOverError(f"`{self.name}` has more leaves than this process has written")
                extend(sent, rows)
            self._sent = sent.copy()
            self._spool.drop(tables.size)

    def _send_some(self) -> bool:
        """Send on the first of what is spooled; return whether there is more.  Raises StoreError, psycopg.Error."""
        with self._server:
            tables = self._sending
            if tables is None:
                if self._tables is not None:
                    return False
                raise StoreError("its writer has opened it anew")
            with self._lock:
                is_rest = self._spool.leaves <= SENT_AT_ONCE
                if is_rest:  # with the writer held up for one batch, or there would always be another
                    if self._spool.leaves:
                        self._send(tables, PATIENCE_S)
                    if not self._spool.leaves:
                        if self._open:
                            self._tables = tables
                        else:
                            _close(tables)
                        self._sending = None
                        return False
                    return True
            self._send(tables, SEND_S)
            return True

    def _send(self, tables: LogTables, within_s: float) -> None:
        with self._lock:
            rows, payloads = self._spool.read_some(self._sent.edge.size, SENT_AT_ONCE, SENT_BYTES)
        tail = self._sent.copy()
        extend(tail, rows)
        batch = Batch(rows, payloads, tail, Checkpoint(self.origin, tail.edge.size, tail.edge.root()))
        try:
            tables.append(batch, within_s)
        except TakenOverError as error:
            self._lose(error)
            raise
        with self._lock:
            self._sent = tail.copy()
            self._spool.drop(self._sent.edge.size)

    def _give_up(self, error: psycopg.Error) -> None:
        _close(self._tables)
        self._tables = None
        # A warning: mitmproxy ends a start in which an error is logged, and leaves that are spooled are no reason to.
        logger.warning(
            "`%s` does not answer; leaves are spooled in `%s`: %s", self.name, self._spool.path, postgres.reason(error)
        )
        self._drain.begin()

    def _lose(self, error: TakenOverError) -> None:
        self._lost = error
        _close(self._tables)
        self._tables = None
        logger.critical(
            "this process must stop recording: %s; %d leaves stay in `%s`", error, self.spooled, self._spool.path
        )


def _close(tables: LogTables | None) -> None:
    """Close a connection, if there is one; what it was doing has failed already, or is done."""
    if tables is not None:
        tables.db.close()
