"""Pruning a log: how far it may go, found by the index of calls; and going there, a few rows at a time.

Only the log's own writer deletes, between its commits, so that nothing waits for more than a few milliseconds.  What was
deleted is overwritten (`secure_delete`), and the write-ahead log emptied at the end; the file keeps its size and fills the
space again.
"""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from jupiter_addons.errors import StoreError
from jupiter_addons.evidence.retention import TILE_LEAVES, VERDICTS, Cut, Hold, Terms
from jupiter_addons.storage.evidence_index import indexed
from jupiter_addons.storage.evidence_query import open_log

STEP = TILE_LEAVES
"""How many leaves, or calls, are deleted in one transaction."""

_DECIDED_BEFORE = "call_id IN (SELECT id FROM leaf WHERE idx < ? AND kind = 'decision')"
_OF_CALLS = "('decision', 'attempt', 'outcome')"
_IS = {"allow": "verdict IS NOT 'deny'", "deny": "verdict = 'deny'"}


def plan(path: Path, terms: Terms, now_us: int) -> Cut:
    """Return what would go from a log now.  Raises StoreError."""
    with closing(open_log(path)) as db:
        try:
            first, last = db.execute("SELECT min(idx), max(idx) FROM leaf").fetchone()
            if first is None:
                return Cut(0, 0, 0, 0, "the log is empty")
            upto, why = _limit(db, terms, now_us, last + 1)
            upto = max(first, min(upto, last + 1) // TILE_LEAVES * TILE_LEAVES)
            return Cut(first, upto, last + 1, _count_contents(db, terms, now_us), why)
        except sqlite3.Error as error:
            raise StoreError(f"cannot read `{path}`: {error}") from error


@dataclass(slots=True)
class Pruning:
    """A cut that is being made."""

    cut: Cut
    terms: Terms
    now_us: int

    def step(self, db: sqlite3.Connection) -> bool:
        """Delete some more through the connection that writes; return whether there is more.  Raises sqlite3.Error."""
        calls = self._expired(db)
        tile = (db.execute("SELECT min(idx) FROM leaf").fetchone()[0] or 0) // STEP * STEP + STEP
        if not calls and tile > self.cut.upto:
            return False
        db.execute("BEGIN IMMEDIATE")
        try:
            if calls:
                db.executemany("DELETE FROM payload WHERE call_id = ?", calls)
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

    def _expired(self, db: sqlite3.Connection) -> list[tuple[str]]:
        where, values = _expired_contents(self.terms, self.now_us)
        return db.execute(f"SELECT DISTINCT call_id {where} LIMIT {STEP:d}", values).fetchall()


def _limit(db: sqlite3.Connection, terms: Terms, now_us: int, size: int) -> tuple[int, str]:
    """Return the first leaf that has to stay, and why."""
    limits = [(size, f"all of it is older than what is kept, and goes {TILE_LEAVES} leaves at a time")]
    for verdict in VERDICTS:
        days = terms.by_verdict.get(verdict, terms.days)
        since_us = terms.cutoff_us(verdict, now_us) or 0
        sql = f"SELECT idx FROM call_index WHERE t_us >= ? AND {_IS[verdict]} ORDER BY t_us, idx LIMIT 1"  # noqa: S608
        limits += _found(db, sql, (since_us,), f"a call ({verdict}) that is kept {_for(days)}")
    sql = f"SELECT idx FROM leaf WHERE t_us >= ? AND kind NOT IN {_OF_CALLS} ORDER BY idx LIMIT 1"  # noqa: S608
    limits += _found(
        db, sql, (terms.cutoff_us(None, now_us) or 0,), f"a leaf of no call that is kept {_for(terms.days)}"
    )
    oldest = min(limits)
    if terms.max_records is not None and size - terms.max_records > oldest[0]:
        oldest = size - terms.max_records, f"the newest {terms.max_records} leaves are kept"
    binding = [oldest, (indexed(db), "the index of calls has come no further")]
    for hold in terms.holds:
        where, values = _held(hold)
        sql = f"SELECT idx FROM call_index WHERE {where} ORDER BY t_us, idx LIMIT 1"  # noqa: S608
        binding += _found(db, sql, values, f"a call under legal hold: {hold.reason}")
    sql = "SELECT min(leaf.idx) FROM open_call JOIN leaf ON leaf.id = open_call.id WHERE leaf.kind = 'decision'"
    binding += _found(db, sql, (), "a call that is still open")
    return min(binding)


def _found(db: sqlite3.Connection, sql: str, values: Sequence[object], why: str) -> list[tuple[int, str]]:
    row = db.execute(sql, values).fetchone()
    return [] if row is None or row[0] is None else [(row[0], why)]


def _for(days: int | None) -> str:
    return "for ever" if days is None else f"for {days} days"


def _count_contents(db: sqlite3.Connection, terms: Terms, now_us: int) -> int:
    where, values = _expired_contents(terms, now_us)
    return int(db.execute(f"SELECT count(DISTINCT call_id) {where}", values).fetchone()[0])


def _expired_contents(terms: Terms, now_us: int) -> tuple[str, list[object]]:
    """Return where content is whose time is over and that nothing holds."""
    expired, values = ["0"], list[object]()
    for verdict in VERDICTS:
        if (cutoff_us := terms.content_cutoff_us(verdict, now_us)) is not None:
            expired.append(f"({_IS[verdict]} AND t_us < ?)")
            values.append(cutoff_us)
    held = ["0"]
    for hold in terms.holds:
        where, given = _held(hold)
        held.append(f"({where})")
        values += given
    found = f"FROM payload JOIN call_index USING (call_id) WHERE ({' OR '.join(expired)}) AND NOT ({' OR '.join(held)})"
    return found, values


def _held(hold: Hold) -> tuple[str, list[object]]:
    tests = (
        ("user = ?", hold.user),
        ("team = ?", hold.team),
        ("t_us >= ?", hold.since_us),
        ("t_us < ?", hold.until_us),
    )
    given = [(test, value) for test, value in tests if value is not None]
    return " AND ".join(["1", *(test for test, _ in given)]), [value for _, value in given]
