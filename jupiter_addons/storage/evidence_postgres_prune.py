"""Pruning a log in PostgreSQL, on a connection of its own: there, deleting what is old holds nobody up who adds what is new.

One process at a time prunes a log, whoever writes it.  What was deleted is no row any more for anybody who asks; when its
bytes are overwritten is up to the server, and to whoever keeps its backups.  They are ciphertext, and what erases a person
is that the key is destroyed.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg

from jupiter_addons.errors import StoreError
from jupiter_addons.evidence.retention import TILE_LEAVES, Cut, Terms
from jupiter_addons.storage import evidence_postgres_index, postgres
from jupiter_addons.storage.evidence_cut import cut_of, expired_calls
from jupiter_addons.storage.evidence_places import ServerLog

logger = logging.getLogger(__name__)

STEP = TILE_LEAVES
"""How many leaves, or calls, are deleted in one transaction."""
WAIT_S = 5.0
"""How long somebody else who prunes the log is waited for: mostly one who finds that nothing goes, or that it may not."""
PAUSE_S = 0.005
"""How long commits have the server to themselves between two steps."""
PLAN_S, STEP_S, VACUUM_S = 300.0, 60.0, 3600.0
"""How long the server may take to say what goes, to delete some of it, and to tidy up."""


class ServerPruner:
    """What prunes one log.  For one thread at a time, but that any may close it."""

    def __init__(self, place: ServerLog, *, unless_written: bool = False) -> None:
        """Connect, and wait for whoever is pruning the log, WAIT_S at most.

        Raises StoreError, with `unless_written` also if a process is writing it, which then has not been waited for.
        """
        self._place = place
        self._closed = threading.Event()
        try:
            self._db = postgres.connect(place.url, "jupiter-prune")
        except psycopg.Error as error:
            raise self._failed(error) from error
        try:
            with self._failing():
                if unless_written and self._db.execute(_WRITTEN, (place.origin,)).fetchone() == (True,):
                    raise StoreError(f"another process is writing the log `{place}`, and prunes it")
                deadline_s = time.monotonic() + WAIT_S
                while self._db.execute(_LOCK, (place.origin,)).fetchone() != (True,):
                    if time.monotonic() > deadline_s:
                        raise StoreError(f"another process is pruning the log `{place}`")
                    time.sleep(0.1)
                # The same statements as for a file, whose tables have no schema.
                self._db.execute("SET search_path TO jupiter")
        except BaseException:
            self.close()
            raise

    def plan(self, terms: Terms, now_us: int) -> Cut:
        """Return what would go now.  Raises StoreError."""
        with self._failing(), self._db.within(PLAN_S):
            return cut_of(self, terms, now_us)

    def take_away(self, cut: Cut, terms: Terms, now_us: int) -> None:
        """Delete it by steps.  Raises StoreError; what may go is on record by then."""
        for step in (lambda: self._expired(terms, now_us), lambda: self._oldest(cut.upto)):
            while self._made(step):
                if self._closed.wait(PAUSE_S):
                    raise StoreError(f"pruning the log `{self._place}` was cut short, and will be gone on with")
        self._tidy()

    def close(self) -> None:
        """Let others do it; what is under way is cut short."""
        self._closed.set()
        self._db.close()

    def all(self, sql: str, *values: object) -> Sequence[Any]:
        """Return all rows of a query about the log, whose tables are called as in a file."""
        own = (self._place.origin,) * _ONE_LOG.count("%s")
        return self._db.execute((_ONE_LOG + sql.replace("?", "%s")).encode(), (*own, *values)).fetchall()

    def indexed(self) -> int:
        """Return how many leaves the index of calls knows."""
        return evidence_postgres_index.indexed(self._db, self._place.origin)

    def _made(self, step: Callable[[], bool]) -> bool:
        with self._failing(), self._db.within(STEP_S), self._db.transaction():
            return step()

    def _expired(self, terms: Terms, now_us: int) -> bool:
        """Delete the content of some calls; return whether there was any."""
        calls = expired_calls(self, terms, now_us, STEP)
        if calls:
            self._delete("payload", "call_id = ANY(%s)", calls)
        return bool(calls)

    def _oldest(self, upto: int) -> bool:
        """Delete the first tile of leaves, and what belongs to them; return whether that was to go."""
        [(first,)] = self.all("SELECT min(idx) FROM leaf")
        tile = (first or 0) // STEP * STEP + STEP
        if first is None or tile > upto:
            return False
        decided = [call for (call,) in self.all("SELECT id FROM leaf WHERE idx < ? AND kind = 'decision'", tile)]
        for table in ("payload", "call_index"):
            self._delete(table, "call_id = ANY(%s)", decided)
        self._delete("leaf", "idx < %s", tile)
        return True

    def _delete(self, table: str, which: str, value: object) -> None:
        sql = f"DELETE FROM {table} WHERE log = %s AND {which}"  # noqa: S608 - ours
        self._db.execute(sql.encode(), (self._place.origin, value))

    def _tidy(self) -> None:
        """Have the space used again now: left to itself, the server does it once a fifth of a table is gone."""
        try:
            with self._db.within(VACUUM_S):
                self._db.execute("VACUUM (TRUNCATE FALSE) leaf, payload, call_index")
        except psycopg.Error as error:
            logger.warning("what was pruned is gone, and its space not free yet: %s", postgres.reason(error))

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            raise self._failed(error) from error

    def _failed(self, error: psycopg.Error) -> StoreError:
        return postgres.failed(error, f"prune `{self._place}` in `{postgres.place_of(self._place.url)}`")


_LOCK = "SELECT pg_try_advisory_lock(hashtextextended(%s, 1))"
"""Another lock than that of who writes the log: a log is pruned while it is written."""
_WRITTEN = """
    SELECT EXISTS (
        SELECT FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND classid::bigint << 32 | objid::bigint = hashtextextended(%s, 0)
    )
"""
_ONE_LOG = """
    WITH leaf AS (SELECT idx, kind, id, t_us FROM jupiter.leaf WHERE log = %s),
    call_index AS (SELECT call_id, idx, t_us, "user", team, verdict FROM jupiter.call_index WHERE log = %s),
    payload AS (SELECT call_id FROM jupiter.payload WHERE log = %s),
    open_call AS (SELECT id FROM jupiter.open_call WHERE log = %s)
"""
