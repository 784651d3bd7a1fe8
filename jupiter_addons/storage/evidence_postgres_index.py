"""The index of calls in PostgreSQL, derived as that of evidence.db is: after the leaves, a bounded number at a time."""

from typing import Any

import orjson

from jupiter_addons.errors import StoreError
from jupiter_addons.storage.evidence_index import DERIVED
from jupiter_addons.storage.postgres import Connection


def indexed(db: Connection, origin: str) -> int:
    """Return how many leaves of a log the index has been derived from.  Raises psycopg.Error."""
    found = db.execute("SELECT indexed FROM jupiter.log WHERE log = %s", (origin,)).fetchone()
    return 0 if found is None else int(found[0])


def advance(db: Connection, origin: str, most: int) -> int:
    """Derive rows from the next leaves in one transaction; return how many leaves that were, 0 if none are left.

    Raises StoreError at a leaf that is not what this program writes, and psycopg.Error.
    """
    start = indexed(db, origin)
    leaves = db.execute(_NEXT, (origin, start, most), binary=True).fetchall()
    if not leaves:
        return 0
    steps = [step for idx, kind, leaf in leaves if (step := _derived(origin, idx, kind, leaf)) is not None]
    with db.transaction(), db.pipeline():
        for sql, values in steps:
            db.execute(sql.encode(), values)
        db.execute("UPDATE jupiter.log SET indexed = %s WHERE log = %s", (leaves[-1][0] + 1, origin))
    return len(leaves)


def _derived(origin: str, idx: int, kind: str, leaf: bytes) -> tuple[str, list[Any]] | None:
    derive = DERIVED.get(kind)
    if derive is None:
        return None
    try:
        fields = orjson.loads(leaf)
        values = list(map(_clean, derive(fields).values()))
        call = fields["id"]
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise StoreError(f"leaf {idx} of `{origin}` cannot be read; hint: jupiter evidence verify") from error
    return _SQL[kind], [origin, *values] if kind == "decision" else [*values, origin, call]


def _clean(value: Any) -> Any:
    """Return a value that PostgreSQL can hold: a leaf can have a NUL in a text, a column cannot."""
    return value.replace("\0", "\ufffd") if isinstance(value, str) else value


_NEXT = "SELECT idx, kind, leaf FROM jupiter.leaf WHERE log = %s AND idx >= %s ORDER BY idx LIMIT %s"
_PLAIN = ("status", "code", "http_status", "input_tokens", "output_tokens", "tokens", "cost_nusd")
_ENDED = ", ".join(f"{name} = %s" for name in _PLAIN)
_TAGS = "nullif(coalesce(tags, '{}') || coalesce(%s::jsonb, '{}'), '{}')"
_MARKS = ", ".join(["%s"] * 22)
_SQL = {
    "decision": f"INSERT INTO jupiter.call_index VALUES ({_MARKS}) ON CONFLICT DO NOTHING",  # noqa: S608 - ours
    "attempt": "UPDATE jupiter.call_index SET provider = %s, attempts = %s WHERE log = %s AND call_id = %s",
    "outcome": f"UPDATE jupiter.call_index SET {_ENDED}, policy = coalesce(%s, policy), rule = coalesce(%s, rule), "  # noqa: S608
    f"tags = {_TAGS} WHERE log = %s AND call_id = %s",
}
