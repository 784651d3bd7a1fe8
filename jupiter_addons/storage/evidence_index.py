"""The index of calls, derived from the leaves after they are durable, a bounded number at a time.

No call waits for it, and it needs no recovery: how far it has come is written in the same transaction as its rows, so that
it goes on from there after any crash, and can be made anew from nothing.  What it has not come to yet, a reader takes
from the leaves themselves.
"""

import sqlite3
from collections.abc import Callable, Mapping

import orjson

from jupiter_addons.errors import StoreError
from jupiter_addons.evidence import call_row
from jupiter_addons.evidence.call_row import Columns

CHUNK = 256

DERIVED: Mapping[str, Callable[[Mapping[str, object]], Columns]] = {
    "decision": call_row.decided,
    "attempt": call_row.attempted,
    "outcome": call_row.ended,
}


def indexed(db: sqlite3.Connection) -> int:
    """Return how many leaves the index has been derived from."""
    found = db.execute("SELECT value FROM meta WHERE name = 'indexed'").fetchone()
    return 0 if found is None else int(found[0])


def advance(db: sqlite3.Connection, most: int = CHUNK) -> int:
    """Derive rows from the next leaves in one transaction; return how many leaves that were, 0 if none are left.

    Raises StoreError at a leaf that is not what this program writes, and sqlite3.Error.
    """
    start = indexed(db)
    leaves = db.execute(
        "SELECT idx, kind, leaf FROM leaf WHERE idx >= ? ORDER BY idx LIMIT ?", (start, most)
    ).fetchall()
    if not leaves:
        return 0
    db.execute("BEGIN IMMEDIATE")
    try:
        for idx, kind, leaf in leaves:
            _derive(db, idx, kind, leaf)
        db.execute("UPDATE meta SET value = ? WHERE name = 'indexed'", (str(leaves[-1][0] + 1),))
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    return len(leaves)


def _derive(db: sqlite3.Connection, idx: int, kind: str, leaf: bytes) -> None:
    derived = DERIVED.get(kind)
    if derived is None:
        return
    try:
        fields = orjson.loads(leaf)
        columns = derived(fields)
        call = fields["id"]
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise StoreError(f"leaf {idx} cannot be read; hint: jupiter evidence verify") from error
    if kind == "decision":
        db.execute(_INSERT, tuple(columns.values()))
    else:
        db.execute(_UPDATES[kind], (*columns.values(), call))


def _update(*changes: str) -> str:
    return f"UPDATE call_index SET {', '.join(changes)} WHERE call_id = ?"  # noqa: S608 - ours


_PLAIN = ("status", "code", "http_status", "input_tokens", "output_tokens", "tokens", "cost_nusd")
_INSERT = f"INSERT OR REPLACE INTO call_index VALUES ({', '.join('?' * 21)})"  # noqa: S608 - ours
_UPDATES = {
    "attempt": _update("provider = ?", "attempts = ?"),
    "outcome": _update(
        *(f"{name} = ?" for name in _PLAIN),
        "policy = coalesce(?, policy)",
        "rule = coalesce(?, rule)",
        "tags = nullif(json_patch(coalesce(tags, '{}'), coalesce(?, '{}')), '{}')",
    ),
}
