"""Searching the logs of all workers: the index says where to look, the leaves say what is there.

`call_index` only ever finds candidates.  What is returned is read from the signed leaves themselves and compared with the
question once more, so that an index somebody has changed can hide a call from a search (as can a deleted row, which is
`verify`'s to find) and can never make one say something else.  Leaves that have not been indexed yet, and logs of a version
that had no index, are read through.

Results of several logs are one sequence in one total order: by what they are sorted by, then time, log and place in the log.
A page ends at a position in that order and the next begins behind it, however many calls there are and whatever was
written meanwhile; nothing is counted or skipped over.
"""

import base64
import binascii
import heapq
import json
import sqlite3
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from jupiter_addons.errors import StoreError, VerificationError
from jupiter_addons.evidence.query import SORTS, Call, Filter, Sort, calls, matches
from jupiter_addons.evidence.verify import Row
from jupiter_addons.storage.evidence_index import indexed
from jupiter_addons.storage.evidence_places import Place, in_postgres
from jupiter_addons.storage.evidence_schema import MIGRATIONS
from jupiter_addons.storage.sqlite import connect_reading

FEW = 4096
"""So many calls are sorted in a few milliseconds."""
FIRST_CHUNK, MAX_CHUNK = 64, 512
"""How many candidates are read at once: few at first, because most questions are about few calls."""

_INDEXED = 2
"""The version of the schema that brought the index."""

EXACT = ("user", "team", "model", "provider", "verdict", "status", "policy", "door", "path", "code")
PARTIAL = {
    "verdict": "verdict <> 'allow'",
    "status": "status NOT IN ('ok', 'open')",
    "cost": "cost_nusd > 0",
    "tokens": "tokens > 0",
}
"""What an index is restricted to: said again in the question, so that SQLite knows that it may use it."""
_BETWEEN = "{column} BETWEEN ? AND ?"
_MOST = 2**63 - 1
SORTED_BY: dict[Sort, str] = {"time": "t_us", "cost": "cost_nusd", "tokens": "tokens"}


class Position(NamedTuple):
    """Where a call stands in the order of a search."""

    value: int
    t_us: int
    log: str
    idx: int


@dataclass(frozen=True, slots=True)
class Order:
    """In which order calls come.  By cost or tokens, only those that took any are listed."""

    by: Sort = "time"
    descending: bool = True

    def position(self, call: Call) -> Position:
        """Return where a call stands."""
        return Position(SORTS[self.by](call) or 0, call["t_us"], call["log"], call["idx"])

    def lists(self, call: Call) -> bool:
        """Whether a call is listed at all."""
        return self.by == "time" or bool(SORTS[self.by](call))


NEWEST, OLDEST = Order(), Order(descending=False)


@dataclass(frozen=True, slots=True)
class Page:
    """Some calls, and where the next page begins; None if there is none."""

    calls: Sequence[Call]
    next: str | None


def page(paths: Sequence[Place], wanted: Filter, order: Order, limit: int, cursor: str | None = None) -> Page:
    """Return at most `limit` calls after `cursor`.

    Raises StoreError if a log cannot be read, VerificationError if a leaf cannot, ValueError for what is no cursor.
    """
    found = list(islice(every(paths, wanted, order, cursor), limit + 1))
    more = _cursor(order.position(found[limit - 1])) if len(found) > limit else None
    return Page(found[:limit], more)


def every(paths: Sequence[Place], wanted: Filter, order: Order, cursor: str | None = None) -> Iterator[Call]:
    """Yield all calls after `cursor`; what is held in memory does not grow with their number.  Raises as `page` does."""
    after = None if cursor is None else _position(cursor)
    with ExitStack() as stack:
        logs = [stack.enter_context(closing(_found_in(path, wanted, order, after))) for path in paths]
        yield from heapq.merge(*logs, key=order.position, reverse=order.descending)


def leaves_of(paths: Sequence[Place], call_id: str) -> list[Row]:
    """Return the leaves of one call, in whichever log it is.  Raises StoreError."""
    for path in paths:
        if not isinstance(path, Path):
            with in_postgres(path) as log:
                found = list(log.leaves_of(call_id))
        else:
            with closing(open_log(path)) as db:
                found = _leaves(db, path, [call_id])
        if found:
            return found
    return []


def newest(path: Place, kind: str) -> Iterator[Row]:
    """Yield the leaves of a kind that is about the log itself, the last one first.  Raises StoreError."""
    if not isinstance(path, Path):
        with in_postgres(path) as log:
            yield from log.newest(kind)
        return
    with closing(open_log(path)) as db:
        try:
            for row in db.execute(f"{_LEAF} WHERE kind = ? AND {_RARE} ORDER BY idx DESC", (kind,)):
                yield Row(*row)
        except sqlite3.Error as error:
            raise StoreError(f"cannot read `{path}`: {error}") from error


