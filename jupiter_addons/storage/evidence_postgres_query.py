"""Searching a log in PostgreSQL: the index finds candidates, as in a file, and the leaves say what is there."""

import heapq
from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Any

import orjson

from jupiter_addons.errors import VerificationError
from jupiter_addons.evidence.query import Call, Filter, calls, matches
from jupiter_addons.storage.evidence_postgres_reader import PostgresSnapshot
from jupiter_addons.storage.evidence_query import (
    EXACT,
    FIRST_CHUNK,
    MAX_CHUNK,
    PARTIAL,
    SORTED_BY,
    Order,
    Position,
    behind,
    ordered,
)

_COLUMNS = {"user": '"user"'}


def search(snapshot: PostgresSnapshot, wanted: Filter, order: Order, after: Position | None) -> Generator[Call]:
    """Yield what one log has, in order.  Raises StoreError, VerificationError."""
    if wanted.id is not None:
        yield from ordered(calls(snapshot.leaves_of(wanted.id)), wanted, order, after)
        return
    [(indexed,)] = snapshot.all("SELECT indexed FROM jupiter.log WHERE log = %s", snapshot.origin) or [(0,)]
    tail = list({row[0]: None for row in snapshot.all(_NOT_INDEXED, snapshot.origin, indexed)})
    late = ordered(calls(snapshot.leaves_of_all(tail)), wanted, order, after)
    with closing(_filed(snapshot, wanted, order, after, frozenset(tail))) as filed:
        yield from heapq.merge(late, filed, key=order.position, reverse=order.descending)


def _filed(
    snapshot: PostgresSnapshot, wanted: Filter, order: Order, after: Position | None, late: frozenset[str]
) -> Generator[Call]:
    """Yield calls that the index finds, but for those that are `late`: it does not know their end yet."""
    where, values = _condition(snapshot, wanted, order)
    column, way = SORTED_BY[order.by], "DESC" if order.descending else "ASC"
    chunk = FIRST_CHUNK
    while True:
        test, bound = behind(after, order, snapshot.origin)
        tests = " AND ".join((*where, "TRUE" if after is None else test.replace("?", "%s")))
        sql = f"SELECT call_id, {column}, t_us, idx FROM jupiter.call_index WHERE {tests} "  # noqa: S608
        sql += f"ORDER BY {column} {way}, t_us {way}, idx {way} LIMIT %s"  # names of columns and signs, nothing else
        candidates = snapshot.all(sql, *values, *bound, chunk)
        ids = [call_id for call_id, *_ in candidates if call_id not in late]
        read = {call["id"]: call for call in calls(snapshot.leaves_of_all(ids))}
        for call_id in ids:
            if call_id not in read:
                raise VerificationError(
                    f"the index of `{snapshot.origin}` names call {call_id}, which has no decision in the log"
                )
            if matches(read[call_id], wanted):
                yield read[call_id]
        if len(candidates) < chunk:
            return
        _, value, t_us, idx = candidates[-1]
        after = Position(value, t_us, snapshot.origin, idx)
        chunk = min(2 * chunk, MAX_CHUNK)


def _condition(snapshot: PostgresSnapshot, wanted: Filter, order: Order) -> tuple[list[str], list[Any]]:
    """Return as much of the question as the index can answer: what it leaves open, the leaves are asked."""
    given, where, values = wanted.given(), ["log = %s"], list[Any]([snapshot.origin])
    for test, value in _tests(wanted, given):
        where.append(test)
        values += value
    for name, column in (("cost", "cost_nusd"), ("tokens", "tokens")):
        least, most = given.get(f"min_{column}"), given.get(f"max_{column}")
        if order.by == name:
            where.append(PARTIAL[name])
        for bound, sign in ((least, ">="), (most, "<=")):
            if bound is not None:
                where.append(f"coalesce({column}, 0) {sign} %s" if order.by != name else f"{column} {sign} %s")
                values.append(bound)
    return where, values


def _tests(wanted: Filter, given: dict[str, Any]) -> Iterator[tuple[str, list[Any]]]:
    for name in EXACT:
        if name in given:
            yield f"{_COLUMNS.get(name, name)} = %s", [given[name]]
    if wanted.status == "open":
        yield "call_id IN (SELECT id FROM jupiter.open_call WHERE open_call.log = call_index.log)", []
    if wanted.rule is not None:
        yield "rule = %s", [wanted.rule.rpartition("/")[2]]
    if wanted.tag is not None:
        name, equals, content = wanted.tag.partition("=")
        yield ("tags @> %s::jsonb", [orjson.dumps({name: content}).decode()]) if equals else ("tags ? %s", [name])
    for name, test in (("since_us", "t_us >= %s"), ("until_us", "t_us < %s"), ("min_attempts", "attempts >= %s")):
        if name in given:
            yield test, [given[name]]


_NOT_INDEXED = "SELECT id FROM jupiter.leaf WHERE log = %s AND idx >= %s AND id IS NOT NULL ORDER BY idx"
