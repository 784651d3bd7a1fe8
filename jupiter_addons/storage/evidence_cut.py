"""How far a log may be pruned: found by its index of calls, with the same questions in every store.

The statements know the tables by their bare names and mark values with `?`; a store that has several logs in one table
answers for the one that is meant.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from jupiter_addons.evidence.retention import TILE_LEAVES, VERDICTS, Cut, Hold, Terms

_OF_CALLS = "('decision', 'attempt', 'outcome')"
_IS = {"allow": "coalesce(verdict, '') <> 'deny'", "deny": "verdict = 'deny'"}


class Tables(Protocol):
    """The tables of one log."""

    def all(self, sql: str, *values: object) -> Sequence[Any]:
        """Return all rows of a query."""

    def indexed(self) -> int:
        """Return how many leaves the index of calls knows."""


def cut_of(tables: Tables, terms: Terms, now_us: int) -> Cut:
    """Return what would go now.  Raises what the tables raise."""
    [(first, last)] = tables.all("SELECT min(idx), max(idx) FROM leaf")
    if first is None:
        return Cut(0, 0, 0, 0, "the log is empty")
    limit, why = _limit(tables, terms, now_us, last + 1)
    upto = max(first, min(limit, last + 1) // TILE_LEAVES * TILE_LEAVES)
    if upto < limit:
        why = f"{why}; leaves go {TILE_LEAVES} at a time"
    where, values = _expired(terms, now_us)
    [(contents,)] = tables.all(f"SELECT count(DISTINCT call_id) {where}", *values)
    return Cut(first, upto, last + 1, contents, why)


def expired_calls(tables: Tables, terms: Terms, now_us: int, most: int) -> list[str]:
    """Return some of the calls whose content has been kept long enough, and that nothing holds."""
    where, values = _expired(terms, now_us)
    return [call for (call,) in tables.all(f"SELECT DISTINCT call_id {where} LIMIT {most:d}", *values)]


def _limit(tables: Tables, terms: Terms, now_us: int, size: int) -> tuple[int, str]:
    """Return the first leaf that has to stay, and why."""
    limits = [(size, "all of it is older than what is kept")]
    for verdict in VERDICTS:
        days = terms.by_verdict.get(verdict, terms.days)
        since_us = terms.cutoff_us(verdict, now_us) or 0
        sql = f"SELECT idx FROM call_index WHERE t_us >= ? AND {_IS[verdict]} ORDER BY t_us, idx LIMIT 1"  # noqa: S608
        limits += _found(tables, sql, (since_us,), f"a call ({verdict}) that is kept {_for(days)}")
    sql = f"SELECT idx FROM leaf WHERE t_us >= ? AND kind NOT IN {_OF_CALLS} ORDER BY idx LIMIT 1"  # noqa: S608
    since_us = terms.cutoff_us(None, now_us) or 0
    limits += _found(tables, sql, (since_us,), f"a leaf of no call that is kept {_for(terms.days)}")
    oldest = min(limits)
    if terms.max_records is not None and size - terms.max_records > oldest[0]:
        oldest = size - terms.max_records, f"the newest {terms.max_records} leaves are kept"
    binding = [oldest, (tables.indexed(), "the index of calls has come no further")]
    for hold in terms.holds:
        where, values = _held(hold)
        sql = f"SELECT idx FROM call_index WHERE {where} ORDER BY t_us, idx LIMIT 1"  # noqa: S608
        binding += _found(tables, sql, values, f"a call under legal hold: {hold.reason}")
    sql = "SELECT min(leaf.idx) FROM open_call JOIN leaf ON leaf.id = open_call.id WHERE leaf.kind = 'decision'"
    binding += _found(tables, sql, (), "a call that is still open")
    return min(binding)


def _found(tables: Tables, sql: str, values: Sequence[object], why: str) -> list[tuple[int, str]]:
    return [(idx, why) for (idx,) in tables.all(sql, *values) if idx is not None]


def _for(days: int | None) -> str:
    return "for ever (evidence.retention.days)" if days is None else f"for {days} days"


def _expired(terms: Terms, now_us: int) -> tuple[str, list[object]]:
    """Return where content is whose time is over and that nothing holds."""
    expired, values = ["1 = 0"], list[object]()
    for verdict in VERDICTS:
        if (cutoff_us := terms.content_cutoff_us(verdict, now_us)) is not None:
            expired.append(f"({_IS[verdict]} AND t_us < ?)")
            values.append(cutoff_us)
    held = ["1 = 0"]
    for hold in terms.holds:
        where, given = _held(hold)
        held.append(f"({where})")
        values += given
    # A call of no team is under no hold of a team: what is not known to be held is not.
    free = f"({' OR '.join(held)}) IS NOT TRUE"
    return f"FROM payload JOIN call_index USING (call_id) WHERE ({' OR '.join(expired)}) AND {free}", values


def _held(hold: Hold) -> tuple[str, list[object]]:
    tests = (
        ('"user" = ?', hold.user),
        ("team = ?", hold.team),
        ("t_us >= ?", hold.since_us),
        ("t_us < ?", hold.until_us),
    )
    given = [(test, value) for test, value in tests if value is not None]
    return " AND ".join(["1 = 1", *(test for test, _ in given)]), [value for _, value in given]