def pruned_to(place: Place) -> int:
    """Return how many leaves at the beginning of a log may be gone, as it says itself.  Raises StoreError."""
    for row in newest(place, "prune"):
        try:
            return int(orjson.loads(row.leaf)["detail"]["upto"])
        except (ValueError, LookupError, TypeError) as error:
            raise StoreError(f"leaf {row.idx} of `{place}` cannot be read; hint: jupiter evidence verify") from error
    return 0


def _found_in(path: Place, wanted: Filter, order: Order, after: Position | None) -> Generator[Call]:
    """Yield what one log has, wherever it is."""
    if isinstance(path, Path):
        yield from _search(path, wanted, order, after)
        return
    with in_postgres(path) as log:
        from jupiter_addons.storage.evidence_postgres_query import search

        with closing(search(log, wanted, order, after)) as found:
            yield from found


def _search(path: Path, wanted: Filter, order: Order, after: Position | None) -> Generator[Call]:
    """Yield what one log has."""
    with closing(open_log(path)) as db:
        try:
            db.execute("BEGIN")  # one moment for all that is read
            if wanted.id is not None:
                yield from ordered(calls(_leaves(db, path, [wanted.id])), wanted, order, after)
                return
            if db.execute("PRAGMA user_version").fetchone()[0] < _INDEXED:
                yield from ordered(calls(_rows(db, 0)), wanted, order, after)
                return
            tail = list({row[0]: None for row in db.execute(_NOT_INDEXED, (indexed(db),))})
            late = ordered(calls(_leaves(db, path, tail)), wanted, order, after)
            filed = _filed(db, path, wanted, order, after, frozenset(tail))
            yield from heapq.merge(late, filed, key=order.position, reverse=order.descending)
        except sqlite3.Error as error:
            raise StoreError(f"cannot search `{path}`: {error}") from error


def ordered(found: Iterable[Call], wanted: Filter, order: Order, after: Position | None) -> list[Call]:
    """Return what is wanted of calls that no index has, sorted."""
    good = [call for call in found if matches(call, wanted) and order.lists(call)]
    good.sort(key=order.position, reverse=order.descending)
    if after is None:
        return good
    return [
        call for call in good if (order.position(call) < after if order.descending else order.position(call) > after)
    ]


def _filed(
    db: sqlite3.Connection,
    path: Path,
    wanted: Filter,
    order: Order,
    after: Position | None,
    late: frozenset[str],
) -> Iterator[Call]:
    """Yield calls that the index finds, but for those that are `late`: it does not know their end yet."""
    origin = db.execute("SELECT value FROM meta WHERE name = 'origin'").fetchone()
    where, values = _condition(db, wanted, order)
    column, way = SORTED_BY[order.by], "DESC" if order.descending else "ASC"
    chunk = FIRST_CHUNK
    while True:
        test, bound = behind(after, order, "" if origin is None else str(origin[0]))
        sql = (
            f"SELECT call_id, {column}, t_us, idx FROM call_index WHERE {' AND '.join((*where, test))} "  # noqa: S608
            f"ORDER BY {column} {way}, t_us {way}, idx {way} LIMIT ?"
        )  # nothing but names of columns and signs is put together
        candidates = db.execute(sql, (*values, *bound, chunk)).fetchall()
        ids = [call_id for call_id, *_ in candidates if call_id not in late]
        read = {call["id"]: call for call in calls(_leaves(db, path, ids))}
        for call_id in ids:
            if call_id not in read:
                raise VerificationError(f"the index of `{path}` names call {call_id}, which has no decision in the log")
            if matches(read[call_id], wanted):
                yield read[call_id]
        if len(candidates) < chunk:
            return
        _, value, t_us, idx = candidates[-1]
        after = Position(value, t_us, "" if origin is None else str(origin[0]), idx)
        chunk = min(2 * chunk, MAX_CHUNK)


def _condition(db: sqlite3.Connection, wanted: Filter, order: Order) -> tuple[list[str], list[Any]]:
    """Return as much of the question as the index can answer: what it leaves open, the leaves are asked."""
    given = wanted.given()
    where, values = ["1"], list[Any]()
    for name in EXACT:
        if name in given:
            where.append(f"{name} = ?")
            values.append(given[name])
    if wanted.verdict is not None and wanted.verdict != "allow":
        where.append(PARTIAL["verdict"])
    if wanted.status == "open":
        where.append("call_id IN (SELECT id FROM open_call)")
    elif wanted.status is not None and wanted.status != "ok":
        where.append(PARTIAL["status"])
    if wanted.rule is not None:
        where.append("rule = ?")
        values.append(wanted.rule.rpartition("/")[2])
    if wanted.tag is not None:
        where.append("instr(tags, ?)")
        values.append(_as_filed(wanted.tag))
    for name, test in (("since_us", "t_us >= ?"), ("until_us", "t_us < ?"), ("min_attempts", "attempts >= ?")):
        if name in given:
            where.append(test)
            values.append(given[name])
    for name, column in (("cost", "cost_nusd"), ("tokens", "tokens")):
        least, most = given.get(f"min_{column}"), given.get(f"max_{column}")
        if order.by == name:
            where.append(PARTIAL[name])
        elif least is None and most is None:
            continue
        elif order.by != "time" or not _is_rare(db, column, least, most):
            column = f"+{column}"
        where.append(_BETWEEN.format(column=column))
        values += _bounds(least, most)
    return where, values


