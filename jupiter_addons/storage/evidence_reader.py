"""Reading evidence.db while a gateway writes it: for `verify` and `query`.

The file is not trusted: its schema runs no code, and every column is read as bytes, whatever its type says, so that a
value of the wrong kind is something to find and not something to trip over.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson

from jupiter_addons.errors import StoreError, VerificationError
from jupiter_addons.evidence import checkpoint
from jupiter_addons.evidence.checkpoint import Checkpoint
from jupiter_addons.evidence.signing import PublicKey
from jupiter_addons.evidence.verify import Row
from jupiter_addons.storage.evidence_schema import MIGRATIONS
from jupiter_addons.storage.sqlite import connect_reading

_ROWS = """
    SELECT idx, coalesce(CAST(leaf AS BLOB), x''), coalesce(CAST(sig AS BLOB), x''), CAST(kind AS BLOB),
           CAST(id AS BLOB), CAST(CAST(t_us AS TEXT) AS BLOB), CAST(hash AS BLOB)
    FROM leaf ORDER BY idx
"""

# The index of such leaves is used if its condition is repeated.  One roll-up is a leaf, or a few if it is long.
_ROLL_UPS = """
    SELECT leaf FROM leaf WHERE kind = 'rollup'
    AND kind NOT IN ('decision', 'attempt', 'outcome', 'tunnel', 'refusals', 'heartbeat')
    ORDER BY idx DESC LIMIT 16
"""


def rows(path: Path) -> Iterator[Row]:
    """Yield all leaves in order, as of one moment.  Raises StoreError."""
    with closing(connect_reading(path, MIGRATIONS)) as db:
        try:
            db.execute("PRAGMA query_only=ON")
            db.execute("PRAGMA trusted_schema=OFF")
            for idx, leaf, signature, *columns in db.execute(_ROWS):
                yield Row(idx, leaf, signature, tuple(columns))
        except sqlite3.Error as error:
            raise StoreError(f"cannot read `{path}`: {error}") from error


def newest_checkpoint(path: Path, log_keys: Iterable[PublicKey]) -> Checkpoint | None:
    """Return the newest checkpoint of a log; None if it has none yet.  Raises StoreError if it cannot be trusted."""
    found = _select(path, "SELECT CAST(note AS BLOB) FROM checkpoint ORDER BY size DESC LIMIT 1")
    try:
        return checkpoint.opened(found[0][0], log_keys, strangers=True) if found else None
    except VerificationError as error:
        raise StoreError(f"the newest checkpoint of `{path}` cannot be trusted: {error}") from error


def rolled_up(path: Path) -> Sequence[Checkpoint]:
    """Return what the newest roll-up of a log says of others.  Raises StoreError."""
    found: dict[str, Checkpoint] = {}
    for (leaf,) in reversed(_select(path, _ROLL_UPS)):
        for head in orjson.loads(leaf)["logs"]:
            found[head["log"]] = Checkpoint(head["log"], head["size"], bytes.fromhex(head["root"]))
    return tuple(found.values())


def _select(path: Path, sql: str) -> list[Any]:
    with closing(connect_reading(path, MIGRATIONS)) as db:
        try:
            db.execute("PRAGMA trusted_schema=OFF")
            return db.execute(sql).fetchall()
        except sqlite3.Error as error:
            raise StoreError(f"cannot read `{path}`: {error}") from error


def tampered_copy(source: Path, copy: Path) -> None:
    """Copy a log as it is now and change one word in one outcome: what the demo and the tests have `verify` find."""
    with closing(connect_reading(source, MIGRATIONS)) as reading, closing(sqlite3.connect(copy)) as writing:
        reading.backup(writing)
        idx, leaf = writing.execute("SELECT idx, leaf FROM leaf WHERE kind = 'outcome' ORDER BY idx LIMIT 1").fetchone()
        changed = bytes(leaf).replace(b'"status":"ok"', b'"status":"no"')
        writing.execute("UPDATE leaf SET leaf = ? WHERE idx = ?", (changed, idx))
        writing.commit()
