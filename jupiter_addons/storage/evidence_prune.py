"""Pruning a log: what may go is worked out, put on record in the log itself, and then taken away, a few rows at a time.

A log in a file is taken from only by its own writer, between its commits, so that nothing waits for more than a few
milliseconds.  What was deleted is overwritten (`secure_delete`), and the write-ahead log emptied at the end; the file keeps
its size and fills the space again.  For a log in PostgreSQL see `evidence_postgres_prune`.
"""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from jupiter_addons.errors import StoreError
from jupiter_addons.evidence.retention import TILE_LEAVES, Cut, Terms, pruned
from jupiter_addons.extras import POSTGRES
from jupiter_addons.storage.evidence_cut import cut_of, expired_calls
from jupiter_addons.storage.evidence_index import indexed
from jupiter_addons.storage.evidence_places import Place, ServerLog
from jupiter_addons.storage.evidence_query import newest, open_log
from jupiter_addons.storage.evidence_sqlite import EvidenceLog
from jupiter_addons.storage.evidence_writer import LogWriter

if TYPE_CHECKING:
    from jupiter_addons.storage.evidence_postgres_prune import ServerPruner

STEP = TILE_LEAVES
"""How many leaves, or calls, are deleted in one transaction."""
ARCHIVED_S = 60.0
"""How long a prune waits for the archive."""
ON_RECORD_S = 15.0
"""How long a leaf may take to be there that was acknowledged when it was queued (`durability: async`), or spooled."""

_DECIDED_BEFORE = "call_id IN (SELECT id FROM leaf WHERE idx < ? AND kind = 'decision')"


class Pruner(Protocol):
    """What takes away from one log, and is the only one that does as long as it is not closed."""

    def plan(self, terms: Terms, now_us: int) -> Cut:
        """Return what would go now.  Raises StoreError."""

    def take_away(self, cut: Cut, terms: Terms, now_us: int) -> None:
        """Delete it by steps.  Raises StoreError; what may go is on record by then, or a verification finds it missing."""

    def close(self) -> None:
        """Let others do it."""


def plan(place: Place, terms: Terms, now_us: int) -> Cut:
    """Return what would go from a log now.  Raises StoreError."""
    if isinstance(place, ServerLog):
        with closing(server_pruner(place)) as pruner:
            return pruner.plan(terms, now_us)
    with closing(open_log(place)) as db:
        try:
            return cut_of(FileTables(db), terms, now_us)
        except sqlite3.Error as error:
            raise StoreError(f"cannot read `{place}`: {error}") from error


async def prune(
    log: LogWriter, place: Place, terms: Terms, now_us: int, *, archived: Callable[[], int] | None = None
) -> Cut:
    """Let go from a log what its terms let go, and put that on record before.  Raises StoreError.

    Cut short in between, the record says that leaves may go which are still there; the next prune takes them.
    """
    with closing(await asyncio.to_thread(_pruner, log, place)) as pruner:
        cut = await asyncio.to_thread(pruner.plan, terms, now_us)
        if not cut.is_empty:
            await asyncio.to_thread(wait_for_archive, archived, cut)
            await put_on_record(log, place, cut, terms, now_us)
            await asyncio.to_thread(pruner.take_away, cut, terms, now_us)
    return cut


async def put_on_record(log: LogWriter, place: Place, cut: Cut, terms: Terms, now_us: int) -> None:
    """Have the log say what is about to go, and wait until it does.  Raises StoreError."""
    await log.append(pruned(cut, terms, now_us))
    await asyncio.to_thread(_wait_for, place, now_us)


def wait_for_archive(archived: Callable[[], int] | None, cut: Cut) -> None:
    """Wait until the archive, if there is one, has what there is to have.  Raises StoreError if it does not come to that."""
    deadline_s = time.monotonic() + ARCHIVED_S
    while archived is not None and (there := archived()) < cut.size:
        if time.monotonic() > deadline_s:
            raise StoreError(f"{there} of {cut.size} leaves are archived: nothing goes before the others are")
        time.sleep(0.1)


def server_pruner(place: ServerLog, *, unless_written: bool = False) -> "ServerPruner":
    """Return what prunes a log in PostgreSQL.  Raises StoreError as that does."""
    try:
        from jupiter_addons.storage.evidence_postgres_prune import ServerPruner
    except ImportError as error:
        raise StoreError(str(POSTGRES)) from error
    return ServerPruner(place, unless_written=unless_written)


def _pruner(log: LogWriter, place: Place) -> Pruner:
    if isinstance(place, ServerLog):
        return server_pruner(place)
    if not isinstance(log, EvidenceLog):
        raise StoreError(f"`{place}` is not what the log is written to")
    return _FilePruner(log, place)


@dataclass(frozen=True, slots=True)
class _FilePruner:
    log: EvidenceLog
    path: Path

    def plan(self, terms: Terms, now_us: int) -> Cut:
        return plan(self.path, terms, now_us)

    def take_away(self, cut: Cut, terms: Terms, now_us: int) -> None:
        self.log.take_away(Pruning(cut, terms, now_us).step)

    def close(self) -> None:
        """The writer goes on."""


@dataclass(frozen=True, slots=True)
class FileTables:
    """The tables of evidence.db."""

    db: sqlite3.Connection

    def all(self, sql: str, *values: object) -> Sequence[Any]:
        """Return all rows of a query."""
        return self.db.execute(sql, values).fetchall()

    def indexed(self) -> int:
        """Return how many leaves the index of calls knows."""
        return indexed(self.db)


@dataclass(slots=True)
class Pruning:
    """A cut that is being made in a file."""

    cut: Cut
    terms: Terms
    now_us: int

    def step(self, db: sqlite3.Connection) -> bool:
        """Delete some more through the connection that writes; return whether there is more.  Raises sqlite3.Error."""
        calls = expired_calls(FileTables(db), self.terms, self.now_us, STEP)
        tile = (db.execute("SELECT min(idx) FROM leaf").fetchone()[0] or 0) // STEP * STEP + STEP
        if not calls and tile > self.cut.upto:
            return False
        db.execute("BEGIN IMMEDIATE")
        try:
            if calls:
                db.executemany("DELETE FROM payload WHERE call_id = ?", [(call,) for call in calls])
            else:
                db.execute(f"DELETE FROM payload WHERE {_DECIDED_BEFORE}", (tile,))  # noqa: S608 - ours
                db.execute(f"DELETE FROM call_index WHERE {_DECIDED_BEFORE}", (tile,))  # noqa: S608 - ours
                db.execute("DELETE FROM leaf WHERE idx < ?", (tile,))
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        return True


def _wait_for(place: Place, now_us: int) -> None:
    """Wait until the leaf of a prune is durable.  Raises StoreError if it does not become so."""
    deadline_s = time.monotonic() + ON_RECORD_S
    while not any(orjson.loads(row.leaf)["detail"].get("at_us") == now_us for row in newest(place, "prune")):
        if time.monotonic() > deadline_s:
            raise StoreError("the leaf that says what is pruned is not on record, and nothing is")
        time.sleep(0.05)