def _is_rare(db: sqlite3.Connection, column: str, least: int | None, most: int | None) -> bool:
    """Whether few calls are between two bounds: they are found and sorted then, else the newest are looked at."""
    counted = f"SELECT count(*) FROM (SELECT 1 FROM call_index WHERE {_BETWEEN.format(column=column)} LIMIT ?)"  # noqa: S608
    return bool(db.execute(counted, (*_bounds(least, most), FEW)).fetchone()[0] < FEW)


def _bounds(least: int | None, most: int | None) -> tuple[int, int]:
    return (0 if least is None else least), (_MOST if most is None else most)


def _as_filed(tag: str) -> str:
    """Return what the column of tags has for a tag: the index is written with the same encoder."""
    name, equals, content = tag.partition("=")
    return orjson.dumps({name: content})[1:-1].decode() if equals else orjson.dumps(name).decode() + ":"


def behind(after: Position | None, order: Order, origin: str) -> tuple[str, Sequence[Any]]:
    """Return the condition of standing behind a position, which may be one in another log."""
    if after is None:
        return "1", ()
    sign = "<" if order.descending else ">"
    column = SORTED_BY[order.by]
    if origin == after.log:
        return f"({column}, t_us, idx) {sign} (?, ?, ?)", (after.value, after.t_us, after.idx)
    equal = "=" if (origin < after.log) is order.descending else ""
    return f"({column}, t_us) {sign}{equal} (?, ?)", (after.value, after.t_us)


def open_log(path: Path) -> sqlite3.Connection:
    """Open a log for reading, its schema not trusted to run anything.  Raises StoreError.

    A file in which a process that starts has made no table yet is a log without leaves.
    """
    db = connect_reading(path, MIGRATIONS)
    try:
        begun = db.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.Error as error:
        db.close()
        raise StoreError(f"cannot read `{path}`: {error}") from error
    if not begun:
        db.close()
        db = sqlite3.connect(":memory:", isolation_level=None)
        for script in MIGRATIONS:
            db.executescript(script)
        db.execute(f"PRAGMA user_version={len(MIGRATIONS)}")
    db.execute("PRAGMA query_only=ON")
    db.execute("PRAGMA trusted_schema=OFF")
    return db


_NOT_INDEXED = "SELECT id FROM leaf WHERE idx >= ? AND +id IS NOT NULL"
"""The plus keeps SQLite from going through all the ids there are."""
_RARE = "kind NOT IN ('decision', 'attempt', 'outcome', 'tunnel', 'refusals', 'heartbeat')"
"""What the index of kinds is of."""
_LEAF = "SELECT idx, CAST(leaf AS BLOB), CAST(sig AS BLOB) FROM leaf"


def _leaves(db: sqlite3.Connection, path: Path, ids: Sequence[str]) -> list[Row]:
    """Return the leaves of calls, in order."""
    found: list[Row] = []
    for start in range(0, len(ids), MAX_CHUNK):
        some = ids[start : start + MAX_CHUNK]
        marks = ",".join("?" * len(some))
        found += [_row(path, *row) for row in db.execute(f"{_LEAF} WHERE id IN ({marks})", some)]
    return sorted(found, key=lambda row: row.idx)


def _rows(db: sqlite3.Connection, first: int) -> Iterator[Row]:
    for row in db.execute(f"{_LEAF} WHERE idx >= ? ORDER BY idx", (first,)):
        yield Row(*row)


def _row(path: Path, idx: int, leaf: bytes | None, signature: bytes | None) -> Row:
    if leaf is None or signature is None:
        raise VerificationError(f"leaf {idx} of `{path}` is not there; hint: jupiter evidence verify")
    return Row(idx, leaf, signature)


def _cursor(position: Position) -> str:
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode().rstrip("=")


def _position(cursor: str) -> Position:
    try:
        value, t_us, log, idx = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, TypeError, binascii.Error) as error:
        raise ValueError("that is no cursor: it is what the page before ended with") from error
    if not (all(type(number) is int for number in (value, t_us, idx)) and isinstance(log, str)):
        raise ValueError("that is no cursor: it is what the page before ended with")
    return Position(value, t_us, log, idx)
